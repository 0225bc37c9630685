//! Files of cases for tests: SQL with directives, as a person would write it down.
//!
//! ```text
//! -- A comment, before the first case.
//! --! intent: read e-mail addresses backwards
//! --! secret: SELECT email FROM customers
//! SELECT reverse(email) FROM customers
//! --;
//! --! bind: ["1"]
//! SELECT reverse(email) FROM customers WHERE id = $1
//! ```
//!
//! `--! intent:` begins a case. A directive belongs to the statement that comes after it, or to the
//! whole case, as its reader likes. A directive whose value goes on is continued by `--!+ more`.
//! `--;` on a line of its own stands between the statements of a session, which are otherwise left
//! as they are, but for the blank space around them.

use anyhow::{Context as _, bail, ensure};
use std::fs;
use std::path::Path;

/// The directive that begins a case.
const FIRST: &str = "intent";

/// `--! key: value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// What stands before the colon.
    pub key: String,
    /// What comes after it.
    pub value: String,
    /// Which statement of its case comes next, from 0.
    pub statement: usize,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The file's name without its extension.
    pub class: String,
    /// The line it begins at.
    pub line: usize,
    /// What it is after.
    pub intent: String,
    /// All others, in their order.
    pub directives: Vec<Directive>,
    /// What is sent, in its order.
    pub statements: Vec<String>,
}

impl Case {
    /// The values of a directive, in their order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.directives.iter().filter(move |d| d.key == key).map(|d| d.value.as_str())
    }

    /// The value of a directive that is given once at most.
    pub fn one<'a>(&'a self, key: &'a str) -> anyhow::Result<Option<&'a str>> {
        let mut values = self.all(key);
        let first = values.next();
        ensure!(values.next().is_none(), "{self}: `{key}` is given twice");
        Ok(first)
    }

    /// The value of a directive that stands before this statement.
    #[must_use]
    pub fn before(&self, statement: usize, key: &str) -> Option<&str> {
        let mut all = self.directives.iter();
        all.find(|d| d.statement == statement && d.key == key).map(|d| d.value.as_str())
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.sql:{}: {}", self.class, self.line, self.intent)
    }
}

/// The cases of every `.sql` file in a directory, by file name; `known` are the directives there
/// may be beside `intent`.
pub fn read_directory(directory: &Path, known: &[&str]) -> anyhow::Result<Vec<Case>> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .with_context(|| directory.display().to_string())?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|e| e == "sql"));
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let class = file.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        cases.extend(read(&class, &text, known)?);
    }
    Ok(cases)
}

/// The cases of one file.
pub fn read(class: &str, text: &str, known: &[&str]) -> anyhow::Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let at = || format!("{class}.sql:{}", n + 1);
        let directive = line.strip_prefix("--! ");
        if let Some((key, value)) = directive.and_then(|d| d.split_once(':')) {
            let (key, value) = (key.trim(), value.trim().to_owned());
            if key == FIRST {
                cases.iter_mut().last().into_iter().for_each(finish);
                cases.push(new_case(class, n + 1, value));
                continue;
            }
            ensure!(known.contains(&key), "{}: no such directive: {key}", at());
            let case = cases.last_mut().with_context(|| format!("{}: no case yet", at()))?;
            // The text of a statement before the first `--;` has begun where it is not blank.
            let statement = case.statements.len() - 1;
            ensure!(
                case.statements[statement].trim().is_empty(),
                "{}: a directive in the middle of a statement",
                at()
            );
            case.directives.push(Directive { key: key.to_owned(), value, statement });
        } else if let Some(more) = line.strip_prefix("--!+ ") {
            let last = cases.last_mut().and_then(|case| case.directives.last_mut());
            let last = last.with_context(|| format!("{}: nothing to continue", at()))?;
            last.value.push('\n');
            last.value.push_str(more);
        } else if line.starts_with("--!") {
            bail!("{}: a directive is `--! key: value`", at());
        } else if let Some(case) = cases.last_mut() {
            if line == "--;" {
                case.statements.push(String::new());
            } else if let Some(statement) = case.statements.last_mut() {
                statement.push_str(line);
                statement.push('\n');
            }
        } else {
            let blank = line.trim().is_empty() || line.starts_with("--");
            ensure!(blank, "{}: a statement before the first case", at());
        }
    }
    cases.iter_mut().last().into_iter().for_each(finish);
    Ok(cases)
}

fn new_case(class: &str, line: usize, intent: String) -> Case {
    let class = class.to_owned();
    Case { class, line, intent, directives: Vec::new(), statements: vec![String::new()] }
}

/// Blank space around statements is for the reader of the file.
fn finish(case: &mut Case) {
    for statement in &mut case.statements {
        *statement = statement.trim().to_owned();
    }
    if case.statements.last().is_some_and(String::is_empty) {
        case.statements.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_directives_and_statements_are_told_apart() {
        let text = "-- about\n\n--! intent: first\n--! setup: CREATE TABLE x ()\n--! setup: a\n\
                    --!+ b\nSELECT 1\n  -- kept\n--;\n\n--! bind: [1]\nSELECT $1\n\n\
                    --! intent: second\nSELECT 2\n";
        let cases = read("some", text, &["setup", "bind"]).unwrap();
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[0].statements, ["SELECT 1\n  -- kept", "SELECT $1"]);
        assert_eq!(cases[0].all("setup").collect::<Vec<_>>(), ["CREATE TABLE x ()", "a\nb"]);
        assert_eq!(cases[0].before(1, "bind"), Some("[1]"));
        assert_eq!(cases[0].before(0, "bind"), None);
        assert!(cases[0].one("setup").is_err());
        assert_eq!(cases[1].to_string(), "some.sql:14: second");
    }

    #[test]
    fn what_nobody_would_read_is_an_error() {
        for text in [
            "SELECT 1\n--! intent: late\n",
            "--! setup: x\n",
            "--! intent: x\n--! setpu: y\n",
            "--! intent: x\nSELECT 1\n--! setup: y\n",
            "--! intent: x\n--!setup y\n",
            "--!+ y\n",
        ] {
            assert!(read("some", text, &["setup"]).is_err(), "{text}");
        }
    }
}
