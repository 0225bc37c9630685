#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// What a target sent has no accessor.
use bytes::Bytes;
use portcullis_core::masked::Raw;

fn cheat(answer: Raw<Bytes>) -> Bytes {
    answer.open()
}

fn main() {
    let _ = cheat;
}
