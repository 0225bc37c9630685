//! The desk where reviews are filed, waited for and used up: where a held request stands.

use crate::db::{Tx, query};
use crate::open::Store;
use crate::peers::Topic;
use crate::rows::{Status, Stored, Unreadable, bad, json, said, stored};
use portcullis_core::digest::Digest;
use portcullis_core::id::{PatternId, ReviewId, SessionId};
use portcullis_core::pattern::{Grant, Use};
use portcullis_core::rehearsal::Rehearsal;
use portcullis_core::review::{
    Approval, Ask, Claim, Decision, Desk, DeskError, Ticket, Withdrawal,
};
use portcullis_core::time::Timestamp;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

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
/// Reviews survive a restart. Whoever waits is told of a decision at once, wherever it was made: at
/// this desk, or at that of another gateway that works on the same store.
#[derive(Clone)]
pub struct ReviewDesk {
    inner: Arc<Inner>,
    withdrawals: mpsc::Sender<(Ticket, Withdrawal)>,
}

struct Inner {
    store: Store,
    settings: ReviewSettings,
    clock: Clock,
    /// Tickets handed out at this gateway and not taken back.
    holders: Mutex<HashMap<ReviewId, usize>>,
}

impl ReviewDesk {
    /// The desk over a store. Must be called within a Tokio runtime: a task of its own writes down
    /// what is withdrawn, so that withdrawing never waits.
    #[must_use]
    pub fn new(store: Store, settings: ReviewSettings, clock: Clock) -> Self {
        let inner = Inner { store, settings, clock, holders: Mutex::default() };
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

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    /// A transaction that holds the write lock from its start, so that what it reads stays true.
    pub(crate) async fn write(&self, topics: &'static [Topic]) -> Result<Tx, Unreadable> {
        Ok(self.inner.store.write(topics).await?)
    }

    /// Changes whenever something about any review is different, at whichever gateway. What lapses does
    /// so unseen until somebody looks.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.store.changes(Topic::Reviews)
    }

    /// Nobody at this gateway waits for it any more.
    pub(crate) fn is_over(&self, review: ReviewId) {
        self.inner.ended(review);
    }

    pub(crate) async fn lapse_due(&self, at: Timestamp) -> Result<(), Unreadable> {
        self.inner.lapse_due(at).await
    }

    /// Forgets reviews that ended before `before`, and says how many. Their record is the journal. One in
    /// which a pattern was given stays as long as that may be good: by it is known on whose word.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn forget_ended(&self, before: Timestamp) -> Result<u64, DeskError> {
        let forget = query(
            "DELETE FROM review WHERE status NOT IN ('pending', 'approved') AND ended < $1
                 AND NOT EXISTS (SELECT 1 FROM pattern p WHERE p.review = review.id
                                 AND p.ended IS NULL AND p.expires >= $1)",
        )
        .bind(before.as_micros());
        Ok(self.store().change(&[], forget).await.map_err(Unreadable::from)?)
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
                found.status == Status::Approved && found.expires > now && found.is_for(ticket)
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
    fn holders(&self) -> MutexGuard<'_, HashMap<ReviewId, usize>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing happens to this review any more.
    fn ended(&self, review: ReviewId) {
        self.holders().remove(&review);
    }

    async fn write(&self) -> Result<Tx, Unreadable> {
        Ok(self.store.write(&[Topic::Reviews]).await?)
    }

    async fn look(&self, review: ReviewId) -> Result<Option<Stand>, Unreadable> {
        let row = query("SELECT status, expires, digest FROM review WHERE id = $1");
        let row = row.bind(review.to_string()).optional(&self.store).await?;
        let Some(row) = row else { return Ok(None) };
        let word: String = row.try_get("status")?;
        let digest: String = row.try_get("digest")?;
        Ok(Some(Stand {
            status: Status::from_word(&word).ok_or_else(|| bad("review.status", &word))?,
            expires: Timestamp::from_micros(row.try_get("expires")?),
            digest,
        }))
    }

