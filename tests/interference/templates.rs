//! What expressions are made of: `templates.txt`, by section.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A line of `templates.txt`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Template {
    pub(crate) text: &'static str,
    /// It does more than carry what it is made of: mostly made of plain columns.
    pub(crate) reads: bool,
    /// Taken one time in twelve that it comes up.
    pub(crate) rare: bool,
    /// The first major version that has it.
    since: u32,
}

static TEMPLATES: LazyLock<HashMap<&'static str, Vec<Template>>> = LazyLock::new(|| {
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    let mut section = "";
    let lines = include_str!("templates.txt").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => section = name,
            None => all.entry(section).or_default().push(template(line)),
        }
    }
    all
});

fn template(line: &'static str) -> Template {
    let (text, since) = match line.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
        Some((since, text)) => (text, since.parse().unwrap()),
        None => (line, 0),
    };
    let (text, rare) = text.strip_prefix("?? ").map_or((text, false), |text| (text, true));
    let (text, reads) = text.strip_prefix("!! ").map_or((text, false), |text| (text, true));
    Template { text, reads, rare, since }
}

/// Those of a section that a server of that version has.
pub(crate) fn templates(section: &str, version: u32) -> Vec<Template> {
    TEMPLATES[section].iter().filter(|t| t.since <= version).copied().collect()
}
