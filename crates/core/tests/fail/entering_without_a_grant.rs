#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// No gate opens without an entitlement, and there is no third way to one.
use portcullis_core::access::Entitlement;

fn cheat() -> Entitlement {
    Entitlement(unreachable!())
}

fn main() {
    let _ = cheat;
}
