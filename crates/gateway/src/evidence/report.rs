//! What a pack says in words: four questions that every auditor asks, and the clauses. Everything in it rests on entries
//! of the pack, which are named by their numbers.

use super::Wanted;
use super::controls::Answers;
use crate::config::Config;
use portcullis_core::id::SessionId;
use portcullis_core::journal::{Entry, Event, Status};
use portcullis_core::time::Timestamp;
use portcullis_ledger::evidence::Range;
use portcullis_ledger::visible::{escape, rfc3339};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Lines of one list, at most: the entries have all.
const LINES: usize = 200;
/// Longest text of a statement, in characters.
const LONGEST: usize = 240;

/// What is gathered, entry by entry.
#[derive(Default)]
pub(super) struct Report {
    events: BTreeMap<String, u64>,
    who: BTreeMap<SessionId, String>,
    authorised: List,
    prevented: List,
    refused_by: BTreeMap<String, u64>,
    changed: List,
    order: List,
    rows: u64,
    masked: u64,
    statuses: BTreeMap<&'static str, u64>,
}

/// Lines of a list, and how many there would be.
#[derive(Default)]
struct List {
    lines: Vec<String>,
    count: u64,
}

impl List {
    fn add(&mut self, sequence: u64, at: Timestamp, text: &str) {
        self.count += 1;
        if self.lines.len() < LINES {
            self.lines.push(format!("- entry {sequence}, {}: {text}", rfc3339(at)));
        }
    }

    fn write(&self, out: &mut String) {
        for line in &self.lines {
            let _ = writeln!(out, "{line}");
        }
        let more = self.count - self.lines.len() as u64;
        if self.count == 0 {
            let _ = writeln!(out, "None.");
        } else if more > 0 {
            let _ = writeln!(out, "- and {more} more in `entries.jsonl`");
        }
        out.push('\n');
    }
}

/// Somebody else's text: nothing in it is read as Markdown.
fn code(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", escape(&cut).replace('`', "'"))
}

fn joined(all: &[String]) -> String {
    code(&all.join("; "))
}

impl Report {
    pub(super) fn take(&mut self, sequence: u64, entry: Entry) {
        let Entry { at, session, event, .. } = entry;
        let word = serde_json::to_value(&event).ok();
        let word = word.as_ref().and_then(|v| v.get("event")?.as_str()).unwrap_or_default();
        *self.events.entry(word.to_owned()).or_default() += 1;
        let who = session.and_then(|session| self.who.get(&session).cloned());
        let who = who.unwrap_or_else(|| session.map(|s| code(&s.to_string())).unwrap_or_default());
        match event {
            Event::SessionOpened { standing, peer, .. } => {
                let (who, on) = (code(&standing.principal.to_string()), &standing.connection);
                let text = format!(
                    "{who} from {} to {} as {}",
                    code(&peer),
                    code(&on.name),
                    code(&on.role)
                );
                self.who.extend(session.map(|session| (session, who)));
                self.order.add(sequence, at, &text);
            }
            Event::SessionClosed { reason, .. } => {
                self.order.add(sequence, at, &format!("{who} ended: {}", code(&reason)));
            }
            Event::Intent { operation, shown, rules, review, .. } => {
                let by = review.map(|r| format!("approved in {r}"));
                let by = by.unwrap_or_else(|| format!("permitted by {}", joined(&rules)));
                let what = joined(&shown.statements);
                let text = format!("{who}: {}, {by}: {what}", code(&operation));
                self.order.add(sequence, at, &text);
            }
            Event::Outcome { status, rows, masked, .. } => self.outcome(status, rows, masked),
            Event::Refused { operation, refusal, .. } => {
                *self.refused_by.entry(refusal.rule.clone()).or_default() += 1;
                let text =
                    format!("{who}: {} refused by {}", code(&operation), code(&refusal.rule));
                self.prevented.add(sequence, at, &text);
            }
            other => self.other(sequence, at, &who, other),
        }
    }

    fn outcome(&mut self, status: Status, rows: u64, masked: u64) {
        *self.statuses.entry(status.as_str()).or_default() += 1;
        (self.rows, self.masked) =
            (self.rows.saturating_add(rows), self.masked.saturating_add(masked));
    }

