//! A store in a PostgreSQL database, which gateways share: the way there, and a task that follows what
//! the others change.
//!
//! *Architecture invariant:* a store that does not answer refuses at once, whatever is asked, until it
//! answers again: nobody waits, and nothing is taken for granted meanwhile. Gateways go by their own
//! clocks, so a clock that is not the database's, to [`APART`], is refused as a lost store is.

use crate::db::Turn;
use crate::desk::Clock;
use crate::open::{Backend, Store, StoreError};
use crate::peers::{GONE, Topic, Topics};
use crate::rows::Unreadable;
use crate::schema::{newest, prepare};
use crate::seen::{Seen, WENT_BACK, counts};
use portcullis_core::time::Timestamp;
use sqlx::postgres::{
    PgConnectOptions, PgConnection, PgListener, PgPool, PgPoolOptions, PgSslMode,
};
use sqlx::{ConnectOptions as _, Connection as _, Error, Postgres, Row as _, Transaction};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::{error, info, warn};

/// Connections of one gateway at most, beside the one that listens.
const CONNECTIONS: u32 = 12;
/// How many of these may wait for the lock of a turn, so that nobody keeps all others from reading, or
/// from what is in other turns.
const fn writers(turn: Turn) -> usize {
    match turn {
        Turn::Main => 3,
        Turn::Definitions => 2,
        Turn::Stops | Turn::Heart => 1,
    }
}
/// How long the server may take for one thing.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);
/// What is read there may be old, and nothing can be written.
const STANDBY: &str = "it is a standby: name the primary in store.url";
/// How often it is looked for changes that no notification has told of.
const LOOK: Duration = Duration::from_millis(500);
/// How long the server may take to say what has changed before it counts as lost.
const HEARD: Duration = Duration::from_secs(1);
/// How often a gateway says that it is there.
const BEAT: Duration = Duration::from_secs(2);
/// How far the clocks of gateway and database may be apart.
const APART: Duration = Duration::from_secs(2);
/// What all gateways' changes take turns by: locks of the database, from this one on.
const LOCK: i64 = 0x706f_7274_6375_6c6c;
/// Takes a lock, and then says what time it is, and how often what is changed in that turn was changed
/// before this was asked.
const TAKE_TURN: &str = "WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock($1))
     SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now,
            (SELECT changes FROM revision WHERE topic = $2) AS changes
     FROM turn";
/// What has changed, the newest step of the schema, and what time it is.
const WHAT_IS_NEW: &str = "SELECT topic, changes, pg_is_in_recovery() AS standby,
            (SELECT max(version) FROM _sqlx_migrations) AS step,
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
     FROM revision";

/// The way to a database.
#[derive(Clone)]
pub struct PostgresSettings {
    /// `postgres://USER@HOST:PORT/DATABASE`, and behind `?` what is in [`PARAMETERS`].
    pub url: String,
    /// The password, which does not stand in the URL.
    pub password: Option<String>,
    /// PEM file with the certificate authorities to trust beside those of the public.
    pub root_certificate: Option<PathBuf>,
    /// Where it is kept how much of the store was seen, so that one that has gone back is known for that;
    /// without it, it is kept in memory.
    pub seen: Option<PathBuf>,
}

impl std::fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Somebody may have written a password into the URL.
        f.debug_struct("PostgresSettings").finish_non_exhaustive()
    }
}

