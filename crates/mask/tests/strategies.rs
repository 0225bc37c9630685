//! Whatever a value, its type, its format and the strategy: of what was hidden nothing is left to
//! read, and what may stay is what the strategy is for.

use portcullis_core::mask::{
    ColumnRef, Format, Lineage, Redacted, Redactor as _, Reveal, Strategy, Treatment,
};
use portcullis_mask::{Detectors, PseudonymKey, StatementRedactor};
use proptest::prelude::*;
use std::sync::{Arc, OnceLock};

#[derive(Debug)]
struct Nothing;

impl Reveal for Nothing {
    fn hidden(&self, _: ColumnRef) -> Option<Strategy> {
        None
    }

    fn relation_hides(&self, _: u32) -> bool {
        false
    }

    fn hides_anything(&self) -> bool {
        false
    }

    fn hides_of_server(&self) -> bool {
        false
    }

    fn is_stored(&self, _: ColumnRef) -> bool {
        true
    }
}

fn redactor() -> &'static StatementRedactor {
    static REDACTOR: OnceLock<StatementRedactor> = OnceLock::new();
    REDACTOR.get_or_init(|| {
        let lineage = [Arc::new(Lineage::default())];
        let key = Arc::new(PseudonymKey::new(&[7; 32]));
        StatementRedactor::new(&lineage, Arc::new(Nothing), Arc::new(Detectors::all()), key)
    })
}

/// Types by number: of numbers, texts, times, documents, addresses, geometry, their arrays, of users.
const TYPES: &[u32] = &[
    0, 16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 142, 600, 650, 700, 701, 718, 774, 790, 829, 869,
    1000, 1001, 1007, 1009, 1015, 1042, 1043, 1082, 1083, 1114, 1115, 1182, 1184, 1186, 1231, 1266,
    1560, 1700, 2249, 2287, 2950, 2951, 3220, 3614, 3615, 3802, 3807, 3904, 3908, 4072, 16_500,
];

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop::sample::select(vec![
        Strategy::Redact,
        Strategy::Partial,
        Strategy::Null,
        Strategy::Hash,
        Strategy::constant("none").unwrap(),
        Strategy::shift_days(30).unwrap(),
    ])
}

/// A sentinel with what may stand around it in a text of some type. Strategies that keep a part keep
/// ends of a value, so it never touches one.
fn around(sentinel: &str) -> Vec<String> {
    vec![
        format!("abcdef{sentinel}uvwxyz"),
        format!("a.{sentinel}@example.com"),
        format!("{{\"abcdef{sentinel}uvwxyz\",NULL,x}}"),
        format!("{{\"key\": [\"abcdef{sentinel}uvwxyz\", 1, {{\"k{sentinel}\": null}}]}}"),
        format!("(abcdef{sentinel}uvwxyz,2,)"),
        format!("[abcdef{sentinel}uvwxyz,b)"),
        format!("'abcdef{sentinel}uvwxyz':1"),
        format!("12345678 {sentinel} 12345678"),
    ]
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|w| w == part)
}

fn masked(treatment: &Treatment, field: (u32, Format), value: &[u8]) -> (Redacted, Vec<u8>) {
    let mut out = b"kept".to_vec();
    let done = redactor().redact(treatment, field, value, &mut out);
    assert!(out.starts_with(b"kept"), "what was written before is not touched");
    (done, out.split_off(4))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

    /// A hidden value never goes out as it is, and no six bytes of its middle are in what does.
    #[test]
    fn nothing_of_a_hidden_value_is_left(
        sentinel in "[g-z]{12}",
        which in 0usize..8,
        type_id in prop::sample::select(TYPES),
        binary: bool,
        strategy in strategies(),
    ) {
        let value = around(&sentinel).remove(which);
        let format = if binary { Format::Binary } else { Format::Text };
        for treatment in [Treatment::Mask(strategy.clone()), Treatment::Conceal] {
            let (done, out) = masked(&treatment, (type_id, format), value.as_bytes());
            prop_assert!(done != Redacted::Unchanged, "{treatment:?} {type_id} {format:?} {value}");
            prop_assert!(done == Redacted::Replaced || out.is_empty(), "{done:?} wrote {out:?}");
            for part in sentinel.as_bytes().windows(6) {
                prop_assert!(!contains(&out, part), "{treatment:?} {type_id} {format:?} {value}: {}", out.escape_ascii());
            }
        }
    }

    /// The same for any bytes: eight in a row, which strategies that keep ends never keep.
    #[test]
    fn nothing_of_hidden_bytes_is_left(
        value in prop::collection::vec(any::<u8>(), 24..80),
        type_id in prop::sample::select(TYPES),
        binary: bool,
        strategy in strategies(),
    ) {
        let format = if binary { Format::Binary } else { Format::Text };
        let (done, out) = masked(&Treatment::Mask(strategy.clone()), (type_id, format), &value);
        prop_assert!(done != Redacted::Unchanged, "{strategy:?} {type_id} {format:?}");
        let middle = &value[8..value.len() - 8];
        // Zeros are lengths and padding of any value.
        for part in middle.windows(8).filter(|part| part.iter().filter(|b| **b > 1).count() > 4) {
            prop_assert!(!contains(&out, part), "{strategy:?} {type_id} {format:?} {value:?}: {out:?}");
        }
    }

    /// Pseudonyms are the same for the same value, and others for others.
    #[test]
    fn pseudonyms_tell_values_apart(one in "[a-z]{6,20}", other in "[a-z]{6,20}") {
        let hash = |text: &str| masked(&Treatment::Mask(Strategy::Hash), (25, Format::Text), text.as_bytes());
        prop_assert_eq!(hash(&one), hash(&one));
        prop_assert_eq!(one == other, hash(&one) == hash(&other));
    }
}
