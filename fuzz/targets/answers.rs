//! Whatever a target answers: no value of a row passes where every column is hidden, and only whole
//! messages go out.

#![no_main]

use bytes::{BufMut as _, BytesMut};
use libfuzzer_sys::fuzz_target;
use portcullis_core::mask::{ColumnRef, Reveal, Strategy};
use portcullis_core::protocol::{Masker as _, Request as _};
use portcullis_core::verdict::Obligations;
use portcullis_fuzz::{Shop, with_stack};
use portcullis_mask::{Detectors, PseudonymKey, StatementRedactor};
use portcullis_wire::pg::answer::AnswerMasker;
use portcullis_wire::pg::conversation::{Conversation, Turn};
use portcullis_wire::pg::frames::split;
use portcullis_wire::pg::message::Limits;
use std::sync::{Arc, OnceLock};

/// What no row may hold afterwards.
const MARK: &[u8] = b"MARK";

#[derive(Debug)]
struct HideAll;

impl Reveal for HideAll {
    fn hidden(&self, _: ColumnRef) -> Option<Strategy> {
        Some(Strategy::Redact)
    }

    fn relation_hides(&self, _: u32) -> bool {
        true
    }

    fn hides_anything(&self) -> bool {
        true
    }

    fn hides_of_server(&self) -> bool {
        true
    }

    fn is_stored(&self, _: ColumnRef) -> bool {
        true
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![tag];
    message.put_u32(body.len() as u32 + 4);
    message.extend_from_slice(body);
    message
}

fn masker(which: u8) -> AnswerMasker {
    const TEXTS: [&[u8]; 4] = [
        b"SELECT email, name FROM customers\0",
        b"COPY customers TO STDOUT\0",
        b"SELECT email FROM customers; SELECT upper(email) FROM customers\0",
        b"SELECT count(*), max(email) FROM customers\0",
    ];
    static KEY: OnceLock<Arc<PseudonymKey>> = OnceLock::new();
    let text = TEXTS[usize::from(which) % TEXTS.len()];
    let bytes = if which & 4 == 0 {
        message(b'Q', text)
    } else {
        let parse = message(b'P', &[b"\0", TEXTS[0], b"\0\0"].concat());
        let bind = message(b'B', &[0; 8]);
        let execute = message(b'E', &[0; 5]);
        [parse, bind, execute, message(b'S', b"")].concat()
    };
    let mut conversation = Conversation::new(Arc::new(Shop), Limits::default());
    let turn = conversation.next(&mut BytesMut::from(&*bytes));
    let Ok(Some(Turn::Unit(unit))) = turn else { panic!("no unit: {turn:?}") };
    let redactor = StatementRedactor::new(
        &unit.operation().lineages,
        Arc::new(HideAll),
        Arc::new(Detectors::all()),
        Arc::clone(KEY.get_or_init(|| Arc::new(PseudonymKey::new(&[7; 32])))),
    );
    let obligations = Obligations { redactor: Arc::new(redactor), rules: Arc::from([]), limits: None };
    AnswerMasker::new(unit.script(), &obligations)
}

fn answer(which: u8, messages: &[(u8, Vec<u8>)]) {
    let mut masker = masker(which);
    let mut buffer = BytesMut::new();
    for (tag, body) in messages {
        buffer.extend_from_slice(&message(*tag, body));
        while let Ok(Some(frames)) = split(&mut buffer) {
            let Ok(masked) = masker.mask(frames) else { return };
            for frame in masked.iter().filter(|frame| b"Dd".contains(&frame.tag)) {
                assert!(!frame.body.windows(MARK.len()).any(|w| w == MARK), "{masked:?}");
            }
        }
    }
}

fuzz_target!(|input: (u8, Vec<(u8, Vec<u8>)>)| with_stack(|| answer(input.0, &input.1)));
