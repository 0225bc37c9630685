#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// Only a request in flight makes masked values out of what a target sent.
use bytes::Bytes;
use portcullis_core::masked::{Masked, Raw};

fn cheat(answer: Raw<Bytes>) -> Masked<Bytes> {
    Masked::from_masker(answer.open())
}

fn main() {
    let _ = cheat;
}
