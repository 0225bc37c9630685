//! Target credentials, dialers and links: the far side of the life of a request.
//!
//! A [`Dialer`] turns an [`Admission`](portcullis_core::gate::Admission) into a
//! [`Link`](portcullis_core::link::Link): it opens the socket, proves who the target is, logs in
//! with a credential that nobody else can read, and hands over the only owner of the socket.
//!
//! *Architecture invariant:* no crate that talks to clients depends on this one, and
//! [`Credential`] has no accessor, no `Display` and no serialisation outside of it.

mod cancel;
mod connect;
mod credential;
mod dialer;
mod error;
mod login;
mod scram;
mod settings;
mod startup;
mod tls;
mod transport;

pub use cancel::CancelHandle;
pub use credential::{Credential, CredentialError, Password};
pub use dialer::{DialRequest, Dialed, Dialer, Greeting};
pub use error::DialError;
pub use settings::{ApplicationName, AuthMethod, Role, SettingsError, SslMode, Target, Warning};
pub use startup::StartupSettings;
pub use transport::PgTransport;
