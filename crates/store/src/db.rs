//! One way to ask two back ends: the same text for both, values and columns of four kinds (text,
//! whole numbers, truth, bytes), and transactions that let one writer in at a time. What stands on it knows no
//! back end; where they differ in SQL, [`by_dialect`] has both texts side by side.
//!
//! *Architecture invariant:* nothing is changed but in a transaction of [`Store::write`]. Such hold a
//! write lock from their start, in SQLite that of the file and in PostgreSQL the advisory one of their
//! [`Turn`], so what they read of its tables stays true until they are committed, for all gateways. A
//! change outside of one is refused ([`Query::all`]).

use crate::open::{Backend, Store};
use crate::peers::Topic;
use crate::postgres::Server;
use sqlx::postgres::{PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Decode, Error, Row as _, Transaction, Type};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// A value that is bound.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
    Bool(bool),
    Bytes(Vec<u8>),
}

macro_rules! values {
    ($($from:ty: $value:ident => $made:expr;)+) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $made
            }
        })+
    };
}

values! {
    String: v => Self::Text(Some(v));
    &String: v => Self::Text(Some(v.clone()));
    &str: v => Self::Text(Some(v.to_owned()));
    Option<String>: v => Self::Text(v);
    Option<&str>: v => Self::Text(v.map(str::to_owned));
    i64: v => Self::Int(Some(v));
    Option<i64>: v => Self::Int(v);
    u32: v => Self::Int(Some(v.into()));
    Option<u32>: v => Self::Int(v.map(i64::from));
    bool: v => Self::Bool(v);
    &[u8]: v => Self::Bytes(v.to_vec());
}

/// A column that both back ends have.
pub(crate) trait Column:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

/// A row that was found.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// A column by its name.
    pub(crate) fn try_get<T: Column>(&self, name: &str) -> Result<T, Error> {
        match self {
            Self::Sqlite(row) => row.try_get(name),
            Self::Postgres(row) => row.try_get(name),
        }
    }

    /// The first column.
    fn first<T: Column>(&self) -> Result<T, Error> {
        match self {
            Self::Sqlite(row) => row.try_get(0),
            Self::Postgres(row) => row.try_get(0),
        }
    }
}

/// Where something is asked: of the store, or in a transaction.
pub(crate) enum On<'a> {
    Store(&'a Store),
    Tx(&'a mut Tx),
}

impl<'a> From<&'a Store> for On<'a> {
    fn from(store: &'a Store) -> Self {
        Self::Store(store)
    }
}

impl<'a> From<&'a mut Tx> for On<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::Tx(tx)
    }
}

/// A text that both back ends understand, with the values of `$1`, `$2` and so on.
#[must_use]
pub(crate) struct Query {
    sql: Text,
    values: Vec<Value>,
}

enum Text {
    Both(&'static str),
    Each { sqlite: &'static str, postgres: &'static str },
}

impl Text {
    const fn sqlite(&self) -> &'static str {
        match self {
            Self::Both(sql) | Self::Each { sqlite: sql, .. } => sql,
        }
    }

    const fn postgres(&self) -> &'static str {
        match self {
            Self::Both(sql) | Self::Each { postgres: sql, .. } => sql,
        }
    }
}

/// The same text for both.
pub(crate) const fn query(sql: &'static str) -> Query {
    Query { sql: Text::Both(sql), values: Vec::new() }
}

/// A text for each, where they do not understand the same.
pub(crate) const fn by_dialect(sqlite: &'static str, postgres: &'static str) -> Query {
    Query { sql: Text::Each { sqlite, postgres }, values: Vec::new() }
}

/// The query of sqlx for one of the two.
macro_rules! bound {
    ($sql:expr, $values:expr) => {
        $values.into_iter().fold(sqlx::query($sql), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Int(number) => query.bind(number),
            Value::Bool(truth) => query.bind(truth),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    };
}

impl Query {
    /// The value of the next `$n`.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Does it; how many rows it has changed.
    pub(crate) async fn execute(self, tx: &mut Tx) -> Result<u64, Error> {
        // What drivers need for it is on the heap for as long as it takes.
        Box::pin(self.executed(tx)).await
    }

    async fn executed(self, tx: &mut Tx) -> Result<u64, Error> {
        let Self { sql, values } = self;
        match &mut tx.inner {
            Inner::Sqlite(tx) => {
                let done = bound!(sql.sqlite(), values).execute(&mut **tx).await?;
                Ok(done.rows_affected())
            }
            Inner::Postgres { tx, server, .. } => {
                let asked = bound!(sql.postgres(), values).execute(&mut **tx);
                Ok(server.answered(asked).await?.rows_affected())
            }
        }
    }

    /// All rows of it.
    pub(crate) async fn all<'a>(self, on: impl Into<On<'a>>) -> Result<Vec<Row>, Error> {
        Box::pin(self.found(on.into())).await
    }

    async fn found(self, on: On<'_>) -> Result<Vec<Row>, Error> {
        let Self { sql, values } = self;
        let sqlite = |rows: Vec<SqliteRow>| rows.into_iter().map(Row::Sqlite).collect();
        let postgres = |rows: Vec<PgRow>| rows.into_iter().map(Row::Postgres).collect();
        match on {
            On::Tx(tx) => match &mut tx.inner {
                Inner::Sqlite(tx) => {
                    bound!(sql.sqlite(), values).fetch_all(&mut **tx).await.map(sqlite)
                }
                Inner::Postgres { tx, server, .. } => {
                    let asked = bound!(sql.postgres(), values).fetch_all(&mut **tx);
                    server.answered(asked).await.map(postgres)
                }
            },
            On::Store(_) if !sql.sqlite().trim_start().starts_with("SELECT") => {
                Err(Error::Protocol("a change outside of a write transaction".to_owned()))
            }
            On::Store(store) => match &store.backend {
                Backend::Sqlite { pool, .. } => {
                    bound!(sql.sqlite(), values).fetch_all(pool).await.map(sqlite)
                }
                Backend::Postgres(server) => {
                    let pool = server.pool()?;
                    let asked = bound!(sql.postgres(), values).fetch_all(&pool);
                    server.answered(asked).await.map(postgres)
                }
            },
        }
    }

    /// Its row, where there is one.
    pub(crate) async fn optional<'a>(self, on: impl Into<On<'a>>) -> Result<Option<Row>, Error> {
        Ok(self.all(on).await?.into_iter().next())
    }

    /// Its row.
    pub(crate) async fn one<'a>(self, on: impl Into<On<'a>>) -> Result<Row, Error> {
        self.optional(on).await?.ok_or(Error::RowNotFound)
    }

    /// The first column of its row.
    pub(crate) async fn scalar<'a, T: Column>(self, on: impl Into<On<'a>>) -> Result<T, Error> {
        self.one(on).await?.first()
    }
}

