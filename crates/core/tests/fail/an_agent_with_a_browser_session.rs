#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// Who may have a session in a browser cannot be put together around an agent.
use portcullis_core::principal::{Person, Principal};

fn cheat(agent: Principal) -> Person {
    Person(agent)
}

fn main() {
    let _ = cheat;
}
