//! Why somebody is not signed in, in words that are safe to show.

use crate::oidc::IdentityError;
use std::fmt;

/// Why a sign-in came to nothing. No variant carries a token, a code, or text that somebody else has
/// written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInError {
    /// There is no such provider, or nobody signs in there.
    NoSuchProvider,
    /// The redirect URI is not one the gateway gives out.
    Redirect,
    /// The provider cannot be asked, or answers what cannot be used.
    Unavailable {
        /// The configured name of the provider.
        provider: String,
        /// The cause, for the operator's log.
        cause: String,
    },
    /// The client's secret cannot be read.
    Secret {
        /// The configured name of the provider.
        provider: String,
        /// The cause, for the operator's log.
        cause: String,
    },
    /// The provider has no endpoint for this.
    NotOffered {
        /// The configured name of the provider.
        provider: String,
        /// What it would be.
        what: &'static str,
    },
    /// The answer says something twice, or cannot be read.
    Answer(&'static str),
    /// The answer's `state` is not the one that was asked with (RFC 6749 §10.12).
    State,
    /// It took too long.
    TooLate,
    /// The answer says that it is of another provider than the one that was asked (RFC 9207 §2.4).
    MixedUp,
    /// The answer does not say which provider it is of, and this one always does (RFC 9207 §2.4).
    NoIssuer,
    /// The provider says no.
    Refused {
        /// Its error code (RFC 6749 §4.1.2.1, §5.2, RFC 8628 §3.5), where that is one.
        error: String,
    },
    /// The code is not good: used already, too old, or another client's.
    Code,
    /// There is no ID token in the answer, or no access token where one is needed.
    NoToken(&'static str),
    /// The ID token is not good.
    Token(IdentityError),
    /// The ID token is for another sign-in (`nonce`).
    Nonce,
    /// It was asked when its person has signed in, and the ID token does not say (`auth_time`).
    NoAuthTime,
    /// Its person has not signed in anew (`auth_time`).
    NotAnew,
    /// The ID token was issued to another client (`azp`), or to several and does not say which.
    AuthorizedParty,
    /// The access token is not the one the ID token came with (`at_hash`).
    AccessTokenHash,
    /// Userinfo is about somebody else (OpenID Connect Core 1.0 §5.3.2).
    OtherSubject,
    /// The new token is somebody else's (OpenID Connect Core 1.0 §12.2).
    OtherPerson,
}

impl SignInError {
    /// True where the same may succeed later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Secret { .. } => true,
            Self::Token(error) => {
                matches!(error.retry(), portcullis_core::refusal::Retry::Later)
            }
            _ => false,
        }
    }

    /// What may be told to whoever asked.
    #[must_use]
    pub fn public(&self) -> String {
        match self {
            Self::NoSuchProvider => {
                "there is no such provider to sign in with: see /auth/providers".into()
            }
            Self::Redirect => "the redirect URI is not this gateway's".into(),
            Self::Unavailable { provider, .. } => {
                format!("provider \"{provider}\" cannot be asked now; the gateway's log says why")
            }
            Self::Secret { provider, .. } => format!(
                "the client secret for provider \"{provider}\" cannot be read; the gateway's log \
                 says why"
            ),
            Self::NotOffered { provider, what } => {
                format!("provider \"{provider}\" does not offer {what}")
            }
            Self::Answer(what) => format!("the provider's answer cannot be used: {what}"),
            Self::State => {
                "this sign-in was not started here, or is over already (`state`): start \
                            it again; where several gateways stand behind one address, it may have \
                            started at another gateway: each browser has to reach one of them alone"
                    .into()
            }
            Self::TooLate => "this sign-in took too long: start it again".into(),
            Self::MixedUp => {
                "the answer is of another provider than the one that was asked (`iss`, \
                              RFC 9207)"
                    .into()
            }
            Self::NoIssuer => "the answer does not say which provider it is of (`iss`, RFC 9207), \
                               which this one always says"
                .into(),
            Self::Refused { error } => format!("the provider refused: {error}"),
            Self::Code => {
                "the provider does not accept the code: it was used already, is too old, \
                           or is not for this sign-in"
                    .into()
            }
            Self::NoToken(what) => format!("the provider gave no {what}"),
            Self::Token(error) => format!("ID token: {}", error.public()),
            Self::Nonce => "the ID token is for another sign-in (`nonce`)".into(),
            Self::NoAuthTime => {
                "the provider has to say when you signed in (`auth_time` in the ID token, \
                                 OpenID Connect Core 1.0 §2), and does not: have its operator turn \
                                 that claim on for this client"
                    .into()
            }
            Self::NotAnew => {
                "you have to sign in anew at the provider, and it let you in by an earlier \
                              sign-in (`auth_time`; where you did sign in, its clock is late)"
                    .into()
            }
            Self::AuthorizedParty => {
                "the ID token was issued to another client (`azp`), or does not say to which of \
                 several"
                    .into()
            }
            Self::AccessTokenHash => {
                "the access token is not the one the ID token came with (`at_hash`)".into()
            }
            Self::OtherSubject => "userinfo is about somebody else (`sub`)".into(),
            Self::OtherPerson => "the new token is somebody else's (`iss`, `sub`)".into(),
        }
    }
}

impl fmt::Display for SignInError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public())?;
        match self {
            Self::Unavailable { cause, .. } | Self::Secret { cause, .. } => write!(f, ": {cause}"),
            Self::Token(IdentityError::Unavailable { cause, .. }) => write!(f, ": {cause}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for SignInError {}

impl From<IdentityError> for SignInError {
    fn from(error: IdentityError) -> Self {
        Self::Token(error)
    }
}
