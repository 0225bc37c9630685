//! The desk where reviews are filed, waited for and used up: where a held request stands.

use crate::open::Store;
use crate::rows::{Status, Stored, Unreadable, bad, json, said, stored};
use portcullis_core::digest::Digest;
use portcullis_core::id::{PatternId, ReviewId, SessionId};
use portcullis_core::pattern::{Grant, Use};
use portcullis_core::rehearsal::Rehearsal;
use portcullis_core::review::{
    Approval, Ask, Claim, Decision, Desk, DeskError, Ticket, Withdrawal,
};
use portcullis_core::time::Timestamp;
use sqlx::sqlite::SqlitePool;
use sqlx::{Sqlite, Transaction};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// Most reviews of one principal that may wait at the same time.
pub const MAX_PENDING: i64 = 50;
/// Largest question, in bytes of JSON: what is larger, nobody could read.
const MAX_ASK: usize = 4 << 20;
/// Longest sleep before a waiting request looks at the clock again, in case it was set.
const LOOK: Duration = Duration::from_secs(30);
/// Withdrawals that may wait to be written down; one more is lost, and lapses by itself.
const MAX_WITHDRAWALS: usize = 1_024;

/// Reads the time: the only clock of this crate.
pub type Clock = fn() -> Timestamp;

/// Settings of the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReviewSettings {
    /// How long a review stays open, from filing to the request running.
    pub ttl: Duration,
}

impl Default for ReviewSettings {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(15 * 60) }
    }
}

/// Files, decides and uses up reviews. Clones are the same desk.
///
/// Reviews survive a restart. Whoever waits is told of a decision made through this desk (or a
/// clone) at once; one gateway works on one store, so there is no other desk.
#[derive(Clone)]
pub struct ReviewDesk {
    inner: Arc<Inner>,
    withdrawals: mpsc::Sender<(Ticket, Withdrawal)>,
}

struct Inner {
    store: Store,
    settings: ReviewSettings,
    clock: Clock,
    waiting: Mutex<HashMap<ReviewId, Waiting>>,
    /// Counts what has become different about any review.
    changes: watch::Sender<u64>,
}

/// Who waits for one review in this process.
#[derive(Default)]
struct Waiting {
    /// Tickets handed out and not taken back.
    holders: usize,
    changed: Arc<Notify>,
}

impl ReviewDesk {
    /// The desk over a store. Must be called within a Tokio runtime: a task of its own writes down
    /// what is withdrawn, so that withdrawing never waits.
    #[must_use]
    pub fn new(store: Store, settings: ReviewSettings, clock: Clock) -> Self {
        let (waiting, changes) = (Mutex::default(), watch::Sender::new(0));
        let inner = Inner { store, settings, clock, waiting, changes };
        let inner = Arc::new(inner);
        let (withdrawals, mut queue) = mpsc::channel::<(Ticket, Withdrawal)>(MAX_WITHDRAWALS);
        let worker = Arc::clone(&inner);
        tokio::spawn(async move {
            while let Some((ticket, why)) = queue.recv().await {
                if let Err(error) = worker.withdraw(&ticket, why).await {
                    let _: DeskError = error.into();
                }
            }
        });
        Self { inner, withdrawals }
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.inner.store.pool
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    /// A transaction that holds the write lock from its start, so that what it reads stays true.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, Unreadable> {
        self.inner.write().await
    }

    /// Changes whenever something about any review is different by what this desk, or a clone, has done.
    /// What lapses does so unseen until somebody looks.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Something about a review is different that nobody waits for.
    pub(crate) fn changed(&self) {
        self.inner.changed();
    }

    pub(crate) fn wake(&self, review: ReviewId) {
        self.inner.wake(review);
    }

    pub(crate) fn ended(&self, review: ReviewId) {
        self.inner.ended(review);
    }

    pub(crate) async fn lapse_due(&self, at: Timestamp) -> Result<(), Unreadable> {
        self.inner.lapse_due(at).await
    }

    /// Forgets reviews that ended before `before`, and says how many. Their record is the journal.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn forget_ended(&self, before: Timestamp) -> Result<u64, DeskError> {
        let done = sqlx::query(
            "DELETE FROM review WHERE status NOT IN ('pending', 'approved') AND ended < ?1",
        )
        .bind(before.as_micros())
        .execute(self.pool())
        .await
        .map_err(Unreadable::from)?;
        Ok(done.rows_affected())
    }
}

