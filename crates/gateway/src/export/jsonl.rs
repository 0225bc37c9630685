//! JSON lines: an entry as its line of the journal has it, with its hash. Without `,"hash":"…"` it is the text
//! that is hashed, as long as nothing invisible had to be escaped.

use super::source::{Piece, What};
use serde_json::json;

pub(super) fn line(piece: &Piece) -> String {
    let sequence = piece.sequence;
    match &piece.what {
        What::Entry(item) => {
            let hash = item.hash;
            let text = item.text.strip_suffix('}').unwrap_or(&item.text);
            format!("{text},\"hash\":\"{hash}\"}}")
        }
        What::Gap { missing, removed: true, .. } => {
            json!({ "seq": sequence, "removed": missing }).to_string()
        }
        What::Gap { missing, lines, why, .. } => {
            let gap = json!({ "missing": missing, "lines": lines, "why": why });
            json!({ "seq": sequence, "gap": gap }).to_string()
        }
        What::Withheld { hash, at, why } => {
            let (at, hash) = (at.as_micros(), hash.to_string());
            let withheld = json!({ "at": at, "why": why });
            json!({ "seq": sequence, "withheld": withheld, "hash": hash }).to_string()
        }
    }
}
