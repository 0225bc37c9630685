//! References: where a credential is, in one line of the settings, in place of the credential.

use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest name of a sealed secret.
const LONGEST_NAME: usize = 64;

/// Where a credential is: `env:NAME`, `file:PATH`, `sealed:NAME` or `vault:MOUNT/PATH#FIELD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// In an environment variable of the gateway.
    Environment(String),
    /// In a file that nobody else can read.
    File(PathBuf),
    /// In the gateway's store, sealed.
    Sealed(SecretName),
    /// In HashiCorp Vault's key-value store, version 2.
    Vault(VaultPath),
}

/// What a text must be to be a [`Reference`]. Never holds the text, which may be a password that
/// somebody wrote in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It begins with no scheme known here.
    #[error(
        "this is no reference: write `env:NAME`, `file:PATH`, `sealed:NAME` or \
         `vault:MOUNT/PATH#FIELD` (it is not shown here, in case it is a secret)"
    )]
    Scheme,
    /// Behind `env:` or `file:` stands nothing, or a zero byte.
    #[error("behind `env:` and `file:` stands a name without zero bytes")]
    Name,
    /// Not the name of a sealed secret.
    #[error(
        "the name of a sealed secret has 1 to {LONGEST_NAME} letters, digits, `-`, `_` and `.`, \
         and begins with a letter or digit"
    )]
    Sealed,
    /// Not a place in Vault.
    #[error(
        "a place in Vault is written `vault:MOUNT/PATH#FIELD`, without `data/` behind the mount, \
         empty parts, `.`, `..`, `?`, `%` or control characters"
    )]
    Vault,
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (scheme, rest) = text.split_once(':').ok_or(ReferenceError::Scheme)?;
        let named = || match rest.is_empty() || rest.contains('\0') {
            true => Err(ReferenceError::Name),
            false => Ok(rest),
        };
        match scheme {
            "env" => named().map(|name| Self::Environment(name.to_owned())),
            "file" => named().map(|path| Self::File(path.into())),
            "sealed" => rest.parse().map(Self::Sealed),
            "vault" => rest.parse().map(Self::Vault),
            _ => Err(ReferenceError::Scheme),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Sealed(name) => write!(f, "sealed:{name}"),
            Self::Vault(place) => write!(f, "vault:{place}"),
        }
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        quoted(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Reference {
    fn schema_name() -> Cow<'static, str> {
        "Reference".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(env|file|sealed|vault):",
            "description": "Where a secret is: `env:NAME`, `file:PATH`, `sealed:NAME` (see \
                            `portcullis secret set`) or `vault:MOUNT/PATH#FIELD`."
        })
    }
}

impl Reference {
    /// Makes a relative path one below `base`.
    pub fn resolve(&mut self, base: &Path) {
        if let Self::File(path) = self {
            *path = base.join(&*path);
        }
    }
}

/// The name of a sealed secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let good = text.len() <= LONGEST_NAME
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(inside);
        if good { Ok(Self(text.to_owned())) } else { Err(ReferenceError::Sealed) }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A field of a secret in Vault's key-value store, version 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultPath {
    /// Where the store is mounted: the first part.
    pub(crate) mount: String,
    /// The secret's path below the mount.
    pub(crate) path: String,
    /// The field of the secret.
    pub(crate) field: String,
}

impl FromStr for VaultPath {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (place, field) = text.split_once('#').ok_or(ReferenceError::Vault)?;
        let (mount, path) = place.split_once('/').ok_or(ReferenceError::Vault)?;
        let bad = |part: &str| {
            let odd = |c: char| c.is_control() || matches!(c, '?' | '#' | '%' | '\\');
            part.is_empty() || part == "." || part == ".." || part.contains(odd)
        };
        // `data/` is what the HTTP API puts between; nobody has a secret called so by intention.
        if bad(mount) || path.split('/').any(bad) || path.starts_with("data/") || bad(field) {
            return Err(ReferenceError::Vault);
        }
        let [mount, path, field] = [mount, path, field].map(str::to_owned);
        Ok(Self { mount, path, field })
    }
}

impl fmt::Display for VaultPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mount, path, field } = self;
        write!(f, "{mount}/{path}#{field}")
    }
}

/// A text of the settings that may be secret: what it is instead is not shown, as serde's own errors
/// would.
pub(crate) fn quoted<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    struct Text;

    impl serde::de::Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text in quotes")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<String, E> {
            Err(E::custom("expected a text in quotes"))
        }

        fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<String, E> {
            Err(E::custom("expected a text in quotes"))
        }

        fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<String, E> {
            Err(E::custom("expected a text in quotes"))
        }

        fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<String, E> {
            Err(E::custom("expected a text in quotes"))
        }
    }

    deserializer.deserialize_str(Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_back_as_they_are_written() {
        for text in [
            "env:SHOP_PASSWORD",
            "file:/run/secrets/shop",
            "file:secrets/a:b",
            "sealed:shop-app.v2",
            "vault:secret/databases/shop#password",
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        for (text, expect) in [
            ("hunter2", ReferenceError::Scheme),
            ("https://vault/x", ReferenceError::Scheme),
            ("env:", ReferenceError::Name),
            ("sealed:", ReferenceError::Sealed),
            ("sealed:../x", ReferenceError::Sealed),
            ("sealed:-x", ReferenceError::Sealed),
            ("sealed:a b", ReferenceError::Sealed),
            ("vault:secret/shop", ReferenceError::Vault),
            ("vault:secret#password", ReferenceError::Vault),
            ("vault:secret/../sys/x#password", ReferenceError::Vault),
            ("vault:secret/data/shop#password", ReferenceError::Vault),
            ("vault:secret//shop#password", ReferenceError::Vault),
            ("vault:secret/shop?version=1#password", ReferenceError::Vault),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(expect), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_not_shown() {
        #[derive(Debug, Deserialize)]
        struct Settings {
            #[expect(dead_code, reason = "read by Debug alone")]
            from: Reference,
        }
        for text in ["\"hunter2-4711\"", "4711", "47.11", "true", "[\"hunter2-4711\"]"] {
            let error = toml::from_str::<Settings>(&format!("from = {text}")).unwrap_err();
            assert!(!error.message().contains("4711"), "{error}");
        }
    }
}
