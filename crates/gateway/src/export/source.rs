//! The journal's entries in order, each checked by its hash and by the chain, with what is known of its session.

use super::standing::{Known, Sessions};
use portcullis_core::digest::Digest;
use portcullis_core::time::Timestamp;
use portcullis_ledger::read::ReadError;
use portcullis_ledger::tail::{Found, Position, Tail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What stands in the journal, or should.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// The entry's number.
    pub(crate) sequence: u64,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// An entry that is whole by its hash.
    Entry(Box<Item>),
    /// There is something that is no entry, or none where one has to be.
    Gap {
        /// How many entries are missing before this number.
        missing: u64,
        /// How many lines are no entries of the journal.
        lines: u64,
        /// True where what is missing was removed by the rules of retention, and nothing else is wrong.
        removed: bool,
        /// When the entry behind it happened.
        at: Timestamp,
        why: String,
    },
    /// An entry whose content could not be told.
    Withheld { hash: Digest, at: Timestamp, why: String },
}

/// An entry.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) hash: Digest,
    pub(crate) prev: Digest,
    /// Its line without the hash.
    pub(crate) text: String,
    /// What it says; null where that is no JSON.
    pub(crate) entry: Value,
    pub(crate) at: Timestamp,
    /// Its session and request.
    pub(crate) known: Known,
}

impl Item {
    /// The word for what happened.
    pub(crate) fn event(&self) -> &str {
        super::text(&self.entry, "/event")
    }
}

impl Piece {
    /// The entry, where there is one.
    pub(crate) fn item(&self) -> Option<&Item> {
        match &self.what {
            What::Entry(item) => Some(item),
            What::Gap { .. } | What::Withheld { .. } => None,
        }
    }

    /// When.
    pub(crate) fn at(&self) -> Timestamp {
        match &self.what {
            What::Entry(item) => item.at,
            What::Withheld { at, .. } | What::Gap { at, .. } => *at,
        }
    }

    /// The same entry, without what it says.
    pub(crate) fn withheld(&self, why: &str) -> Self {
        let what = match &self.what {
            What::Entry(item) => {
                What::Withheld { hash: item.hash, at: item.at, why: why.to_owned() }
            }
            other => other.clone(),
        };
        Self { sequence: self.sequence, what }
    }
}

/// Where to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// So many entries and gaps.
    pub(crate) pieces: usize,
    /// So many bytes of entries; one is always read.
    pub(crate) bytes: usize,
    /// Before this number.
    pub(crate) before: u64,
}

/// Why nothing is read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal does not go on where it was left.
    #[error(
        "entry {0} does not follow the one that was told last: this is not the journal that was told"
    )]
    Foreign(u64),
}

/// Reads the journal on.
#[derive(Debug)]
pub(crate) struct Source {
    directory: PathBuf,
    position: Position,
    /// The hash of the entry before; `None` before the first.
    last: Option<Digest>,
    /// It goes on where an earlier run has ended, and has not read anything yet.
    resumed: bool,
    /// When the last entry happened.
    at: Timestamp,
    /// Lines behind it that are no entries, or not the next ones, where the journal ends with them.
    astray: u64,
    pub(super) sessions: Sessions,
}

