#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// What takes a grant is entered with a tenure of the desk's, which is not put together elsewhere.
use portcullis_core::access::{AccessAsk, Tenure};
use portcullis_core::id::GrantId;
use portcullis_core::time::Timestamp;

fn cheat(id: GrantId, ask: AccessAsk, at: Timestamp) -> Tenure {
    Tenure { id, ask, begun: at, until: at, state: Default::default() }
}

fn main() {
    let _ = cheat;
}
