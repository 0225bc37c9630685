//! How often a principal asks on a connection: what limits per second, minute and hour count. Beside
//! the gate; shared by the sessions of one principal on one connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Principals remembered per connection; beyond that, those without a session are forgotten.
const MAX_METERS: usize = 10_000;

/// Counts by slots of time that come round again.
#[derive(Debug)]
struct Ring {
    slot: Duration,
    counts: [u64; 60],
    /// The number of the newest slot since the start.
    newest: u64,
}

impl Ring {
    const fn new(slot: Duration) -> Self {
        Self { slot, counts: [0; 60], newest: 0 }
    }

    /// Forgets what is out of sight at `age` since the start.
    fn advance(&mut self, age: Duration) {
        let now = u64::try_from(age.as_micros() / self.slot.as_micros().max(1)).unwrap_or(u64::MAX);
        for passed in self.newest.saturating_add(1)..=now.min(self.newest.saturating_add(60)) {
            if let Some(count) = self.counts.get_mut((passed % 60) as usize) {
                *count = 0;
            }
        }
        self.newest = self.newest.max(now);
    }

    fn current(&mut self) -> Option<&mut u64> {
        self.counts.get_mut((self.newest % 60) as usize)
    }

    /// Counts that many less, the newest first: time may have passed since they were counted.
    fn take_back(&mut self, mut less: u64) {
        for back in 0..60 {
            let slot = self.newest.saturating_sub(back) % 60;
            let Some(count) = self.counts.get_mut(slot as usize) else { continue };
            let taken = less.min(*count);
            *count -= taken;
            less -= taken;
        }
    }

    fn all(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[derive(Debug)]
struct Rings {
    start: Instant,
    /// Sixty slots of a second, of a minute, of an hour.
    rings: [Ring; 3],
}

/// The requests of one principal on one connection.
#[derive(Debug)]
pub(crate) struct RateMeter(Mutex<Rings>);

impl RateMeter {
    fn new(start: Instant) -> Self {
        let slots = [16_667, 1_000_000, 60_000_000].map(Duration::from_micros);
        Self(Mutex::new(Rings { start, rings: slots.map(Ring::new) }))
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        // Numbers that are whole after each step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts that many requests, and gives how many there were before them within the last second,
    /// minute and hour.
    pub(crate) fn count(&self, now: Instant, more: u64) -> [u64; 3] {
        let mut rings = self.rings();
        let age = now.saturating_duration_since(rings.start);
        rings.rings.each_mut().map(|ring| {
            ring.advance(age);
            let before = ring.all();
            ring.current().into_iter().for_each(|count| *count += more);
            before
        })
    }

    /// Counts that many less: the request was refused.
    pub(crate) fn take_back(&self, now: Instant, less: u64) {
        let mut rings = self.rings();
        let age = now.saturating_duration_since(rings.start);
        for ring in &mut rings.rings {
            ring.advance(age);
            ring.take_back(less);
        }
    }
}

/// The meters of one connection, by principal.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    meters: Mutex<HashMap<String, Weak<RateMeter>>>,
    /// Keeps counting across sessions that follow one another.
    kept: Mutex<Vec<Arc<RateMeter>>>,
}

impl Rates {
    /// The meter of a principal, by issuer and subject.
    pub(crate) fn of(&self, issuer: &str, subject: &str) -> Arc<RateMeter> {
        let key = format!("{issuer}\n{subject}");
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = meters.get(&key).and_then(Weak::upgrade) {
            return meter;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_METERS {
            // Those in use stay in use; a meter that is forgotten begins anew.
            kept.retain(|meter| Arc::strong_count(meter) > 1);
            meters.retain(|_, meter| meter.strong_count() > 0);
        }
        let meter = Arc::new(RateMeter::new(Instant::now()));
        kept.push(Arc::clone(&meter));
        meters.insert(key, Arc::downgrade(&meter));
        meter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_in_sight() {
        let start = Instant::now();
        let meter = RateMeter::new(start);
        let count = |ms| meter.count(start + Duration::from_millis(ms), 1);
        assert_eq!(count(0), [0, 0, 0]);
        assert_eq!(count(100), [1, 1, 1]);
        assert_eq!(count(900), [2, 2, 2]);
        // The first one is more than a second ago.
        assert_eq!(count(1_050), [2, 3, 3]);
        meter.take_back(start + Duration::from_millis(1_050), 1);
        assert_eq!(count(30_000), [0, 3, 3]);
        assert_eq!(count(95_000), [0, 0, 4]);
        assert_eq!(count(3_000_000), [0, 0, 5]);
        assert_eq!(count(9_000_000), [0, 0, 0]);
        // Several at once.
        let late = start + Duration::from_secs(20_000);
        assert_eq!((meter.count(late, 500), meter.count(late, 1)), ([0; 3], [500; 3]));
        // And taken back in another slot.
        let later = late + Duration::from_millis(20);
        meter.take_back(later, 500);
        assert_eq!(meter.count(later, 1), [1; 3]);
    }

    #[test]
    fn sessions_of_one_principal_share_a_meter() {
        let rates = Rates::default();
        let (a, b) = (rates.of("i", "claude"), rates.of("i", "claude"));
        assert!(Arc::ptr_eq(&a, &b));
        assert!(!Arc::ptr_eq(&a, &rates.of("i", "ana")));
        drop((a.count(Instant::now(), 1), a, b));
        assert_eq!(rates.of("i", "claude").count(Instant::now(), 1)[1], 1);
    }
}
