#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// A permit that is dropped silently is a request recorded and never run.
use portcullis_core::permit::Permit;

fn made() -> Permit<toy::Toy> {
    loop {}
}

fn main() {
    made();
}
