#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// Sending spends the permit.
use portcullis_core::link::{Link, Transport};
use portcullis_core::permit::Permit;

fn cheat<T: Transport>(link: &mut Link<toy::Toy, T>, permit: Permit<toy::Toy>) {
    let _ = link.send(permit);
    let _ = link.send(permit);
}

fn main() {
    let _ = 0;
}
