//! Every known way of cheating the four invariants fails to compile, each for its own reason.

#[test]
fn no_way_of_cheating_compiles() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/fail/*.rs");
    cases.pass("tests/pass/honest.rs");
}
