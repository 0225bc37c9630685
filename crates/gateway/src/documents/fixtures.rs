//! Tests of policies, as documents: what is to be said to whom. They are run whenever a change of documents
//! is checked, and one that fails keeps the change from being made.

use crate::config::{line_of, with_nearest};
use crate::generation::Rules;
use crate::trial::{Texts, Trial, Untried, Word};
use portcullis_core::effect::{Extent, Verb};
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::Circumstances;
use portcullis_ledger::visible;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Most tests of one document.
const MOST_CASES: usize = 200;
/// How long all tests together may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Failures that one message tells of.
const TOLD: usize = 10;

/// What stands in `tests/NAME.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixtures {
    /// The connection of all cases that name none.
    connection: Option<String>,
    /// Who asks in all cases that name nobody.
    principal: Option<Who>,
    /// The tests.
    #[serde(default)]
    case: Vec<Case>,
}

/// One test.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    connection: Option<String>,
    principal: Option<Who>,
    /// What is sent.
    statement: Option<String>,
    /// Or what is done, without a statement: a verb.
    does: Option<String>,
    /// To which table: `schema.table`.
    on: Option<String>,
    /// And to how much of it: `one`, `some`, `all`.
    extent: Option<String>,
    /// Or a column that is looked at: `schema.table.column`.
    column: Option<String>,
    /// In a transaction that is open.
    #[serde(default)]
    in_transaction: bool,
    expect: Expected,
    /// The `@id` of the rule by which.
    rule: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Allow,
    Hold,
    Refuse,
    Mask,
    Show,
}

impl Expected {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Hold => "hold",
            Self::Refuse => "refuse",
            Self::Mask => "mask",
            Self::Show => "show",
        }
    }
}

/// What is done to relations.
const OF_RELATIONS: [Verb; 9] = [
    Verb::Read,
    Verb::Insert,
    Verb::Update,
    Verb::Delete,
    Verb::Truncate,
    Verb::Create,
    Verb::Alter,
    Verb::Drop,
    Verb::Grant,
];

/// Somebody who is thought of.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TriedPrincipal")]
pub(crate) struct Who {
    /// `agent`, `person` or `workload`.
    kind: PrincipalKind,
    name: String,
    /// The name, where nothing is said.
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    groups: BTreeSet<String>,
    /// The subject of the person it acts for.
    #[serde(default)]
    acting_for: Option<String>,
}

impl Who {
    /// As a principal: vouched for by nobody, and good for nothing but to be judged.
    pub(crate) fn principal(&self) -> Principal {
        Principal {
            kind: self.kind,
            subject: self.subject.clone().unwrap_or_else(|| self.name.clone()),
            name: self.name.clone(),
            issuer: "portcullis:trial".to_owned(),
            acting_for: self.acting_for.clone(),
            acting_for_issuer: None,
            email: None,
            groups: self.groups.clone(),
            token_id: None,
            expires: Timestamp::from_micros(i64::MAX),
        }
    }
}

/// What is asked in a test.
enum Asked<'a> {
    Statement(&'a String),
    Effect(Verb, [&'a str; 2], Extent),
    Column([&'a str; 3]),
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "PolicyTested")]
pub(crate) struct Tested {
    /// The file it stands in.
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) result: Outcome,
    /// What was expected.
    pub(crate) expected: String,
    /// What came, by which rule; or why it was not run.
    pub(crate) came: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PolicyTestOutcome")]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// Nothing can be said: `came` has why.
    NotRun,
}

impl Outcome {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotRun => "not run",
        }
    }
}

impl Tested {
    /// In one line, with whatever is no plain text made visible.
    pub(crate) fn line(&self) -> String {
        let line = format!(
            "{}: `{}`: expected {}, came {}",
            self.file, self.name, self.expected, self.came
        );
        visible::escape(&line).into_owned()
    }
}

