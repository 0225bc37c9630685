//! From whom nothing at all is hidden on a connection: the one question that needs the whole catalog,
//! asked once for all sessions of principals that are alike. Beside the judge.

use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_sql::catalog::Catalog;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// What of a principal a policy can see. On one connection, two principals that are alike in it
/// may see the same columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Viewer {
    kind: PrincipalKind,
    names: [String; 3],
    acting_for: [Option<String>; 2],
    groups: BTreeSet<String>,
}

impl Viewer {
    pub(super) fn of(principal: &Principal) -> Self {
        // Every field is named, so that a new one has to be thought of here.
        let Principal {
            kind,
            subject,
            name,
            issuer,
            acting_for,
            acting_for_issuer,
            email: _,
            groups,
            token_id: _,
            expires: _,
        } = principal.clone();
        Self {
            kind,
            names: [subject, name, issuer],
            acting_for: [acting_for, acting_for_issuer],
            groups,
        }
    }
}

/// From whom nothing at all is hidden on one connection, and whether: the one question that needs
/// the whole catalog, asked once for all sessions of a viewer.
#[derive(Debug, Default)]
pub(crate) struct Unmasked {
    answers: Mutex<HashMap<Viewer, Answer>>,
}

/// Whether anything is hidden, in this catalog and by the labels of this generation.
#[derive(Debug)]
struct Answer {
    catalog: Weak<Catalog>,
    labels: u64,
    hides: bool,
}

/// Viewers remembered per connection.
const VIEWERS: usize = 256;

impl Unmasked {
    fn answers(&self) -> MutexGuard<'_, HashMap<Viewer, Answer>> {
        // A cache: a panic leaves nothing half written that matters.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything in this catalog is hidden from the viewer, if that is known.
    pub(super) fn hides(
        &self,
        viewer: &Viewer,
        catalog: &Arc<Catalog>,
        labels: u64,
    ) -> Option<bool> {
        let answers = self.answers();
        let answer = answers.get(viewer)?;
        let same = std::ptr::eq(answer.catalog.as_ptr(), Arc::as_ptr(catalog));
        (same && answer.labels == labels).then_some(answer.hides)
    }

    pub(super) fn remember(
        &self,
        viewer: &Viewer,
        catalog: &Arc<Catalog>,
        labels: u64,
        hides: bool,
    ) {
        let mut answers = self.answers();
        if answers.len() >= VIEWERS {
            answers.clear();
        }
        let catalog = Arc::downgrade(catalog);
        answers.insert(viewer.clone(), Answer { catalog, labels, hides });
    }
}