impl Source {
    /// From the beginning.
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            position: Position::default(),
            last: None,
            resumed: false,
            at: Timestamp::from_micros(0),
            astray: 0,
            sessions: Sessions::default(),
        }
    }

    /// From behind entry `position.sequence - 1`, which has this hash. What is known of sessions is read
    /// again, from `context` on.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub(crate) fn resume(
        directory: &Path,
        (position, last): (Position, Option<Digest>),
        context: Position,
    ) -> Result<Self, SourceError> {
        let mut source = Self::new(directory);
        if context.sequence < position.sequence {
            source.position = context;
            source.pass(position.sequence)?;
        }
        Ok(Self { position, last, resumed: true, ..source })
    }

    /// Goes past every entry before this number, with an eye for sessions.
    ///
    /// # Errors
    /// [`SourceError::Read`].
    pub(crate) fn pass(&mut self, before: u64) -> Result<(), SourceError> {
        let mut tail = Tail::open(&self.directory, self.position)?;
        while tail.position().sequence < before {
            let at = tail.position();
            let Some(found) = tail.next()? else { break };
            if found.sequence >= before {
                break;
            }
            if let Ok(entry) = serde_json::from_slice(found.json()) {
                self.sessions.note(&entry, at);
            }
            self.last = Some(found.hash());
            self.position = tail.position();
        }
        Ok(())
    }

    /// How far it has come.
    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    /// The hash of the last entry.
    pub(crate) const fn last(&self) -> Option<Digest> {
        self.last
    }

    /// What is wrong at the end of the journal, once it was read to there: lines that may be entries, and have
    /// nothing behind them that says so. Whoever reads on meets them again.
    pub(crate) fn astray(&self) -> Option<Piece> {
        let (sequence, lines, at) = (self.position.sequence, self.astray, self.at);
        let why = format!("{lines} lines at the end of the journal are not entry {sequence}");
        let what = What::Gap { missing: 0, lines, removed: false, at, why };
        (lines > 0).then_some(Piece { sequence, what })
    }

    /// From where on it has to be read again to know the sessions that are open now.
    pub(crate) fn context(&self) -> Position {
        self.sessions.since().unwrap_or(self.position)
    }

    /// What comes next, in order; nothing where the journal ends now. `take` is given each piece with the
    /// source as it is behind it, and says whether to go on.
    ///
    /// # Errors
    /// [`SourceError`]; what was taken before is taken.
    pub(crate) fn read(
        &mut self,
        bounds: Bounds,
        mut take: impl FnMut(Piece, &Self) -> bool,
    ) -> Result<(), SourceError> {
        let mut tail = Tail::open(&self.directory, self.position)?;
        let (mut count, mut bytes, mut passed, mut removed) = (0, 0, 0, 0);
        while count < bounds.pieces && (bytes == 0 || bytes < bounds.bytes) {
            let before = tail.position();
            let Some(found) = tail.next()? else {
                self.astray = tail.pending().iter().map(|one| one.lines).sum();
                break;
            };
            self.astray = 0;
            if found.sequence >= bounds.before {
                break;
            }
            let (item, sequence) = (self.item(&found, before), found.sequence);
            bytes += item.text.len();
            let lines: u64 = tail.passed_over().iter().map(|one| one.lines).sum();
            let (now_passed, now_removed) = (lines - passed, tail.removed() - removed);
            let gap = self.gap(&item, sequence, (before.sequence, now_passed), now_removed)?;
            (passed, removed) = (lines, tail.removed());
            if let Some(what) = gap {
                // Told with the source before it: whoever is told of it alone is told again.
                count += 1;
                take(Piece { sequence, what }, self);
            }
            (self.position, self.last, self.resumed) = (tail.position(), Some(item.hash), false);
            self.at = item.at;
            count += 1;
            if !take(Piece { sequence, what: What::Entry(Box::new(item)) }, self) {
                break;
            }
        }
        Ok(())
    }

    fn item(&mut self, found: &Found<'_>, before: Position) -> Item {
        // A journal line is UTF-8; one that is not by its hash was written so.
        let text = String::from_utf8_lossy(found.text()).into_owned();
        let entry: Value = serde_json::from_slice(found.json()).unwrap_or_default();
        let at = Timestamp::from_micros(super::number(&entry, "/at").unwrap_or_default());
        let known = self.sessions.note(&entry, before);
        Item { hash: found.hash(), prev: found.prev(), text, entry, at, known }
    }

    /// What is wrong before an entry, if anything.
    fn gap(
        &self,
        item: &Item,
        sequence: u64,
        (expected, lines): (u64, u64),
        removed: u64,
    ) -> Result<Option<What>, SourceError> {
        let missing = sequence.saturating_sub(expected);
        let zeros = Digest::from_bytes([0; 32]);
        let follows = missing > 0 || item.prev == self.last.unwrap_or(zeros);
        if self.resumed && !follows {
            return Err(SourceError::Foreign(sequence));
        }
        let why = match (missing, lines, follows) {
            (0, 0, true) => return Ok(None),
            (missing, 0, _) if missing > 0 && missing == removed => format!(
                "what {missing} entries before entry {sequence} said was removed, as the rules of retention have it"
            ),
            (0, _, false) => format!("entry {sequence} is not chained to the one before it"),
            (0, ..) => format!("{lines} lines before entry {sequence} are no entries"),
            _ => {
                format!("{missing} entries before entry {sequence} are missing, or cannot be read")
            }
        };
        let removed = missing > 0 && (missing, 0) == (removed, lines);
        Ok(Some(What::Gap { missing, lines, removed, at: item.at, why }))
    }
}