impl Fixtures {
    /// Reads a document of tests. An error has the line, where there is one, and what is wrong.
    pub(crate) fn read(text: &str) -> Result<Self, (Option<usize>, String)> {
        let fixtures: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| line_of(text, span.start));
            (line, with_nearest(error.message()))
        })?;
        if fixtures.case.is_empty() || fixtures.case.len() > MOST_CASES {
            return Err((
                None,
                format!("there are 1 to {MOST_CASES} `[[case]]` in a file of tests"),
            ));
        }
        let mut names = BTreeSet::new();
        for case in &fixtures.case {
            let wrong =
                |what: &str| (None, format!("case `{}`: {what}", visible::escape(&case.name)));
            if case.name.is_empty() || case.name.len() > 200 {
                return Err(wrong("a name has 1 to 200 bytes"));
            }
            if !names.insert(&case.name) {
                return Err(wrong("it is there twice"));
            }
            case.asked().map_err(wrong)?;
            if case.connection.as_ref().or(fixtures.connection.as_ref()).is_none() {
                return Err(wrong("say on which `connection`, here or above all cases"));
            }
            if case.principal.as_ref().or(fixtures.principal.as_ref()).is_none() {
                return Err(wrong("say which `principal` asks, here or above all cases"));
            }
        }
        Ok(fixtures)
    }

    /// What came of each.
    fn run(&self, file: &str, rules: &Rules, deadline: Instant) -> Vec<Tested> {
        self.case
            .iter()
            .map(|case| {
                let expected = match &case.rule {
                    Some(rule) => format!("{} by `{rule}`", case.expect.as_str()),
                    None => case.expect.as_str().to_owned(),
                };
                let (result, came) = match Instant::now() > deadline {
                    true => (
                        Outcome::Failed,
                        format!("not run: all tests take over {} s", PATIENCE.as_secs()),
                    ),
                    false => self.tried(case, rules),
                };
                Tested { file: file.to_owned(), name: case.name.clone(), result, expected, came }
            })
            .collect()
    }

    fn tried(&self, case: &Case, rules: &Rules) -> (Outcome, String) {
        let name = case.connection.as_ref().or(self.connection.as_ref());
        let who = case.principal.as_ref().or(self.principal.as_ref());
        let (Some(name), Some(who), Ok(asked)) = (name, who, case.asked()) else {
            return (Outcome::NotRun, "not run: it is not whole".to_owned());
        };
        let trial = match Trial::of(rules, &who.principal(), name) {
            Ok(trial) => trial,
            Err(why) => return (Outcome::Failed, why.to_string()),
        };
        let (said, early) = match asked {
            Asked::Column(path) => {
                let masked = trial.masks(path);
                let by = masked.as_ref().map(|rule| format!("mask by `{rule}`"));
                let good = masked.is_some() == (case.expect == Expected::Mask)
                    && case.rule.as_ref().is_none_or(|rule| masked.as_ref() == Some(rule));
                let result = if good { Outcome::Passed } else { Outcome::Failed };
                return (result, by.unwrap_or_else(|| "show".to_owned()));
            }
            _ if let Some(said) = trial.turned_away() => (said, Some("the log-in is")),
            Asked::Effect(verb, path, extent) => (trial.on_relation(verb, path, extent), None),
            Asked::Statement(text) => {
                let around = Circumstances {
                    in_transaction: case.in_transaction,
                    ..Circumstances::default()
                };
                let texts = Texts { statements: std::slice::from_ref(text), parameters: &[] };
                match trial.request(texts, &around) {
                    Ok(tried) => {
                        let unread = tried.operation.is_none();
                        (tried.said, unread.then_some("it cannot be read, so it is"))
                    }
                    Err(why @ Untried::UnreadCatalog(_)) => {
                        return (Outcome::NotRun, format!("not run: {why}"));
                    }
                    Err(why) => return (Outcome::Failed, why.to_string()),
                }
            }
        };
        let expected = match case.expect {
            Expected::Hold => Word::Hold,
            Expected::Refuse => Word::Refuse,
            _ => Word::Allow,
        };
        let by = case.rule.as_ref().is_none_or(|rule| said.rules.contains(rule));
        // A group with a typing error, or a statement with one, would pass for what is meant to be refused.
        let meant = early.is_none() || case.rule.is_some();
        let good = said.verdict == expected && by && meant;
        let came = match early {
            Some(early) if !meant => format!(
                "{early} {}: name that rule as `rule` where it is what is meant",
                said.line()
            ),
            _ => said.line(),
        };
        (if good { Outcome::Passed } else { Outcome::Failed }, came)
    }
}

