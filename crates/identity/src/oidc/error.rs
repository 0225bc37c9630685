//! Why a token is refused, in words that are safe to show to whoever sent it.

use portcullis_core::refusal::Retry;
use std::fmt;
use std::time::Duration;

/// Why a token did not become a principal. No variant carries the token or a value from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityError {
    /// The token is longer than the limit, in bytes.
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// It is not a signed JWT in compact form (RFC 7515 §7.1), or ambiguous.
    Malformed(&'static str),
    /// Its header carries a parameter that is never followed: a key, a place to fetch one, or a
    /// demand that is not understood (RFC 7515 §4.1).
    Header(&'static str),
    /// Its `typ` is neither absent nor that of an ID or access token.
    TokenType,
    /// Its `alg` is not one of the provider's configured algorithms.
    Algorithm,
    /// Its issuer is not configured.
    UnknownIssuer,
    /// An ID token of another issuer than the one that was asked.
    OtherIssuer,
    /// It names no key, and the issuer has several.
    NoKeyId,
    /// The issuer's key set has no such key.
    UnknownKey {
        /// The configured name of the provider.
        provider: String,
    },
    /// The key it names is not one for its `alg`.
    KeyMismatch,
    /// The signature does not verify.
    BadSignature,
    /// It is meant for somebody else.
    WrongAudience {
        /// What is expected, from configuration.
        expected: Vec<String>,
    },
    /// It was issued to a client that is not listed (`azp`, or `client_id` where there is none).
    WrongClient,
    /// A claim that is needed is absent.
    MissingClaim(String),
    /// A claim is of the wrong type, empty, too long, or holds what cannot be shown faithfully.
    InvalidClaim(String),
    /// It has expired.
    Expired {
        /// How long ago.
        ago: Duration,
    },
    /// A time in it is further in the future than the leeway allows.
    NotYetValid {
        /// `nbf` or `iat`.
        claim: &'static str,
        /// How far ahead of the gateway's clock.
        ahead: Duration,
    },
    /// It lives longer than the provider's configured limit.
    LifetimeTooLong {
        /// The limit.
        limit: Duration,
    },
    /// A required claim does not have the configured value.
    Pin {
        /// Which claim, as configured.
        claim: String,
    },
    /// A pinned claim is absent.
    PinAbsent {
        /// Which claim, as configured.
        claim: String,
    },
    /// A pinned claim is not one value of the pinned type: a list, an object, a number for a text.
    PinNotOne {
        /// Which claim, as configured.
        claim: String,
    },
    /// None of the trust rules for its issuer has pins that it meets.
    NoRule,
    /// A Kubernetes token of a secret, without expiry or audience.
    LegacyServiceAccount,
    /// A Kubernetes token whose `sub` and `kubernetes.io` name two service accounts.
    SubjectsDiffer,
    /// Its `sub` is not a SPIFFE id in its one spelling.
    SpiffeId(&'static str),
    /// A run that a pull or merge request has started, which anybody may have made.
    ForeignRun {
        /// The claim to pin where that is meant.
        pin: &'static str,
    },
    /// It is a credential of the gateway's own, which is good for logging in alone.
    OwnCredential,
    /// A credential of the gateway's own, for another connection.
    OtherConnection {
        /// The connection it is for.
        bound: String,
    },
    /// A credential of the gateway's own that the store does not have, or has otherwise.
    UnknownCredential,
    /// A credential of the gateway's own that was revoked.
    Revoked,
    /// The store of credentials cannot be read.
    CredentialsUnavailable,
    /// It is bound to a key (`cnf`, RFC 7800), and a bearer cannot prove possession of it.
    KeyBound,
    /// The issuer's keys cannot be had right now.
    Unavailable {
        /// The configured name of the provider.
        provider: String,
        /// The cause, for the operator's log.
        cause: String,
    },
}

impl IdentityError {
    /// What may be told to the caller: which check failed and what was expected of it.
    #[must_use]
    pub fn public(&self) -> String {
        match self {
            Self::TooLarge { limit } => format!("the token is longer than {limit} bytes"),
            Self::Malformed(what) => format!("the token is not a signed JWT: {what}"),
            Self::Header(field) => {
                format!("the token's header has `{field}`, which is not allowed")
            }
            Self::TokenType => "the token's `typ` is not that of an ID or access token".into(),
            Self::Algorithm => "the token's signature algorithm is not accepted".into(),
            Self::UnknownIssuer => "the token's issuer is not one this gateway trusts".into(),
            Self::OtherIssuer => {
                "the token is of another issuer than the one that was asked".into()
            }
            Self::NoKeyId => "the token names no key (`kid`), and its issuer has several".into(),
            Self::UnknownKey { provider } => {
                format!("the token is signed with a key that provider \"{provider}\" does not list")
            }
            Self::KeyMismatch => "the token's algorithm does not fit the key it names".into(),
            Self::BadSignature => "the token's signature is wrong".into(),
            Self::WrongAudience { expected } => format!(
                "the token is for another audience; expected {}",
                expected.iter().map(|a| format!("\"{a}\"")).collect::<Vec<_>>().join(" or ")
            ),
            Self::WrongClient => "the token was issued to a client that is not accepted".into(),
            Self::MissingClaim(claim) => format!("the token has no `{claim}`"),
            Self::InvalidClaim(claim) => format!("the token's `{claim}` is not acceptable"),
            Self::Expired { ago } => format!("the token expired {} ago", Span(*ago)),
            Self::NotYetValid { claim, ahead } => {
                format!("the token's `{claim}` is {} in the future", Span(*ahead))
            }
            Self::LifetimeTooLong { limit } => {
                format!("the token lives longer than the {} allowed", Span(*limit))
            }
            Self::Pin { claim } => format!("the token's `{claim}` is not the required one"),
            Self::PinAbsent { claim } => format!("the token has no `{claim}`, which is required"),
            Self::PinNotOne { claim } => {
                format!("the token's `{claim}` is not one value of the required type")
            }
            Self::NoRule => {
                "none of the trust rules for the token's issuer accepts what it claims".into()
            }
            Self::LegacyServiceAccount => "the token is one of a secret, without expiry or \
                audience: use a projected service account token"
                .into(),
            Self::SubjectsDiffer => {
                "the token's `sub` and `kubernetes.io` name two service accounts".into()
            }
            Self::SpiffeId(why) => format!("the token's `sub` is no SPIFFE id: {why}"),
            Self::ForeignRun { pin } => format!(
                "the token's run was started by a pull or merge request, which may be anybody's \
                 (a rule that means it pins `{pin}`)"
            ),
            Self::OwnCredential => "it is a credential of this gateway, which logs in to its \
                connection and can do nothing else: use the token of your identity provider"
                .into(),
            Self::OtherConnection { bound } => {
                format!("the credential is for connection \"{bound}\" alone")
            }
            Self::UnknownCredential => "the credential is not one of this gateway's".into(),
            Self::Revoked => "the credential was revoked".into(),
            Self::CredentialsUnavailable => {
                "credentials cannot be checked now, because the gateway's store does not answer"
                    .into()
            }
            Self::KeyBound => {
                "the token is bound to a key, and possession cannot be proven here".into()
            }
            Self::Unavailable { provider, .. } => {
                format!("identity provider \"{provider}\" cannot be reached to check the token")
            }
        }
    }

    /// Whether the same token may be accepted later.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { .. } | Self::NotYetValid { .. } | Self::CredentialsUnavailable => {
                Retry::Later
            }
            _ => Retry::AfterChange,
        }
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public())?;
        match self {
            Self::Unavailable { cause, .. } => write!(f, ": {cause}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for IdentityError {}

/// A duration as people say it, in its two largest units.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.as_secs();
        let units = [(all / 86_400, "d"), (all / 3_600 % 24, "h"), (all / 60 % 60, "min")];
        let seconds = (all % 60, "s");
        let mut counts = units.into_iter().chain([seconds]).skip_while(|(count, _)| *count == 0);
        let (count, unit) = counts.next().unwrap_or(seconds);
        write!(f, "{count} {unit}")?;
        match counts.next() {
            Some((count, unit)) if count > 0 => write!(f, " {count} {unit}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        let check = |seconds: u64, expect: &str| {
            assert_eq!(Span(Duration::from_secs(seconds)).to_string(), expect);
        };
        check(0, "0 s");
        check(59, "59 s");
        check(60, "1 min");
        check(61, "1 min 1 s");
        check(3_600, "1 h");
        check(86_400 * 2 + 3_600 * 3 + 60, "2 d 3 h");
        check(86_400 + 60, "1 d");
    }

    #[test]
    fn the_cause_of_an_outage_is_for_the_log_only() {
        let error = IdentityError::Unavailable {
            provider: "corp".into(),
            cause: "10.0.0.7 refused".into(),
        };
        assert!(!error.public().contains("10.0.0.7"));
        assert!(error.to_string().contains("10.0.0.7"));
        assert_eq!(error.retry(), Retry::Later);
    }
}
