//! Whatever a text: hits stand in it, in order and apart, and none is left once they are replaced.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_mask::{Detectors, label_of};
use std::sync::OnceLock;

fuzz_target!(|data: &[u8]| {
    static ALL: OnceLock<Detectors> = OnceLock::new();
    let detectors = ALL.get_or_init(Detectors::all);
    let hits = detectors.scan(data);
    assert!(hits.iter().all(|hit| !hit.range.is_empty() && hit.range.end <= data.len()));
    assert!(hits.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
    let mut out = Vec::new();
    assert_eq!(detectors.redact(data, &mut out), !hits.is_empty());
    assert_eq!(detectors.scan(&out), []);
    for name in ["dob", "full_name", "national_id", "password"] {
        out.clear();
        let label = label_of(name).expect("a name that says something");
        let found = detectors.redact_labelled(label, data, &mut out);
        assert!(!found || !out.is_empty());
    }
});
