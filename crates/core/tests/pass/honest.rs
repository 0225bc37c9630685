// The honest way compiles: else every failure above could be a typing error of the test's own.
#[path = "../toy/mod.rs"]
#[allow(dead_code, unused)]
mod toy;

use portcullis_core::link::{Link, Transport};
use portcullis_core::permit::Permit;

async fn honest<T: Transport>(link: &mut Link<toy::Toy, T>, permit: Permit<toy::Toy>) {
    let Ok(mut flight) = link.send(permit) else { return };
    let Ok(raw) = link.receive().await else { return };
    println!("{:?}", flight.mask(raw).map(|m| m.get().len()));
}

fn main() {
    let _ = 0;
}
