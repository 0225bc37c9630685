//! From an admission to a link: the only way to a target.

use crate::cancel::{CancelHandle, Inner};
use crate::connect::{Address, Opened, Security, open};
use crate::credential::{CredentialError, CredentialSource};
use crate::error::{DialError, Step};
use crate::login::{Terms, Welcome, log_in};
use crate::scram::KeyCache;
use crate::secrets::Secrets;
use crate::settings::{ApplicationName, SettingsError, Target, Warning};
use crate::startup::{self, StartupSettings};
use crate::tls::TlsPlan;
use crate::transport::PgTransport;
use portcullis_core::gate::Admission;
use portcullis_core::link::Link;
use portcullis_core::protocol::Protocol;
use portcullis_core::verdict::ConnectionFacts;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::{Instant, timeout_at};

/// Dials the targets of the settings, and no others.
pub struct Dialer {
    targets: HashMap<String, Known>,
    cache: KeyCache,
    secrets: Arc<Secrets>,
}

pub(crate) struct Known {
    pub(crate) target: Target,
    pub(crate) plan: Option<TlsPlan>,
    /// False once it has refused to be told to look whether the gateway is still there: it is older
    /// than that, or has something before it that does not know it.
    watches: AtomicBool,
}

/// A socket that a role has logged in over.
pub(crate) struct LoggedIn {
    pub(crate) transport: PgTransport,
    pub(crate) security: Security,
    pub(crate) welcome: Welcome,
    address: Address,
}

/// What a dialer is told beside the admission, which says where to and as whom.
#[derive(Debug, Clone, Copy)]
pub struct DialRequest<'a> {
    /// What the target's own records call the session; cut to 63 printable ASCII characters.
    /// Without one, or where the target's [setting](crate::Target::application_name) says `client`,
    /// it is the client's own.
    pub application_name: Option<&'a str>,
    /// The settings the client asked for. Those that are [to be judged](StartupSettings::judged) have
    /// been permitted by now.
    pub settings: &'a StartupSettings,
}

/// A target that has been dialed, trusted and logged in to.
pub struct Dialed<P: Protocol> {
    /// The owner of its socket.
    pub link: Link<P, PgTransport>,
    /// What it said.
    pub greeting: Greeting,
}

/// What a target says once it has let us in.
#[derive(Debug)]
pub struct Greeting {
    /// Its `ParameterStatus` messages, in order; the last value of each.
    pub parameters: Vec<(String, String)>,
    /// Its number for the session; 0 where it gives none.
    pub process_id: u32,
    /// Cancels what the session is doing.
    pub cancel: CancelHandle,
    /// `I`, `T` or `E`, as in `ReadyForQuery`.
    pub transaction_status: u8,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.targets.keys()).finish()
    }
}

/// A credential that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("connections.{connection}.target: the credential of role {role}")]
pub struct CheckError {
    connection: String,
    role: String,
    #[source]
    error: CredentialError,
}

impl Dialer {
    /// A dialer for these targets, by name of connection. Certificate files are read now,
    /// credentials at every log-in.
    ///
    /// # Errors
    /// [`SettingsError`] names the connection and what is wrong with it.
    pub fn new(targets: HashMap<String, Target>) -> Result<Self, SettingsError> {
        let mut known = HashMap::with_capacity(targets.len());
        for (name, target) in targets {
            target.review(&name)?;
            let plan = TlsPlan::of(&target)
                .map_err(|text| SettingsError::Invalid { connection: name.clone(), text })?;
            known.insert(name, Known { target, plan, watches: AtomicBool::new(true) });
        }
        let cache = KeyCache::new().map_err(|_| SettingsError::Randomness)?;
        Ok(Self { targets: known, cache, secrets: Arc::default() })
    }

    /// The same, with what opens `sealed:` and `vault:`.
    #[must_use]
    pub fn with_secrets(self, secrets: impl Into<Arc<Secrets>>) -> Self {
        let secrets = secrets.into();
        Self { secrets, ..self }
    }

