//! Where the master key is: a file, the environment, or a command that prints it (the way to a key
//! management service). Read when it is needed, and again where it does not open what it should.

use crate::credential::CredentialError;
use crate::private;
use crate::seal::MasterKey;
use schemars::JsonSchema;
use serde::Deserialize;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The longest text a master key is read from, in bytes.
const LONGEST: usize = 1024;
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a command is asked whether it has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Where the master key is: one of these. It is 32 random bytes in base64. It is made by
/// `portcullis secret init` or `openssl rand -base64 32`, and by nothing else.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MasterKeySettings {
    /// A file that nobody else can read, best outside of `data_dir`: who copies that has the sealed
    /// secrets, and should not have the key.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// An environment variable.
    #[serde(default)]
    pub env: Option<String>,
    /// A program and its arguments, run without a shell; it prints the key and ends with 0 within
    /// 10 seconds. For key management services: `["/usr/bin/aws", "kms", "decrypt", …]`.
    #[serde(default)]
    pub command: Option<Vec<String>>,
}

/// A master key that cannot be had. Never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// None or several places are named.
    #[error("name one of `file`, `env` and `command`")]
    Places,
    /// The file cannot be used.
    #[error("{0}")]
    File(CredentialError),
    /// The file is not there.
    #[error(
        "the master key {0} is missing: put it back, or make one with `portcullis secret init` \
         where there never was one"
    )]
    Missing(PathBuf),
    /// The environment variable is not set.
    #[error("the master key's environment variable {0} is not set")]
    Environment(String),
    /// The command did not give one.
    #[error("the master key's command {program}: {why}; run it by hand to see what it says")]
    Command {
        /// The program.
        program: String,
        /// What happened.
        why: String,
    },
    /// It is something else.
    #[error("{0} is no master key, which is 32 bytes in base64 (`openssl rand -base64 32`)")]
    Malformed(String),
}

impl MasterKeySettings {
    /// A place given as a reference: `env:NAME` or `file:PATH`.
    #[must_use]
    pub fn from_reference(reference: &crate::Reference) -> Option<Self> {
        match reference {
            crate::Reference::Environment(name) => {
                Some(Self { env: Some(name.clone()), ..Self::default() })
            }
            crate::Reference::File(path) => {
                Some(Self { file: Some(path.clone()), ..Self::default() })
            }
            _ => None,
        }
    }

    /// True where exactly one place is named.
    ///
    /// # Errors
    /// [`MasterKeyError::Places`].
    pub fn check(&self) -> Result<(), MasterKeyError> {
        let command = self.command.as_ref();
        let places = [self.file.is_some(), self.env.is_some(), command.is_some()];
        let one = places.iter().filter(|given| **given).count() == 1;
        let named = command.is_none_or(|words| words.first().is_some_and(|word| !word.is_empty()));
        if one && named { Ok(()) } else { Err(MasterKeyError::Places) }
    }

    /// Where it is, for people.
    #[must_use]
    pub fn place(&self) -> String {
        match (&self.file, &self.env, &self.command) {
            (Some(path), _, _) => format!("file {}", path.display()),
            (_, Some(name), _) => format!("environment variable {name}"),
            (_, _, Some(words)) => {
                format!("command {}", words.first().map(String::as_str).unwrap_or_default())
            }
            _ => "nowhere".to_owned(),
        }
    }

    /// Reads the key. Blocks, for as long as a command may take.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn read(&self) -> Result<MasterKey, MasterKeyError> {
        self.check()?;
        let text = match (&self.file, &self.env, &self.command) {
            (Some(path), _, _) => from_file(path)?,
            (_, Some(name), _) => {
                let value = std::env::var(name);
                let value = value.map_err(|_| MasterKeyError::Environment(name.clone()))?;
                Zeroizing::new(value.into_bytes())
            }
            (_, _, Some(words)) => from_command(words)?,
            _ => return Err(MasterKeyError::Places),
        };
        let malformed = || MasterKeyError::Malformed(self.place());
        MasterKey::from_text(&text).ok_or_else(malformed)
    }
}

fn from_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
    private::read(path, LONGEST).map_err(|error| match error {
        CredentialError::File { path, error } if error.kind() == std::io::ErrorKind::NotFound => {
            MasterKeyError::Missing(path)
        }
        error => MasterKeyError::File(error),
    })
}

/// What a command prints. Its standard error is not kept: nobody knows what it says there.
fn from_command(words: &[String]) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
    let (program, arguments) = words.split_first().ok_or(MasterKeyError::Places)?;
    let failed = |why: String| MasterKeyError::Command { program: program.clone(), why };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| failed(format!("cannot be run: {e}")))?;
    let said = read_within(&mut child);
    let ended = child.try_wait();
    if !matches!(ended, Ok(Some(_))) {
        // Nothing is left to be done about one that cannot be ended.
        let _ = child.kill();
        let _ = child.wait();
    }
    match (said, ended) {
        (Some(said), Ok(Some(status))) if status.success() => Ok(said),
        (_, Ok(Some(status))) => Err(failed(format!("ended with {status}"))),
        (_, Ok(None)) => Err(failed(format!("did not end within {} s", PATIENCE.as_secs()))),
        (_, Err(error)) => Err(failed(error.to_string())),
    }
}

/// Its standard output, once it has ended; `None` where it takes too long.
fn read_within(child: &mut Child) -> Option<Zeroizing<Vec<u8>>> {
    let output = child.stdout.take()?;
    let reading = std::thread::spawn(move || {
        let mut said = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
        output.take(LONGEST as u64 + 1).read_to_end(&mut said).map(|_| said)
    });
    let deadline = Instant::now() + PATIENCE;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(LOOK);
    }
    // A grandchild may hold the pipe open: what was said by now has to do.
    while !reading.is_finished() {
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(LOOK);
    }
    reading.join().ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn error(settings: &MasterKeySettings) -> String {
        settings.read().unwrap_err().to_string()
    }

    fn command(script: &str) -> MasterKeySettings {
        let words = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        MasterKeySettings { command: Some(words), ..MasterKeySettings::default() }
    }

    #[test]
    fn a_key_comes_from_one_place() {
        let key = MasterKey::generate().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        let mut settings = MasterKeySettings { file: Some(path.clone()), ..Default::default() };
        assert!(error(&settings).contains("portcullis secret init"));
        std::fs::write(&path, key.to_text().as_bytes()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(error(&settings).contains("chmod 600"), "{}", error(&settings));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(settings.read().unwrap().id(), key.id());
        settings.env = Some("X".into());
        assert!(error(&settings).contains("one of"));
        assert!(error(&MasterKeySettings::default()).contains("one of"));
        std::fs::write(&path, "hunter2").unwrap();
        settings.env = None;
        let said = error(&settings);
        assert!(said.contains("no master key") && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn a_command_prints_it_or_nothing_is_taken() {
        let key = MasterKey::generate().unwrap();
        let text = key.to_text();
        assert_eq!(command(&format!("echo {}", text.trim())).read().unwrap().id(), key.id());
        let said = error(&command(&format!("echo {}; exit 3", text.trim())));
        assert!(said.contains("exit status: 3") && !said.contains(text.trim()), "{said}");
        assert!(error(&command("echo hunter2; echo hunter2 >&2")).contains("no master key"));
        assert!(error(&command("yes")).contains("master key"), "more than is read");
        let missing = vec!["/no/such/program".to_owned()];
        let missing = MasterKeySettings { command: Some(missing), ..Default::default() };
        assert!(error(&missing).contains("cannot be run"));
    }
}