/// Variables that the driver goes by where the URL and the settings say nothing.
const SURROUNDINGS: [&str; 7] =
    ["PGHOST", "PGPORT", "PGUSER", "PGOPTIONS", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"];
/// What may stand behind `?` in a URL, each once.
const PARAMETERS: [&str; 2] = ["sslmode", "host"];

/// What is wrong with a URL. It is never repeated: it may hold a password.
fn url(what: &str) -> StoreError {
    StoreError::Url(what.to_owned())
}

impl PostgresSettings {
    /// That the URL is one, and holds no password.
    ///
    /// # Errors
    /// [`StoreError::Url`]; it never holds any of the URL.
    pub fn check(&self) -> Result<(), StoreError> {
        self.options().map(drop)
    }

    /// True where not even the server's certificate is verified, and it is not this machine.
    ///
    /// # Errors
    /// [`StoreError::Url`].
    pub fn is_unverified(&self) -> Result<bool, StoreError> {
        let options = self.options()?;
        let verified =
            matches!(options.get_ssl_mode(), PgSslMode::VerifyFull | PgSslMode::VerifyCa);
        Ok(!verified && !is_local(&options))
    }

    /// The variables of the environment by which a connection goes where nothing is configured, as far
    /// as they are set.
    #[must_use]
    pub fn surroundings() -> Vec<&'static str> {
        let set = |name: &&str| std::env::var_os(name).is_some();
        SURROUNDINGS.into_iter().filter(set).collect()
    }

    fn options(&self) -> Result<PgConnectOptions, StoreError> {
        let (scheme, rest) = self.url.split_once("://").unwrap_or_default();
        if !matches!(scheme, "postgres" | "postgresql") {
            return Err(url("it has to begin with postgres://"));
        }
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = place.split('/').next().unwrap_or_default();
        if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
            return Err(url(
                "there is a password in it: write store.password_from, which refers to one",
            ));
        }
        let mut known = Vec::new();
        for part in parameters.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if !PARAMETERS.contains(&name) || known.iter().any(|(other, _)| *other == name) {
                return Err(url("behind ? may stand sslmode and host, each once"));
            }
            known.push((name, value));
        }
        let mode = known.iter().find(|(name, _)| *name == "sslmode").map(|(_, mode)| *mode);
        let mode = match mode {
            None => None,
            Some("verify-full") => Some(PgSslMode::VerifyFull),
            Some("verify-ca") => Some(PgSslMode::VerifyCa),
            Some("require") => Some(PgSslMode::Require),
            Some("disable") => Some(PgSslMode::Disable),
            Some(_) => {
                return Err(url(
                    "sslmode is verify-full (the default), verify-ca, require or disable",
                ));
            }
        };
        let options: PgConnectOptions = self.url.parse().map_err(|_| {
            url("it is no URL of a database: write postgres://USER@HOST:PORT/DATABASE")
        })?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(url("it names no database: write postgres://USER@HOST:PORT/DATABASE"));
        }
        let verified = if is_local(&options) { PgSslMode::Prefer } else { PgSslMode::VerifyFull };
        let options = options.ssl_mode(mode.unwrap_or(verified)).application_name("portcullis");
        // One that is not configured is none: not that of PGPASSWORD, or of a file of passwords.
        let mut options = options.password(self.password.as_deref().unwrap_or_default());
        if let Some(file) = &self.root_certificate {
            options = options.ssl_root_cert(file);
        }
        Ok(options.disable_statement_logging())
    }
}

/// True for a server on this machine, where nobody is on the way to it.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coming {
    /// A gateway, which brings the schema up to date.
    Gateway,
    /// A command, which does so where no gateway is there.
    Command,
}

/// The database of a store.
#[derive(Debug)]
pub(crate) struct Server {
    link: Arc<Link>,
    /// Places for those who write, by turn: others keep connections to read with while it is waited for.
    writers: [Arc<Semaphore>; Turn::ALL.len()],
    /// When this gateway has said last that it is there.
    heard: Mutex<Instant>,
    /// True when the store is closed; gone when nobody has it any more.
    closed: watch::Sender<bool>,
}

struct Link {
    options: PgConnectOptions,
    /// The server and its database, for people.
    name: String,
    pool: Mutex<PgPool>,
    /// Why it is lost, while it is.
    lost: watch::Sender<Option<String>>,
    clock: Clock,
    /// What was seen of its changes.
    seen: Seen,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What is not answered in time is lost.
pub(crate) async fn within<T>(
    most: Duration,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(most, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(not_there(io::ErrorKind::TimedOut, "it does not answer")),
    }
}

fn not_there(kind: io::ErrorKind, why: &str) -> Error {
    Error::Io(io::Error::new(kind, why))
}

/// For what sessions of ours do, not for the steps of the schema. A gateway that is gone in the middle
/// of a change gives the lock back soon.
fn guarded(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().options([
        ("statement_timeout", "5s"),
        ("lock_timeout", "4s"),
        ("idle_in_transaction_session_timeout", "5s"),
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
    ])
}

/// Everybody finds the same tables, whatever the role is told to look in.
fn of_one_schema(options: PgConnectOptions) -> PgConnectOptions {
    options.options([("search_path", "public")])
}

/// What is committed is on stable storage, whatever the database has been told to do otherwise.
fn pool(options: &PgConnectOptions, connections: u32, wait: Duration) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(wait)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let durable = "SELECT pg_is_in_recovery(), CASE
                                   WHEN current_setting('synchronous_commit') = 'off'
                                   THEN set_config('synchronous_commit', 'on', false) END";
                let standby: bool = sqlx::query_scalar(durable).fetch_one(connection).await?;
                if standby { Err(not_there(io::ErrorKind::Unsupported, STANDBY)) } else { Ok(()) }
            })
        })
        .connect_lazy_with(guarded(options))
}

