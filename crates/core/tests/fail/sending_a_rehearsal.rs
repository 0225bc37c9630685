#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// Leave to rehearse a request is no permit to send it.
use portcullis_core::link::{Link, Transport};
use portcullis_core::permit::RehearsalPermit;

fn cheat<T: Transport>(link: &mut Link<toy::Toy, T>, rehearsal: RehearsalPermit<toy::Toy>) {
    let _ = link.send(rehearsal);
}

fn main() {}
