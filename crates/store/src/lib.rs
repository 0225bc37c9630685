//! Control-plane state over SQLite: reviews, the patterns given in them, labels of tables that were
//! made from others, freezes, credentials of the gateway's own, people's sessions in browsers, and sealed
//! passwords of targets. Beside the life of a request, where it waits for people.
//!
//! *Architecture invariant:* whatever the store cannot answer is a refusal. No call gives a default
//! where the database gave none, and a database that is damaged, locked, read-only or newer than
//! this program is not opened at all.

mod browser;
mod copy;
mod credentials;
mod decide;
mod desk;
mod freezes;
mod labels;
mod open;
mod patterns;
mod rehearsals;
mod restore;
mod rows;
mod secrets;

pub use browser::{BrowserSession, BrowserSessionError, BrowserSessionStore, MAX_BROWSER_SESSIONS};
pub use copy::{Examined, Settled, copy, examine, is_open, settle};
pub use credentials::{CredentialError, CredentialRow, CredentialStore, MAX_CREDENTIALS};
pub use decide::{DecideError, Outcome};
pub use desk::{Clock, MAX_PENDING, ReviewDesk, ReviewSettings};
pub use freezes::{FreezeError, FreezeRow, FreezeStore, MAX_FREEZES};
pub use labels::{
    LabelError, LabelKind, LabelMaker, LabelPlace, LabelRow, LabelSource, LabelStore,
};
pub use open::{Store, StoreError};
pub use patterns::PatternRow;
pub use restore::Replacing;
pub use rows::{Filter, ReviewRow, Reviewed, Status};
pub use secrets::{ChangeError, MAX_SECRETS, SecretError, SecretRow, SecretStore};
