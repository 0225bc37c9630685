//! A corpus of statements: files of cases, each with a title, directives and statements. The same
//! format serves statements that must pass and statements that must not.
//!
//! ```text
//! -- What is in this file, and from which tool in which version.
//!
//! --! a title
//! --! bind: ["1", null]
//! --! volatile
//! SELECT $1::int, $2::text
//! --;
//! SELECT 'the second statement of the same session'
//! ```
//!
//! A run of lines that begin with `--!` starts a case: the first is its title, each further one a
//! directive, `key` or `key: value`. A key may be repeated, its values then keep their order. What
//! follows is sent as it is, without blank lines around it; lines that say `--;` part statements
//! that share a session. What the directives mean is the test's business, but for two: `needs: 17`
//! and `until: 15` say what versions of PostgreSQL the case is about, from and up to.

use anyhow::{Context as _, bail, ensure};
use std::fs;
use std::path::Path;

/// The mark of titles and directives.
const MARK: &str = "--!";

/// One case of a corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The file it stands in, without directory and extension.
    pub file: String,
    /// The line of its title, from one.
    pub line: usize,
    /// What it is about.
    pub title: String,
    /// Key and value of its directives, as they stand; a directive without a value has an empty one.
    pub directives: Vec<(String, String)>,
    /// What is sent, in one session.
    pub statements: Vec<String>,
}

impl Case {
    /// The first value of a directive; empty where it stands without one.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.directives.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// All values of a directive.
    pub fn values<'c>(&'c self, key: &'c str) -> impl Iterator<Item = &'c str> {
        self.directives.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// True where the directive stands there.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The words of a directive's value, parted by commas.
    #[must_use]
    pub fn list(&self, key: &str) -> Vec<&str> {
        let values = self.directives.iter().filter(|(k, _)| k == key);
        let words = values.flat_map(|(_, value)| value.split(','));
        words.map(str::trim).filter(|word| !word.is_empty()).collect()
    }

    /// The values to send with the statement of that place, from the `bind` directive of the same
    /// place: a JSON array of texts and nulls. `None` where it is to be sent as a simple query,
    /// for which a `null` can stand.
    pub fn bound(&self, place: usize) -> anyhow::Result<Option<Vec<Option<String>>>> {
        let Some(value) = self.values("bind").nth(place) else { return Ok(None) };
        serde_json::from_str(value).with_context(|| format!("{self}: bind: {value}"))
    }

    /// True where the case is about servers of that major version.
    pub fn is_about(&self, version: u32) -> anyhow::Result<bool> {
        let bound = |key| {
            let value = self.value(key).map(str::parse::<u32>).transpose();
            value.with_context(|| format!("{self}: {key}: no version"))
        };
        Ok(bound("needs")?.is_none_or(|first| version >= first)
            && bound("until")?.is_none_or(|last| version <= last))
    }

    /// That the case has no other directives than these, which would go unheeded.
    pub fn allows(&self, keys: &[&str]) -> anyhow::Result<()> {
        let known = |key: &str| ["needs", "until"].contains(&key) || keys.contains(&key);
        match self.directives.iter().find(|(key, _)| !known(key)) {
            Some((key, _)) => bail!("{self}: no such directive: {key}"),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.sql:{} {}", self.file, self.line, self.title)
    }
}

/// The cases of every `.sql` file of a directory, by file name and place.
pub fn read(directory: &Path) -> anyhow::Result<Vec<Case>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut files = entries.map(|e| Ok(e?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|e| e == "sql"));
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        cases.extend(parse(&name, &text)?);
    }
    Ok(cases)
}