/// What a change takes turns with: changes of what has nothing to do with each other do not wait for
/// each other. Each table is changed in one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// All that is in none of the others: whoever has many may make these wait.
    Main,
    /// Definitions of targets, and labels.
    Definitions,
    /// Freezes, and credentials that are revoked: what stops others waits for none of them.
    Stops,
    /// Which gateways are there.
    Heart,
}

impl Turn {
    pub(crate) const ALL: [Self; 4] = [Self::Main, Self::Definitions, Self::Stops, Self::Heart];

    /// The name under which its changes are counted, where they are: by these it shows that a store has
    /// gone back.
    pub(crate) const fn word(self) -> Option<&'static str> {
        match self {
            Self::Main => Some("writes"),
            Self::Definitions => Some("definitions"),
            Self::Stops => Some("stops"),
            Self::Heart => None,
        }
    }
}

/// A transaction that holds the write lock of its turn from its start. Dropped, it is rolled back.
pub(crate) struct Tx {
    inner: Inner,
    turn: Turn,
    topics: &'static [Topic],
    store: Store,
}

enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres {
        tx: Transaction<'static, Postgres>,
        server: Arc<Server>,
        /// Its place among those of this gateway that write.
        _place: OwnedSemaphorePermit,
    },
}

impl Store {
    /// Begins a change. Whoever follows one of the topics hears of it once it is committed, at every
    /// gateway.
    pub(crate) async fn write(&self, topics: &'static [Topic]) -> Result<Tx, Error> {
        self.write_in(Turn::Main, topics).await
    }

    /// The same, in turns with others of its kind.
    pub(crate) async fn write_in(&self, turn: Turn, topics: &'static [Topic]) -> Result<Tx, Error> {
        let inner = match &self.backend {
            Backend::Sqlite { pool, .. } => {
                Inner::Sqlite(Box::pin(pool.begin_with("BEGIN IMMEDIATE")).await?)
            }
            Backend::Postgres(server) => {
                let (tx, place) = Box::pin(server.begin(turn)).await?;
                Inner::Postgres { tx, server: Arc::clone(server), _place: place }
            }
        };
        Ok(Tx { inner, turn, topics, store: self.clone() })
    }

    /// One change by itself; how many rows it has changed.
    pub(crate) async fn change(
        &self,
        topics: &'static [Topic],
        change: Query,
    ) -> Result<u64, Error> {
        self.change_in(Turn::Main, topics, change).await
    }

    /// The same, in turns with others of its kind.
    pub(crate) async fn change_in(
        &self,
        turn: Turn,
        topics: &'static [Topic],
        change: Query,
    ) -> Result<u64, Error> {
        let mut tx = self.write_in(turn, topics).await?;
        let changed = change.execute(&mut tx).await?;
        tx.commit().await?;
        Ok(changed)
    }
}

impl Tx {
    /// Makes it last.
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        let mut counted = Vec::new();
        if matches!(self.inner, Inner::Postgres { .. }) {
            for topic in self.topics {
                let count = "UPDATE revision SET changes = changes + 1 WHERE topic = $1
                             RETURNING changes, pg_notify('portcullis', topic)";
                let count = query(count).bind(topic.word()).scalar(&mut self).await?;
                counted.push((topic.word(), count));
            }
            if let Some(word) = self.turn.word() {
                let count = "UPDATE revision SET changes = changes + 1 WHERE topic = $1
                             RETURNING changes";
                counted.push((word, query(count).bind(word).scalar(&mut self).await?));
            }
        }
        let Self { inner, turn: _, topics, store } = self;
        match inner {
            Inner::Sqlite(tx) => Box::pin(tx.commit()).await?,
            Inner::Postgres { tx, server, _place } => {
                Box::pin(server.answered(tx.commit())).await?;
                server.has_committed(&counted);
            }
        }
        topics.iter().for_each(|topic| store.topics.bump(*topic));
        Ok(())
    }
}
