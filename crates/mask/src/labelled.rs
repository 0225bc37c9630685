//! Values of columns whose name or type says what they hold: texts, dates, numbers and network
//! addresses. On the way of an answer, between the redactor's plan and the detectors.

use crate::detect::Detectors;
use crate::types;
use portcullis_core::mask::{Format, Label, Redacted};

/// Numbers of the types that labels are about (`pg_type.oid`).
const TEXTS: [u32; 5] = [0, 25, 1042, 1043, 705];
const INT2: u32 = 21;
const INT4: u32 = 23;
const INT8: u32 = 20;
const NUMERIC: u32 = 1700;
const DATE: u32 = 1082;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const INET: u32 = 869;
const CIDR: u32 = 650;

/// True where a label says something about values of this type.
pub(crate) fn applies(detectors: &Detectors, label: Label, type_id: u32) -> bool {
    detectors.heeds(label)
        && match type_id {
            _ if TEXTS.contains(&type_id) => true,
            DATE | TIMESTAMP | TIMESTAMPTZ => Detectors::is_birth(label),
            INT2 | INT4 | INT8 | NUMERIC => Detectors::is_national(label),
            _ => false,
        }
}

/// True for network addresses, where these are looked for.
pub(crate) fn is_address(detectors: &Detectors, type_id: u32) -> bool {
    matches!(type_id, INET | CIDR) && detectors.label_of_addresses().is_some()
}

/// Looks at one value. Dates, numbers and addresses become NULL.
pub(crate) fn scan(
    detectors: &Detectors,
    label: Label,
    (type_id, format): (u32, Format),
    value: &[u8],
    out: &mut Vec<u8>,
) -> Redacted {
    match (type_id, format) {
        (DATE | TIMESTAMP | TIMESTAMPTZ | INET | CIDR, _) => Redacted::Removed,
        (INT2 | INT4 | INT8 | NUMERIC, Format::Text) if detectors.finds_number(label, value) => {
            Redacted::Removed
        }
        (INT2 | INT4 | INT8, Format::Binary) => {
            let digits = big_endian(value).to_string();
            if detectors.finds_number(label, digits.as_bytes()) {
                Redacted::Removed
            } else {
                Redacted::Unchanged
            }
        }
        // Its digits stand in groups of four decimal places; what is named so is no amount.
        (NUMERIC, Format::Binary) => Redacted::Removed,
        (INT2 | INT4 | INT8 | NUMERIC, Format::Text) => Redacted::Unchanged,
        // A document stays one.
        _ if matches!(value.trim_ascii_start().first(), Some(b'{' | b'[')) => {
            types::scan(detectors, (type_id, format), value, out)
        }
        _ if detectors.redact_labelled(label, value, out) => Redacted::Replaced,
        _ => types::scan(detectors, (type_id, format), value, out),
    }
}

fn big_endian(value: &[u8]) -> u64 {
    value.iter().take(8).fold(0, |number, b| number << 8 | u64::from(*b))
}
