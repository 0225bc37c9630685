//! What can go wrong while a target is dialed, and the part of it a caller may hear.

use crate::credential::CredentialError;
use crate::settings::AuthMethod;
use portcullis_core::id::DecisionId;
use portcullis_core::refusal::Retry;

/// A target that could not be reached, trusted or logged in to. For the operator: the texts can
/// name hosts and roles. A caller is told [`DialError::public`].
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// There is no such connection in the settings.
    #[error("there is no connection `{0}`")]
    UnknownConnection(String),
    /// The connection has no such role.
    #[error("connection `{connection}` has no role `{role}`")]
    UnknownRole {
        /// The connection.
        connection: String,
        /// The role asked for.
        role: String,
    },
    /// A start-up parameter of the client that is not passed on.
    #[error("start-up parameter `{name}` is not accepted: {why}")]
    Parameter {
        /// Its name, as the client wrote it.
        name: String,
        /// Why not, and what to do instead.
        why: &'static str,
    },
    /// The credential cannot be opened.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The target asks for a password and none is configured for the role.
    #[error("the target asks for a password and none is configured for the role")]
    NoCredential,
    /// The host name leads nowhere.
    #[error("cannot resolve {host}: {why}")]
    Resolve {
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
    /// The socket failed.
    #[error("the connection to the target failed while {doing}: {error}")]
    Io {
        /// What was being done.
        doing: Step,
        /// Why.
        error: std::io::Error,
    },
    /// The target did not answer in time.
    #[error("time ran out while {0}")]
    Timeout(Step),
    /// The target does not speak TLS and the mode demands it.
    #[error("the target does not offer TLS, and sslmode demands it")]
    NoTls,
    /// The handshake failed: certificate, host name, version.
    #[error("TLS with the target failed: {0}")]
    Tls(String),
    /// The target broke the protocol (or is no PostgreSQL server).
    #[error("the target breaks the PostgreSQL protocol while logging in: {0}")]
    Protocol(&'static str),
    /// The target asks for a way to log in that the settings do not allow here.
    #[error("the target asks for `{}`, which is not allowed here: {why}", word(*.method))]
    Method {
        /// What it asks for.
        method: AuthMethod,
        /// Why not.
        why: &'static str,
    },
    /// The target asks for a way to log in that the gateway does not speak.
    #[error("the target asks for authentication request {0}, which the gateway does not speak")]
    UnknownMethod(i32),
    /// SCRAM ended badly: the target could not prove that it knows the password, or misbehaved.
    #[error("SCRAM with the target failed: {0}")]
    Scram(&'static str),
    /// The target refused the log-in.
    #[error("the target refused the log-in: {code} {message}")]
    Refused {
        /// Its SQLSTATE.
        code: String,
        /// Its message, shortened and free of control characters.
        message: String,
    },
    /// The target does not take a setting that the client asked for.
    #[error("the target does not take a start-up parameter of the client: {code} {message}")]
    Setting {
        /// Its SQLSTATE.
        code: String,
        /// Its message, shortened and free of control characters.
        message: String,
    },
    /// A session setting that decides how text is read is not what the gateway relies on.
    #[error("the target has {parameter} = {value}, and the gateway relies on {expected}")]
    Session {
        /// The setting.
        parameter: &'static str,
        /// What the target reports.
        value: String,
        /// What is relied on.
        expected: &'static str,
    },
}

/// What was being done when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Opening the credential.
    Opening,
    /// Finding the address of the host.
    Resolving,
    /// Opening the socket.
    Connecting,
    /// Agreeing on TLS.
    Securing,
    /// Logging in.
    LoggingIn,
    /// Asking the target to cancel.
    Cancelling,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Opening => "opening the credential",
            Self::Resolving => "resolving its name",
            Self::Connecting => "connecting",
            Self::Securing => "agreeing on TLS",
            Self::LoggingIn => "logging in",
            Self::Cancelling => "cancelling",
        })
    }
}

const fn word(method: AuthMethod) -> &'static str {
    match method {
        AuthMethod::ScramSha256 => "scram-sha-256",
        AuthMethod::Md5 => "md5",
        AuthMethod::Password => "password",
        AuthMethod::Trust => "trust",
    }
}

impl DialError {
    /// What a caller is told. But for what the target says of the client's own settings it holds
    /// nothing of the target: no host, role, version or message; those are in the log under `id`.
    #[must_use]
    pub fn public(&self, id: DecisionId) -> String {
        let what = match self {
            Self::UnknownConnection(_) => "there is no such connection",
            Self::UnknownRole { .. } => "this connection has no such role",
            Self::Parameter { name, why } => {
                let name: String = name.chars().filter(|c| !c.is_control()).take(63).collect();
                return format!(
                    "portcullis: start-up parameter \"{name}\" is not accepted: {why} [{id}]"
                );
            }
            // It is about the client's own words.
            Self::Setting { message, .. } => {
                return format!(
                    "portcullis: start-up parameters are not accepted: {message} [{id}]"
                );
            }
            Self::Credential(_) | Self::NoCredential | Self::UnknownMethod(_) => {
                "the gateway cannot log in to the target as configured"
            }
            Self::Resolve { .. } | Self::Io { .. } => "the target cannot be reached",
            Self::Timeout(_) => "the target did not answer in time",
            Self::NoTls | Self::Tls(_) | Self::Method { .. } | Self::Scram(_) => {
                "the gateway does not trust what answers in the target's place"
            }
            Self::Protocol(_) => "what answers in the target's place is not PostgreSQL",
            Self::Refused { .. } => "the target refused the gateway's log-in",
            Self::Session { .. } => "the target's settings are not ones the gateway can guard",
        };
        let next = match self.retry() {
            Retry::Later => "the same log-in may succeed later",
            _ => "retrying will not help; tell the operator of this gateway",
        };
        format!("portcullis: {what}; {next} [{id}]")
    }

    /// Whether asking again can help.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Parameter { .. } | Self::Setting { .. } => Retry::AfterChange,
            Self::Io { .. } | Self::Timeout(_) | Self::Resolve { .. } => Retry::Later,
            // Class 53 (insufficient resources) and 57 (operator intervention) pass.
            Self::Refused { code, .. } if code.starts_with("53") || code.starts_with("57") => {
                Retry::Later
            }
            _ => Retry::Never,
        }
    }
}

/// Text from a target, fit for a log line: no control characters, at most `limit` characters.
pub(crate) fn tame(bytes: &[u8], limit: usize) -> String {
    let text = String::from_utf8_lossy(bytes.get(..limit * 4).unwrap_or(bytes));
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(limit).collect()
}
