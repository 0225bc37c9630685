#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// What was rehearsed is kept under a permit, and under the gate's alone.
use portcullis_core::link::{Link, Transport};
use portcullis_core::permit::{RehearsalPermit, Rehearsing};

fn cheat<T: Transport>(
    link: &mut Link<toy::Toy, T>,
    rehearsing: Rehearsing<toy::Toy>,
    leave: RehearsalPermit<toy::Toy>,
) {
    let _ = link.keep(rehearsing, leave);
}

fn again<T: Transport>(link: &mut Link<toy::Toy, T>, leave: RehearsalPermit<toy::Toy>) {
    let _ = link.rehearse(leave);
    let _ = link.rehearse(leave);
}

fn main() {}
