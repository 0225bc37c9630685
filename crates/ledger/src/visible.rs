//! Hostile text made harmless, and points in time. Beside the life of a request: wherever a person reads
//! the record.

use portcullis_core::time::Timestamp;
pub use portcullis_verify::visible::*;

/// A point in time as RFC 3339 in UTC, with microseconds.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    at.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_rfc_3339_in_utc() {
        assert_eq!(rfc3339(Timestamp::from_micros(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(Timestamp::from_micros(-1)), "1969-12-31T23:59:59.999999Z");
    }
}
