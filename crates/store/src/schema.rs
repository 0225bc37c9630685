//! The tables of a store in PostgreSQL: brought up to date by gateways, looked at by commands, settled
//! after a restore.

use crate::copy::{END_GRANTS, HUSH, LAPSE, REVOKE, SIGN_OUT, Settled};
use crate::db::{Row, Turn, query};
use crate::desk::Clock;
use crate::open::{Store, StoreError, unknown_step};
use crate::peers::GONE;
use crate::postgres::{ANSWER, Coming, PostgresSettings, ago, agree, connected, unusable, within};
use crate::secrets::{SecretRow, WITH_WRAPS, gathered};
use crate::seen::{SETTLED, Seen, counts};
use portcullis_core::time::Timestamp;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Error, Row as _};
use std::path::PathBuf;
use std::time::Duration;

static STEPS: Migrator = sqlx::migrate!("./migrations/postgres");
/// How long the steps may take, and another gateway's that come first.
const STEPS_TAKE: Duration = Duration::from_secs(10 * 60);

/// The newest step that is known here.
pub(crate) fn newest() -> Option<i64> {
    STEPS.iter().map(|step| step.version).max()
}

/// What a database has to be for a store, and its clock.
const WHAT_IT_IS: &str = "SELECT current_setting('server_encoding') AS encoding,
            pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' AS closed,
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now,
            to_regclass('public._sqlx_migrations') IS NOT NULL AS begun,
            to_regclass('public.gateway') IS NOT NULL AS met,
            pg_database_size(current_database()) AS bytes";

struct Found {
    begun: bool,
    met: bool,
    bytes: i64,
}

fn cannot(server: &str, detail: &str, next: &'static str) -> StoreError {
    StoreError::Server { server: server.to_owned(), detail: detail.to_owned(), next }
}

/// That this is a database for a store.
async fn fit(server: &str, one: &mut PgConnection, clock: Clock) -> Result<Found, StoreError> {
    let failed = |e: Error| unusable(server, &e);
    let before = clock();
    let asked = sqlx::query(WHAT_IT_IS).fetch_one(&mut *one);
    let row = within(ANSWER, asked).await.map_err(failed)?;
    let now: i64 = row.try_get("now").map_err(failed)?;
    agree(before, now, clock()).map_err(failed)?;
    let encoding: String = row.try_get("encoding").map_err(failed)?;
    if encoding != "UTF8" {
        let detail = format!("its encoding is {encoding}, in which not every text can be kept");
        let next = "make another one: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0";
        return Err(cannot(server, &detail, next));
    }
    if row.try_get("closed").map_err(failed)? {
        let next = "name the primary, and let it be written (default_transaction_read_only)";
        return Err(cannot(server, "it is a standby, or read-only", next));
    }
    let get = |name| row.try_get(name).map_err(failed);
    Ok(Found {
        begun: get("begun")?,
        met: get("met")?,
        bytes: row.try_get("bytes").map_err(failed)?,
    })
}

/// The newest step of its schema, and how many this program would add.
async fn steps(
    server: &str,
    one: &mut PgConnection,
    found: &Found,
) -> Result<(i64, usize), StoreError> {
    let all = STEPS.iter().count();
    if !found.begun {
        return Ok((0, all));
    }
    let failed = |e: Error| unusable(server, &e);
    let asked = sqlx::query("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY 1");
    let rows = within(ANSWER, asked.fetch_all(one)).await.map_err(failed)?;
    let (mut last, mut known) = (0, 0);
    for row in &rows {
        let step: i64 = row.try_get("version").map_err(failed)?;
        let checksum: Vec<u8> = row.try_get("checksum").map_err(failed)?;
        let done: bool = row.try_get("success").map_err(failed)?;
        if !done {
            return Err(half_done(server, step));
        }
        if !STEPS.iter().any(|own| own.version == step && *own.checksum == *checksum) {
            return Err(StoreError::NewerSchema { store: server.to_owned(), step });
        }
        (last, known) = (step, known + 1);
    }
    Ok((last, all.saturating_sub(known)))
}

fn half_done(server: &str, step: i64) -> StoreError {
    let next = "restore it from a backup (pg_restore), and start again";
    cannot(server, &format!("step {step} of its schema was begun and has not ended"), next)
}

/// Gateways that were heard of lately.
async fn gateways(
    server: &str,
    one: &mut PgConnection,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let failed = |e: Error| unusable(server, &e);
    let asked = sqlx::query("SELECT name FROM gateway WHERE seen > $1 ORDER BY name, id");
    let asked = asked.bind(ago(now, GONE).as_micros()).fetch_all(one);
    let rows = within(ANSWER, asked).await.map_err(failed)?;
    rows.iter().map(|row| row.try_get("name").map_err(failed)).collect()
}

/// Brings the schema up to date, where that is for this one to do.
pub(crate) async fn prepare(
    server: &str,
    one: &mut PgConnection,
    clock: Clock,
    who: Coming,
) -> Result<(), StoreError> {
    let found = fit(server, one, clock).await?;
    let (step, missing) = steps(server, one, &found).await?;
    if missing == 0 {
        return Ok(());
    }
    if who == Coming::Command && found.met && !gateways(server, one, clock()).await?.is_empty() {
        return Err(StoreError::OlderGateway { store: server.to_owned(), step });
    }
    let run = tokio::time::timeout(STEPS_TAKE, STEPS.run(&mut *one)).await;
    let next = "see who holds its locks: pg_stat_activity and pg_locks there";
    let run = run.map_err(|_| cannot(server, "its schema is being changed for too long", next))?;
    run.map_err(|e| match (&e, unknown_step(&e)) {
        (_, Some(step)) => StoreError::NewerSchema { store: server.to_owned(), step },
        (MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _), _) => unusable(server, e),
        (MigrateError::Dirty(step), _) => half_done(server, *step),
        (other, _) => cannot(server, &other.to_string(), "see the server's log"),
    })
}

