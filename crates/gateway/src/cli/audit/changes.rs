//! The record as a page shows it: whether it verifies, what that proves and what it does not, and what people
//! have changed lately.

use super::{VerifyOptions, passkeys, verify_as_it_is};
use portcullis_core::journal::{Entry, Event};
use portcullis_core::principal::By;
use portcullis_core::time::Timestamp;
use portcullis_ledger::read::entries;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::VecDeque;
use std::path::Path;

/// Most changes that are told, and most attempts: these take nobody's place in the other list.
const MOST: usize = 200;

/// What verifying the record has found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "VerifiedRecord")]
pub(crate) struct Verified {
    /// When it began.
    pub(crate) at: Timestamp,
    /// How long it took, in milliseconds.
    pub(crate) milliseconds: u64,
    /// Nothing is wrong.
    good: bool,
    /// Entries in the journal, where nothing is wrong.
    entries: u64,
    /// Signed heads among them.
    heads: u64,
    /// Entries the newest head commits to.
    head_size: u64,
    /// When that was signed, by the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    head_time: Option<String>,
    /// Hash of the last entry.
    last_hash: String,
    /// Signatures of people by passkey, all of them right.
    passkeys: u64,
    /// What `portcullis audit verify` says: the first thing that is wrong, where something is.
    said: String,
    #[serde(flatten)]
    lately: Lately,
}

/// What people have done lately, as far as the record can be read.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "AdministrativeChanges")]
struct Lately {
    /// What they have changed, the last first.
    changes: Vec<Change>,
    /// What they were refused, the last first.
    attempts: Vec<Change>,
    /// Why nothing behind some entry is told, where an entry cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<String>,
}

/// Something that somebody has changed, or was refused.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "AdministrativeChange")]
pub(crate) struct Change {
    /// The number of its entry in the journal.
    entry: u64,
    at: Timestamp,
    /// Who: a subject. The gateway itself where nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// Who vouches for that subject, where it is a principal's.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_issuer: Option<String>,
    /// What became of it, in words.
    what: &'static str,
    /// Of which.
    of: String,
    /// Why, as it was said then.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Verified {
    /// Verifies the record below a directory, with the key beside it, while it is being written or not.
    pub(crate) fn of(directory: &Path) -> Self {
        let mut found = Self {
            at: Timestamp::from_micros(0),
            milliseconds: 0,
            good: false,
            entries: 0,
            heads: 0,
            head_size: 0,
            head_time: None,
            last_hash: String::new(),
            passkeys: 0,
            said: String::new(),
            lately: Lately::of(directory),
        };
        let options = VerifyOptions { public_key: None, expected_head: None, live: false };
        let all = verify_as_it_is(directory, options)
            .and_then(|report| passkeys::verified(directory).map(|proofs| (report, proofs)));
        match all {
            Err(finding) => found.said = finding.to_string(),
            Ok((report, proofs)) => {
                found.good = true;
                found.said = report.to_string();
                found.last_hash = report.last_hash.clone();
                (found.entries, found.heads) = (report.entries, report.heads);
                (found.head_size, found.head_time) = (report.head_size, report.head_time);
                found.passkeys = proofs;
            }
        }
        found
    }
}

impl Lately {
    fn of(directory: &Path) -> Self {
        let (mut changes, mut attempts) = (VecDeque::new(), VecDeque::new());
        let read = entries(directory).and_then(|entries| {
            for entry in entries {
                let (sequence, entry) = entry?;
                let Some(change) = change(sequence, &entry) else { continue };
                let last = if is_attempt(&entry.event) { &mut attempts } else { &mut changes };
                if last.len() == MOST {
                    last.pop_front();
                }
                last.push_back(change);
            }
            Ok(())
        });
        let newest = |last: VecDeque<Change>| last.into_iter().rev().collect();
        let unread = read.err().map(|error| error.to_string());
        Self { changes: newest(changes), attempts: newest(attempts), unread }
    }
}