impl Desk for ReviewDesk {
    fn file(&self, ask: Ask) -> impl Future<Output = Result<Ticket, DeskError>> + Send {
        self.inner.file(ask)
    }

    async fn decided(&self, ticket: &Ticket) -> Decision {
        match self.inner.decided(ticket).await {
            Ok(decision) => decision,
            Err(error) => {
                // Unanswered means no.
                let _: DeskError = error.into();
                Decision::Withdrawn
            }
        }
    }

    async fn consume_ready(&self, ticket: &Ticket) -> bool {
        let now = self.now();
        match self.inner.look(ticket.review).await {
            Ok(Some(found)) => {
                found.status == Status::Approved
                    && found.expires > now
                    && found.ask.digest == ticket.digest
            }
            Ok(None) => false,
            Err(error) => {
                let _: DeskError = error.into();
                false
            }
        }
    }

    fn consume(
        &self,
        ticket: &Ticket,
        digest: Digest,
        at: Timestamp,
    ) -> impl Future<Output = Result<Approval, DeskError>> + Send {
        self.inner.consume(ticket, digest, at)
    }

    async fn claim(&self, ticket: &Ticket, until: Timestamp) -> Result<Claim, DeskError> {
        Ok(self.claim_rehearsal(ticket, until).await?)
    }

    async fn show(&self, ticket: &Ticket, rehearsal: &Rehearsal) -> Result<(), DeskError> {
        Ok(self.keep_rehearsal(ticket, rehearsal).await?)
    }

    fn withdraw(&self, ticket: &Ticket, why: Withdrawal) {
        if self.withdrawals.try_send((ticket.clone(), why)).is_err() {
            tracing::warn!(review = %ticket.review, "a withdrawal was lost; the review will lapse");
        }
    }

    async fn retire(&self, ticket: &Ticket, why: Withdrawal) {
        if let Err(error) = self.inner.withdraw(ticket, why).await {
            // It still fits nothing but what it was given for.
            let _: DeskError = error.into();
        }
    }

    async fn pattern(
        &self,
        session: SessionId,
        digest: Digest,
        at: Timestamp,
    ) -> Result<Option<Grant>, DeskError> {
        Ok(self.fitting(session, digest, at).await?)
    }

    async fn use_pattern(
        &self,
        pattern: PatternId,
        session: SessionId,
        digest: Digest,
        at: Timestamp,
    ) -> Result<Use, DeskError> {
        match self.count_use(pattern, session, digest, at).await? {
            Some(used) => Ok(used),
            None => no_approval("the pattern is used up, has lapsed or was revoked"),
        }
    }
}

fn no_approval<T>(why: &str) -> Result<T, DeskError> {
    Err(DeskError::NoApproval(why.to_owned()))
}

