//! `portcullis-verify`: checks a copy of a gateway's record, or the record itself, offline.

use clap::Parser;
use portcullis_verify::verify::{VerifyOptions, verify_as_it_is};
use portcullis_verify::visible;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Check the record of a Portcullis gateway, offline, and name the first entry that is wrong.
///
/// Reads nothing but the files in DIR and those named here, and changes none of them. Exits with 0 where
/// the record is good, with 1 where something is wrong, and with 2 where it was not told what to check.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The gateway's data directory, or a copy of its `journal`, `tree`, `keys` and `recordings`.
    dir: PathBuf,
    /// A signed head kept elsewhere, which the journal must lead through.
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// The journal's verifier key kept elsewhere, instead of the one in DIR.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match checked(&arguments) {
        Ok((text, good)) => {
            // Who asked has heard enough, if not all of it.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::from(u8::from(!good))
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", visible::escape(&error));
            ExitCode::from(2)
        }
    }
}

/// What is to be said, and whether the record is good.
fn checked(arguments: &Arguments) -> Result<(String, bool), String> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
    };
    if !arguments.dir.is_dir() {
        return Err(format!("{}: there is no such directory", arguments.dir.display()));
    }
    let options = VerifyOptions {
        public_key: arguments.key.as_ref().map(read).transpose()?,
        expected_head: arguments.head.as_ref().map(read).transpose()?,
        live: false,
    };
    let result = verify_as_it_is(&arguments.dir, options);
    let good = result.is_ok();
    let text = match (&result, arguments.json) {
        (Ok(report), true) => json(report)?,
        (Err(finding), true) => json(finding)?,
        (Ok(report), false) => report.to_string(),
        (Err(finding), false) => finding.to_string(),
    };
    Ok((text + "\n", good))
}

/// JSON that a terminal obeys nothing in.
fn json(value: &impl serde::Serialize) -> Result<String, String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())?;
    Ok(visible::json(&text))
}
