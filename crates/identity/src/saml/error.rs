//! Why a SAML answer is not believed: every check has a reason of its own, which operators and attack
//! tests tell apart. Before the life of a request.

use std::fmt;
use std::time::Duration;

/// Why somebody is not signed in by SAML, or cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SamlError {
    /// There is no such provider.
    NoSuchProvider,
    /// The provider's metadata cannot be used now.
    Metadata {
        /// The configured name of the provider.
        provider: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The gateway cannot make a request of its own.
    Own(&'static str),
    /// The form is not one of the HTTP POST binding (SAML bindings §3.5).
    Form(&'static str),
    /// The message is larger than is read.
    TooLarge,
    /// It has more of something than is read: reading it would take too long.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// It is no well-formed XML with namespaces, or has a second reading.
    Xml(String),
    /// It has a document type, which could define entities or include files.
    Doctype,
    /// It has a comment, which parts text for some readers and not for others.
    Comment,
    /// It has a processing instruction.
    Instruction,
    /// Its elements are nested too deeply.
    Depth,
    /// Two elements have one ID.
    DuplicateId,
    /// It is not a `Response` of SAML 2.0.
    NotAResponse,
    /// An element stands where it must not: the mark of signature wrapping.
    Misplaced {
        /// The element.
        what: &'static str,
        /// Where it stands.
        at: String,
    },
    /// It has no assertion.
    NoAssertion,
    /// It has more than one assertion.
    SeveralAssertions,
    /// A signature is not of the one form that is read.
    SignatureForm(&'static str),
    /// A signature refers to another element than the one it stands in.
    ReferenceElsewhere,
    /// An algorithm that is not accepted.
    Algorithm(String),
    /// What is signed was changed.
    Digest,
    /// No key of the provider's metadata has made the signature.
    Signature,
    /// Neither the answer nor its assertion is signed.
    Unsigned,
    /// The assertion must be encrypted, and is not.
    NotEncrypted,
    /// The assertion is encrypted, and the gateway has no key for this provider.
    NoDecryptionKey,
    /// The assertion is encrypted by AES-CBC, and no signature of the answer's own is over that.
    CbcUnsigned,
    /// The assertion cannot be decrypted. Why is not said, as that would help whoever tries.
    Decryption,
    /// The provider says no.
    Status(String),
    /// Something the profile asks for is missing, or there twice, or cannot be read.
    Profile(&'static str),
    /// It is of another provider than the one that was asked, or that is configured.
    Issuer,
    /// It is for another address.
    Destination,
    /// Its subject confirmation is for another address.
    Recipient,
    /// It is for another audience.
    Audience,
    /// It answers another request, or none, where one was made.
    InResponseTo,
    /// Nobody has asked for it, and this provider may not begin.
    Unsolicited,
    /// It is not good yet.
    NotYetValid {
        /// What says so.
        what: &'static str,
        /// How far ahead.
        ahead: Duration,
    },
    /// It is not good any more.
    Expired {
        /// What says so.
        what: &'static str,
        /// Since when.
        ago: Duration,
    },
    /// It would be good for too long.
    LifetimeTooLong,
    /// The provider's session of this person is over (`SessionNotOnOrAfter`).
    SessionOver,
    /// Its person has not signed in anew (`AuthnInstant`).
    NotAnew,
    /// It has a condition that is not known (SAML core §2.5.1).
    Condition(String),
    /// Its subject cannot be used.
    Subject(&'static str),
    /// Its groups cannot be read: somebody without them could do what a group forbids.
    Groups(&'static str),
    /// An attribute that decides is missing, is there twice, or cannot be shown.
    Attribute(String),
    /// It was used already.
    Replayed,
    /// The sign-in took too long.
    TooLate,
}

impl SamlError {
    /// True where the same may succeed later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Metadata { .. } | Self::Own(_))
    }

    /// What may be told to whoever asked.
    #[must_use]
    pub fn public(&self) -> String {
        match self {
            Self::Metadata { provider, .. } => {
                format!("the metadata of \"{provider}\" cannot be used; the gateway's log says why")
            }
            other => other.to_string(),
        }
    }
}

impl fmt::Display for SamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata { provider, cause } => {
                write!(f, "the metadata of \"{provider}\" cannot be used: {cause}")
            }
            Self::Own(what) => write!(f, "the gateway cannot ask: {what}"),
            Self::Form(what) => write!(f, "the form is not one of SAML: {what}"),
            Self::TooMany { what, most } => {
                write!(f, "the answer has over {most} {what}, and is not read")
            }
            Self::Xml(what) => write!(f, "the answer cannot be read: {what}"),
            Self::Misplaced { what, at } => {
                write!(f, "an element {what} stands where it must not (signature wrapping): {at}")
            }
            Self::SignatureForm(what) => {
                write!(f, "the signature is not of the form of SAML: {what}")
            }
            Self::Algorithm(name) => {
                write!(f, "the algorithm {name} is not accepted: set another one at the provider")
            }
            Self::Status(code) => write!(f, "the provider refused: {code}"),
            Self::Profile(what) => {
                write!(f, "the answer breaks the profile of web sign-in: {what}")
            }
            Self::NotYetValid { what, ahead } => write!(
                f,
                "the answer is good in {} s only ({what}): compare clocks",
                ahead.as_secs()
            ),
            Self::Expired { what, ago } => {
                write!(f, "the answer has run out {} s ago ({what}): start again", ago.as_secs())
            }
            Self::Condition(name) => {
                write!(f, "the assertion has a condition that is not known here: {name}")
            }
            Self::Subject(what) => write!(f, "the subject cannot be used: {what}"),
            Self::Groups(what) => write!(
                f,
                "the groups cannot be read, and nobody signs in without them: {what}; have the \
                 provider write the ones that matter here alone"
            ),
            Self::Attribute(name) => write!(
                f,
                "the attribute {name} is missing, has not one value, or cannot be shown as it is"
            ),
            other => f.write_str(other.fixed()),
        }
    }
}

impl SamlError {
    /// What is said where nothing of the case itself is.
    const fn fixed(&self) -> &'static str {
        match self {
            Self::NoSuchProvider => {
                "there is no such provider to sign in with by SAML: see /auth/providers"
            }
            Self::TooLarge => "the answer is too large",
            Self::Doctype => "the answer has a document type (DTD), which is not read",
            Self::Comment => "the answer has a comment, which is not read",
            Self::Instruction => "the answer has a processing instruction, which is not read",
            Self::Depth => "the answer is nested too deeply",
            Self::DuplicateId => "two elements of the answer have one ID",
            Self::NotAResponse => "the message is not a Response of SAML 2.0",
            Self::NoAssertion => "the answer has no assertion",
            Self::SeveralAssertions => "the answer has more than one assertion",
            Self::ReferenceElsewhere => {
                "the signature refers to another element than the one it stands in (signature \
                 wrapping)"
            }
            Self::Digest => "what is signed was changed (the digest is another)",
            Self::Signature => "no key of the provider's metadata has made this signature",
            Self::Unsigned => "neither the answer nor its assertion is signed",
            Self::NotEncrypted => "the assertion is not encrypted, and has to be",
            Self::NoDecryptionKey => {
                "the assertion is encrypted, and the gateway has no key for this provider (key_file)"
            }
            Self::CbcUnsigned => {
                "the assertion is encrypted by AES-CBC, and the answer around it is not signed: have \
                 the provider sign the answer too, or encrypt by AES-GCM"
            }
            Self::Decryption => "the assertion cannot be decrypted",
            Self::Issuer => {
                "the answer is of another provider than the one that was asked (Issuer)"
            }
            Self::Destination => "the answer is for another address (Destination)",
            Self::Recipient => "the assertion is for another address (Recipient)",
            Self::Audience => "the assertion is for another service provider (Audience)",
            Self::InResponseTo => {
                "the answer is not that to the request of this sign-in (InResponseTo): start it again; where \
                 several gateways stand behind one address, it may have started at another gateway: \
                 each browser has to reach one of them alone"
            }
            Self::Unsolicited => {
                "nobody here has asked for this answer, and the provider may not begin \
                 (idp_initiated): start at /auth/login"
            }
            Self::LifetimeTooLong => "the assertion would be good for too long (NotOnOrAfter)",
            Self::SessionOver => "the provider's session is over (SessionNotOnOrAfter)",
            Self::NotAnew => {
                "you have to sign in anew at the provider, and it let you in by an earlier sign-in \
                 (AuthnInstant, though ForceAuthn was asked; where you did sign in, its clock is late)"
            }
            Self::Replayed => "this assertion was used already (replay)",
            Self::TooLate => "this sign-in took too long: start it again",
            // The others say more.
            _ => "the answer cannot be used",
        }
    }
}

impl std::error::Error for SamlError {}
