#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// The right to decide cannot be put together around an agent.
use portcullis_core::principal::{Principal, Reviewer};

fn cheat(agent: Principal) -> Reviewer {
    Reviewer(agent)
}

fn main() {
    let _ = cheat;
}
