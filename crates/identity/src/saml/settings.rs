//! The settings of a SAML identity provider: everything an answer of it is held against. Read at start,
//! never influenced by a request.

use crate::oidc::{KindWord, SettingsError, WHOSE};
use portcullis_core::principal::PrincipalKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A SAML 2.0 identity provider at which people sign in with a browser (SAML profiles §4.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SamlProvider {
    /// The name operators and messages use; no other provider has it.
    pub name: String,
    /// The provider's entity ID, which is the issuer of its people. The metadata has to be of it.
    pub entity_id: String,
    /// The provider's metadata (SAML metadata §2.3, an `EntityDescriptor`, or an `EntitiesDescriptor`
    /// that has it), relative to the configuration. It is read again when it changes. Its signing keys,
    /// as many as there are, are the only ones that are believed; whoever can write it decides who
    /// signs in.
    pub metadata_file: PathBuf,
    /// The gateway's entity ID at this provider; by default `<public_url>/auth/saml/metadata`.
    #[serde(default)]
    pub own_entity_id: Option<String>,
    /// Which kind of name ID is a person's subject. One of another kind is refused, and transient ones
    /// always are: they are others each time.
    #[serde(default)]
    pub name_id: NameIdFormat,
    /// An attribute that is the subject in place of the name ID: one that is never given to somebody
    /// else, such as `urn:oasis:names:tc:SAML:attribute:subject-id`.
    #[serde(default)]
    pub subject_attribute: Option<String>,
    /// The attribute with the display name; by default the subject is shown.
    #[serde(default)]
    pub name_attribute: Option<String>,
    /// The attribute with the groups.
    #[serde(default = "default_groups")]
    pub groups_attribute: String,
    /// An attribute that says what the subject is: `person`, `agent` or `workload`. Only people sign in.
    #[serde(default)]
    pub kind_attribute: Option<String>,
    /// What a subject is when no attribute says so. The default is the least trusted: `agent`, and
    /// nobody signs in.
    #[serde(default = "default_kind")]
    #[schemars(with = "KindWord")]
    pub default_kind: PrincipalKind,
    /// Also answers nobody has asked for are taken, after the person has confirmed them. Anybody can
    /// make a browser bring one, and nothing ties it to a request.
    #[serde(default)]
    pub idp_initiated: bool,
    /// How far clocks may differ, in seconds; at most 300.
    #[serde(default = "default_leeway")]
    #[schemars(range(max = 300))]
    pub leeway_seconds: u64,
    /// How long the provider's word for a person is good, in seconds, where it does not say
    /// (`SessionNotOnOrAfter`), and at most.
    #[serde(default = "default_session")]
    #[schemars(range(min = 60))]
    pub session_seconds: u64,
    /// PEM file with a private key (PKCS #8, RSA of 2048 bits or more): requests are signed with it, and
    /// assertions encrypted to it. Relative to the configuration.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// PEM file with the certificate of that key, which the provider learns from the gateway's metadata.
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// PEM files with keys of before: only to decrypt, until the provider knows the new certificate.
    #[serde(default)]
    pub former_key_files: Vec<PathBuf>,
    /// Assertions that are not encrypted are refused.
    #[serde(default)]
    pub require_encryption: bool,
    /// Assertions may be encrypted by AES-CBC, for providers that know nothing else, where the answer
    /// around them is signed too: without that, whoever may try often enough can read them.
    #[serde(default)]
    pub allow_aes_cbc: bool,
}

/// The kinds of name IDs that can be a subject (SAML core §8.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NameIdFormat {
    /// An opaque name, the same each time and nobody else's ever.
    #[default]
    Persistent,
    /// An address of mail. Many organisations give it to somebody else in time.
    Email,
    /// What the provider likes. It has to say elsewhere that it is nobody else's ever.
    Unspecified,
}

impl NameIdFormat {
    /// Its identifier (SAML core §8.3.1, §8.3.2, §8.3.7).
    pub(super) const fn uri(self) -> &'static str {
        match self {
            Self::Persistent => "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
            Self::Email => "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
            Self::Unspecified => UNSPECIFIED,
        }
    }
}

