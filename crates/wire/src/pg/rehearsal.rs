//! Rehearsals of a request that people decide on: whether all that it does is undone with its
//! transaction, and what is asked of the target to show some of the rows it changed, as they were and
//! as they are. Beside the request itself, while it is held.
//!
//! *Architecture invariant:* what shows rows is a request and no chore, since names of tables are in
//! it: judged as the caller's own, recorded and permitted, and its answer is masked like any other.

use super::conversation::{Analyst, Conversation, Turn};
use super::message::Limits;
use super::rewrite::put_message;
use super::script::{Confirmation, Step};
use super::unit::{Shape, Unit};
use bytes::BytesMut;
use portcullis_core::effect::{Certainty, Effect, ObjectKind, Verb};
use portcullis_core::protocol::Request as _;
use std::sync::Arc;

/// The names of its statements and portals. Should a caller have made some of these names, no rows
/// are shown.
const BEFORE: &[u8] = b"\x7fportcullis: before\0";
const AFTER: &[u8] = b"\x7fportcullis: after\0";

impl Unit {
    /// That it is one statement that changes rows, and does nothing else that would be left when its
    /// transaction is rolled back.
    ///
    /// # Errors
    /// What keeps it from being rehearsed, in words for people.
    pub fn can_be_undone(&self) -> Result<(), String> {
        let no = |why: &str| Err(why.to_owned());
        if self.only_statement().is_none() || self.shape() == Shape::Flush {
            return no("it is not one statement by itself");
        }
        let changes = ["insert", "update", "delete", "merge"];
        if !matches!(self.operation().kinds.as_slice(), [kind] if changes.contains(&&**kind)) {
            return no("it is not a statement that changes rows and nothing else");
        }
        let named = |step: &Step| matches!(step, Step::Parse { name } if !name.is_empty());
        if self.script().steps.iter().any(|step| named(step) || *step == Step::Close) {
            return no("it also prepares or closes a statement by name, which no rollback undoes");
        }
        if self.fetches_in_part() {
            return no("its answer is fetched bit by bit");
        }
        self.operation().effects.iter().try_for_each(undone_with_its_transaction)
    }

    /// True where the tag of each of its statements tells how many rows it changes, as far as its text
    /// shows: what hangs on the tables is not looked at.
    #[must_use]
    pub fn tells_changes(&self) -> bool {
        let tagged = ["insert", "update", "delete", "merge", "copy"];
        let plain = |effect: &Effect| {
            let rows = matches!(effect.verb, Verb::Insert | Verb::Update | Verb::Delete);
            let reads = effect.verb == Verb::Read;
            effect.certainty == Certainty::Resolved
                && (reads || rows && effect.object.kind == ObjectKind::Relation)
        };
        self.run_texts().all(|(text, whole, statement)| {
            let changes = statement.effects.iter().filter(|e| e.verb != Verb::Read);
            let one = changes.clone().next().map(|effect| &effect.object);
            // Without the word nowhere in the text nothing else in it changes rows.
            let with = || text.windows(4).any(|word| word.eq_ignore_ascii_case(b"with"));
            let tells = one.is_none() || whole && tagged.contains(&&*statement.kind) && !with();
            tells
                && statement.effects.iter().all(plain)
                && changes.clone().all(|effect| Some(&effect.object) == one)
        })
    }

    /// True where it sets what the unnamed statement stands for.
    #[must_use]
    pub fn sets_unnamed(&self) -> bool {
        self.script().steps.iter().any(|step| matches!(step, Step::Parse { .. }))
    }
}

fn undone_with_its_transaction(effect: &Effect) -> Result<(), String> {
    let no = |why: &str| Err(format!("{why} ({effect})"));
    if effect.certainty == Certainty::Unreadable {
        return no("what it does cannot be read");
    }
    match (effect.verb, effect.object.kind) {
        (Verb::Insert | Verb::Update | Verb::Delete, ObjectKind::Relation) => Ok(()),
        (Verb::Read, ObjectKind::Setting) if reads_limits(&effect.object.path) => {
            no("it reads a setting that is another one while it is rehearsed")
        }
        (Verb::Read, ObjectKind::Relation)
            if effect.object.path.iter().any(|p| **p == *"pg_settings") =>
        {
            no("it reads settings, some of which are others while it is rehearsed")
        }
        (Verb::Read, ObjectKind::Relation | ObjectKind::Column) => Ok(()),
        (Verb::Read, ObjectKind::Setting | ObjectKind::Type | ObjectKind::Sequence) => Ok(()),
        (Verb::Execute, _) => no("it may run code of users, of which nobody knows what it leaves"),
        (Verb::Update, ObjectKind::Sequence) => no("it moves a sequence, which no rollback undoes"),
        (Verb::Forward, _) => no("some of it lies elsewhere"),
        _ => no("it does more than change rows"),
    }
}

