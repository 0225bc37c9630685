#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// A link does not take a request that has not passed the gate.
use portcullis_core::link::{Link, Transport};

fn cheat<T: Transport>(link: &mut Link<toy::Toy, T>, request: toy::Line) {
    let _ = link.send(request);
}

fn main() {}
