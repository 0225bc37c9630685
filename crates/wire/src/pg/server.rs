//! What the gateway itself says to a client, in the words of a server: log-in messages, notices,
//! and refusals. Between the session driver and the client's writer.
//!
//! Builders append whole messages to a buffer. Nothing of a target is in them, so the driver may
//! assert that they are authored.

use bytes::{BufMut as _, BytesMut};
use portcullis_core::refusal::{Refusal, RefusalClass, rule};
use std::borrow::Cow;

/// The length field of everything a gateway authors is far below this: texts are cut to it.
const MAX_TEXT: usize = 8 * 1024;

/// An error as a client is told it (manual, "Error and Notice Message Fields").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    /// `ERROR`, or `FATAL` where the session ends with it.
    pub severity: &'static str,
    /// The SQLSTATE.
    pub code: &'static str,
    /// The primary message; sufficient on its own.
    pub message: String,
    /// Detail, which half of the drivers drop.
    pub detail: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// The deciding rule, in the field for a constraint's name, which drivers expose as such.
    pub rule: Option<String>,
    /// Where in the statement's text, in characters from 1.
    pub position: Option<usize>,
}

impl WireError {
    /// An `ERROR` with a message alone.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            severity: "ERROR",
            code,
            message,
            detail: None,
            hint: None,
            rule: None,
            position: None,
        }
    }

    /// The same, ending the session.
    #[must_use]
    pub fn fatal(self) -> Self {
        Self { severity: "FATAL", ..self }
    }
}