    /// What opens `sealed:` and `vault:`.
    #[must_use]
    pub const fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    /// What in the settings works and weakens, for the operator at start.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let reviewed = self.targets.iter().filter_map(|(name, k)| k.target.review(name).ok());
        let mut warnings: Vec<Warning> = reviewed.flatten().collect();
        warnings.sort_by(|a, b| a.connection.cmp(&b.connection));
        warnings
    }

    /// Opens every credential in settings, environment and files once, as dialing would.
    ///
    /// # Errors
    /// [`CheckError`] names the connection, the role and what is wrong with its credential.
    pub fn check_credentials(&self) -> Result<(), CheckError> {
        let mut names: Vec<&String> = self.targets.keys().collect();
        names.sort();
        for name in names {
            let Some(known) = self.targets.get(name) else { continue };
            for role in known.target.role_names() {
                let source = known.target.source_of(role).and_then(Result::ok);
                let opened = source.map(CredentialSource::open).transpose();
                opened.map_err(|error| CheckError {
                    connection: name.clone(),
                    role: role.to_owned(),
                    error,
                })?;
            }
        }
        Ok(())
    }

    /// Opens a link for an admitted session, to the connection and as the role it was admitted to.
    ///
    /// # Errors
    /// [`DialError`] for the operator; the caller is told [`DialError::public`].
    pub async fn dial<P: Protocol>(
        &self,
        admission: Admission<P>,
        request: &DialRequest<'_>,
    ) -> Result<Dialed<P>, DialError> {
        let (transport, greeting) = Box::pin(self.log_in(admission.connection(), request)).await?;
        Ok(Dialed { link: Link::new(admission, transport), greeting })
    }

    async fn log_in(
        &self,
        admitted: &ConnectionFacts,
        request: &DialRequest<'_>,
    ) -> Result<(PgTransport, Greeting), DialError> {
        let ConnectionFacts { name: connection, role, database, .. } = admitted;
        let known = self.targets.get(connection).filter(|k| k.target.database == *database);
        let Some(known) = known else {
            return Err(DialError::UnknownConnection(connection.clone()));
        };
        let Known { target, plan, .. } = known;
        let name = match target.application_name {
            ApplicationName::Session => request.application_name,
            ApplicationName::Client => None,
        };
        let message =
            |watched| startup::message(role, &target.database, name, request.settings, watched);
        let watched = known.watches.load(Ordering::Relaxed);
        let mut logged_in = Box::pin(self.enter(connection, known, role, &message(watched))).await;
        if watched && logged_in.as_ref().is_err_and(|error| is_about(error, startup::WATCH.0)) {
            known.watches.store(false, Ordering::Relaxed);
            logged_in = Box::pin(self.enter(connection, known, role, &message(false))).await;
        }
        let LoggedIn { transport, security, welcome, address } =
            logged_in.map_err(|error| about_settings(error, request.settings))?;
        let Welcome { parameters, process_id, key, transaction_status } = welcome;
        let plan = plan.as_ref().filter(|_| security.encrypted).map(TlsPlan::required);
        let cancel = CancelHandle::new(Inner {
            address,
            plan,
            keepalive: target.tcp_keepalive,
            timeout: target.timeout(),
            process_id,
            key,
        });
        Ok((transport, Greeting { parameters, process_id, cancel, transaction_status }))
    }

    /// The target of a connection.
    pub(crate) fn known(&self, connection: &str) -> Result<&Known, DialError> {
        let unknown = || DialError::UnknownConnection(connection.to_owned());
        self.targets.get(connection).ok_or_else(unknown)
    }

    /// Opens credential and socket, and logs in.
    pub(crate) async fn enter(
        &self,
        connection: &str,
        Known { target, plan, .. }: &Known,
        role: &str,
        startup: &[u8],
    ) -> Result<LoggedIn, DialError> {
        let source = target.source_of(role).ok_or_else(|| DialError::UnknownRole {
            connection: connection.to_owned(),
            role: role.to_owned(),
        })?;
        // The settings were reviewed when the dialer was made.
        let source = source.map_err(|_| DialError::NoCredential)?;
        let deadline = Instant::now() + target.timeout();
        let credential = timeout_at(deadline, source.open_aside(connection, &self.secrets))
            .await
            .map_err(|_| DialError::Timeout(Step::Opening))??;
        let Opened { mut transport, security, address } =
            open(target, plan.as_ref(), deadline).await?;
        let terms = Terms {
            user: role,
            credential: credential.as_ref(),
            methods: target.methods.as_deref(),
            security: &security,
            cache: &self.cache,
        };
        let welcome = timeout_at(deadline, log_in(&mut transport, startup, &terms))
            .await
            .map_err(|_| DialError::Timeout(Step::LoggingIn))??;
        Ok(LoggedIn { transport, security, welcome, address })
    }
}

/// True where the target refuses a start-up parameter by its name.
fn is_about(error: &DialError, setting: &str) -> bool {
    match error {
        DialError::Refused { message, .. } | DialError::Setting { message, .. } => {
            message.contains(setting)
        }
        _ => false,
    }
}

/// A refusal of the target that is about what the client asked for: an unknown name, a value that is
/// none, a setting that takes a right or a restart.
fn about_settings(error: DialError, settings: &StartupSettings) -> DialError {
    match error {
        DialError::Refused { code, message }
            if settings.asks()
                && (matches!(code.as_str(), "22023" | "42602" | "42704" | "55P02")
                    // What else the role has no right to is none of the client's business.
                    || code == "42501" && message.contains(" parameter \"")) =>
        {
            DialError::Setting { code, message }
        }
        other => other,
    }
}