/// What was found in a database that was only looked at.
#[derive(Debug)]
pub struct ExaminedServer {
    /// The server and its database, for people.
    pub server: String,
    /// The newest step of its schema; 0 where it has no tables yet.
    pub step: i64,
    /// Steps of the schema that this program would add when it opens it.
    pub missing: usize,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The names of the machines whose gateways were heard of lately.
    pub gateways: Vec<String>,
    /// The sealed secrets in it.
    pub secrets: Vec<SecretRow>,
}

/// Looks at a store in PostgreSQL. What is written, to see whether that can be done, is not committed.
///
/// # Errors
/// [`StoreError`]: it cannot be reached, used or written, or is another version's.
pub async fn examine_server(
    settings: &PostgresSettings,
    clock: Clock,
) -> Result<ExaminedServer, StoreError> {
    let (server, mut one) = connected(settings).await?;
    let found = look(server, &mut one, (clock, settings.seen.clone())).await;
    let _ = within(ANSWER, one.close()).await;
    found
}

async fn look(
    server: String,
    one: &mut PgConnection,
    (clock, seen): (Clock, Option<PathBuf>),
) -> Result<ExaminedServer, StoreError> {
    let found = fit(&server, one, clock).await?;
    let bytes = u64::try_from(found.bytes).unwrap_or_default();
    let (step, missing) = steps(&server, one, &found).await?;
    let mut examined =
        ExaminedServer { server, step, missing, bytes, gateways: Vec::new(), secrets: Vec::new() };
    let server = &*examined.server;
    if missing == 0 {
        let before = Seen::read(seen);
        let asked = sqlx::query("SELECT topic, changes FROM revision").fetch_all(&mut *one);
        let there = within(ANSWER, asked).await.and_then(|rows| counts(&rows));
        let gone_back = there.and_then(|there| before.look(&there));
        gone_back.map_err(|e| unusable(server, &e))?;
        writable(one).await.map_err(|e| unusable(server, &e))?;
        let there = gateways(server, one, clock()).await?;
        let asked = sqlx::query(WITH_WRAPS).bind(None::<String>).fetch_all(one);
        let rows = within(ANSWER, asked).await.map_err(|e| unusable(server, &e))?;
        let rows: Vec<Row> = rows.into_iter().map(Row::Postgres).collect();
        let secrets = gathered(&rows)
            .map_err(|e| cannot(server, &e.to_string(), "restore it from a backup (pg_restore)"))?;
        (examined.gateways, examined.secrets) = (there, secrets);
    }
    Ok(examined)
}

/// That it can be written, and has room for some pages more.
async fn writable(one: &mut PgConnection) -> Result<(), Error> {
    let mut tx = within(ANSWER, one.begin()).await?;
    // Not alike enough to be kept in less room.
    let try_it = "INSERT INTO gateway (id, name, started, seen)
                  SELECT 'doctor', string_agg(md5(n::text), ''), 0, 0 FROM generate_series(1, 2048) n";
    within(ANSWER, sqlx::query(try_it).execute(&mut *tx)).await?;
    within(ANSWER, tx.rollback()).await
}

/// Takes back from a store that was put back by `pg_restore` what may have been used or taken back since
/// it was dumped, as [`settle`](crate::settle) does. No gateway may be there.
///
/// # Errors
/// [`StoreError`]: the store is not to be used.
pub async fn settle_server(
    settings: &PostgresSettings,
    clock: Clock,
) -> Result<Settled, StoreError> {
    let (server, mut one) = connected(settings).await?;
    let there = async {
        let found = fit(&server, &mut one, clock).await?;
        steps(&server, &mut one, &found).await?;
        if found.met { gateways(&server, &mut one, clock()).await } else { Ok(Vec::new()) }
    };
    let there = there.await;
    let _ = within(ANSWER, one.close()).await;
    if let count @ 1.. = there?.len() {
        return Err(StoreError::InUse { server, count });
    }
    let store = Store::connect_beside(settings, clock).await?;
    let settled = take_back(&store, clock()).await.map_err(|e| unusable(&server, &e));
    store.close().await;
    settled?.map_err(|count| StoreError::InUse { server, count })
}

/// As many gateways as are there, if any.
async fn take_back(store: &Store, now: Timestamp) -> Result<Result<Settled, usize>, Error> {
    let at = now.as_micros();
    // None comes while this turn is held, and whoever comes later finds a settled store.
    let mut coming = store.write_in(Turn::Heart, &[]).await?;
    let there: i64 = query("SELECT count(*) FROM gateway WHERE seen > $1")
        .bind(ago(now, GONE).as_micros())
        .scalar(&mut coming)
        .await?;
    if there > 0 {
        return Ok(Err(usize::try_from(there).unwrap_or(usize::MAX)));
    }
    let mut tx = store.write(&[]).await?;
    let reviews = query(LAPSE).bind(at).execute(&mut tx).await?;
    let credentials = query(REVOKE).bind(at).execute(&mut tx).await?;
    let grants = query(END_GRANTS).bind(at).execute(&mut tx).await?;
    query(SIGN_OUT).bind(at).execute(&mut tx).await?;
    query(HUSH).bind(at).execute(&mut tx).await?;
    // Above whatever gateways may have seen before it went back.
    for raise in [
        "UPDATE revision SET changes = changes + $1 WHERE topic <> 'id'",
        "UPDATE definition SET changes = changes + $1",
    ] {
        query(raise).bind(SETTLED).execute(&mut tx).await?;
    }
    tx.commit().await?;
    drop(coming);
    Ok(Ok(Settled { reviews, credentials, grants }))
}