/// Appends a message whose body `fill` writes.
fn message(out: &mut BytesMut, tag: u8, fill: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let at = out.len();
    out.put_u32(0);
    fill(out);
    let length = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(at..at + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends a zero-terminated text, without the zero bytes in it and cut to [`MAX_TEXT`].
fn put_text(out: &mut BytesMut, text: &str) {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    for piece in kept.split('\0') {
        out.put_slice(piece.as_bytes());
    }
    out.put_u8(0);
}

/// AuthenticationOk.
pub fn authentication_ok(out: &mut BytesMut) {
    message(out, b'R', |out| out.put_i32(0));
}

/// AuthenticationCleartextPassword: asks for the token, over TLS.
pub fn authentication_cleartext(out: &mut BytesMut) {
    message(out, b'R', |out| out.put_i32(3));
}

/// AuthenticationSASL with these mechanisms, best first.
pub fn authentication_sasl(out: &mut BytesMut, mechanisms: &[&str]) {
    message(out, b'R', |out| {
        out.put_i32(10);
        for mechanism in mechanisms {
            put_text(out, mechanism);
        }
        out.put_u8(0);
    });
}

/// ParameterStatus.
pub fn parameter_status(out: &mut BytesMut, name: &str, value: &str) {
    message(out, b'S', |out| {
        put_text(out, name);
        put_text(out, value);
    });
}

/// BackendKeyData. The key may have any length up to 256 bytes from protocol 3.2 on, and has four
/// before.
pub fn backend_key_data(out: &mut BytesMut, process: i32, key: &[u8]) {
    message(out, b'K', |out| {
        out.put_i32(process);
        out.put_slice(key);
    });
}

/// ReadyForQuery with this transaction status (`I`, `T` or `E`).
pub fn ready(out: &mut BytesMut, status: u8) {
    message(out, b'Z', |out| out.put_u8(status));
}

/// NegotiateProtocolVersion: the newest minor version of protocol 3 spoken here, and the start-up
/// options (`_pq_.…`) not known here. Like the server, it sends the version as a whole number
/// (3.2 is 0x00030002), which is what clients compare with theirs.
pub fn negotiate_protocol_version(out: &mut BytesMut, newest_minor: u16, unsupported: &[&str]) {
    message(out, b'v', |out| {
        out.put_u32(3 << 16 | u32::from(newest_minor));
        out.put_u32(u32::try_from(unsupported.len()).unwrap_or(u32::MAX));
        for option in unsupported {
            put_text(out, option);
        }
    });
}

fn put_field(out: &mut BytesMut, kind: u8, text: &str) {
    out.put_u8(kind);
    put_text(out, text);
}

/// NoticeResponse of severity NOTICE.
pub fn notice(out: &mut BytesMut, code: &str, text: &str, hint: Option<&str>) {
    message(out, b'N', |out| {
        put_field(out, b'S', "NOTICE");
        put_field(out, b'V', "NOTICE");
        put_field(out, b'C', code);
        put_field(out, b'M', text);
        if let Some(hint) = hint {
            put_field(out, b'H', hint);
        }
        out.put_u8(0);
    });
}

/// ErrorResponse.
pub fn error(out: &mut BytesMut, error: &WireError) {
    message(out, b'E', |out| {
        put_field(out, b'S', error.severity);
        put_field(out, b'V', error.severity);
        put_field(out, b'C', error.code);
        put_field(out, b'M', &error.message);
        let rest = [(b'D', &error.detail), (b'H', &error.hint), (b'n', &error.rule)];
        for (kind, text) in rest {
            if let Some(text) = text {
                put_field(out, kind, text);
            }
        }
        if let Some(position) = error.position {
            put_field(out, b'P', &position.to_string());
        }
        out.put_u8(0);
    });
}

/// The SQLSTATE of a refusal. Never of class 08, 40 or 53300, nor 57P0x: connection pools take
/// those for "reconnect and try again".
#[must_use]
pub fn sqlstate(refusal: &Refusal) -> &'static str {
    match refusal.class {
        // insufficient_privilege
        RefusalClass::Policy
        | RefusalClass::NeedsApproval
        | RefusalClass::Rejected
        | RefusalClass::Frozen
        | RefusalClass::Ungranted
        | RefusalClass::Unresolved => "42501",
        // query_canceled
        RefusalClass::Expired | RefusalClass::Withdrawn => "57014",
        // syntax_error, where that is what keeps it from being read
        RefusalClass::Unreadable if refusal.rule == rule::SYNTAX => "42601",
        RefusalClass::Unreadable => "42501",
        // invalid_authorization_specification
        RefusalClass::Identity => "28000",
        // configuration_limit_exceeded
        RefusalClass::Limit => "53400",
        // system_error
        RefusalClass::Unavailable => "58000",
    }
}

/// A refusal as an error: what the sentence says, and the same again in fields.
#[must_use]
pub fn refusal(refusal: &Refusal) -> WireError {
    let class = class_word(refusal.class);
    let detail = format!("class {class}; rule {}; refused: {}", refusal.rule, refusal.what);
    let review = refusal.review.map(|review| format!("review {review}"));
    let hint = match (&refusal.next, review) {
        (Some(next), Some(review)) if !next.contains(&review) => {
            Some(Cow::from(format!("{next} ({review})")))
        }
        (Some(next), _) => Some(Cow::from(next.as_str())),
        (None, Some(review)) => Some(Cow::from(format!("this is {review}"))),
        (None, None) => None,
    };
    let error = WireError {
        severity: "ERROR",
        code: sqlstate(refusal),
        message: refusal.sentence(),
        detail: Some(detail),
        hint: hint.map(Cow::into_owned),
        rule: Some(refusal.rule.clone()),
        position: None,
    };
    if refusal.class == RefusalClass::Identity { error.fatal() } else { error }
}

const fn class_word(class: RefusalClass) -> &'static str {
    match class {
        RefusalClass::Policy => "policy",
        RefusalClass::NeedsApproval => "needs_approval",
        RefusalClass::Rejected => "rejected",
        RefusalClass::Expired => "expired",
        RefusalClass::Withdrawn => "withdrawn",
        RefusalClass::Unreadable => "unreadable",
        RefusalClass::Unresolved => "unresolved",
        RefusalClass::Identity => "identity",
        RefusalClass::Limit => "limit",
        RefusalClass::Frozen => "frozen",
        RefusalClass::Ungranted => "ungranted",
        RefusalClass::Unavailable => "unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::backend::error_fields;
    use crate::pg::frames::Frames;
    use portcullis_core::id::{DecisionId, ReviewId};
    use portcullis_core::refusal::Retry;

    fn built(build: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
        let mut out = BytesMut::new();
        build(&mut out);
        let frames = Frames::from(out.clone());
        assert_eq!(frames.iter().map(|f| f.end()).last(), Some(out.len()), "whole messages");
        out.to_vec()
    }

    #[test]
    fn messages_are_those_of_the_manual() {
        assert_eq!(built(authentication_ok), b"R\0\0\0\x08\0\0\0\0");
        assert_eq!(built(authentication_cleartext), b"R\0\0\0\x08\0\0\0\x03");
        assert_eq!(
            built(|o| authentication_sasl(o, &["A", "B"])),
            b"R\0\0\0\x0d\0\0\0\x0aA\0B\0\0"
        );
        assert_eq!(built(|o| parameter_status(o, "a", "b")), b"S\0\0\0\x08a\0b\0");
        assert_eq!(built(|o| backend_key_data(o, 7, b"secret")), b"K\0\0\0\x0e\0\0\0\x07secret");
        assert_eq!(built(|o| ready(o, b'T')), b"Z\0\0\0\x05T");
        assert_eq!(
            built(|o| negotiate_protocol_version(o, 2, &["_pq_.x"])),
            b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0"
        );
        assert_eq!(
            built(|o| notice(o, "00000", "held\0", Some("wait"))),
            b"N\0\0\0\x28SNOTICE\0VNOTICE\0C00000\0Mheld\0Hwait\0\0"
        );
    }

    fn a_refusal(class: RefusalClass, rule: &str) -> Refusal {
        Refusal {
            decision: DecisionId::from_bits(1),
            class,
            rule: rule.to_owned(),
            what: "DELETE on public.orders".to_owned(),
            why: "deletes are signed off".to_owned(),
            retry: Retry::AfterApproval,
            next: Some("ask a reviewer".to_owned()),
            review: Some(ReviewId::from_bits(2)),
        }
    }

    #[test]
    fn a_refusal_is_one_error_whose_first_sentence_is_enough() {
        let refused = a_refusal(RefusalClass::Policy, "deletes-need-a-dba");
        let wire = refusal(&refused);
        let bytes = built(|o| error(o, &wire));
        let fields = error_fields(&bytes[5..]);
        assert_eq!((&*fields.severity, &*fields.code), ("ERROR", "42501"));
        assert_eq!(fields.message, refused.sentence());
        for said in ["deletes-need-a-dba", "DELETE on public.orders", "once it is approved"] {
            assert!(fields.message.contains(said), "{said}");
        }
        assert_eq!(wire.rule.as_deref(), Some("deletes-need-a-dba"));
        assert!(wire.hint.unwrap().contains(&ReviewId::from_bits(2).to_string()));
        assert!(bytes.windows(20).any(|w| w == b"\0ndeletes-need-a-dba\0"[..20].as_ref()));
    }

    #[test]
    fn no_code_makes_a_pool_reconnect() {
        use RefusalClass::*;
        let all = [
            (Policy, "42501"),
            (NeedsApproval, "42501"),
            (Rejected, "42501"),
            (Expired, "57014"),
            (Withdrawn, "57014"),
            (Unreadable, "42501"),
            (Unresolved, "42501"),
            (Identity, "28000"),
            (Frozen, "42501"),
            (Ungranted, "42501"),
            (Limit, "53400"),
            (Unavailable, "58000"),
        ];
        for (class, code) in all {
            assert_eq!(sqlstate(&a_refusal(class, "r")), code, "{class:?}");
        }
        assert_eq!(sqlstate(&a_refusal(Unreadable, rule::SYNTAX)), "42601");
        assert_eq!(refusal(&a_refusal(Identity, "r")).severity, "FATAL");
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let bytes = built(|o| parameter_status(o, "a", &"é".repeat(MAX_TEXT)));
        assert!(bytes.len() <= MAX_TEXT + 16);
        assert!(std::str::from_utf8(&bytes[5..]).is_ok());
    }
}
