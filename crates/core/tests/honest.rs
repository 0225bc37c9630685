// The honest way compiles: else every failure above could be a typing error of the test's own.
#[path = "toy/mod.rs"]
#[allow(dead_code, unused)]
mod toy;

use portcullis_core::link::{Link, Transport};
use portcullis_core::permit::Permit;

async fn honest<T: Transport>(link: &mut Link<toy::Toy, T>, permit: Permit<toy::Toy>) {
    if let Ok(mut flight) = link.send(permit).await {
        if let Ok(raw) = link.receive().await {
            let masked = flight.mask(raw);
            println!("{:?}", masked.map(|m| m.get().len()));
        }
    }
}

fn main() {
    let _ = 0;
}