/// The cases of one file.
pub fn parse(file: &str, text: &str) -> anyhow::Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    // The lines of the statement at hand; `None` among titles and directives.
    let mut body: Option<Vec<&str>> = None;
    let mut in_header = true;
    for (place, line) in text.lines().enumerate() {
        if let Some(mark) = line.strip_prefix(MARK) {
            let mark = mark.trim();
            if let (false, None, Some(case)) = (in_header, &body, cases.last_mut()) {
                let (key, value) = mark.split_once(':').unwrap_or((mark, ""));
                case.directives.push((key.trim().to_owned(), value.trim().to_owned()));
                continue;
            }
            finish(cases.last_mut(), body.take())?;
            in_header = false;
            cases.push(Case {
                file: file.to_owned(),
                line: place + 1,
                title: mark.to_owned(),
                directives: Vec::new(),
                statements: Vec::new(),
            });
        } else if in_header {
            let comment = line.is_empty() || line.starts_with("--");
            ensure!(comment, "{file}.sql:{}: a statement before the first title", place + 1);
        } else if line == "--;" {
            finish(cases.last_mut(), body.replace(Vec::new()))?;
        } else {
            body.get_or_insert_default().push(line);
        }
    }
    finish(cases.last_mut(), body)?;
    for case in &cases {
        ensure!(!case.title.is_empty(), "{case}: no title");
        ensure!(!case.statements.is_empty(), "{case}: nothing to send");
    }
    Ok(cases)
}

/// Puts a statement into its case.
fn finish(case: Option<&mut Case>, body: Option<Vec<&str>>) -> anyhow::Result<()> {
    let (Some(case), Some(body)) = (case, body) else { return Ok(()) };
    let blank = |line: &&&str| line.trim().is_empty();
    let before = body.iter().take_while(blank).count();
    let after = body.iter().rev().take_while(blank).count();
    let lines = body.get(before..body.len().saturating_sub(after)).unwrap_or_default();
    ensure!(!lines.is_empty(), "{case}: an empty statement");
    case.statements.push(lines.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Case, parse};

    const TEXT: &str = "-- A header.\n\n--! one: with a colon\n--! bind: [\"1\", null]\n--! effect: a: b\n\
                        --! volatile\nSELECT 1,\n\n  '--! x'\n\n--;\nSELECT 2\n\n--! two\nSELECT 3\n";

    #[test]
    fn cases_have_titles_directives_and_statements() {
        let cases = parse("f", TEXT).unwrap();
        let [one, two] = cases.as_slice() else { panic!("{cases:?}") };
        assert_eq!((one.title.as_str(), one.line), ("one: with a colon", 3));
        assert_eq!(one.statements, ["SELECT 1,\n\n  '--! x'", "SELECT 2"]);
        assert_eq!(one.value("effect"), Some("a: b"));
        assert!(one.has("volatile") && !one.has("secret"));
        assert_eq!(one.bound(0).unwrap(), Some(vec![Some("1".to_owned()), None]));
        assert_eq!(one.bound(1).unwrap(), None);
        assert!(one.allows(&["bind", "effect", "volatile"]).is_ok() && one.allows(&[]).is_err());
        assert_eq!(two.to_string(), "f.sql:14 two");
        assert_eq!(two.statements, ["SELECT 3"]);
    }

    #[test]
    fn what_would_go_unsent_is_an_error() {
        let refused = |text: &str| parse("f", text).is_err();
        assert!(refused("SELECT 1\n--! late\nSELECT 2"));
        assert!(refused("--! a\n--! b: c\n"));
        assert!(refused("--! a\nSELECT 1\n--;\n\n--! b\nSELECT 2"));
        assert!(refused("--!\nSELECT 1"));
        assert!(!refused("-- nothing yet\n"));
    }

    #[test]
    fn some_cases_are_about_some_versions() {
        let about = |directives: &str, version| {
            let cases = parse("f", &format!("--! a\n{directives}q")).unwrap();
            assert!(cases[0].allows(&[]).is_ok());
            cases[0].is_about(version).unwrap()
        };
        assert!(about("", 13));
        assert!(about("--! needs: 17\n", 17) && !about("--! needs: 17\n", 16));
        assert!(about("--! until: 15\n", 15) && !about("--! until: 15\n", 16));
        assert!(!about("--! needs: 14\n--! until: 15\n", 13));
        let wrong = parse("f", "--! a\n--! needs: new\nq").unwrap();
        assert!(wrong[0].is_about(18).is_err());
    }

    #[test]
    fn lists_are_parted_by_commas() {
        let case: Case = parse("f", "--! a\n--! masked: x, y\n--! masked: z\nq").unwrap().remove(0);
        assert_eq!(case.list("masked"), ["x", "y", "z"]);
    }
}
