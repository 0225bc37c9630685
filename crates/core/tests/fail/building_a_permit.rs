#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// A permit cannot be put together outside the gate: its parts are private.
use portcullis_core::access::Clear;
use portcullis_core::id::RequestId;
use portcullis_core::journal::Receipt;
use portcullis_core::permit::Permit;
use portcullis_core::verdict::Obligations;

fn cheat(request: toy::Line, obligations: Obligations, clear: Clear) -> Permit<toy::Toy> {
    Permit {
        request,
        obligations,
        clear,
        receipt: Receipt::issued_by_journal_assertion(0),
        id: RequestId::from_bits(0),
    }
}

fn main() {
    let _ = cheat;
}
