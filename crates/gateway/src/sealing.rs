//! Who can open recordings: the settings, and the keys with which the gateway itself shows what it has sealed.
//! Beside the life of a request: at start.

use crate::outbound::open_to_others;
use anyhow::Context as _;
use portcullis_age::{Identity, Recipient};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of a file of keys, at most.
const MOST: u64 = 64 * 1024;

/// The record of answers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Recording {
    /// How many masked rows of each answer are kept; 0 keeps none.
    pub(crate) sample_rows: usize,
    /// Public keys (`age1…`, as `age-keygen` makes them): recordings are sealed to them, and whoever has the
    /// secret key of any one of them opens them, with `age` or with `portcullis session show --identity`.
    /// Without any, whoever can read `data_dir` can read recordings.
    pub(crate) recipients: Vec<PublicKey>,
    /// File with the secret key of one of the recipients, as `age-keygen` writes it: with it the gateway itself
    /// shows recorded answers, in the console and by its API. Without it, only what the journal has is shown
    /// of sealed sessions.
    pub(crate) identity_file: Option<PathBuf>,
}

impl Default for Recording {
    fn default() -> Self {
        Self { sample_rows: 5, recipients: Vec::new(), identity_file: None }
    }
}

/// A public key in a setting.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct PublicKey(pub(crate) Recipient);

impl TryFrom<String> for PublicKey {
    type Error = portcullis_age::KeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl JsonSchema for PublicKey {
    fn schema_name() -> Cow<'static, str> {
        "PublicKey".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// The keys in a file as `age-keygen` writes it.
///
/// # Errors
/// With the file, and what is wrong with it; never with what it says.
pub(crate) fn keys_in(file: &Path) -> anyhow::Result<Vec<Identity>> {
    let mut text = Zeroizing::new(String::new());
    let read = File::open(file).and_then(|opened| opened.take(MOST).read_to_string(&mut text));
    read.with_context(|| format!("the keys of recordings: {}", file.display()))?;
    portcullis_age::identities(&text).with_context(|| file.display().to_string())
}

impl Recording {
    /// Who can open what is recorded.
    pub(crate) fn sealed_to(&self) -> Vec<Recipient> {
        self.recipients.iter().map(|key| key.0).collect()
    }

    /// With which the gateway opens it itself.
    ///
    /// # Errors
    /// As for [`keys_in`].
    pub(crate) fn keys(&self) -> anyhow::Result<Arc<[Identity]>> {
        let keys = self.identity_file.as_deref().map(keys_in).transpose();
        Ok(keys.context("recording.identity_file")?.unwrap_or_default().into())
    }

    /// What is odd about it.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let Some(file) = &self.identity_file else { return Vec::new() };
        let told = match keys_in(file) {
            _ if self.recipients.is_empty() => Some(
                "recording.identity_file opens nothing: recording.recipients is empty".to_owned(),
            ),
            Err(error) => Some(format!("recording.identity_file: {error:#}")),
            Ok(keys) => {
                let opens = |key: &Identity| self.sealed_to().contains(&key.recipient());
                let none = !keys.iter().any(opens);
                none.then(|| {
                    "recording.identity_file has the key of none of recording.recipients: the gateway cannot \
                     show what it seals from now on"
                        .to_owned()
                })
            }
        };
        let open = open_to_others(file).map(|why| format!("recording.identity_file: {why}"));
        told.into_iter().chain(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_cannot_show_what_it_seals_is_told_of() {
        let (own, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, &*own.to_text()).unwrap();
        let mode = |mode| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&file, mode).unwrap();
        };
        mode(0o600);
        let of = |recipients: &[&Identity], file: Option<&Path>| Recording {
            recipients: recipients.iter().map(|key| PublicKey(key.recipient())).collect(),
            identity_file: file.map(Path::to_owned),
            ..Recording::default()
        };
        assert_eq!(of(&[], None).doubts(), [""; 0]);
        assert_eq!(of(&[&other], None).doubts(), [""; 0], "an auditor's alone");
        assert_eq!(of(&[&other, &own], Some(&file)).doubts(), [""; 0]);
        mode(0o644);
        assert!(of(&[&own], Some(&file)).doubts()[0].contains("every user"));
        mode(0o600);
        assert!(of(&[&other], Some(&file)).doubts()[0].contains("none of recording.recipients"));
        assert!(of(&[], Some(&file)).doubts()[0].contains("opens nothing"));
        std::fs::write(&file, "AGE-SECRET-KEY-1QQQ").unwrap();
        let doubts = of(&[&own], Some(&file)).doubts();
        assert!(doubts[0].contains(&file.display().to_string()), "{doubts:?}");
        assert!(!doubts[0].contains("1QQQ"), "a secret is not repeated: {doubts:?}");
        assert!(of(&[&own], Some(&file)).keys().is_err());
    }
}
