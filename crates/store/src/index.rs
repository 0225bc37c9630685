//! An index of recorded sessions, in a SQLite file of its own beside the journal it is made from. It says
//! which sessions there are and where their entries stand, and nothing that is shown: that is read in the
//! journal. Whatever is wrong with it, it is thrown away and made again.
//!
//! *Architecture invariant:* nothing but the journal is needed to make it, and nothing is decided by it:
//! who may see a session is asked of the session's own entry.

use crate::open::{StoreError, beside, explained, make_private};
use crate::page::{Listed, Page, Place};
use portcullis_core::id::SessionId;
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::time::Timestamp;
use serde::Serialize;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Error, QueryBuilder, Row as _, Sqlite};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The tables, and the number of their form.
const FORM: i64 = 2;
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL,
  segment INTEGER NOT NULL, start INTEGER NOT NULL, last INTEGER NOT NULL, length INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS session (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
  opened INTEGER NOT NULL, closed INTEGER, ended TEXT, kind TEXT NOT NULL, name TEXT NOT NULL,
  subject TEXT NOT NULL, issuer TEXT NOT NULL, person TEXT, person_issuer TEXT, connection TEXT NOT NULL,
  sequence INTEGER NOT NULL, segment INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL,
  permitted INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0,
  held INTEGER NOT NULL DEFAULT 0, rows INTEGER NOT NULL DEFAULT 0, masked INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS session_opened ON session (opened, id);
CREATE TABLE IF NOT EXISTS entry (session INTEGER NOT NULL, sequence INTEGER NOT NULL,
  segment INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL, said INTEGER NOT NULL,
  PRIMARY KEY (session, sequence)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watched (recording TEXT NOT NULL, sequence INTEGER NOT NULL,
  segment INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL,
  PRIMARY KEY (recording, sequence)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segment (segment INTEGER PRIMARY KEY, start INTEGER NOT NULL,
  sequence INTEGER NOT NULL, lines INTEGER NOT NULL, missing INTEGER NOT NULL, unread INTEGER NOT NULL);";

/// Where an entry stands: its number, its segment, and its bytes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct EntryPlace {
    /// Its number.
    pub sequence: u64,
    /// The number of the first entry of its segment.
    pub segment: u64,
    /// Bytes before it.
    pub start: u64,
    /// Its own.
    pub length: u64,
}

/// What of a segment is not in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gaps {
    /// The number of the first entry of the segment.
    pub segment: u64,
    /// Bytes before the first that is not.
    pub start: u64,
    /// The number of the entry that has to be there.
    pub sequence: u64,
    /// Lines that are no entries.
    pub lines: u64,
    /// Entries that are missing.
    pub missing: u64,
    /// Entries that this program cannot read.
    pub unread: u64,
}

impl Gaps {
    /// Whether there is nothing of that.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.lines == 0 && self.missing == 0 && self.unread == 0
    }
}

/// How far the index goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// The number of the next entry.
    pub sequence: u64,
    /// Its segment.
    pub segment: u64,
    /// Bytes before it there.
    pub start: u64,
    /// The last entry that is in the index.
    pub last: EntryPlace,
}

/// A session that begins, or is refused.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Which.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
    /// Where.
    pub place: EntryPlace,
    /// Who; of a refused log-in only the subject is known.
    pub who: Result<Principal, String>,
    /// Where to.
    pub connection: String,
}

/// What an entry adds to its session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were permitted.
    pub permitted: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Requests that were held.
    pub held: u64,
    /// Rows that were returned.
    pub rows: u64,
    /// Values that were masked.
    pub masked: u64,
}

/// Most that one batch counts of anything: what SQLite adds up stays a whole number.
const MOST: u64 = 1 << 52;

