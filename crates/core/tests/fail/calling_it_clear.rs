#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// That it was looked whether a session is entitled cannot be said by whoever wants to go on.
use portcullis_core::access::Entitled;

fn cheat() -> Entitled {
    Entitled { only_undoes: true }
}

fn main() {
    let _ = cheat;
}
