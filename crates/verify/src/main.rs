//! `portcullis-verify`: checks a copy of a gateway's record, or the record itself, offline.

use clap::Parser;
use portcullis_verify::verify::{Finding, VerifyOptions, verify_as_it_is};
use portcullis_verify::{evidence, proof, visible};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check the record of a Portcullis gateway, offline, and name the first entry that is wrong.
///
/// Reads nothing but the files in DIR and those named here, and changes none of them. Exits with 0 where
/// the record is good, with 1 where something is wrong, and with 2 where it was not told what to check.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The gateway's data directory, or a copy of its `journal`, `tree`, `keys` and `recordings`.
    #[arg(required_unless_present_any = ["proof", "evidence"])]
    dir: Option<PathBuf>,
    /// A proof that one entry is in the log (`portcullis audit prove`), to check instead of DIR.
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["dir", "head"])]
    proof: Option<PathBuf>,
    /// An evidence pack (`portcullis evidence`), to check instead of DIR.
    #[arg(long, value_name = "DIR", requires = "key", conflicts_with_all = ["dir", "head", "proof"])]
    evidence: Option<PathBuf>,
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
    if let (Some(file), Some(key)) = (&arguments.proof, &arguments.key) {
        return proven((file, &read(file)?), &read(key)?, arguments.json);
    }
    if let (Some(pack), Some(key)) = (&arguments.evidence, &arguments.key) {
        let result = evidence::check(pack, &read(key)?);
        let said = match &result {
            Ok(evidence) if arguments.json => json(evidence)?,
            Ok(evidence) => evidence.to_string(),
            Err(finding) if arguments.json => json(finding)?,
            Err(finding) => finding.to_string(),
        };
        return Ok((said + "\n", result.is_ok()));
    }
    let dir = arguments.dir.as_deref().unwrap_or(Path::new("."));
    if !dir.is_dir() {
        return Err(format!("{}: there is no such directory", dir.display()));
    }
    let options = VerifyOptions {
        public_key: arguments.key.as_ref().map(read).transpose()?,
        expected_head: arguments.head.as_ref().map(read).transpose()?,
        live: false,
    };
    let result = verify_as_it_is(dir, options);
    let good = result.is_ok();
    let text = match (&result, arguments.json) {
        (Ok(report), true) => json(report)?,
        (Err(finding), true) => json(finding)?,
        (Ok(report), false) => report.to_string(),
        (Err(finding), false) => finding.to_string(),
    };
    Ok((text + "\n", good))
}

/// The same of a proof.
fn proven((file, text): (&Path, &str), key: &str, as_json: bool) -> Result<(String, bool), String> {
    let result = proof::check(text, key);
    let said = match &result {
        Ok(proven) if as_json => json(proven)?,
        Ok(proven) => proven.to_string(),
        Err((problem, detail)) => {
            let finding = Finding {
                problem: *problem,
                sequence: None,
                file: file.to_owned(),
                line: None,
                detail: detail.clone(),
            };
            if as_json { json(&finding)? } else { finding.to_string() }
        }
    };
    Ok((said + "\n", result.is_ok()))
}

/// JSON that a terminal obeys nothing in.
fn json(value: &impl serde::Serialize) -> Result<String, String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())?;
    Ok(visible::json(&text))
}