/// 64 random bits from the operating system's generator.
pub(crate) fn random_bits() -> Result<u64, Unreadable> {
    let mut bits = [0u8; 8];
    aws_lc_rs::rand::fill(&mut bits).map_err(|e| bad("no random number", e))?;
    Ok(u64::from_be_bytes(bits))
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, HashMap<ReviewId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn wake(&self, review: ReviewId) {
        self.changed();
        if let Some(waiting) = self.waiting().get(&review) {
            waiting.changed.notify_waiters();
        }
    }

    /// Tells whoever waits, and forgets them: nothing happens to this review any more.
    fn ended(&self, review: ReviewId) {
        self.changed();
        if let Some(waiting) = self.waiting().remove(&review) {
            waiting.changed.notify_waiters();
        }
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, Unreadable> {
        Ok(self.store.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn look(&self, review: ReviewId) -> Result<Option<Stored>, Unreadable> {
        let row = sqlx::query("SELECT * FROM review WHERE id = ?1")
            .bind(review.to_string())
            .fetch_optional(&self.store.pool)
            .await?;
        row.as_ref().map(stored).transpose()
    }

    /// Ends what was not decided, or not used, in time.
    async fn lapse_due(&self, at: Timestamp) -> Result<(), Unreadable> {
        let lapsed = sqlx::query_scalar::<_, String>(
            "UPDATE review SET status = 'expired', ended = expires
             WHERE status IN ('pending', 'approved') AND expires <= ?1 RETURNING id",
        )
        .bind(at.as_micros())
        .fetch_all(&self.store.pool)
        .await?;
        for id in lapsed {
            self.ended(id.parse().map_err(|e| bad("review.id", e))?);
        }
        Ok(())
    }

    async fn file(&self, ask: Ask) -> Result<Ticket, DeskError> {
        let text = json(&ask)?;
        if text.len() > MAX_ASK {
            return Err(DeskError::Full(format!(
                "the request is over {MAX_ASK} bytes, too large for a person to review"
            )));
        }
        self.lapse_due(ask.at).await?;
        let mut tx = self.write().await?;
        let outdated = match meet(&mut tx, &ask).await? {
            Met::Same(found) => {
                tx.commit().await.map_err(Unreadable::from)?;
                return Ok(self.ticket(&found));
            }
            Met::Outdated(review) => Some(review),
            Met::Nothing => None,
        };
        refuse_too_many(&mut tx, &ask).await?;
        let id = ReviewId::from_bits(random_bits()?);
        let expires = ask.at.plus(self.settings.ttl);
        insert(&mut tx, id, &ask, &text, expires).await?;
        tx.commit().await.map_err(Unreadable::from)?;
        if let Some(review) = outdated {
            self.ended(review);
        }
        self.waiting().entry(id).or_default().holders += 1;
        self.changed();
        Ok(Ticket { review: id, digest: ask.digest, groups: ask.groups, expires })
    }

    /// One more holder of an open review.
    fn ticket(&self, found: &Stored) -> Ticket {
        self.waiting().entry(found.id).or_default().holders += 1;
        Ticket {
            review: found.id,
            digest: found.ask.digest,
            groups: found.ask.groups.clone(),
            expires: found.expires,
        }
    }

    async fn decided(&self, ticket: &Ticket) -> Result<Decision, Unreadable> {
        let changed = Arc::clone(&self.waiting().entry(ticket.review).or_default().changed);
        loop {
            // Listening starts before looking, so that no change falls in between.
            let mut notified = std::pin::pin!(changed.notified());
            notified.as_mut().enable();
            let now = (self.clock)();
            let found = self.look(ticket.review).await?;
            let Some(found) = found.filter(|found| found.ask.digest == ticket.digest) else {
                return Ok(Decision::Withdrawn);
            };
            if found.status.is_open() && found.expires <= now {
                self.lapse_due(now).await?;
                continue;
            }
            let decision = match found.status {
                Status::Pending => {
                    let left = found.expires.since(now).min(LOOK);
                    // A change or the end of the wait: either way the store is asked again.
                    let _ = tokio::time::timeout(left, notified).await;
                    continue;
                }
                Status::Approved => Decision::Approved,
                Status::Rejected => self.rejection(ticket.review).await?,
                Status::Expired => Decision::Expired,
                Status::Used | Status::Withdrawn => Decision::Withdrawn,
            };
            if !found.status.is_open() {
                self.ended(ticket.review);
            }
            return Ok(decision);
        }
    }

    async fn rejection(&self, review: ReviewId) -> Result<Decision, Unreadable> {
        let said = said(&self.store.pool, &review.to_string()).await?;
        let rejection = said.into_iter().find(|r| !r.approved);
        let rejection =
            rejection.ok_or_else(|| bad("review_decision", "a rejection is missing"))?;
        Ok(Decision::Rejected { by: rejection.name, reason: rejection.reason })
    }

    async fn consume(
        &self,
        ticket: &Ticket,
        digest: Digest,
        at: Timestamp,
    ) -> Result<Approval, DeskError> {
        if ticket.digest != digest {
            return no_approval("the request is not the one that was reviewed");
        }
        let id = ticket.review.to_string();
        let mut tx = self.write().await?;
        // INVARIANT: an approval is used by this one statement and no other, so that of any number
        // of takers one finds the row, and none does after it has lapsed or for other bytes.
        let used = sqlx::query(
            "UPDATE review SET status = 'used', ended = ?3
             WHERE id = ?1 AND digest = ?2 AND status = 'approved' AND expires > ?3",
        )
        .bind(&id)
        .bind(digest.to_string())
        .bind(at.as_micros())
        .execute(&mut *tx)
        .await
        .map_err(Unreadable::from)?;
        if used.rows_affected() != 1 {
            return no_approval("it was used already, has lapsed, or was never given");
        }
        let row = sqlx::query("SELECT * FROM review WHERE id = ?1").bind(&id);
        let row = row.fetch_one(&mut *tx).await.map_err(Unreadable::from)?;
        let Stored { ask, rehearsal, .. } = stored(&row)?;
        tx.commit().await.map_err(Unreadable::from)?;
        self.ended(ticket.review);
        let most = rehearsal.and_then(|rehearsal| rehearsal.seen).map(|seen| seen.changed);
        Ok(Approval { groups: ask.groups, most })
    }

    async fn withdraw(&self, ticket: &Ticket, why: Withdrawal) -> Result<(), Unreadable> {
        // Another session of the same caller may wait for the same review.
        let last = {
            let mut waiting = self.waiting();
            match waiting.get_mut(&ticket.review) {
                Some(entry) => {
                    entry.holders = entry.holders.saturating_sub(1);
                    entry.holders == 0
                }
                None => true,
            }
        };
        if !last {
            return Ok(());
        }
        let word = serde_json::to_value(why).map_err(|e| bad("withdrawal", e))?;
        sqlx::query(
            "UPDATE review SET status = 'withdrawn', ended = ?3, withdrawal = ?4
             WHERE id = ?1 AND digest = ?2 AND status IN ('pending', 'approved')",
        )
        .bind(ticket.review.to_string())
        .bind(ticket.digest.to_string())
        .bind((self.clock)().as_micros())
        .bind(word.as_str())
        .execute(&self.store.pool)
        .await?;
        self.ended(ticket.review);
        Ok(())
    }
}

/// What a filed request meets.
enum Met {
    /// Nothing open.
    Nothing,
    /// The open review of the same request, counted once more.
    Same(Box<Stored>),
    /// One that asks fewer groups than policy asks now, taken back here: its approval could not
    /// let the request run.
    Outdated(ReviewId),
}

async fn meet(tx: &mut Transaction<'_, Sqlite>, ask: &Ask) -> Result<Met, Unreadable> {
    let row =
        sqlx::query("SELECT * FROM review WHERE digest = ?1 AND status IN ('pending', 'approved')")
            .bind(ask.digest.to_string())
            .fetch_optional(&mut **tx)
            .await?;
    let Some(found) = row.as_ref().map(stored).transpose()? else { return Ok(Met::Nothing) };
    let id = found.id.to_string();
    if ask.groups.is_subset(&found.ask.groups) {
        sqlx::query("UPDATE review SET repeats = repeats + 1 WHERE id = ?1")
            .bind(&id)
            .execute(&mut **tx)
            .await?;
        return Ok(Met::Same(Box::new(found)));
    }
    sqlx::query("UPDATE review SET status = 'withdrawn', ended = ?2 WHERE id = ?1")
        .bind(&id)
        .bind(ask.at.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(Met::Outdated(found.id))
}

async fn refuse_too_many(tx: &mut Transaction<'_, Sqlite>, ask: &Ask) -> Result<(), DeskError> {
    let principal = &ask.standing.principal;
    let pending = sqlx::query_scalar::<_, i64>(
        "SELECT count(*) FROM review WHERE status = 'pending' AND issuer = ?1 AND subject = ?2",
    )
    .bind(&principal.issuer)
    .bind(&principal.subject)
    .fetch_one(&mut **tx)
    .await
    .map_err(Unreadable::from)?;
    if pending >= MAX_PENDING {
        return Err(DeskError::Full(format!(
            "{pending} requests of {} wait already; wait for a decision, or withdraw some",
            principal.name
        )));
    }
    Ok(())
}

async fn insert(
    tx: &mut Transaction<'_, Sqlite>,
    id: ReviewId,
    ask: &Ask,
    text: &str,
    expires: Timestamp,
) -> Result<(), Unreadable> {
    sqlx::query(
        "INSERT INTO review (id, digest, status, issuer, subject, connection, ask, filed, expires)
         VALUES (?1, ?2, 'pending', ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(id.to_string())
    .bind(ask.digest.to_string())
    .bind(&ask.standing.principal.issuer)
    .bind(&ask.standing.principal.subject)
    .bind(&ask.standing.connection.name)
    .bind(text)
    .bind(ask.at.as_micros())
    .bind(expires.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
