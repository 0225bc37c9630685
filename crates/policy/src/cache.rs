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

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::effect::{Extent, Object, ObjectKind, Verb};

    fn operation(name: &str, effects: usize) -> Operation {
        let object = Object::new(ObjectKind::Relation, ["d", "s", name]);
        let effect = Effect::resolved(Verb::Read, object, Extent::Some);
        Operation {
            kinds: [Box::from("select")].into_iter().collect(),
            effects: std::iter::repeat_n(effect, effects).collect(),
            lineages: [].into_iter().collect(),
        }
    }

    #[test]
    fn only_the_very_same_facts_are_answered() {
        let cache = VerdictCache::default();
        let given = Decision::Allow { rules: [].into(), limits: None };
        let (o, c, a) = (operation("t", 1), Circumstances::default(), Approvals::new());
        cache.put(&o, &c, &a, &given);
        assert_eq!(cache.get(&o, &c, &a), Some(given));
        assert_eq!(cache.get(&operation("u", 1), &c, &a), None);
        assert_eq!(
            cache.get(&o, &Circumstances { in_transaction: true, ..Circumstances::default() }, &a),
            None
        );
        assert_eq!(cache.get(&o, &c, &Approvals::from(["dba".to_owned()])), None);
        let other_kind = Operation { kinds: [Box::from("call")].into_iter().collect(), ..o };
        assert_eq!(cache.get(&other_kind, &c, &a), None);
    }

    #[test]
    fn equal_hashes_are_not_taken_for_equal_facts() {
        let cache = VerdictCache::default();
        let (c, a) = (Circumstances::default(), Approvals::new());
        let (mine, other) = (operation("mine", 1), operation("other", 1));
        cache.put(&mine, &c, &a, &Decision::Allow { rules: [].into(), limits: None });
        let mut entries = cache.entries.lock().unwrap();
        let entry = entries.remove(&cache.key(&mine, &c, &a)).unwrap();
        entries.insert(cache.key(&other, &c, &a), entry);
        drop(entries);
        assert_eq!(cache.get(&other, &c, &a), None);
    }

    #[test]
    fn memory_is_bounded() {
        let cache = VerdictCache::default();
        let (c, a) = (Circumstances::default(), Approvals::new());
        let given = Decision::Allow { rules: [].into(), limits: None };
        for i in 0..MAX_ENTRIES + 10 {
            cache.put(&operation(&i.to_string(), 1), &c, &a, &given);
        }
        assert_eq!(cache.len(), 10);
        cache.put(&operation("large", MAX_EFFECTS + 1), &c, &a, &given);
        assert_eq!(cache.len(), 10);
    }
}