impl Counts {
    fn add(&mut self, other: Self) {
        let Self { permitted, refused, held, rows, masked } = other;
        for (to, more) in [
            (&mut self.permitted, permitted),
            (&mut self.refused, refused),
            (&mut self.held, held),
            (&mut self.rows, rows),
            (&mut self.masked, masked),
        ] {
            *to = to.saturating_add(more);
        }
    }
}

/// Entries that are added together.
#[derive(Debug, Default)]
pub struct Batch {
    begun: Vec<Begun>,
    entries: Vec<(SessionId, EntryPlace, bool)>,
    counts: BTreeMap<SessionId, Counts>,
    ended: Vec<(SessionId, Timestamp, String)>,
    watched: Vec<(SessionId, EntryPlace)>,
    segments: BTreeMap<u64, Gaps>,
    size: usize,
}

impl Batch {
    /// A session begins with this entry.
    pub fn begin(&mut self, begun: Begun) {
        self.begun.push(begun);
    }

    /// An entry of a session; `said` where a text of the caller's stands in it.
    pub fn entry(&mut self, session: SessionId, place: EntryPlace, said: bool, counts: Counts) {
        self.entries.push((session, place, said));
        if counts != Counts::default() {
            self.counts.entry(session).or_default().add(counts);
        }
    }

    /// A session ends.
    pub fn end(&mut self, session: SessionId, at: Timestamp, why: String) {
        self.ended.push((session, at, why));
    }

    /// Somebody was shown a recording.
    pub fn watched(&mut self, recording: SessionId, place: EntryPlace) {
        self.watched.push((recording, place));
    }

    /// An entry of this segment was read, and some of it was not.
    pub fn segment(&mut self, gaps: Gaps) {
        let known = self.segments.entry(gaps.segment).or_default();
        if known.is_nothing() {
            *known = gaps;
        } else if !gaps.is_nothing() {
            if gaps.start < known.start {
                (known.start, known.sequence) = (gaps.start, gaps.sequence);
            }
            known.lines = known.lines.saturating_add(gaps.lines);
            known.missing = known.missing.saturating_add(gaps.missing);
            known.unread = known.unread.saturating_add(gaps.unread);
        }
    }

    /// What was said of segments, in their order.
    pub fn segments(&self) -> impl Iterator<Item = Gaps> + '_ {
        self.segments.values().copied()
    }

    /// One entry more of the journal, whatever it is; how many there are.
    pub fn count(&mut self) -> usize {
        self.size += 1;
        self.size
    }
}

/// Which sessions are looked for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Those of this principal, or of whoever acts for it: by name or subject.
    pub principal: Option<String>,
    /// Those of this agent or workload.
    pub agent: Option<String>,
    /// Those of this person, and of whoever acts for it.
    pub person: Option<String>,
    /// Those on this connection.
    pub connection: Option<String>,
    /// Those in which something was `permitted`, `refused` or `held`.
    pub verdict: Option<Verdict>,
    /// Those that were there then or later.
    pub from: Option<Timestamp>,
    /// Those that were there then or earlier.
    pub to: Option<Timestamp>,
    /// Only these.
    pub among: Option<Vec<SessionId>>,
    /// Only those that may be this one's to see; all where there is none.
    pub viewer: Option<Principal>,
}

/// What was said to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RecordedVerdict")]
pub enum Verdict {
    /// It was let through.
    Permitted,
    /// It was refused.
    Refused,
    /// It waited for people.
    Held,
}

/// A session as the index has it.
#[derive(Debug, Clone)]
pub struct IndexedSession {
    /// Its number in the index.
    pub number: i64,
    /// Its id.
    pub id: SessionId,
    /// Its first entry.
    pub place: EntryPlace,
    /// When it began.
    pub opened: Timestamp,
    /// When it ended.
    pub closed: Option<Timestamp>,
    /// Why it ended.
    pub ended: Option<String>,
    /// What happened in it.
    pub counts: Counts,
}

/// The index.
#[derive(Debug, Clone)]
pub struct SessionIndex {
    pool: SqlitePool,
    path: PathBuf,
}

