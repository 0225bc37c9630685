//! What statements come out as.

#[cfg(test)]
mod common;

#[test]
fn statements_have_these_facts() {
    let catalog = common::shop();
    let mut wrong = String::new();
    for (sql, expected) in common::cases::CASES {
        let got = common::facts(sql, &catalog);
        if got != *expected {
            wrong += &format!("\n{sql}\n  expected {expected}\n  got      {got}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