/// Whoever is refused may try as often as it likes.
const fn is_attempt(event: &Event) -> bool {
    matches!(event, Event::AdministrationRefused { .. } | Event::DocumentsKept { .. })
}

fn change(sequence: u64, entry: &Entry) -> Option<Change> {
    let session = || entry.session.map(|id| id.to_string()).unwrap_or_default();
    let (what, of, by, why) = match &entry.event {
        Event::SessionKilled { by, reason } => {
            ("ended a session", session(), Some(by.clone()), Some(reason.clone()))
        }
        Event::SessionPaused { by, reason, .. } => {
            ("paused a session", session(), Some(by.clone()), Some(reason.clone()))
        }
        Event::SessionResumed { by } => ("let a session go on", session(), by.clone(), None),
        Event::Frozen { freeze, by } => {
            ("froze agents", freeze.id.to_string(), Some(by.clone()), Some(freeze.reason.clone()))
        }
        Event::Thawed { freeze, by, why } => {
            ("thawed agents", freeze.to_string(), Some(by.clone()), why.clone())
        }
        Event::DocumentChanged { kind, name, before, after, by, .. } => {
            let what = match (before, after) {
                (None, _) => "made a document",
                (Some(_), Some(_)) => "changed a document",
                (Some(_), None) => "removed a document",
            };
            (what, format!("{kind}.{name}"), Some(by.clone()), None)
        }
        Event::DocumentsKept { set, by, why } => {
            let of = format!("revision {set}");
            ("was refused a change of documents", of, Some(by.clone()), Some(why.clone()))
        }
        Event::AccessDecided { grant, by, decision, reason, .. } => {
            let what = if decision == "approved" { "granted access" } else { "rejected access" };
            (what, grant.to_string(), Some(By::from(by)), reason.clone())
        }
        Event::AccessEnded { grant, by: Some(by), reason, .. } => {
            ("ended access", grant.to_string(), Some(By::from(by)), reason.clone())
        }
        Event::CredentialRevoked { credential, by, .. } => {
            ("revoked a credential", credential.to_string(), Some(by.clone()), None)
        }
        Event::PatternRevoked { pattern, by, .. } => {
            ("took a pattern back", pattern.to_string(), Some(by.clone()), None)
        }
        Event::PasskeyRegistered { passkey, principal, .. } => {
            ("registered a passkey", passkey.to_string(), Some(By::from(principal)), None)
        }
        Event::PasskeyRemoved { passkey, by, .. } => {
            ("removed a passkey", passkey.to_string(), Some(by.clone()), None)
        }
        Event::AdministrationRefused { by, what, why } => {
            ("was refused", what.clone(), Some(by.clone()), Some(why.clone()))
        }
        Event::Started { version, .. } => ("the gateway was started", version.clone(), None, None),
        _ => return None,
    };
    let (by, by_issuer) = by.map_or((None, None), |by| (Some(by.subject), by.issuer));
    Some(Change { entry: sequence, at: entry.at, by, by_issuer, what, of, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_change_is_told_and_what_callers_do_is_not() {
        let at = Timestamp::from_micros(7);
        let told = |event| change(3, &Entry::outside(at, event));
        let changed = Event::DocumentChanged {
            set: 4,
            kind: "policy".to_owned(),
            name: "x".to_owned(),
            before: Some("a".to_owned()),
            after: None,
            by: By { subject: "u-ada".to_owned(), issuer: Some("https://a".to_owned()) },
        };
        let told_of = told(changed).unwrap();
        assert_eq!((told_of.what, told_of.of.as_str()), ("removed a document", "policy.x"));
        assert_eq!((told_of.entry, told_of.by.as_deref()), (3, Some("u-ada")));
        assert_eq!(told_of.by_issuer.as_deref(), Some("https://a"));
        assert_eq!(told(Event::Governed { documents: 1, policy: "p".to_owned() }), None);
    }
}