impl SessionIndex {
    /// Opens the index in this file, or makes an empty one: also where what is there is none, or one of
    /// another form.
    ///
    /// # Errors
    /// [`StoreError`], where not even an empty one can be made.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if let Ok(index) = Self::opened(path).await {
            return Ok(index);
        }
        remove(path);
        Self::opened(path).await
    }

    async fn opened(path: &Path) -> Result<Self, StoreError> {
        make_private(path).map_err(|e| explained(path, &Error::Io(e)))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What is lost is made again from the journal.
            .synchronous(SqliteSynchronous::Off)
            .busy_timeout(Duration::from_secs(5))
            .pragma("trusted_schema", "OFF");
        let pool = SqlitePoolOptions::new().max_connections(3);
        let pool = pool.connect_with(options).await.map_err(|e| explained(path, &e))?;
        let checked = async {
            let form: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&pool).await?;
            if form != 0 && form != FORM {
                return Err(Error::Protocol("it is of another form".to_owned()));
            }
            sqlx::raw_sql(TABLES).execute(&pool).await?;
            sqlx::raw_sql("PRAGMA user_version = 2").execute(&pool).await?;
            sqlx::query("SELECT count(*) FROM place").fetch_one(&pool).await.map(drop)
        };
        if let Err(error) = checked.await {
            pool.close().await;
            return Err(explained(path, &error));
        }
        Ok(Self { pool, path: path.to_owned() })
    }

    /// Throws everything away.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn empty(&self) -> Result<(), StoreError> {
        let all = "DELETE FROM place; DELETE FROM session; DELETE FROM entry; DELETE FROM watched; \
            DELETE FROM segment";
        sqlx::raw_sql(all).execute(&self.pool).await.map(drop).map_err(|e| self.failed(&e))
    }

    /// Closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn failed(&self, error: &Error) -> StoreError {
        explained(&self.path, error)
    }

    /// How far it goes; `None` where it has nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reached(&self) -> Result<Option<Reached>, StoreError> {
        let found = sqlx::query("SELECT * FROM place").fetch_optional(&self.pool).await;
        let read = |row: SqliteRow| {
            Ok(Reached {
                sequence: unsigned(&row, "sequence")?,
                segment: unsigned(&row, "segment")?,
                start: unsigned(&row, "start")?,
                last: EntryPlace {
                    sequence: unsigned(&row, "sequence")?.saturating_sub(1),
                    segment: unsigned(&row, "segment")?,
                    start: unsigned(&row, "last")?,
                    length: unsigned(&row, "length")?,
                },
            })
        };
        found.and_then(|row| row.map(read).transpose()).map_err(|e| self.failed(&e))
    }

    /// Adds entries, all or none of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add(&self, batch: Batch, reached: Reached) -> Result<(), StoreError> {
        self.added(batch, reached).await.map_err(|e| self.failed(&e))
    }

    async fn added(&self, batch: Batch, reached: Reached) -> Result<(), Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for begun in &batch.begun {
            begin(&mut tx, begun).await?;
        }
        let rows: Vec<_> = batch
            .entries
            .iter()
            .map(|(id, p, said)| {
                (id.to_string(), p.sequence, p.segment, p.start, p.length, i64::from(*said))
            })
            .collect();
        let add = "INSERT OR REPLACE INTO entry SELECT s.number, j.value->>1, j.value->>2, \
            j.value->>3, j.value->>4, j.value->>5 FROM json_each($1) j \
            JOIN session s ON s.id = j.value->>0";
        sqlx::query(add).bind(json(&rows)?).execute(&mut *tx).await?;
        let rows: Vec<_> = batch
            .counts
            .iter()
            .map(|(id, c)| {
                let [permitted, refused, held, rows, masked] =
                    [c.permitted, c.refused, c.held, c.rows, c.masked].map(|count| count.min(MOST));
                (id.to_string(), permitted, refused, held, rows, masked)
            })
            .collect();
        let count = "UPDATE session SET permitted = permitted + (j.value->>1), \
            refused = refused + (j.value->>2), held = held + (j.value->>3), \
            rows = min(rows + (j.value->>4), 9007199254740992), \
            masked = min(masked + (j.value->>5), 9007199254740992) \
            FROM json_each($1) j WHERE session.id = j.value->>0";
        sqlx::query(count).bind(json(&rows)?).execute(&mut *tx).await?;
        for (session, at, why) in &batch.ended {
            sqlx::query("UPDATE session SET closed = $2, ended = $3 WHERE id = $1")
                .bind(session.to_string())
                .bind(at.as_micros())
                .bind(why)
                .execute(&mut *tx)
                .await?;
        }
        for (recording, place) in &batch.watched {
            sqlx::query("INSERT OR REPLACE INTO watched VALUES ($1, $2, $3, $4, $5)")
                .bind(recording.to_string())
                .bind(place.sequence.cast_signed())
                .bind(place.segment.cast_signed())
                .bind(place.start.cast_signed())
                .bind(place.length.cast_signed())
                .execute(&mut *tx)
                .await?;
        }
        for gaps in batch.segments.values() {
            add_gaps(&mut tx, gaps).await?;
        }
        sqlx::query("INSERT OR REPLACE INTO place VALUES (1, $1, $2, $3, $4, $5)")
            .bind(reached.sequence.cast_signed())
            .bind(reached.segment.cast_signed())
            .bind(reached.start.cast_signed())
            .bind(reached.last.start.cast_signed())
            .bind(reached.last.length.cast_signed())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// The segments that were read, and what of each is not in the index.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn segments(&self) -> Result<Vec<Gaps>, StoreError> {
        let query = sqlx::query("SELECT * FROM segment ORDER BY segment");
        let gaps = |row: &SqliteRow| {
            Ok(Gaps {
                segment: unsigned(row, "segment")?,
                start: unsigned(row, "start")?,
                sequence: unsigned(row, "sequence")?,
                lines: unsigned(row, "lines")?,
                missing: unsigned(row, "missing")?,
                unread: unsigned(row, "unread")?,
            })
        };
        let read = |rows: Vec<SqliteRow>| rows.iter().map(gaps).collect();
        query.fetch_all(&self.pool).await.and_then(read).map_err(|e| self.failed(&e))
    }

    /// A page of the sessions that are looked for, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(
        &self,
        search: &Search,
        page: &Page,
    ) -> Result<Listed<IndexedSession>, StoreError> {
        let mut query = wanted(search, page.after.as_ref());
        query.push(" ORDER BY opened DESC, id DESC LIMIT ");
        query.push_bind(i64::from(page.limit) + 1);
        let rows = query.build().fetch_all(&self.pool).await.map_err(|e| self.failed(&e))?;
        let rows: Result<Vec<_>, Error> = rows.iter().map(session).collect();
        let mut rows = rows.map_err(|e| self.failed(&e))?;
        let more = rows.len() > page.limit as usize;
        rows.truncate(page.limit as usize);
        Ok(Listed { rows, more })
    }

    /// One session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session(&self, id: SessionId) -> Result<Option<IndexedSession>, StoreError> {
        let query = sqlx::query("SELECT * FROM session WHERE id = $1").bind(id.to_string());
        let row = query.fetch_optional(&self.pool).await;
        row.and_then(|row| row.as_ref().map(session).transpose()).map_err(|e| self.failed(&e))
    }

    /// Where entries of a session stand, from a number on, in their order; `said` alone those with texts
    /// of the caller's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entries(
        &self,
        session: i64,
        from: u64,
        said: bool,
        most: u32,
    ) -> Result<Vec<EntryPlace>, StoreError> {
        let query = "SELECT * FROM entry WHERE session = $1 AND sequence >= $2 AND said >= $3 \
            ORDER BY sequence LIMIT $4";
        let query = sqlx::query(query).bind(session).bind(from.min(i64::MAX as u64).cast_signed());
        let rows = query.bind(i64::from(said)).bind(i64::from(most)).fetch_all(&self.pool).await;
        let places = |rows: Vec<SqliteRow>| rows.iter().map(place).collect();
        rows.and_then(places).map_err(|e| self.failed(&e))
    }

    /// The entry of a session that stands before this number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn before(
        &self,
        session: i64,
        sequence: u64,
    ) -> Result<Option<EntryPlace>, StoreError> {
        let query = "SELECT * FROM entry WHERE session = $1 AND sequence < $2 \
            ORDER BY sequence DESC LIMIT 1";
        let sequence = sequence.min(i64::MAX as u64).cast_signed();
        let row = sqlx::query(query).bind(session).bind(sequence).fetch_optional(&self.pool).await;
        row.and_then(|row| row.as_ref().map(place).transpose()).map_err(|e| self.failed(&e))
    }

    /// Where it is said who was shown a recording, the last first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn watchers(
        &self,
        recording: SessionId,
        most: u32,
    ) -> Result<Vec<EntryPlace>, StoreError> {
        let query = "SELECT * FROM watched WHERE recording = $1 ORDER BY sequence DESC LIMIT $2";
        let query = sqlx::query(query).bind(recording.to_string()).bind(i64::from(most));
        let places = |rows: Vec<SqliteRow>| rows.iter().map(place).collect();
        query.fetch_all(&self.pool).await.and_then(places).map_err(|e| self.failed(&e))
    }
}

