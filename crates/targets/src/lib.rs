//! Target credentials, dialers and links: the far side of the life of a request.
//!
//! A [`Dialer`] turns an [`Admission`](portcullis_core::gate::Admission) into a
//! [`Link`](portcullis_core::link::Link): it opens the socket, proves who the target is, logs in
//! with a credential that nobody else can read, and hands over the only owner of the socket.
//!
//! Where credentials are is said by references ([`Reference`]); what is sealed is opened here, while
//! dialing, and nowhere else ([`Secrets`]).
//!
//! *Architecture invariant:* no crate that talks to clients depends on this one, and
//! [`Credential`] has no accessor, no `Display` and no serialisation outside of it.

mod cancel;
mod connect;
mod credential;
mod dialer;
mod error;
mod hashicorp;
mod login;
mod master;
mod own;
mod private;
mod probe;
mod reference;
mod scram;
mod seal;
mod secrets;
mod settings;
mod startup;
mod tls;
mod transport;

pub use cancel::CancelHandle;
pub use credential::{Credential, CredentialError, Password};
pub use dialer::{DialRequest, Dialed, Dialer, Greeting};
pub use error::DialError;
pub use hashicorp::{VaultError, VaultSettings};
pub use master::{MasterKeyError, MasterKeySettings};
pub use own::OwnSecret;
pub use probe::{Probe, Rights};
pub use reference::{Reference, ReferenceError, SecretName, VaultPath};
pub use seal::{MasterKey, SealError, Sealed, Wrap};
pub use secrets::{Found, Kept, Plain, SecretError, Secrets, StoreUnavailable, TARGET_PASSWORD};
pub use settings::{ApplicationName, AuthMethod, Role, SettingsError, SslMode, Target, Warning};
pub use startup::StartupSettings;
pub use tls::certificate_ends;
pub use transport::PgTransport;
