//! A session's first packets: the same is read however they come.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::in_pieces;
use portcullis_wire::pg::opening::{read_opening, read_password};

fuzz_target!(|data: &[u8]| {
    let opening = |size| in_pieces(data, size, |b| read_opening(b).map(|o| o.map(|o| format!("{o:?}"))));
    assert_eq!(opening(0), opening(1));
    let password = |size| in_pieces(data, size, |b| read_password(b).map(|p| p.map(|p| format!("{:?}", p.expose()))));
    assert_eq!(password(0), password(1));
});
