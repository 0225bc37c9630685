#![deny(unused_must_use)]
#![allow(dead_code)]
#[path = "../toy/mod.rs"] #[allow(dead_code, unused)] mod toy;
// The only maker of permits is not visible outside the crate that holds the gate.
use portcullis_core::access::Clear;
use portcullis_core::id::RequestId;
use portcullis_core::journal::Receipt;
use portcullis_core::permit::Permit;
use portcullis_core::verdict::Obligations;

fn cheat(request: toy::Line, ruled: (Obligations, Clear)) -> Permit<toy::Toy> {
    let receipt = Receipt::issued_by_journal_assertion(0);
    Permit::issue(request, ruled, receipt, RequestId::from_bits(0))
}

fn main() {
    let _ = cheat;
}
