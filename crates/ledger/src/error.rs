//! Why a ledger cannot be opened or closed. Beside the life of a request: at start and stop.

use std::io;
use std::path::{Path, PathBuf};

/// A ledger cannot be opened, or did not end well. Every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process has it open.
    #[error(
        "{} is locked by another gateway: two gateways never share a journal; stop the other one \
         or give this one its own directory", .path.display()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was tried (`open`, `create`, `read`…).
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// The record is damaged, so nothing is added to it.
    #[error(
        "{} line {line}: {detail}; the journal is not opened, so that the evidence stays as it is: \
         run `portcullis audit verify`, keep a copy, and restore or move the directory away",
        .file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The line in it, from 1; 0 for the file as a whole.
        line: u64,
        /// What is wrong.
        detail: String,
    },
    /// The signing key cannot be used.
    #[error("signing key {}: {detail}", .path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// A setting cannot be used.
    #[error("journal setting `{setting}`: {detail}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// Writing or syncing failed while it was open.
    #[error("the journal broke and must be reopened: {0}")]
    Broken(String),
}

impl LedgerError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn damaged(file: &Path, line: u64, detail: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), line, detail: detail.into() }
    }
}