    /// Ends what was not decided, or not used, in time.
    async fn lapse_due(&self, at: Timestamp) -> Result<(), Unreadable> {
        let due = query(
            "SELECT id FROM review WHERE status IN ('pending', 'approved') AND expires <= $1 LIMIT 1",
        );
        if due.bind(at.as_micros()).optional(&self.store).await?.is_none() {
            return Ok(());
        }
        let mut tx = self.store.write(&[Topic::Reviews]).await?;
        let lapsed = query(
            "UPDATE review SET status = 'expired', ended = expires
             WHERE status IN ('pending', 'approved') AND expires <= $1 RETURNING id",
        )
        .bind(at.as_micros())
        .all(&mut tx)
        .await?;
        tx.commit().await?;
        for row in lapsed {
            let id: String = row.try_get("id")?;
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
                self.hold(&mut tx, found.id).await?;
                tx.commit().await.map_err(Unreadable::from)?;
                return Ok(self.ticket(&found));
            }
            Met::Outdated(review) => Some(review),
            Met::Nothing => None,
        };
        refuse_too_many(&mut tx, &ask).await?;
        let id = ReviewId::from_bits(random_bits()?);
        let expires = ask.at.plus(self.settings.ttl);
        self.insert(&mut tx, id, &ask, &text, expires).await?;
        self.hold(&mut tx, id).await?;
        tx.commit().await.map_err(Unreadable::from)?;
        if let Some(review) = outdated {
            self.ended(review);
        }
        *self.holders().entry(id).or_default() += 1;
        Ok(Ticket { review: id, digest: ask.digest, groups: ask.groups, expires })
    }

    /// Somebody at this gateway waits for a review.
    async fn hold(&self, tx: &mut Tx, review: ReviewId) -> Result<(), Unreadable> {
        let hold = query(
            "INSERT INTO review_holder (review, gateway) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        );
        hold.bind(review.to_string()).bind(self.store.gateway()).execute(tx).await?;
        Ok(())
    }

    /// One more holder of an open review.
    fn ticket(&self, found: &Stored) -> Ticket {
        *self.holders().entry(found.id).or_default() += 1;
        Ticket {
            review: found.id,
            digest: found.ask.digest,
            groups: found.ask.groups.clone(),
            expires: found.expires,
        }
    }

    async fn decided(&self, ticket: &Ticket) -> Result<Decision, Unreadable> {
        let mut changes = self.store.changes(Topic::Reviews);
        loop {
            // What changes from here on is heard below, so that nothing falls in between.
            changes.mark_unchanged();
            let now = (self.clock)();
            let found = self.look(ticket.review).await?;
            let Some(found) = found.filter(|found| found.is_for(ticket)) else {
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
                    let _ = tokio::time::timeout(left, changes.changed()).await;
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
        let said = said(&self.store, &review.to_string()).await?;
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
        let used = query(
            "UPDATE review SET status = 'used', ended = $3
             WHERE id = $1 AND digest = $2 AND status = 'approved' AND expires > $3",
        )
        .bind(&id)
        .bind(digest.to_string())
        .bind(at.as_micros())
        .execute(&mut tx)
        .await
        .map_err(Unreadable::from)?;
        if used != 1 {
            return no_approval("it was used already, has lapsed, or was never given");
        }
        let row = query("SELECT * FROM review WHERE id = $1").bind(&id);
        let row = row.one(&mut tx).await.map_err(Unreadable::from)?;
        let Stored { ask, rehearsal, .. } = stored(&row)?;
        let bound: Option<i64> = row.try_get("most").map_err(Unreadable::from)?;
        tx.commit().await.map_err(Unreadable::from)?;
        self.ended(ticket.review);
        let most = rehearsal.and_then(|rehearsal| rehearsal.seen).map(|seen| seen.changed);
        // What cannot be a number of rows is none at all.
        let bound = bound.map(|most| u64::try_from(most).unwrap_or(0));
        let most = [most, bound].into_iter().flatten().min();
        Ok(Approval { groups: ask.groups, most })
    }

    async fn withdraw(&self, ticket: &Ticket, why: Withdrawal) -> Result<(), Unreadable> {
        // Another session of the same caller may wait for the same review.
        let last = {
            let mut holders = self.holders();
            match holders.get_mut(&ticket.review) {
                Some(count) => {
                    *count = count.saturating_sub(1);
                    *count == 0
                }
                None => true,
            }
        };
        if !last {
            return Ok(());
        }
        let id = ticket.review.to_string();
        let now = (self.clock)();
        let mut tx = self.store.write(&[Topic::Reviews]).await?;
        let let_go = query("DELETE FROM review_holder WHERE review = $1 AND gateway = $2");
        let_go.bind(&id).bind(self.store.gateway()).execute(&mut tx).await?;
        let elsewhere = query("SELECT count(*) FROM review_holder WHERE review = $1");
        if elsewhere.bind(&id).scalar::<i64>(&mut tx).await? == 0 {
            let word = serde_json::to_value(why).map_err(|e| bad("withdrawal", e))?;
            query(
                "UPDATE review SET status = 'withdrawn', ended = $3, withdrawal = $4
                 WHERE id = $1 AND digest = $2 AND status IN ('pending', 'approved')",
            )
            .bind(&id)
            .bind(ticket.digest.to_string())
            .bind(now.as_micros())
            .bind(word.as_str())
            .execute(&mut tx)
            .await?;
        }
        tx.commit().await?;
        self.ended(ticket.review);
        Ok(())
    }

    async fn insert(
        &self,
        tx: &mut Tx,
        id: ReviewId,
        ask: &Ask,
        text: &str,
        expires: Timestamp,
    ) -> Result<(), Unreadable> {
        let principal = &ask.standing.principal;
        query(
            "INSERT INTO review (id, digest, status, issuer, subject, connection, ask, filed,
                                 expires, groups, gateway, person_issuer, person)
             VALUES ($1, $2, 'pending', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(id.to_string())
        .bind(ask.digest.to_string())
        .bind(&principal.issuer)
        .bind(&principal.subject)
        .bind(&ask.standing.connection.name)
        .bind(text)
        .bind(ask.at.as_micros())
        .bind(expires.as_micros())
        .bind(json(&ask.groups)?)
        .bind(self.store.gateway())
        .bind(principal.person().map(|(issuer, _)| issuer))
        .bind(principal.person().map(|(_, subject)| subject))
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// Where a review stands, as whoever waits for it has to know.
struct Stand {
    status: Status,
    expires: Timestamp,
    digest: String,
}

impl Stand {
    fn is_for(&self, ticket: &Ticket) -> bool {
        self.digest == ticket.digest.to_string()
    }
}

/// What a filed request meets.
enum Met {
    /// Nothing open.
    Nothing,
    /// The open review of the same request, counted once more.
    Same(Box<Stored>),
    /// One that asks fewer groups, or less of who approves, than policy asks now, taken back here: its approval could not
    /// let the request run.
    Outdated(ReviewId),
}

async fn meet(tx: &mut Tx, ask: &Ask) -> Result<Met, Unreadable> {
    let row = query("SELECT * FROM review WHERE digest = $1 AND status IN ('pending', 'approved')")
        .bind(ask.digest.to_string())
        .optional(&mut *tx)
        .await?;
    let Some(found) = row.as_ref().map(stored).transpose()? else { return Ok(Met::Nothing) };
    let id = found.id.to_string();
    let shows_enough = ask.step_up <= found.ask.step_up;
    if shows_enough && ask.groups.is_subset(&found.ask.groups) {
        query("UPDATE review SET repeats = repeats + 1 WHERE id = $1")
            .bind(&id)
            .execute(&mut *tx)
            .await?;
        return Ok(Met::Same(Box::new(found)));
    }
    query("UPDATE review SET status = 'withdrawn', ended = $2 WHERE id = $1")
        .bind(&id)
        .bind(ask.at.as_micros())
        .execute(&mut *tx)
        .await?;
    Ok(Met::Outdated(found.id))
}

async fn refuse_too_many(tx: &mut Tx, ask: &Ask) -> Result<(), DeskError> {
    let principal = &ask.standing.principal;
    let pending = query(
        "SELECT count(*) FROM review WHERE status = 'pending' AND issuer = $1 AND subject = $2",
    )
    .bind(&principal.issuer)
    .bind(&principal.subject)
    .scalar::<i64>(tx)
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
