#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// What a rehearsal is answered does not come out again, masked or not.
use portcullis_core::masked::{Masked, Raw};
use portcullis_core::permit::Rehearsing;

fn cheat(mut rehearsing: Rehearsing<toy::Toy>, raw: Raw<bytes::Bytes>) {
    let _: Masked<bytes::Bytes> = rehearsing.mask(raw).unwrap();
    let _ = rehearsing.answers;
    let _ = rehearsing.answers_to;
}

fn main() {}