/// The first place of a segment stays; what is not in the index of it adds up.
async fn add_gaps(tx: &mut sqlx::Transaction<'_, Sqlite>, gaps: &Gaps) -> Result<(), Error> {
    let add = "INSERT INTO segment VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (segment) DO UPDATE SET \
        start = iif(lines + missing + unread = 0, excluded.start, start), \
        sequence = iif(lines + missing + unread = 0, excluded.sequence, sequence), \
        lines = lines + excluded.lines, missing = missing + excluded.missing, \
        unread = unread + excluded.unread";
    let Gaps { segment, start, sequence, lines, missing, unread } = *gaps;
    [segment, start, sequence, lines, missing, unread]
        .into_iter()
        .fold(sqlx::query(add), |query, value| query.bind(value.cast_signed()))
        .execute(&mut **tx)
        .await
        .map(drop)
}

async fn begin(tx: &mut sqlx::Transaction<'_, Sqlite>, begun: &Begun) -> Result<(), Error> {
    let Begun { session, at, place, who, connection } = begun;
    let none = (String::new(), String::new());
    let (kind, name, subject, issuer, person) = match who {
        Ok(who) => {
            let kind = match who.kind {
                PrincipalKind::Person if who.acting_for.is_none() => "person",
                _ => "agent",
            };
            let issuer = who.acting_for_issuer.clone().unwrap_or_else(|| who.issuer.clone());
            let person = who.acting_for.clone().map(|person| (person, issuer));
            (kind, who.name.clone(), who.subject.clone(), who.issuer.clone(), person)
        }
        Err(subject) => ("unknown", none.0, subject.clone(), none.1, None),
    };
    let (person, person_issuer) = person.unzip();
    let add = "INSERT OR IGNORE INTO session (id, opened, kind, name, subject, issuer, person, \
        person_issuer, connection, sequence, segment, start, length) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    sqlx::query(add)
        .bind(session.to_string())
        .bind(at.as_micros())
        .bind(kind)
        .bind(name)
        .bind(subject)
        .bind(issuer)
        .bind(person)
        .bind(person_issuer)
        .bind(connection)
        .bind(place.sequence.cast_signed())
        .bind(place.segment.cast_signed())
        .bind(place.start.cast_signed())
        .bind(place.length.cast_signed())
        .execute(&mut **tx)
        .await
        .map(drop)
}

