//! Scripts of `tests/console`, which drive the system's Chromium.

use crate::arena::Arena;
use anyhow::{Context as _, bail};
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a browser may take; a few seconds are usual.
const PATIENCE: Duration = Duration::from_secs(300);
/// What Chromium is called.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The system's Chromium.
pub fn chromium() -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = NAMES.iter().flat_map(|name| env::split_paths(&path).map(move |at| at.join(name)));
    all.into_iter()
        .find(|file| file.is_file())
        .with_context(|| format!("none of {NAMES:?} is installed: `./dev test` does"))
}

fn scripts() -> anyhow::Result<PathBuf> {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = above.find(|path| path.join("Cargo.lock").exists()).context("no workspace")?;
    Ok(root.join("tests/console"))
}

/// Runs a script against an arena, with `psql` as claude, and gives what it said once it has ended well.
/// `PORTCULLIS_BLESS=1` has it make pictures for the documentation.
pub fn run(arena: &Arena, script: &str, more: &[(&str, String)]) -> anyhow::Result<String> {
    let scripts = scripts()?;
    if !scripts.join("node_modules").is_dir() {
        bail!("run by `./dev test`, which installs what {script} needs");
    }
    let mut command = Command::new("node");
    command.arg(script).current_dir(&scripts).envs(arena.through("claude")?);
    command
        .env("URL", format!("http://{}", arena.http))
        .env("PSQL", arena.server.program_directory().join("psql"))
        .env("CHROMIUM", chromium()?)
        .envs(more.iter().map(|(name, value)| (name, value)));
    if env::var_os("PORTCULLIS_BLESS").is_some() {
        let pictures = scripts.join("../../docs/images");
        fs::create_dir_all(&pictures)?;
        command.env("SHOTS", pictures);
    }
    let log = arena.directory().join(format!("{script}.log"));
    let out = File::create(&log)?;
    let mut browser = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = browser.try_wait()? {
            break Some(status);
        }
        if Instant::now() > deadline {
            browser.kill()?;
            browser.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(50));
    };
    let said = fs::read_to_string(&log)?;
    match status {
        Some(status) if status.success() => Ok(said),
        Some(status) => bail!("{status}:\n{said}"),
        None => bail!("it did not end within {PATIENCE:?}:\n{said}"),
    }
}