impl Case {
    fn asked(&self) -> Result<Asked<'_>, &'static str> {
        let of_column = matches!(self.expect, Expected::Mask | Expected::Show);
        match (&self.statement, &self.does, &self.on, &self.column) {
            (Some(statement), None, None, None) if !of_column && self.extent.is_none() => {
                Ok(Asked::Statement(statement))
            }
            (None, Some(verb), Some(on), None) if !of_column => {
                let verb = Verb::ALL.iter().find(|known| known.as_str() == verb);
                let verb = verb.filter(|verb| OF_RELATIONS.contains(verb)).ok_or(
                    "`does` is read, insert, update, delete, truncate, create, alter, drop or grant; for \
                     anything else write a `statement`",
                )?;
                let word = self.extent.as_deref().unwrap_or("some");
                let extent = Extent::ALL.iter().find(|known| known.as_str() == word);
                let extent = extent.ok_or("`extent` is one, some or all")?;
                let path = on.split_once('.').ok_or("`on` is SCHEMA.TABLE")?;
                Ok(Asked::Effect(*verb, [path.0, path.1], *extent))
            }
            (None, None, None, Some(column)) if of_column && self.extent.is_none() => {
                let mut parts = column.splitn(3, '.');
                let mut part = || parts.next().ok_or("`column` is SCHEMA.TABLE.COLUMN");
                Ok(Asked::Column([part()?, part()?, part()?]))
            }
            _ => Err(
                "it asks one thing: a `statement`, or what it `does` and `on` which table (expect allow, \
                 hold or refuse), or a `column` (expect mask or show)",
            ),
        }
    }
}

/// Runs all tests there are. On a thread that reads statements.
pub(crate) fn run(fixtures: &BTreeMap<String, Fixtures>, rules: &Rules) -> Vec<Tested> {
    let deadline = Instant::now() + PATIENCE;
    let all = fixtures.iter();
    all.flat_map(|(name, one)| one.run(&format!("tests/{name}.toml"), rules, deadline)).collect()
}

/// What to say of the tests that fail; `None` where none does.
pub(crate) fn failure(tested: &[Tested]) -> Option<String> {
    let failed: Vec<String> =
        tested.iter().filter(|one| one.result == Outcome::Failed).map(Tested::line).collect();
    if failed.is_empty() {
        return None;
    }
    let mut lines: Vec<String> = failed.iter().take(TOLD).cloned().collect();
    if failed.len() > TOLD {
        lines.push(format!("and {} more", failed.len() - TOLD));
    }
    Some(format!("tests of policies fail, so nothing is changed:\n{}", lines.join("\n")))
}

