//! The portcullis binary: wiring, session driver, approvals, HTTP API and command line
fn main() {}
