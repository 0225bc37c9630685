//! The one place that reads the clock and draws lots, so that everything else is given its moment.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use portcullis_core::gate::Moment;
use portcullis_core::id::{DecisionId, RequestId, SessionId};
use portcullis_core::limits::Used;
use portcullis_core::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now.
pub(crate) fn now() -> Timestamp {
    let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    };
    Timestamp::from_micros(micros)
}

/// Random bytes from the operating system's generator.
///
/// # Panics
/// Where the operating system has no randomness to give: nothing here can be safe without it.
#[expect(clippy::expect_used, reason = "no randomness means no keys, no ids, no service")]
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system's random number generator");
    bytes
}

/// A fresh session id.
pub(crate) fn session_id() -> SessionId {
    SessionId::from_bits(u64::from_ne_bytes(random()))
}

/// Ids for the requests of one session: a random start and a step that visits every number, so
/// that one request costs no call to the random number generator.
#[derive(Debug)]
pub(crate) struct Moments {
    next: u64,
}

impl Moments {
    /// Fresh ids.
    pub(crate) fn new() -> Self {
        Self { next: u64::from_ne_bytes(random()) }
    }

    /// Now, with a fresh request id and decision id.
    pub(crate) fn next(&mut self) -> Moment {
        // An odd step has full period modulo 2^64; this one spreads neighbours apart.
        self.next = self.next.wrapping_add(0x9e37_79b9_7f4a_7c15);
        Moment {
            at: now(),
            request: RequestId::from_bits(self.next),
            decision: DecisionId::from_bits(!self.next),
            used: Used::default(),
        }
    }
}