/// One connection, with what is wrong where there is none.
async fn one(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    within(ANSWER, PgConnection::connect_with(options)).await
}

/// One connection for a look at a database, and the name of that.
pub(crate) async fn connected(
    settings: &PostgresSettings,
) -> Result<(String, PgConnection), StoreError> {
    let options = of_one_schema(settings.options()?);
    let name = name(&options);
    let one = one(&guarded(&options)).await.map_err(|e| unusable(&name, &e))?;
    Ok((name, one))
}

impl Server {
    /// Connects, and brings the schema up to date where that is this one's to do.
    pub(crate) async fn connect(
        settings: &PostgresSettings,
        clock: Clock,
        who: Coming,
    ) -> Result<Self, StoreError> {
        let options = of_one_schema(settings.options()?);
        let name = name(&options);
        let (pool, lost) = (pool(&options, CONNECTIONS, ANSWER), watch::Sender::new(None));
        // Whoever settles a store that has gone back writes to it.
        let seen = settings.seen.clone().filter(|_| who == Coming::Gateway);
        let seen = Seen::read(seen);
        let link = Arc::new(Link { options, name, pool: Mutex::new(pool), lost, clock, seen });
        let writers = Turn::ALL.map(|turn| Arc::new(Semaphore::new(writers(turn))));
        let (heard, closed) = (Mutex::new(Instant::now()), watch::Sender::new(false));
        let server = Self { link, writers, heard, closed };
        // With none of the limits on what sessions of ours do.
        let name = &*server.link.name;
        let mut one = one(&server.link.options).await.map_err(|e| unusable(name, &e))?;
        let prepared = prepare(name, &mut one, clock, who).await;
        // The lock of the steps goes with it in any case.
        let _ = within(ANSWER, one.close()).await;
        prepared.map(|()| server)
    }

    /// Whether it can be written shows only when it is. Says that this gateway is there.
    pub(crate) async fn check(&self, store: &Store) -> Result<(), StoreError> {
        let counted = async {
            let (pool, before) = (self.link.pool()?, self.link.seen.so_far());
            let counted = sqlx::query("SELECT topic, changes FROM revision").fetch_all(&pool);
            self.link.seen.compare(&before, &counts(&self.answered(counted).await?)?)
        };
        counted.await.map_err(|e| unusable(&self.link.name, &e))?;
        let begun = store.come(self.now()).await;
        begun.map_err(|e| self.unusable(&e.to_string()))
    }