/// True for settings that the transaction of a rehearsal has values of its own of, and where nobody
/// knows which it is.
fn reads_limits(path: &[Box<str>]) -> bool {
    path.first().is_none_or(|name| &**name == "?" || name.ends_with("_timeout"))
}

/// What is asked to show rows of one table that the current transaction has changed.
pub struct Images {
    apart: Conversation,
    /// Schema and name, quoted.
    table: String,
    /// What puts the rows of both images in the same order, where something does.
    order: String,
}

impl Images {
    /// How many rows are asked for: one more than are shown, to know whether there are more.
    pub const ROWS: u64 = super::sample::MAX_ROWS as u64 + 1;

    /// Images of rows of a table, in the order of these columns.
    pub fn new(analyst: Arc<dyn Analyst>, (schema, name): (&str, &str), key: &[String]) -> Self {
        let columns: Vec<String> = key.iter().map(|column| quoted(column)).collect();
        let order = match columns.is_empty() {
            true => String::new(),
            false => format!(" ORDER BY {}", columns.join(", ")),
        };
        Self {
            apart: Conversation::new(analyst, Limits::default()),
            table: format!("{}.{}", quoted(schema), quoted(name)),
            order,
        }
    }

    /// A query for rows that the transaction is the last to have made (`xmin`) or ended (`xmax`).
    fn query(&self, mark: &str) -> Vec<u8> {
        let Self { table, order, .. } = self;
        let text = format!(
            "SELECT * FROM {table} WHERE {mark} OPERATOR(pg_catalog.=) \
             pg_catalog.pg_current_xact_id()::pg_catalog.xid{order} LIMIT {}\0",
            Self::ROWS
        );
        text.into_bytes()
    }

    /// Binds the query for rows as they were. To be sent before the statement: a portal sees what
    /// there was when it was bound, and looks for what has ended these rows when it is executed.
    pub fn bind_before(&mut self) -> Option<Unit> {
        let text = self.query("xmax");
        self.form(&[
            (b'C', &[b"S", BEFORE]),
            (b'P', &[BEFORE, &text, &[0; 2]]),
            (b'B', &[BEFORE, BEFORE, &[0; 6]]),
            (b'S', &[]),
        ])
    }

    /// Asks for the rows as they were. To be sent after the statement.
    pub fn before(&mut self) -> Option<Unit> {
        self.form(&[(b'E', &[BEFORE, &[0; 4]]), (b'C', &[b"S", BEFORE]), (b'S', &[])])
    }

    /// Asks for the rows as they are. To be sent after the statement.
    pub fn after(&mut self) -> Option<Unit> {
        let text = self.query("xmin");
        self.form(&[
            (b'C', &[b"S", AFTER]),
            (b'P', &[AFTER, &text, &[0; 2]]),
            (b'B', &[AFTER, AFTER, &[0; 6]]),
            (b'E', &[AFTER, &[0; 4]]),
            (b'C', &[b"S", AFTER]),
            (b'S', &[]),
        ])
    }

    /// To be told what the target has confirmed of each.
    pub fn settle(&mut self, confirmations: &[Confirmation]) {
        self.apart.settle(confirmations);
    }

    fn form(&mut self, messages: &[(u8, &[&[u8]])]) -> Option<Unit> {
        let mut bytes = BytesMut::new();
        for (tag, parts) in messages {
            put_message(&mut bytes, *tag, &parts.concat()).ok()?;
        }
        let Ok(Some(Turn::Unit(unit))) = self.apart.next(&mut bytes) else { return None };
        let reads = |effect: &Effect| {
            effect.verb == Verb::Read && effect.certainty != Certainty::Unreadable
        };
        unit.operation().effects.iter().all(reads).then_some(*unit)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
