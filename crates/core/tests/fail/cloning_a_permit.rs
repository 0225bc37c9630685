#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// One judgement, one execution.
use portcullis_core::permit::Permit;

fn cheat(permit: &Permit<toy::Toy>) -> Permit<toy::Toy> {
    permit.clone()
}

fn main() {
    let _ = cheat;
}