/// What a name ID without a format is (SAML core §2.2.2).
pub(super) const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";

impl SamlProvider {
    /// A provider with defaults for everything that has one.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        entity_id: impl Into<String>,
        metadata_file: impl Into<PathBuf>,
    ) -> Self {
        Self {
            name: name.into(),
            entity_id: entity_id.into(),
            metadata_file: metadata_file.into(),
            own_entity_id: None,
            name_id: NameIdFormat::default(),
            subject_attribute: None,
            name_attribute: None,
            groups_attribute: default_groups(),
            kind_attribute: None,
            default_kind: default_kind(),
            idp_initiated: false,
            leeway_seconds: default_leeway(),
            session_seconds: default_session(),
            key_file: None,
            certificate_file: None,
            former_key_files: Vec::new(),
            require_encryption: false,
            allow_aes_cbc: false,
        }
    }

    /// True where some of its subjects may be people.
    #[must_use]
    pub fn has_people(&self) -> bool {
        self.kind_attribute.is_some() || self.default_kind == PrincipalKind::Person
    }

    /// The files it names.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let own = self.key_file.iter_mut().chain(self.certificate_file.iter_mut());
        std::iter::once(&mut self.metadata_file).chain(own).chain(self.former_key_files.iter_mut())
    }

    pub(super) const fn leeway(&self) -> Duration {
        Duration::from_secs(self.leeway_seconds)
    }

    pub(super) const fn session(&self) -> Duration {
        Duration::from_secs(self.session_seconds)
    }

    pub(super) fn wrong(&self, key: &'static str, problem: impl Into<String>) -> SettingsError {
        let problem = problem.into();
        SettingsError { whose: WHOSE, provider: self.name.clone(), key, problem }
    }

    /// Checks what the types cannot; no file is read.
    ///
    /// # Errors
    /// [`SettingsError`] names the provider, the key and what is wrong with its value.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let shown = |text: &str| crate::text::is_presentable(text);
        if !shown(&self.name) {
            return Err(self.wrong("name", "must be 1 to 255 visible characters"));
        }
        // SAML core §8.3.6: 1024 characters at most.
        let entity = |text: &str| shown(text) && text.contains(':');
        if !entity(&self.entity_id) || self.entity_id == crate::own::OWN_ISSUER {
            let problem = "must be the provider's entity ID, a URI of at most 255 characters";
            return Err(self.wrong("entity_id", problem));
        }
        if self.own_entity_id.as_deref().is_some_and(|id| !entity(id)) {
            return Err(self.wrong("own_entity_id", "must be a URI of at most 255 characters"));
        }
        let attributes = [
            ("groups_attribute", Some(&self.groups_attribute)),
            ("subject_attribute", self.subject_attribute.as_ref()),
            ("name_attribute", self.name_attribute.as_ref()),
            ("kind_attribute", self.kind_attribute.as_ref()),
        ];
        let blank = |(_, name): &(&str, Option<&String>)| name.is_some_and(|name| !shown(name));
        if let Some((key, _)) = attributes.into_iter().find(blank) {
            return Err(self.wrong(key, "must be the name of an attribute"));
        }
        if self.leeway_seconds > 300 {
            return Err(self.wrong("leeway_seconds", "at most 300"));
        }
        if !(60..=30 * 86_400).contains(&self.session_seconds) {
            return Err(self.wrong("session_seconds", "from 60 to 2592000 (30 days)"));
        }
        if self.key_file.is_some() != self.certificate_file.is_some() {
            return Err(self.wrong("key_file", "needs certificate_file, and that key_file"));
        }
        let keys = self.key_file.is_some();
        if !keys && (self.require_encryption || !self.former_key_files.is_empty()) {
            return Err(self.wrong("key_file", "is needed to decrypt assertions"));
        }
        if self.former_key_files.len() > 3 {
            return Err(self.wrong("former_key_files", "at most 3"));
        }
        Ok(())
    }
}

fn default_groups() -> String {
    "groups".to_owned()
}

const fn default_kind() -> PrincipalKind {
    PrincipalKind::Agent
}

const fn default_leeway() -> u64 {
    60
}

const fn default_session() -> u64 {
    8 * 60 * 60
}
