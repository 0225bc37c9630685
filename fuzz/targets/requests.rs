//! What a client sends after log-in: the same units come of it however it comes, a unit that is
//! handed out has effects, and refusing it leaves a session that goes on.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_core::protocol::Request as _;
use portcullis_fuzz::{Shop, in_pieces, with_stack};
use portcullis_wire::pg::conversation::{Conversation, Turn};
use portcullis_wire::pg::message::Limits;
use std::sync::Arc;

fn units(data: &[u8], size: usize) -> Vec<String> {
    let mut conversation = Conversation::new(Arc::new(Shop), Limits::default());
    in_pieces(data, size, |buffer| {
        let Some(turn) = conversation.next(buffer)? else { return Ok(None) };
        let said = match turn {
            Turn::Unit(unit) => {
                assert!(!unit.operation().effects.is_empty(), "a unit without effects");
                let said = format!("{:?} {:?}", unit.operation(), unit.wire_bytes());
                conversation.refused(unit.shape());
                said
            }
            Turn::Unformed(unformed) => {
                conversation.refused(unformed.shape);
                format!("{unformed:?}")
            }
            other => format!("{other:?}"),
        };
        Ok::<_, portcullis_wire::pg::message::ProtocolError>(Some(said))
    })
}

fuzz_target!(|data: &[u8]| {
    with_stack(|| assert_eq!(units(data, 0), units(data, 1)));
});