    /// Follows what others change, until the store is closed.
    pub(crate) fn follow(self: &Arc<Self>, store: &Store) {
        let (link, topics) = (Arc::clone(&self.link), Arc::clone(&store.topics));
        let mut closed = self.closed.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                // An error means that nobody has the store any more.
                _ = closed.wait_for(|closed| *closed) => {}
                () = link.follow(&topics) => {}
            }
        });
        let mut closed = self.closed.subscribe();
        let (weak, topics) = (Arc::downgrade(self), Arc::clone(&store.topics));
        let gateway = Arc::clone(&store.gateway);
        tokio::spawn(async move {
            // Since when this gateway has been heard of, and would have heard others.
            let mut since = Instant::now();
            while tokio::time::timeout(BEAT, closed.wait_for(|closed| *closed)).await.is_err() {
                let Some(server) = weak.upgrade() else { return };
                let now = server.now();
                let (topics, gateway) = (Arc::clone(&topics), Arc::clone(&gateway));
                let store = Store { backend: Backend::Postgres(server), topics, gateway };
                // What is lost is told of where it is followed.
                match keep_beating(&store, now).await {
                    Err(_) => since = Instant::now(),
                    Ok(()) if since.elapsed() > GONE => {
                        let _ = store.forget(ago(now, GONE), now).await;
                    }
                    Ok(()) => {}
                }
            }
        });
    }

    fn heard(&self) -> MutexGuard<'_, Instant> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long this gateway could not say that it is there.
    pub(crate) fn unheard(&self) -> Duration {
        // Between two beats nobody has missed it.
        self.heard().elapsed().saturating_sub(BEAT)
    }

    /// This gateway has made the counts of changes these.
    pub(crate) fn has_committed(&self, counted: &[(&str, i64)]) {
        self.link.seen.raise(counted);
    }

    pub(crate) fn unusable(&self, detail: &str) -> StoreError {
        let (server, detail) = (self.link.name.clone(), detail.to_owned());
        StoreError::Server {
            server,
            detail,
            next: "the log of the gateway or the server says more",
        }
    }

    /// What time it is here.
    pub(crate) fn now(&self) -> Timestamp {
        (self.link.clock)()
    }

    /// The connections, where it is not lost.
    pub(crate) fn pool(&self) -> Result<PgPool, Error> {
        self.link.pool()
    }

    /// The answer, where it comes in time, and before it is known that the server is lost.
    pub(crate) async fn answered<T>(
        &self,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut lost = self.link.lost.subscribe();
        tokio::select! {
            biased;
            answer = within(ANSWER, asked) => answer,
            why = lost.wait_for(Option::is_some) => {
                let why = why.ok().and_then(|why| why.clone()).unwrap_or_default();
                Err(not_there(io::ErrorKind::NotConnected, &why))
            }
        }
    }

    /// A transaction whose turn it is.
    pub(crate) async fn begin(
        &self,
        turn: Turn,
    ) -> Result<(Transaction<'static, Postgres>, OwnedSemaphorePermit), Error> {
        let pool = self.pool()?;
        let [main, definitions, stops, heart] = &self.writers;
        let writers = match turn {
            Turn::Main => main,
            Turn::Definitions => definitions,
            Turn::Stops => stops,
            Turn::Heart => heart,
        };
        self.answered(async {
            let place = Arc::clone(writers).acquire_owned().await;
            let place = place.map_err(|_| Error::PoolClosed)?;
            // Whatever the database is told to do otherwise: what comes after the lock has to see
            // what was committed before it was given.
            let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
            let mut tx = pool.begin_with(begin).await?;
            let (before, word) = (self.now(), turn.word());
            // What it is asked now is answered by what there is now, or later.
            let least = word.and_then(|word| self.link.seen.of(word));
            let take = sqlx::query(TAKE_TURN).bind(LOCK.wrapping_add(turn as i64)).bind(word);
            let row = take.fetch_one(&mut *tx).await?;
            agree(before, row.try_get("now")?, self.now())?;
            if least > row.try_get("changes")? {
                return Err(not_there(io::ErrorKind::Unsupported, WENT_BACK));
            }
            Ok((tx, place))
        })
        .await
    }

    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        let pool = self.link.set_pool(None);
        let _ = tokio::time::timeout(ANSWER, pool.close()).await;
    }
}

