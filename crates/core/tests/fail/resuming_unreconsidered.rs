#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// What was held is not run as it was read then: it has to be formed again.
use portcullis_core::gate::{Gate, Held, Moment, Passage};
use portcullis_core::journal::Journal;
use portcullis_core::review::{Decision, Desk};
use portcullis_core::verdict::Judge;

async fn cheat<J: Judge, L: Journal, D: Desk + Clone + 'static>(
    gate: &Gate<J, L, D>,
    held: Held<toy::Toy>,
    moment: Moment,
) -> Passage<toy::Toy> {
    gate.resume(held, Decision::Approved, moment).await
}

fn main() {}
