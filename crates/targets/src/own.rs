//! Secrets of the gateway's own, which it needs for itself and not for a target.

use crate::credential::{CredentialError, LONGEST, checked};
use crate::private;
use crate::reference::Reference;
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;
use std::path::Path;
use zeroize::Zeroizing;

/// Where a secret of the gateway's own is: `env:NAME` or `file:PATH`. It is another type than a
/// [`Reference`], which leads to the credential of a target and is opened in this crate alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Reference")]
pub struct OwnSecret(Reference);

impl TryFrom<Reference> for OwnSecret {
    type Error = &'static str;

    fn try_from(reference: Reference) -> Result<Self, Self::Error> {
        match reference {
            Reference::Environment(_) | Reference::File(_) => Ok(Self(reference)),
            Reference::Sealed(_) | Reference::Vault(_) => Err(
                "this secret is needed before others can be had: write `env:NAME` or `file:PATH`",
            ),
        }
    }
}

impl JsonSchema for OwnSecret {
    fn schema_name() -> Cow<'static, str> {
        "OwnSecret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(env|file):",
            "description": "Where a secret is: `env:NAME` or `file:PATH`, a file that nobody else can read."
        })
    }
}

impl OwnSecret {
    /// Makes a relative path one below `base`.
    pub fn resolve(&mut self, base: &Path) {
        self.0.resolve(base);
    }

    /// The secret, without one line end at its end. Blocks, as long as the file does.
    ///
    /// # Errors
    /// [`CredentialError`], also where there is nothing in it.
    pub fn read(&self) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
        checked(raw(&self.0, LONGEST + 2)?)
    }
}

/// What stands where an `env:` or `file:` reference says.
pub(crate) fn raw(
    reference: &Reference,
    most: usize,
) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    match reference {
        Reference::Environment(name) => match std::env::var(name) {
            Ok(value) => Ok(Zeroizing::new(value.into_bytes())),
            Err(_) => Err(CredentialError::Environment(name.clone())),
        },
        Reference::File(path) => private::read(path, most),
        Reference::Sealed(_) | Reference::Vault(_) => Err(CredentialError::Empty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_what_needs_nothing_else_is_read() {
        let parse = |text: &str| {
            text.parse::<Reference>()
                .map_err(|e| e.to_string())
                .and_then(|reference| OwnSecret::try_from(reference).map_err(str::to_owned))
        };
        for text in ["sealed:a", "vault:secret/a#b", "hunter2", ""] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("env:NAME") && !error.contains("hunter2"), "{error}");
        }
        let directory = tempfile::tempdir().unwrap();
        let mut secret = parse("file:store.password").unwrap();
        secret.resolve(directory.path());
        let file = directory.path().join("store.password");
        std::fs::write(&file, "hunter2\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(secret.read(), Err(CredentialError::Exposed { .. })));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(secret.read().unwrap().as_slice(), b"hunter2");
        std::fs::write(&file, "\n").unwrap();
        assert!(matches!(secret.read(), Err(CredentialError::Empty)));
        std::fs::write(&file, vec![b'x'; LONGEST + 1]).unwrap();
        assert!(matches!(secret.read(), Err(CredentialError::TooLong)));
        let missing = parse("env:PORTCULLIS_NO_SUCH_SECRET").unwrap();
        assert!(matches!(missing.read(), Err(CredentialError::Environment(_))));
    }
}
