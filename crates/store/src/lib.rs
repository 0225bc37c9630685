//! Control-plane state over SQLite, or over PostgreSQL where several gateways share it: reviews, the
//! patterns given in them, grants of access, labels of tables that were made from others, freezes,
//! credentials of the gateway's own, people's sessions in browsers and their passkeys, assertions that were
//! used, documents, and sealed passwords of targets. Beside the life of a request, where it waits for people.
//!
//! *Architecture invariant:* whatever the store cannot answer is a refusal. No call gives a default
//! where the database gave none, and a database that is damaged, locked, read-only or newer than
//! this program is not opened at all.

mod assertions;
mod browser;
mod copy;
mod credentials;
mod db;
mod decide;
mod definitions;
mod desk;
mod documents;
mod freezes;
mod grants;
pub mod index;
mod keys;
mod labels;
mod messages;
mod notifications;
mod open;
mod page;
mod passkeys;
mod patterns;
mod peers;
mod postgres;
mod quorum;
mod rehearsals;
mod restore;
mod rows;
mod schema;
mod secrets;
mod seen;
mod unheard;

pub use assertions::AssertionStore;
pub use browser::{BrowserSession, BrowserSessionError, BrowserSessionStore, MAX_BROWSER_SESSIONS};
pub use copy::{Examined, Settled, copy, examine, is_open, settle};
pub use credentials::{CredentialError, CredentialRow, CredentialStore, MAX_CREDENTIALS};
pub use decide::{DecideError, Outcome, Shows};
pub use definitions::{DefinitionError, DefinitionStore, Standing as DefinitionStanding};
pub use desk::{Clock, MAX_PENDING, ReviewDesk, ReviewSettings};
pub use documents::{
    DocumentChange, DocumentChanged, DocumentError, DocumentRow, DocumentStore, Documents,
    MAX_DOCUMENTS,
};
pub use freezes::{FreezeError, FreezeRow, FreezeStore, MAX_FREEZES};
pub use grants::{
    End, Filed, GrantError, GrantRow, GrantStatus, GrantStore, Granted, MAX_PENDING_GRANTS,
    MAX_PENDING_OF_PERSON,
};
pub use labels::{
    LabelError, LabelKind, LabelMaker, LabelPlace, LabelRow, LabelSource, LabelStore,
};
pub use messages::{MAX_MESSAGES, ReviewMessage, SayError};
pub use notifications::{
    About, Delivery, NotificationError, NotificationRow, NotificationStanding, NotificationStore,
    Told,
};
pub use open::{Store, StoreError};
pub use page::{Listed, MAX_PAGE, Page, Place};
pub use passkeys::{
    Challenged, MAX_PASSKEYS, PasskeyRow, PasskeyStore, RemovalError, RemovedPast, StepUpError,
};
pub use patterns::PatternRow;
pub use peers::Topic;
pub use postgres::PostgresSettings;
pub use restore::Replacing;
pub use rows::{Filter, ReviewRow, Reviewed, Status};
pub use schema::{ExaminedServer, examine_server, settle_server};
pub use secrets::{ChangeError, MAX_SECRETS, SecretError, SecretRow, SecretStore};
pub use unheard::Unheard;
