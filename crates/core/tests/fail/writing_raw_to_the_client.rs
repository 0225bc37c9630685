#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// Writers and recorders take masked values alone.
use bytes::Bytes;
use portcullis_core::masked::{Masked, Raw};

fn client_writer(_: &Masked<Bytes>) {}

fn cheat(answer: &Raw<Bytes>) {
    client_writer(answer);
}

fn main() {
    let _ = cheat;
}