/// What to warn of: tests that were not run.
pub(crate) fn warnings(tested: &[Tested]) -> Vec<String> {
    tested.iter().filter(|one| one.result == Outcome::NotRun).map(Tested::line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_policy::{Policies, pack};
    use std::collections::HashMap;
    use std::sync::Arc;

    const ABOVE: &str = "connection = \"shop\"\n[principal]\nkind = \"agent\"\nname = \"claude\"\n\
        groups = [\"agents\"]\n";

    fn rules() -> Rules {
        let connection = toml::from_str(
            "environment = \"production\"\ngroups = [\"agents\"]\n\
             sensitive = [{ column = \"public.customers.email\", mask = \"partial\" }]\n\
             target = { host = \"127.0.0.1\", database = \"d\", user = \"u\" }\n",
        );
        let text = pack("agent-safe").unwrap().to_owned();
        Rules {
            policies: Arc::new(Policies::load(&[("pack".to_owned(), text)]).unwrap()),
            settings: HashMap::from([("shop".to_owned(), connection.unwrap())]),
            connections: HashMap::new(),
        }
    }

    fn tested(cases: &str) -> Vec<Tested> {
        let fixtures = Fixtures::read(&format!("{ABOVE}{cases}")).unwrap();
        run(&BTreeMap::from([("a".to_owned(), fixtures)]), &rules())
    }

    #[test]
    fn a_test_passes_where_what_comes_is_expected_and_tells_what_came_else() {
        let case = |name: &str, asks: &str, expect: &str| {
            format!("[[case]]\nname = \"{name}\"\n{asks}\nexpect = \"{expect}\"\n")
        };
        let read = "does = \"read\"\non = \"public.orders\"";
        let drop = "does = \"drop\"\non = \"public.orders\"\nextent = \"all\"";
        let email = "column = \"public.customers.email\"";
        let all = [
            case("read", read, "allow"),
            case("drop", drop, "refuse"),
            case("insert", "does = \"insert\"\non = \"public.orders\"", "hold"),
            case("email", email, "mask"),
            case("id", "column = \"public.customers.id\"", "show"),
            case("wrong", drop, "allow"),
            case("by", &format!("{read}\nrule = \"nobody\""), "allow"),
            case("shown", email, "show"),
            case("sql", "statement = \"SELECT 1\"", "allow"),
        ];
        let all = tested(&all.concat());
        let results: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.result)).collect();
        let (good, bad) = (Outcome::Passed, Outcome::Failed);
        assert_eq!(
            results,
            [
                ("read", good),
                ("drop", good),
                ("insert", good),
                ("email", good),
                ("id", good),
                ("wrong", bad),
                ("by", bad),
                ("shown", bad),
                ("sql", Outcome::NotRun),
            ],
            "{all:#?}"
        );
        let told = failure(&all).unwrap();
        assert!(told.contains("tests/a.toml: `wrong`: expected allow, came refuse by `"), "{told}");
        assert!(told.contains("`by`: expected allow by `nobody`, came allow by `"), "{told}");
        assert!(!told.contains("`sql`"), "{told}");
        let warned = warnings(&all).concat();
        assert!(warned.contains("`sql`") && warned.contains("catalog"), "{warned}");
    }

    #[test]
    fn a_connection_that_is_not_there_fails_and_who_is_not_let_in_is_refused() {
        let all = tested(
            "[[case]]\nname = \"gone\"\nconnection = \"old\"\nstatement = \"SELECT 1\"\nexpect = \"allow\"\n\
             [[case]]\nname = \"out\"\nprincipal = { kind = \"agent\", name = \"x\" }\n\
             statement = \"SELECT 1\"\nexpect = \"refuse\"\n\
             [[case]]\nname = \"meant\"\nprincipal = { kind = \"agent\", name = \"x\" }\n\
             statement = \"SELECT 1\"\nexpect = \"refuse\"\nrule = \"default-deny\"\n",
        );
        let results: Vec<_> = all.iter().map(|one| one.result).collect();
        assert_eq!(results, [Outcome::Failed, Outcome::Failed, Outcome::Passed], "{all:#?}");
        assert!(all[1].came.contains("the log-in is refuse"), "{all:#?}");
    }

    #[test]
    fn what_is_no_test_is_told_with_its_place() {
        let wrong = |cases: &str| Fixtures::read(&format!("{ABOVE}{cases}")).unwrap_err();
        let good = "[[case]]\nname = \"a\"\nstatement = \"SELECT 1\"\nexpect = \"allow\"\n";
        assert!(wrong("").1.contains("[[case]]"));
        assert!(wrong(&format!("{good}{good}")).1.contains("twice"));
        let typo = wrong(&good.replace("expect", "expects"));
        assert!(typo.0.is_some() && typo.1.contains("expect"), "{typo:?}");
        assert!(wrong(&good.replace("allow", "mask")).1.contains("one thing"));
        assert!(
            wrong(&good.replace("statement = \"SELECT 1\"", "does = \"reed\"\non = \"a.b\""))
                .1
                .contains("`statement`")
        );
        let turned = wrong(&format!(
            "{good}{}",
            good.replace("\"a\"\n", "\"\\u202ea\"\nextent = \"all\"\n")
        ));
        assert!(
            !turned.1.contains('\u{202e}') && turned.1.to_lowercase().contains("202e"),
            "{turned:?}"
        );
        assert!(Fixtures::read(good).unwrap_err().1.contains("`connection`"));
    }
}
