//! What the sessions of a gateway may take up together: bytes of requests, and places of one
//! principal. Asked before anything is kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a session keeps is counted in steps of this many bytes, and the first is free, so that
/// ordinary requests cost no counting and are taken however full the gateway is.
const STEP: usize = 64 * 1024;

/// So many principals can keep as much as they may, at least, before there is no room for others.
const PRINCIPALS: usize = 2;

/// Bytes of clients that all sessions may keep together.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    most: usize,
    used: AtomicUsize,
}

impl Budget {
    /// Room for `most` bytes.
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, used: AtomicUsize::new(0) }
    }

    /// What one principal may take of it: so that nobody can take all of it.
    fn of_one(&self) -> Self {
        Self::new(self.most / PRINCIPALS)
    }

    /// Takes so many bytes more; false where there is no room for them.
    fn take(&self, more: usize) -> bool {
        let room = |used: usize| used.checked_add(more).filter(|used| *used <= self.most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What one session takes of the budgets it is under: that of all, and that of its principal.
/// Given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    all: Arc<Budget>,
    own: Arc<Budget>,
    held: usize,
}

impl Share {
    /// Nothing yet.
    pub(crate) const fn new(all: Arc<Budget>, own: Arc<Budget>) -> Self {
        Self { all, own, held: 0 }
    }

    /// The session keeps this many bytes now. False where there is no room for that: the share is
    /// then as it was.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let wanted = bytes / STEP * STEP;
        if wanted > self.held {
            let more = wanted - self.held;
            if !self.own.take(more) {
                return false;
            }
            if !self.all.take(more) {
                self.own.give_back(more);
                return false;
            }
        } else if wanted < self.held {
            self.give_back(self.held - wanted);
        }
        self.held = wanted;
        true
    }

    fn give_back(&self, bytes: usize) {
        self.all.give_back(bytes);
        self.own.give_back(bytes);
    }

    /// All that the sessions of this principal may keep together.
    pub(crate) fn most(&self) -> usize {
        self.own.most
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.held);
    }
}

/// How many sessions each principal has.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    budget: Arc<Budget>,
    taken: Mutex<HashMap<Who, (usize, Arc<Budget>)>>,
}

/// Issuer and subject.
type Who = (String, String);

impl Places {
    /// Room for `most` sessions of each, which may keep a part of `budget` together.
    pub(crate) fn new(most: usize, budget: Arc<Budget>) -> Self {
        Self { most, budget, taken: Mutex::default() }
    }

    /// How many sessions of one principal there may be.
    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, HashMap<Who, (usize, Arc<Budget>)>> {
        // The map is whole after every operation on it.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more session; `None` where there is none left for this principal.
    pub(crate) fn take(self: &Arc<Self>, issuer: &str, subject: &str) -> Option<Place> {
        let who = (issuer.to_owned(), subject.to_owned());
        let mut taken = self.taken();
        let new = || (0, Arc::new(self.budget.of_one()));
        let (count, own) = taken.entry(who.clone()).or_insert_with(new);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        let own = Arc::clone(own);
        Some(Place { places: Arc::clone(self), who, own })
    }
}

/// One session's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    who: Who,
    own: Arc<Budget>,
}

impl Place {
    /// What a session in this place keeps of its client's bytes.
    pub(crate) fn share(&self) -> Share {
        Share::new(Arc::clone(&self.places.budget), Arc::clone(&self.own))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some((count, _)) = taken.get_mut(&self.who) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_over_all_sessions_and_for_each_principal() {
        let budget = Arc::new(Budget::new(STEP * 6));
        let own = || Arc::new(Budget::new(STEP * 4));
        let (ada, bo) = (own(), own());
        let share = |own: &Arc<Budget>| Share::new(budget.clone(), own.clone());
        let (mut one, mut two, mut other) = (share(&ada), share(&ada), share(&bo));
        assert!(one.set(STEP - 1) && two.set(STEP - 1), "a little is free");
        assert!(one.set(STEP * 2) && two.set(STEP * 2));
        assert!(!one.set(STEP * 3), "it is full for one principal");
        assert!(other.set(STEP * 2) && !other.set(STEP * 3), "and for all");
        assert!(one.set(STEP * 2 + 5) && one.set(STEP));
        assert!(other.set(STEP * 3));
        drop(two);
        assert!(one.set(STEP * 3) && !one.set(usize::MAX));
        drop((one, other));
        for budget in [budget, ada, bo] {
            assert_eq!(budget.used.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn places_are_counted_by_principal_and_given_back() {
        let places = Arc::new(Places::new(2, Arc::new(Budget::new(1))));
        let (one, _two) = (places.take("i", "ada"), places.take("i", "ada"));
        assert!(one.is_some() && places.take("i", "ada").is_none());
        assert!(places.take("i", "bo").is_some() && places.take("other", "ada").is_some());
        drop(one);
        assert!(places.take("i", "ada").is_some());
        assert_eq!(places.taken().len(), 1, "those who left are forgotten");
    }
}
