#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// Nor a field.
use bytes::Bytes;
use portcullis_core::masked::Raw;

fn cheat(answer: Raw<Bytes>) -> Bytes {
    answer.0
}

fn main() {
    let _ = cheat;
}