    fn other(&mut self, sequence: u64, at: Timestamp, who: &str, event: Event) {
        match event {
            Event::LoginRefused { principal, connection, refusal, .. } => {
                let who = code(&principal.unwrap_or_default());
                let text = format!(
                    "{who} was not let in to {}: {}",
                    code(&connection),
                    code(&refusal.what)
                );
                self.prevented.add(sequence, at, &text);
            }
            Event::Held { ticket, operation, .. } => {
                let groups: Vec<_> = ticket.groups.into_iter().collect();
                let text = format!(
                    "{who}: {} held in {} for {}",
                    code(&operation),
                    ticket.review,
                    joined(&groups)
                );
                self.authorised.add(sequence, at, &text);
            }
            Event::Decided { review, by, decision, passkey, .. } => {
                let proof = if passkey.is_some() { ", with a passkey" } else { "" };
                let text = format!("{} {} {review}{proof}", code(&by.to_string()), code(&decision));
                self.authorised.add(sequence, at, &text);
            }
            Event::AccessBegun { principal, connection, until, approved_by, .. } => {
                let by: Vec<_> = approved_by.iter().map(ToString::to_string).collect();
                let text = format!(
                    "{} has access to {} until {}, given by {}",
                    code(&principal.to_string()),
                    code(&connection),
                    rfc3339(until),
                    joined(&by)
                );
                self.authorised.add(sequence, at, &text);
            }
            Event::DocumentChanged { kind, name, by, .. } => {
                let text = format!(
                    "{} changed {}",
                    code(&by.to_string()),
                    code(&format!("{kind}/{name}"))
                );
                self.changed.add(sequence, at, &text);
            }
            Event::SessionKilled { by, reason } => {
                let text = format!(
                    "{} ended the session of {who}: {}",
                    code(&by.to_string()),
                    code(&reason)
                );
                self.prevented.add(sequence, at, &text);
            }
            Event::Frozen { by, .. } => {
                let text = format!("{} froze what agents do", code(&by.to_string()));
                self.prevented.add(sequence, at, &text);
            }
            _ => {}
        }
    }

    /// The report, as Markdown.
    pub(super) fn text(
        &self,
        wanted: &Wanted,
        part: &Range,
        answers: &Answers,
        config: &Config,
    ) -> String {
        let mut out = String::new();
        let (from, to) = (rfc3339(wanted.from), rfc3339(wanted.to));
        let Range { first, end, size, .. } = part;
        let _ = writeln!(
            out,
            "# Evidence from {from} to {to}\n\n\
             Entries {first} to {} of the journal, all of them, of {size} that the checkpoint commits to. What follows is a \
             summary; what counts is `entries.jsonl`. Check it, with a key that you did not get with it:\n\n    \
             portcullis-verify --evidence . --key journal.vkey\n\n\
             How the files are checked without that program is in `FORMAT.md` of the source.\n",
            end.saturating_sub(1)
        );
        let _ = writeln!(out, "| event | entries |\n| --- | --- |");
        for (event, count) in &self.events {
            let _ = writeln!(out, "| {} | {count} |", escape(event));
        }
        out.push_str("\n## Who authorised it?\n\nRequests that waited for people, what was decided and by whom, and access given for a time.\n\n");
        self.authorised.write(&mut out);
        self.prevention(&mut out);
        out.push_str("## What happened, in order?\n\n");
        self.order.write(&mut out);
        self.protection(&mut out, config);
        out.push_str("## By clause\n\n| control | clause | what the record shows | entries | the first |\n| --- | --- | --- | --- | --- |\n");
        for (control, answered) in answers.all() {
            let some: Vec<_> = answered.entries.iter().take(5).map(u64::to_string).collect();
            let (clause, shows, count) = (answered.clause, answered.shows, answered.count);
            let _ =
                writeln!(out, "| {control} | {clause} | {shows} | {count} | {} |", some.join(", "));
        }
        out.push_str("\n`controls.json` has all numbers. A clause is met by more than a record: what is not in this table is for other evidence.\n");
        out
    }

    fn prevention(&self, out: &mut String) {
        out.push_str(
            "## How are unauthorised actions prevented?\n\nEvery request is parsed and judged before the target sees it, by the rules in \
             `rules.json` (those of now; entries `governed` and `document_changed` say which were in force when). What no rule \
             permits, and what cannot be parsed, is refused. Refused, by rule:\n\n",
        );
        if self.refused_by.is_empty() {
            out.push_str("None.\n");
        }
        for (rule, count) in &self.refused_by {
            let _ = writeln!(out, "- {}: {count}", code(rule));
        }
        out.push('\n');
        self.prevented.write(out);
        out.push_str("Changes of rules and of who callers are:\n\n");
        self.changed.write(out);
    }

    fn protection(&self, out: &mut String, config: &Config) {
        let _ = writeln!(
            out,
            "## How is data protected?\n\nOf {} rows that were returned, {} values were masked. Outcomes: {}.\n",
            self.rows,
            self.masked,
            self.statuses.iter().map(|(s, n)| format!("{n} {s}")).collect::<Vec<_>>().join(", ")
        );
        for (name, connection) in &config.connections {
            let columns: Vec<_> = connection.sensitive.iter().map(|c| c.column.clone()).collect();
            let detectors = match &connection.detectors {
                None => "those that are on by default".to_owned(),
                Some(none) if none.is_empty() => "none".to_owned(),
                Some(some) => joined(some),
            };
            let columns = if columns.is_empty() { "none".to_owned() } else { joined(&columns) };
            let _ = writeln!(
                out,
                "- {}: masked columns {columns}; content detectors {detectors}",
                code(name)
            );
        }
        let sealed = config.recording.sealed_to().len();
        let _ = writeln!(
            out,
            "\nRecordings are {}. Rules of retention: {}. Legal holds: {}. Callers never have a target's credential.\n",
            if sealed > 0 {
                format!("sealed to {sealed} public keys")
            } else {
                "not sealed".to_owned()
            },
            config.retention.len(),
            config.holds.len()
        );
    }
}
