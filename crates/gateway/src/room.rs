//! What the sessions of a gateway may take up together: bytes of requests, and places of one
//! principal. Asked before anything is kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a session keeps is counted in steps of this many bytes, and the first is free, so that
/// ordinary requests cost no counting and are taken however full the gateway is.
const STEP: usize = 64 * 1024;

/// Bytes of clients that all sessions may keep together.
#[derive(Debug)]
pub(crate) struct Budget {
    most: usize,
    used: AtomicUsize,
}

impl Budget {
    /// Room for `most` bytes.
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, used: AtomicUsize::new(0) }
    }

    /// How many bytes that is.
    pub(crate) const fn most(&self) -> usize {
        self.most
    }
}

/// What one session takes of the budget. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    held: usize,
}

impl Share {
    /// Nothing yet.
    pub(crate) const fn new(budget: Arc<Budget>) -> Self {
        Self { budget, held: 0 }
    }

    /// The session keeps this many bytes now. False where there is no room for that: the share is
    /// then as it was.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let wanted = bytes / STEP * STEP;
        if wanted > self.held {
            let more = wanted - self.held;
            let most = self.budget.most;
            let room = |used: usize| used.checked_add(more).filter(|used| *used <= most);
            let taken = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room);
            if taken.is_err() {
                return false;
            }
        } else if wanted < self.held {
            self.budget.used.fetch_sub(self.held - wanted, Ordering::Relaxed);
        }
        self.held = wanted;
        true
    }

    /// All that sessions may keep together.
    pub(crate) fn most(&self) -> usize {
        self.budget.most()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.held, Ordering::Relaxed);
    }
}

/// How many sessions each principal has.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    taken: Mutex<HashMap<Who, usize>>,
}

/// Issuer and subject.
type Who = (String, String);

impl Places {
    /// Room for `most` sessions of each.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// How many sessions of one principal there may be.
    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, HashMap<Who, usize>> {
        // The map is whole after every operation on it.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more session; `None` where there is none left for this principal.
    pub(crate) fn take(self: &Arc<Self>, issuer: &str, subject: &str) -> Option<Place> {
        let who = (issuer.to_owned(), subject.to_owned());
        let mut taken = self.taken();
        let count = taken.entry(who.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { places: Arc::clone(self), who })
    }
}

/// One session's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    who: Who,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&self.who) {
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
    fn what_is_kept_is_bounded_over_all_sessions() {
        let budget = Arc::new(Budget::new(STEP * 3));
        let (mut one, mut two) = (Share::new(budget.clone()), Share::new(budget.clone()));
        assert!(one.set(STEP - 1) && two.set(STEP - 1), "a little is free");
        assert!(one.set(STEP * 2) && two.set(STEP));
        assert!(!one.set(STEP * 3) && !two.set(STEP * 2), "it is full");
        assert!(one.set(STEP * 2 + 5) && one.set(STEP));
        assert!(two.set(STEP * 2));
        drop(two);
        assert!(one.set(STEP * 3));
        assert!(!one.set(usize::MAX));
        drop(one);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn places_are_counted_by_principal_and_given_back() {
        let places = Arc::new(Places::new(2));
        let (one, _two) = (places.take("i", "ada"), places.take("i", "ada"));
        assert!(one.is_some() && places.take("i", "ada").is_none());
        assert!(places.take("i", "bo").is_some() && places.take("other", "ada").is_some());
        drop(one);
        assert!(places.take("i", "ada").is_some());
        assert_eq!(places.taken().len(), 1, "those who left are forgotten");
    }
}
