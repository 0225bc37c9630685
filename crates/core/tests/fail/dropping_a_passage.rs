#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// What the gate says cannot be ignored.
use portcullis_core::gate::Passage;

fn passed() -> Passage<toy::Toy> {
    loop {}
}

fn main() {
    passed();
}
