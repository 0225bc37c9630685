#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// No link without an admission, and an admission is made by the gate alone.
use portcullis_core::gate::Admission;
use portcullis_core::link::{Link, Transport};
use portcullis_core::verdict::{Obligations, Standing};
use std::marker::PhantomData;
use std::sync::Arc;

fn cheat<T: Transport>(transport: T, standing: Arc<Standing>, obligations: Obligations) -> Link<toy::Toy, T> {
    let admission = Admission { standing, obligations, protocol: PhantomData };
    Link::new(admission, transport)
}

fn main() {}