impl Link {
    fn pool(&self) -> Result<PgPool, Error> {
        match &*self.lost.borrow() {
            Some(why) => Err(not_there(io::ErrorKind::NotConnected, why)),
            None => Ok(self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    /// Connects anew, for what is asked from now on; gives the connections there were.
    fn set_pool(&self, new: Option<PgPool>) -> PgPool {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        match new {
            Some(new) => std::mem::replace(&mut pool, new),
            None => pool.clone(),
        }
    }

    /// It does not answer: nothing is asked until it does.
    fn lose(&self, why: &Error, topics: &Topics) {
        let (said, next) = explained(why);
        let why = format!("{}: {said}; {next}", self.name);
        let first = self.lost.send_replace(Some(why)).is_none();
        if first {
            error!(
                store = self.name,
                why = said,
                next,
                "the store is lost: what needs it is refused"
            );
            // Connections to what is gone would have to be found out one by one.
            drop(self.set_pool(Some(pool(&self.options, CONNECTIONS, ANSWER))));
            topics.bump_all();
        }
    }

    /// It answers.
    fn find(&self, topics: &Topics) {
        if self.lost.send_replace(None).is_some() {
            info!(store = self.name, "the store is back");
        }
        // Whatever was told meanwhile was not heard.
        topics.bump_all();
    }

    /// Follows what others change.
    async fn follow(&self, topics: &Topics) {
        loop {
            let since = Instant::now();
            let Err(why) = self.follow_one(topics).await else { continue };
            let cut = !matches!(&why, Error::Io(e) if e.kind() == io::ErrorKind::TimedOut);
            // One connection that is cut says nothing of the next.
            if !(cut && since.elapsed() > LOOK && self.lost.borrow().is_none()) {
                self.lose(&why, topics);
                tokio::time::sleep(LOOK / 2).await;
            }
        }
    }

    /// The same, with one connection.
    async fn follow_one(&self, topics: &Topics) -> Result<(), Error> {
        let one = pool(&self.options, 1, HEARD);
        let mut listener = within(HEARD, PgListener::connect_with(&one)).await?;
        within(HEARD, listener.listen("portcullis")).await?;
        let mut known = HashMap::new();
        self.look(&mut listener, &mut known).await?;
        // Who is told looks at once, so it is told when it is found.
        self.find(topics);
        loop {
            // A notification, or the time: either way it is looked what has changed.
            if let Ok(heard) = tokio::time::timeout(LOOK, listener.try_recv()).await
                && heard?.is_none()
            {
                return Err(not_there(io::ErrorKind::ConnectionAborted, "the connection was cut"));
            }
            // What was told at the same time is looked for once.
            while listener.next_buffered().is_some() {}
            let changed = self.look(&mut listener, &mut known).await?;
            changed.into_iter().for_each(|topic| topics.bump(topic));
        }
    }

    /// Looks what has changed since it was looked last, and whether this gateway may go on. What it has
    /// seen before is in it still.
    async fn look(
        &self,
        listener: &mut PgListener,
        known: &mut HashMap<String, i64>,
    ) -> Result<Vec<Topic>, Error> {
        let (before, seen) = ((self.clock)(), self.seen.so_far());
        let rows = within(HEARD, sqlx::query(WHAT_IS_NEW).fetch_all(&mut *listener)).await?;
        let after = (self.clock)();
        let no = |why| Err(not_there(io::ErrorKind::Unsupported, why));
        if rows.is_empty() {
            return no("its tables are empty that gateways have filled: restore it from a backup");
        }
        let mut changed = Vec::new();
        for row in &rows {
            agree(before, row.try_get("now")?, after)?;
            // What is read there may be old.
            if row.try_get("standby")? {
                return no(STANDBY);
            }
            let step: Option<i64> = row.try_get("step")?;
            if step > newest() {
                return no(
                    "a newer version of portcullis has changed its schema: run that version",
                );
            } else if step < newest() {
                return no("its schema has become an older one: start the gateway anew");
            }
        }
        let counts = counts(&rows)?;
        self.seen.compare(&seen, &counts)?;
        for (word, changes) in counts {
            let new = known.insert(word.clone(), changes) != Some(changes);
            changed.extend(Topic::ALL.into_iter().find(|t| new && t.word() == word));
        }
        Ok(changed)
    }
}

/// Says that this gateway is there; where others have forgotten it, with all it is at.
async fn keep_beating(store: &Store, now: Timestamp) -> Result<(), Unreadable> {
    if !store.beat(now).await? {
        warn!("other gateways have forgotten this one: what was given to its sessions has ended");
        store.come_again(now).await?;
    }
    if let Backend::Postgres(server) = &store.backend {
        *server.heard() = Instant::now();
    }
    Ok(())
}

/// That what the database's clock showed between two moments of the gateway's is what that showed.
pub(crate) fn agree(before: Timestamp, there: i64, after: Timestamp) -> Result<(), Error> {
    let there = Timestamp::from_micros(there);
    if before <= there.plus(APART) && there <= after.plus(APART) {
        return Ok(());
    }
    let why = format!(
        "its clock and that of this machine are more than {} s apart: set them by one source (NTP)",
        APART.as_secs()
    );
    Err(not_there(io::ErrorKind::Unsupported, &why))
}

pub(crate) fn ago(now: Timestamp, span: Duration) -> Timestamp {
    let span = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub_unsigned(span))
}

/// The server and its database, for people.
fn name(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();
    match options.get_socket() {
        Some(socket) => format!("postgres:{}/{database}", socket.display()),
        None => format!("postgres://{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

pub(crate) fn unusable(server: &str, error: &Error) -> StoreError {
    let (detail, next) = explained(error);
    StoreError::Server { server: server.to_owned(), detail, next }
}

const CERTIFICATE: &str = "the server needs a certificate for that host name: see store.root_certificate, \
                           or write another sslmode into store.url";

/// What is wrong, and what to do.
fn explained(error: &Error) -> (String, &'static str) {
    let next = match error {
        Error::Database(e) => match e.code().as_deref().unwrap_or_default() {
            "28P01" | "28000" => "check the user, store.password_from and the server's pg_hba.conf",
            "3D000" => "make it: CREATE DATABASE … OWNER the gateway's role, ENCODING 'UTF8'",
            "42501" => "let the gateway's role own the database and all that is in it",
            "25006" => "it is a standby, or read-only: name the primary, and let it be written",
            "53100" => "its disk is full: make room on the server",
            "53300" => {
                "the server has no connection left: a gateway needs fourteen, see max_connections"
            }
            "55000" | "57P03" => "it is starting, stopping or closed: see the server's log",
            "55P03" | "57014" => {
                "somebody holds what is needed for too long: see pg_stat_activity and pg_locks there"
            }
            "42P01" | "42703" => {
                "its tables are not those of this program: restore it from a backup (pg_restore)"
            }
            _ => "see the server's log",
        },
        Error::Tls(_) => CERTIFICATE,
        Error::Io(e) => match e.kind() {
            // What rustls has against the server.
            io::ErrorKind::InvalidData => CERTIFICATE,
            io::ErrorKind::ConnectionRefused => "start the server, or correct store.url",
            io::ErrorKind::Unsupported => {
                "nothing is taken from it, and nothing written, until then"
            }
            _ => "see whether the server runs and can be reached from here",
        },
        Error::PoolTimedOut => "see whether the server runs, and how busy it is",
        _ => "see the server's log",
    };
    (error.to_string(), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> PostgresSettings {
        let url = url.to_owned();
        PostgresSettings { url, password: None, root_certificate: None, seen: None }
    }

    #[test]
    fn certificates_are_verified_unless_something_else_is_written() {
        let mode = |place: &str, more: &str| {
            let options = settings(&format!("postgres://u@{place}/p{more}")).options();
            options.map(|o| format!("{:?}", o.get_ssl_mode())).map_err(|e| e.to_string())
        };
        for (place, more, expect) in [
            ("db.example", "", "VerifyFull"),
            ("db.example", "?sslmode=verify-full", "VerifyFull"),
            ("db.example", "?sslmode=verify-ca", "VerifyCa"),
            ("db.example", "?sslmode=require", "Require"),
            ("db.example", "?sslmode=disable", "Disable"),
            ("192.0.2.1:5433", "", "VerifyFull"),
            ("localhost.example", "", "VerifyFull"),
            // Where nobody is on the way.
            ("localhost", "", "Prefer"),
            ("127.0.0.1:5433", "", "Prefer"),
            ("[::1]:5433", "", "Prefer"),
            ("db.example", "?host=/run/postgresql", "Prefer"),
            ("127.0.0.1", "?sslmode=verify-full", "VerifyFull"),
        ] {
            assert_eq!(mode(place, more).as_deref(), Ok(expect), "{place}{more}");
        }
        for weak in ["prefer", "allow", ""] {
            let error = mode("db.example", &format!("?sslmode={weak}")).unwrap_err();
            assert!(error.contains("sslmode is verify-full"), "{error}");
        }
    }

    #[test]
    fn what_is_no_url_is_told_without_what_stands_in_it() {
        for url in [
            "",
            "mysql://secret@h/d",
            "postgres://u@h:secret/d",
            "postgres://h",
            "postgres://h/",
            "postgres://u:secret@h/d",
            "postgres://u:secret@u@h/d",
            "postgres://u@h/d?password=secret",
            "postgres://u@h/d?%70assword=secret",
            "postgres://u@h/d?sslmode=disable&sslmode=verify-full",
            "postgres://u@h/d?options=secret",
        ] {
            let error = settings(url).options().map(drop).unwrap_err().to_string();
            assert!(error.starts_with("store.url: ") && !error.contains("secret"), "{error}");
        }
        assert!(!format!("{:?}", settings("postgres://u:secret@h/d")).contains("secret"));
    }

    #[test]
    fn clocks_may_be_two_seconds_apart() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let there = |seconds: i64| seconds * 1_000_000;
        assert!(
            agree(at(10), there(12), at(10)).is_ok() && agree(at(10), there(8), at(10)).is_ok()
        );
        // As long as the answer took, it may have been any time.
        assert!(agree(at(10), there(16), at(14)).is_ok());
        assert!(
            agree(at(10), there(17), at(14)).is_err() && agree(at(10), there(7), at(14)).is_err()
        );
    }
}
