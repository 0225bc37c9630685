#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// An admission is used up by the link it opens.
use portcullis_core::gate::Admission;
use portcullis_core::link::{Link, Transport};

fn cheat<T: Transport>(one: T, two: T, admission: Admission<toy::Toy>) -> Link<toy::Toy, T> {
    let _ = Link::new(admission, one);
    Link::new(admission, two)
}

fn main() {}
