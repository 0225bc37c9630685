//! Statements and their facts.

/// `(statement, facts)`.
pub(crate) const CASES: &[(&str, &str)] = &[];
