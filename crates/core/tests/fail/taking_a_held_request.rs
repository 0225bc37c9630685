#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// What is held is lent to be looked at, and taken out by the gate alone.
use portcullis_core::gate::Held;

fn cheat(held: Held<toy::Toy>) -> toy::Line {
    held.request
}

fn main() {
    let _ = cheat;
}
