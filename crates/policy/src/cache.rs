//! Verdicts already given in a session, so that a statement's shape is judged once.

use crate::session::Decision;
use portcullis_core::effect::{Effect, Operation};
use portcullis_core::verdict::{Approvals, Circumstances};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

/// Most verdicts kept: beyond that all are forgotten.
const MAX_ENTRIES: usize = 1_024;
/// Operations with more effects are not kept, so that a session's memory stays bounded.
const MAX_EFFECTS: usize = 32;

/// Everything a verdict depends on within a session.
struct Entry {
    effects: Box<[Effect]>,
    kinds: Box<[Box<str>]>,
    circumstances: Circumstances,
    approvals: Approvals,
    decision: Decision,
}

impl Entry {
    fn answers(&self, o: &Operation, c: &Circumstances, a: &Approvals) -> bool {
        *self.effects == *o.effects
            && *self.kinds == *o.kinds
            && self.circumstances == *c
            && self.approvals == *a
    }
}

/// A bounded memory of verdicts. One task uses it, so its lock is never waited for.
#[derive(Default)]
pub(crate) struct VerdictCache {
    hasher: RandomState,
    entries: Mutex<HashMap<u64, Entry>>,
}

impl VerdictCache {
    fn key(&self, o: &Operation, c: &Circumstances, a: &Approvals) -> u64 {
        self.hasher.hash_one((&o.effects[..], &o.kinds[..], c, a))
    }

    /// The verdict given before on exactly these facts.
    pub(crate) fn get(&self, o: &Operation, c: &Circumstances, a: &Approvals) -> Option<Decision> {
        let key = self.key(o, c, a);
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        // Equal hashes prove nothing: a caller chooses the names that are hashed.
        let entry = entries.get(&key).filter(|entry| entry.answers(o, c, a))?;
        Some(entry.decision.clone())
    }

    /// Remembers a verdict.
    pub(crate) fn put(&self, o: &Operation, c: &Circumstances, a: &Approvals, given: &Decision) {
        if o.effects.len() > MAX_EFFECTS || o.kinds.len() > MAX_EFFECTS {
            return;
        }
        let entry = Entry {
            effects: o.effects.as_slice().into(),
            kinds: o.kinds.as_slice().into(),
            circumstances: c.clone(),
            approvals: a.clone(),
            decision: given.clone(),
        };
        let key = self.key(o, c, a);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        entries.insert(key, entry);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().unwrap().len()
    }
}
