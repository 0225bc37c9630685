#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// The right to administer cannot be put together around an agent.
use portcullis_core::principal::{Administrator, Principal};

fn cheat(agent: Principal) -> Administrator {
    Administrator(agent)
}

fn main() {
    let _ = cheat;
}
