#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// A link lends out no socket.
use portcullis_core::link::{Link, Transport};

async fn cheat<T: Transport>(link: &mut Link<toy::Toy, T>) {
    let _ = link.transport.write_all(b"unjudged").await;
}

fn main() {}
