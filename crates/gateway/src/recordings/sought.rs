//! What is looked for in statements, and going through the whole journal for it. Beside the life of a request.

use portcullis_core::id::SessionId;
use portcullis_core::journal::{Entry, Event};
use portcullis_core::protocol::Shown;
use portcullis_ledger::hunt::hunt;
use portcullis_ledger::read::ReadError;
use portcullis_ledger::tail::Location;
use regex_automata::meta::{BuildError, Config, Regex};
use regex_automata::util::syntax;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

/// Characters without which a text is in too many lines that do not have it: every line has hexadecimal digits.
const SHORTEST: usize = 3;

/// A text or an object that is looked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sought {
    /// In statements and bound values, whatever its case.
    pub(crate) text: Option<String>,
    /// In what the gateway has read of requests, by which their objects are named.
    pub(crate) object: Option<String>,
}

/// The entries in which something was found: of each session the first.
pub(crate) type Hits = HashMap<SessionId, (u64, Location)>;

impl Sought {
    pub(crate) const fn is_nothing(&self) -> bool {
        self.text.is_none() && self.object.is_none()
    }

    /// Whether an entry of a request has it.
    pub(crate) fn is_in(&self, event: &Event) -> bool {
        let (Event::Intent { operation, shown, .. }
        | Event::Refused { operation, shown, .. }
        | Event::Held { operation, shown, .. }) = event
        else {
            return false;
        };
        self.has(operation, shown)
    }

    fn has(&self, operation: &str, shown: &Shown) -> bool {
        let within = |text: &str, what: &str| text.to_lowercase().contains(&what.to_lowercase());
        let object = self.object.as_ref().is_none_or(|object| within(operation, object));
        object
            && self.text.as_ref().is_none_or(|text| {
                let values = shown.parameters.iter().flatten().flatten();
                shown.statements.iter().chain(values).any(|said| within(said, text))
            })
    }

    /// What finds the lines of the journal that may have it: the longer of the two, as JSON writes it and in any
    /// case. `None` where that is in so many lines that it is no help.
    pub(crate) fn finder(&self) -> Option<Result<Regex, BuildError>> {
        let what =
            [&self.text, &self.object].into_iter().flatten().max_by_key(|what| what.len())?;
        if what.chars().count() < SHORTEST {
            return None;
        }
        let json = serde_json::to_string(what).ok()?;
        let mut pattern = String::with_capacity(json.len() * 4);
        for c in json.strip_prefix('"')?.strip_suffix('"')?.chars() {
            match c.is_alphanumeric() {
                true => pattern.push(c),
                false => write!(pattern, "\\x{{{:x}}}", u32::from(c)).ok()?,
            }
        }
        let config = Config::new().utf8_empty(false);
        let syntax = syntax::Config::new().case_insensitive(true).utf8(false);
        Some(Regex::builder().configure(config).syntax(syntax).build(&pattern))
    }

    /// Goes through the whole journal below `directory` for it. `None` where that was broken off, or is no help.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(crate) fn hunt(
        &self,
        directory: &Path,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<Hits>, ReadError> {
        let Some(Ok(finder)) = self.finder() else { return Ok(None) };
        let find = |bytes: &[u8]| finder.find(bytes).map(|found| found.start());
        let mut hits = Hits::new();
        let whole = hunt(directory, &find, goes_on, &mut |found| {
            // Of a session that has it already, only what came before matters.
            let session = found.facts().ok().and_then(|facts| facts.session);
            let known = session.and_then(|session| hits.get(&session));
            if known.is_some_and(|(first, _)| *first < found.sequence) {
                return Ok(ControlFlow::Continue(()));
            }
            if let Ok(Entry { session: Some(session), event, .. }) = found.entry()
                && self.is_in(&event)
            {
                hits.insert(session, (found.sequence, found.location));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(whole.then_some(hits))
    }
}

/// A request that was found.
#[derive(Debug, Serialize)]
pub(crate) struct FoundEntry {
    /// The number of its entry in the journal.
    pub(crate) entry: u64,
    /// What it says.
    #[serde(flatten)]
    pub(crate) what: Entry,
}

impl Sought {
    /// The newest `most` requests that have it and are `wanted`, in their order.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(crate) fn all(
        &self,
        directory: &Path,
        most: usize,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Vec<FoundEntry>, ReadError> {
        let finder = self.finder().and_then(Result::ok);
        // Where that is no help every line is looked at.
        let find = |bytes: &[u8]| match &finder {
            Some(finder) => finder.find(bytes).map(|found| found.start()),
            None => (!bytes.is_empty()).then_some(0),
        };
        let mut newest = BTreeMap::new();
        hunt(directory, &find, &|| true, &mut |found| {
            if let Ok(what) = found.entry()
                && self.is_in(&what.event)
                && wanted(&what.event)
            {
                newest.insert(found.sequence, FoundEntry { entry: found.sequence, what });
                if newest.len() > most {
                    newest.pop_first();
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(newest.into_values().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Sought {
        Sought { text: Some(text.to_owned()), object: None }
    }

    #[test]
    fn the_lines_that_have_a_text_are_found_however_json_writes_it() {
        let said = "SELECT \"É\u{1b}\\ '10%' \u{202e}FROM\n\tÖrtliche.Straße";
        let line = serde_json::to_string(said).unwrap();
        for part in [
            "select",
            "\"é\u{1b}\\",
            "'10%'",
            "from\n\tö",
            "STRASSE".replace("SS", "ß").as_str(),
            ".straß",
            "\u{202e}from",
            "\\ '",
        ] {
            let shown = Shown { statements: vec![said.to_owned()], ..Shown::default() };
            assert!(text(part).has("", &shown), "{part:?}");
            let finder = text(part).finder().unwrap().unwrap();
            assert!(finder.is_match(line.as_bytes()), "{part:?} in {line}");
        }
        // Nothing of it is a pattern.
        for other in ["sel.ct", "10[%]", "(SELECT)", "^SELECT", "É|x"] {
            assert!(!text(other).finder().unwrap().unwrap().is_match(line.as_bytes()), "{other}");
        }
        assert!(text("ab").finder().is_none() && Sought::default().finder().is_none());
    }
}