/// Something that many share.
pub(super) type Shared<T> = Option<Arc<T>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::cursor::Cursor;
    use crate::export::{Chain, Format, Writer};
    use portcullis_core::journal::{Durability, Journal as _};
    use portcullis_ledger::{Ledger, LedgerSettings};
    use serde_json::json;

    const ALL: Bounds = Bounds { pieces: 1000, bytes: 1 << 20, before: u64::MAX };

    /// A journal with a session in it that stays open.
    fn journal(directory: &Path, requests: u64) {
        let ledger = Ledger::open(directory, LedgerSettings::default()).unwrap();
        let session = "ses_0000000000001";
        let principal = json!({
            "kind": "agent", "subject": "a", "name": "claude", "issuer": "https://i.example",
            "acting_for": null, "groups": [], "token_id": null, "expires": 9,
        });
        let connection = json!({
            "name": "shop", "environment": "test", "protocol": "postgres", "database": "d", "role": "r",
        });
        let mut entries = vec![
            json!({ "at": 1, "event": "started", "version": "0", "policy": "p" }),
            json!({ "at": 2, "session": session, "event": "session_opened", "peer": "127.0.0.1:5",
                "standing": { "principal": principal, "connection": connection }, "policy": "p", "claimed": "" }),
        ];
        entries.extend((0..requests).map(|n| {
            json!({ "at": 3 + n, "session": session, "event": "outcome", "status": "done", "rows": n,
                "masked": 0, "micros": 1 })
        }));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for entry in entries {
            let entry = serde_json::from_value(entry).unwrap();
            runtime.block_on(ledger.append(entry, Durability::Durable)).unwrap();
        }
        assert_eq!(ledger.safe(), ledger.written());
        // It ends as a crash would have it: the session stays open.
        std::mem::forget(ledger);
    }

    fn pieces(source: &mut Source, bounds: Bounds) -> Vec<Piece> {
        let mut all = Vec::new();
        source
            .read(bounds, |piece, _| {
                all.push(piece);
                true
            })
            .unwrap();
        all
    }

    #[test]
    fn it_goes_on_where_it_was_left_and_knows_the_sessions() {
        let directory = tempfile::tempdir().unwrap();
        journal(directory.path(), 20);
        let mut whole = Source::new(directory.path());
        let all = pieces(&mut whole, ALL);
        assert_eq!(all.len(), 22);
        let event = |writer: &mut Writer, piece: &Piece| writer.write(piece).line;
        let fresh = || Writer::new(Format::Ocsf, "j".to_owned(), Chain::new("c".to_owned()));
        let mut writer = fresh();
        let lines: Vec<String> = all.iter().map(|piece| event(&mut writer, piece)).collect();

        let (mut told, mut writer) = (Vec::new(), fresh());
        let mut source = Source::new(directory.path());
        for _ in 0..8 {
            for piece in pieces(&mut source, Bounds { pieces: 3, ..ALL }) {
                told.push(event(&mut writer, &piece));
            }
            // As a gateway that was killed and started.
            Cursor::of(&source, writer.chain().clone()).keep(directory.path(), "x").unwrap();
            let cursor = Cursor::read(directory.path(), "x").unwrap().unwrap();
            let (place, context) = cursor.place();
            source = Source::resume(directory.path(), place, context).unwrap();
            writer = Writer::new(Format::Ocsf, "j".to_owned(), cursor.chain);
        }
        assert_eq!(told, lines, "as if it had never ended");
        assert!(told.iter().skip(2).all(|line| line.contains("\"name\":\"claude\"")));
    }

    #[test]
    fn another_journal_is_not_gone_on_with_and_a_cursor_that_is_none_is_an_error() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        journal(one.path(), 5);
        journal(other.path(), 9);
        let mut source = Source::new(one.path());
        assert_eq!(pieces(&mut source, ALL).len(), 7);
        let cursor = Cursor::of(&source, Chain::new("c".to_owned()));
        let mut foreign = Source::resume(other.path(), cursor.place().0, cursor.place().1).unwrap();
        let read = foreign.read(ALL, |_, _| panic!("nothing of it is told"));
        assert!(matches!(read, Err(SourceError::Foreign(7))), "{read:?}");
        cursor.keep(one.path(), "x").unwrap();
        std::fs::write(crate::export::cursor::path(one.path(), "x"), "{\"version\":1").unwrap();
        assert!(Cursor::read(one.path(), "x").is_err());
        assert_eq!(Cursor::read(one.path(), "y").unwrap(), None);
    }

    #[test]
    fn what_is_gone_or_edited_has_a_piece_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        journal(directory.path(), 6);
        let file = directory.path().join("journal/00000000000000000000.jsonl");
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines[4] = lines[4].replace("\"rows\":2", "\"rows\":3");
        lines.remove(6);
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();
        let mut source = Source::new(directory.path());
        let all = pieces(&mut source, ALL);
        let told: Vec<String> = all
            .iter()
            .map(|piece| match &piece.what {
                What::Entry(_) => piece.sequence.to_string(),
                What::Gap { missing, lines, .. } => format!("-{missing}/{lines}"),
                What::Withheld { .. } => "?".to_owned(),
            })
            .collect();
        assert_eq!(told[..6], ["0", "1", "2", "3", "-1/1", "5"], "{told:?}");
        // One line alone does not show that it is an entry.
        assert_eq!(told.len(), 6, "{told:?}");
        let end = source.astray().map(|piece| (piece.sequence, piece.what));
        assert!(matches!(end, Some((6, What::Gap { lines: 1, .. }))), "{end:?}");
    }
}
