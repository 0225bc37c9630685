//! What an approval rests on beside the request itself: how the session reads statements, and what
//! the names in them stand for. Gathered when a request is put to people, and again before it runs.

use crate::digest::{Digest, Digester};
use crate::id::ReviewId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most things named where it is told what has changed.
const NAMED: usize = 5;
/// Most definitions that are named to a reviewer.
const LISTED: usize = 40;

/// What a statement means by, each thing under the name people know it by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Basis {
    /// Settings of the session with their values: its role, its search path, how texts become
    /// dates.
    pub settings: BTreeMap<String, String>,
    /// Definitions that decide what the request does, by digest.
    pub definitions: BTreeMap<String, Digest>,
    /// What the request is judged and its answer masked by: policy, and the connection's own rules.
    pub rules: Option<Digest>,
}

impl Basis {
    /// A digest of all of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut digester = Digester::new("portcullis/basis/1");
        digester.add(&(self.settings.len() as u64).to_be_bytes());
        for (name, value) in &self.settings {
            digester.add(name.as_bytes());
            digester.add(value.as_bytes());
        }
        for (name, definition) in &self.definitions {
            digester.add(name.as_bytes());
            digester.add(definition.as_bytes());
        }
        if let Some(rules) = &self.rules {
            digester.add(b"rules");
            digester.add(rules.as_bytes());
        }
        digester.finish()
    }

    /// What is different `now`, in words, without any value: the first few, and how many more.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Vec<String> {
        let definitions = different(&self.definitions, &now.definitions);
        let (known, new): (Vec<&String>, Vec<&String>) = different(&self.settings, &now.settings)
            .partition(|name| self.settings.contains_key(*name));
        let setting = |name: &String| format!("setting {name} changed");
        let mut all: Vec<String> = Vec::new();
        if self.rules != now.rules {
            all.push("the gateway's policy or mask rules changed".to_owned());
        }
        all.extend(known.into_iter().map(setting));
        all.extend(definitions.map(|name| format!("definition of {name} changed")));
        // What counts only now does so because of what changed: many settings, where it is code.
        if all.is_empty() {
            all.extend(new.into_iter().map(setting));
        }
        let more = all.len().saturating_sub(NAMED);
        all.truncate(NAMED);
        if more > 0 {
            all.push(format!("and {more} more"));
        }
        all
    }

    /// What of it a reviewer reads.
    #[must_use]
    pub fn shown(&self) -> ShownBasis {
        const READ: [&str; 4] = ["role", "search_path", "DateStyle", "TimeZone"];
        let value = |name: &str| self.settings.get(name).map(|v| (name.to_owned(), v.clone()));
        ShownBasis {
            settings: READ.into_iter().filter_map(value).collect(),
            more_settings: self.settings.keys().filter(|n| !READ.contains(&n.as_str())).count(),
            definitions: self.definitions.keys().take(LISTED).cloned().collect(),
            more_definitions: self.definitions.len().saturating_sub(LISTED),
        }
    }
}

/// The names that are not the same in both.
fn different<'a, V: PartialEq>(
    one: &'a BTreeMap<String, V>,
    other: &'a BTreeMap<String, V>,
) -> impl Iterator<Item = &'a String> {
    let gone_or_changed = one.iter().filter(|(name, value)| other.get(*name) != Some(value));
    let new = other.keys().filter(|name| !one.contains_key(*name));
    gone_or_changed.map(|(name, _)| name).chain(new)
}

/// What a reviewer reads of a [`Basis`]; the digest covers all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShownBasis {
    /// The settings that matter most, with their values.
    pub settings: Vec<(String, String)>,
    /// How many more are bound.
    pub more_settings: usize,
    /// The definitions it rests on, by name.
    pub definitions: Vec<String>,
    /// How many more are bound.
    pub more_definitions: usize,
}

/// That a request is held anew, because what its approval would rest on has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Again {
    /// The review that this one takes the place of.
    pub previous: ReviewId,
    /// How often that has happened to this request.
    pub times: u32,
    /// What has changed, in words.
    pub because: Vec<String>,
}

/// How much a request may touch, as the target estimates it: never more than a hint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Estimate {
    /// The target's planner expects so many rows.
    Rows {
        /// Rows it would touch.
        rows: u64,
        /// Of how many in all, where that is known.
        of: Option<u64>,
        /// In which table.
        table: String,
    },
    /// There is none.
    None {
        /// Why.
        why: String,
    },
}

impl Default for Estimate {
    fn default() -> Self {
        Self::None { why: "none was asked for".to_owned() }
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows { rows, of: Some(of), table } => {
                write!(f, "about {rows} rows of {of} in {table}, by the target's own estimate")
            }
            Self::Rows { rows, of: None, table } => {
                write!(f, "about {rows} rows in {table}, by the target's own estimate")
            }
            Self::None { why } => write!(f, "no estimate: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis(settings: &[(&str, &str)], definitions: &[(&str, &str)]) -> Basis {
        let digest = |text: &str| Digester::new("t").part(text.as_bytes()).finish();
        Basis {
            settings: settings.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            definitions: definitions.iter().map(|(n, v)| ((*n).into(), digest(v))).collect(),
            rules: None,
        }
    }

    #[test]
    fn what_changed_is_named_and_no_value_is() {
        let one = basis(&[("a", "1"), ("b", "2")], &[("table t", "x"), ("table u", "x")]);
        let check = |now: &Basis, expect: &[&str]| {
            assert_eq!(one.changes(now), expect);
            assert_eq!(one.digest() == now.digest(), expect.is_empty());
        };
        check(&one.clone(), &[]);
        let more = [("a", "1"), ("b", "2"), ("c", "3")];
        check(&basis(&more, &[("table t", "x"), ("table u", "x")]), &["setting c changed"]);
        check(
            &basis(&[("a", "3"), ("c", "2")], &[("table t", "x"), ("table u", "y")]),
            // What counts only now is not named beside what changed.
            &["setting a changed", "setting b changed", "definition of table u changed"],
        );
        check(
            &basis(&[("a", "1"), ("b", "2")], &[("table t", "x")]),
            &["definition of table u changed"],
        );
        let many: Vec<(String, String)> =
            (0..9).map(|n| (format!("s{n}"), String::new())).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(basis(&many, &[]).changes(&basis(&[], &[])).last().unwrap(), "and 4 more");
    }

    #[test]
    fn other_rules_are_another_basis() {
        let rules = |text: &str| Digester::new("t").part(text.as_bytes()).finish();
        let one = Basis { rules: Some(rules("a")), ..basis(&[("x", "1")], &[]) };
        let other = Basis { rules: Some(rules("b")), ..one.clone() };
        assert_ne!(one.digest(), other.digest());
        assert_ne!(one.digest(), Basis { rules: None, ..one.clone() }.digest());
        assert_eq!(one.changes(&other), ["the gateway's policy or mask rules changed"]);
        assert!(one.changes(&one.clone()).is_empty());
    }

    #[test]
    fn a_setting_is_no_definition() {
        let (a, b) = (basis(&[("x", "1")], &[]), basis(&[], &[("x", "1")]));
        assert_ne!(a.digest(), b.digest());
    }
}
