#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// That nothing is frozen cannot be said by whoever wants to go on.
use portcullis_core::freeze::Unfrozen;

fn cheat() -> Unfrozen {
    Unfrozen { seen: None, writes: false }
}

fn main() {
    let _ = cheat;
}