/// The sessions that are looked for, from a place on.
fn wanted(search: &Search, after: Option<&Place>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM session WHERE 1");
    if let Some(Place { at, id }) = after {
        query.push(" AND (opened, id) < (").push_bind(at.as_micros());
        query.push(", ").push_bind(id.clone()).push(")");
    }
    if let Some(name) = &search.principal {
        query.push(" AND ").push_bind(name.clone()).push(" IN (name, subject, person)");
    }
    if let Some(name) = &search.agent {
        query.push(" AND kind = 'agent' AND ").push_bind(name.clone()).push(" IN (name, subject)");
    }
    if let Some(name) = &search.person {
        query.push(" AND (person = ").push_bind(name.clone());
        query.push(" OR kind = 'person' AND ").push_bind(name.clone()).push(" IN (name, subject))");
    }
    if let Some(name) = &search.connection {
        query.push(" AND connection = ").push_bind(name.clone());
    }
    match search.verdict {
        Some(Verdict::Permitted) => drop(query.push(" AND permitted > 0")),
        Some(Verdict::Refused) => drop(query.push(" AND (refused > 0 OR ended = 'refused')")),
        Some(Verdict::Held) => drop(query.push(" AND held > 0")),
        None => {}
    }
    if let Some(from) = search.from {
        query.push(" AND (closed IS NULL OR closed >= ").push_bind(from.as_micros()).push(")");
    }
    if let Some(to) = search.to {
        query.push(" AND opened <= ").push_bind(to.as_micros());
    }
    if let Some(among) = &search.among {
        let among: Vec<String> = among.iter().map(ToString::to_string).collect();
        query.push(" AND id IN (SELECT value FROM json_each(");
        query.push_bind(serde_json::Value::from(among).to_string()).push("))");
    }
    if let Some(viewer) = &search.viewer {
        query.push(" AND kind != 'unknown' AND (subject = ").push_bind(viewer.subject.clone());
        query.push(" AND issuer = ").push_bind(viewer.issuer.clone());
        query.push(" OR person = ").push_bind(viewer.subject.clone());
        query.push(" AND person_issuer = ").push_bind(viewer.issuer.clone()).push(")");
    }
    query
}

