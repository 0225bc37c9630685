//! Statement texts: whatever parses has effects, and none of it ends the process.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::{Shop, with_stack};
use portcullis_wire::pg::conversation::Analyst as _;

fuzz_target!(|text: &str| {
    let analysis = with_stack(|| Shop.analyse(text));
    for statement in analysis.iter().flat_map(|a| &a.statements) {
        assert!(!statement.effects.is_empty(), "a statement without effects: {text}");
    }
});