fn unsigned(row: &SqliteRow, name: &str) -> Result<u64, Error> {
    row.try_get::<i64, _>(name).map(i64::cast_unsigned)
}

fn place(row: &SqliteRow) -> Result<EntryPlace, Error> {
    Ok(EntryPlace {
        sequence: unsigned(row, "sequence")?,
        segment: unsigned(row, "segment")?,
        start: unsigned(row, "start")?,
        length: unsigned(row, "length")?,
    })
}

fn session(row: &SqliteRow) -> Result<IndexedSession, Error> {
    let id: String = row.try_get("id")?;
    Ok(IndexedSession {
        number: row.try_get("number")?,
        id: id.parse().map_err(|_| Error::Protocol("an id that is none".to_owned()))?,
        place: place(row)?,
        opened: Timestamp::from_micros(row.try_get("opened")?),
        closed: row.try_get::<Option<i64>, _>("closed")?.map(Timestamp::from_micros),
        ended: row.try_get("ended")?,
        counts: Counts {
            permitted: unsigned(row, "permitted")?,
            refused: unsigned(row, "refused")?,
            held: unsigned(row, "held")?,
            rows: unsigned(row, "rows")?,
            masked: unsigned(row, "masked")?,
        },
    })
}

fn json(rows: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(rows).map_err(|e| Error::Encode(Box::new(e)))
}

/// Removes an index with what belongs to it.
fn remove(path: &Path) {
    for ending in ["", "-wal", "-shm"] {
        // What cannot be removed shows when it is made anew.
        let _ = std::fs::remove_file(beside(path, ending));
    }
}
