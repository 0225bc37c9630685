//! Grants: access that people give for a time, from the request to its end. Asked at every log-in to a
//! connection that takes one: what is not here, or cannot be read, opens nothing.
//!
//! Everything that changes a grant stands in one transaction with what it rests on, and says what it must
//! have been before; so of any number of gateways on one store one does it.
//!
//! *Architecture invariant:* a grant is in force when everybody has approved *and* the journal has it. What
//! becomes of a grant is first here, as not recorded; whoever brought it there records it and says so
//! ([`GrantStore::recorded`]). What a gateway that stopped in between has left, the next one that looks
//! records ([`GrantStore::unrecorded`]): at least once, and never not at all.

use crate::db::{On, Query, Row, Tx, by_dialect, query};
use crate::decide::Shows;
use crate::open::Store;
use crate::page::{Listed, Page};
use crate::passkeys::{StepUpError, use_assertion};
use crate::peers::Topic;
use crate::quorum::{self, Objection, Seat};
use crate::rows::{Reviewed, Unreadable, bad, json};
use portcullis_core::access::{AccessAsk, Ending};
use portcullis_core::id::GrantId;
use portcullis_core::passkey::Matter;
use portcullis_core::principal::{Principal, PrincipalKind, Reviewer};
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::Standing;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tokio::sync::watch;

/// Most requests for access of one principal that may wait at the same time.
pub const MAX_PENDING_GRANTS: i64 = 10;
/// Most that may wait of one person and all that act for it.
pub const MAX_PENDING_OF_PERSON: i64 = 30;
/// Most requests that may wait at all: people have to find theirs among them.
const MAX_WAITING: i64 = 1_000;

/// Where a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantStatus {
    /// People are still to decide.
    Pending,
    /// Everybody has approved. It is in force as soon as the journal has it.
    Approved,
    /// It is in force.
    Active,
    /// Somebody said no.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// It was taken back before it was decided.
    Withdrawn,
    /// It was in force, and is not any more.
    Ended,
}

impl GrantStatus {
    /// Every status.
    pub const ALL: &'static [Self] = &[
        Self::Pending,
        Self::Approved,
        Self::Active,
        Self::Rejected,
        Self::Expired,
        Self::Withdrawn,
        Self::Ended,
    ];

    /// The word used in JSON and to people. In the store what is approved is active, and not recorded.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Active => "active",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Ended => "ended",
        }
    }

    /// True where something can still become of it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Approved | Self::Active)
    }

    /// The word in the store.
    const fn word(self) -> &'static str {
        match self {
            Self::Approved | Self::Active => "active",
            other => other.as_str(),
        }
    }
}

/// A grant, or a request for one. `ask` holds text of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrantRow {
    /// Which.
    pub id: GrantId,
    /// Where it stands at the moment of reading.
    pub status: GrantStatus,
    /// What was asked for.
    pub ask: AccessAsk,
    /// How often the same was asked again while it waited.
    pub repeats: u32,
    /// When it was approved: its time counts from here.
    pub begun: Option<Timestamp>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// When it ended, where it has.
    pub ended: Option<Timestamp>,
    /// How.
    pub ending: Option<Ending>,
    /// By whom: the subject.
    pub ended_by: Option<String>,
    /// And why, where that was told.
    pub ended_why: Option<String>,
    /// Who ended it, for the record.
    #[serde(skip)]
    pub ended_who: Option<Principal>,
    /// Whether the journal has what the status says.
    #[serde(skip)]
    pub recorded: bool,
    /// What was said so far, in order.
    pub decisions: Vec<Reviewed>,
    /// The groups of which people may decide now; empty where there is nothing to decide.
    pub waiting_for: BTreeSet<String>,
    /// How many more people have to approve.
    pub wanted: usize,
}

/// What has become of a request that was filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filed {
    /// It waits.
    New(GrantRow),
    /// The same waits already.
    Same(GrantRow),
}

/// What an approval led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted {
    /// Everybody has approved: it is in force once that is recorded, and its time counts from here.
    Begun(GrantRow),
    /// It is noted; more people have to approve.
    Waiting(GrantRow),
}

/// Why nothing was done to a grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// There is no such grant.
    #[error("there is no grant {0}")]
    Unknown(GrantId),
    /// Four eyes, or somebody who is no person for itself.
    #[error("{0}")]
    NotYours(&'static str),
    /// The person is in none of the groups asked.
    #[error("this request asks {}, and you are in none of them", joined(.0))]
    NotAsked(BTreeSet<String>),
    /// The person has approved already.
    #[error("you have approved this request already; it wants somebody else of {}", joined(.0))]
    AlreadyYours(BTreeSet<String>),
    /// It is over, or decided.
    #[error("it is {}, so there is nothing left to decide", .0.as_str())]
    Ended(GrantStatus),
    /// A rejection needs a reason, because whoever asks reads it.
    #[error("say why: whoever asks reads the reason")]
    NoReason,
    /// Nobody decides on what the journal does not have.
    #[error("this request is not recorded yet: try again in a moment")]
    Unrecorded,
    /// What a passkey has to let happen, and does not.
    #[error(transparent)]
    StepUp(#[from] StepUpError),
    /// There is no room for another request.
    #[error("{0}")]
    Full(String),
    /// The store does not answer, or says what nobody understands.
    #[error("the store of grants cannot be read or written: the gateway's log says why")]
    Unavailable,
}

fn joined(groups: &BTreeSet<String>) -> String {
    groups.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl From<Unreadable> for GrantError {
    fn from(error: Unreadable) -> Self {
        tracing::error!(error = error.0, "grants cannot be read or written");
        Self::Unavailable
    }
}

impl From<sqlx::Error> for GrantError {
    fn from(error: sqlx::Error) -> Self {
        Unreadable::from(error).into()
    }
}

impl From<Objection> for GrantError {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Own(why) => Self::NotYours(why),
            Objection::NotAsked(groups) => Self::NotAsked(groups),
            Objection::AlreadyYours(groups) | Objection::NotNeeded(groups) => {
                Self::AlreadyYours(groups)
            }
            Objection::Approved => Self::Ended(GrantStatus::Active),
        }
    }
}

/// Where grants are kept. Clones are the same.
#[derive(Debug, Clone)]
pub struct GrantStore {
    store: Store,
}

/// How a grant is ended.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// How it comes to its end.
    pub ending: Ending,
    /// Who ends it; `None` where the gateway does.
    pub by: Option<&'a Principal>,
    /// Why, where that is told.
    pub reason: Option<&'a str>,
}

/// What this gateway is to look after: what it has brought there itself, and what one has left that is gone.
macro_rules! own {
    ($me:literal) => {
        concat!("(recorder = ", $me, " OR recorder NOT IN (SELECT id FROM gateway))")
    };
}

/// The list of grants; how the groups asked and those of the viewer are read is said by dialect.
macro_rules! listed {
    ($asked:literal, $viewers:literal) => {
        concat!(
            "SELECT * FROM access_grant
             WHERE ($1 OR status IN ('pending', 'active'))
               AND ($2 IS NULL OR issuer = $2 AND subject = $3
                    OR person_issuer = $2 AND person = $3
                    OR EXISTS (",
            $asked,
            " INTERSECT ",
            $viewers,
            "))
               AND asked <= $6 AND (asked < $6 OR id > $7)
             ORDER BY asked DESC, id LIMIT $5"
        )
    };
}

impl GrantStore {
    /// The grants of a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Follows what becomes of grants, at whichever gateway.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.store.changes(Topic::Grants)
    }

    async fn write(&self) -> Result<Tx, Unreadable> {
        Ok(self.store.write(&[Topic::Grants]).await?)
    }

    /// Files a request under this id, or finds the one for the same that waits. It is not recorded yet.
    ///
    /// # Errors
    /// [`GrantError::Full`], [`GrantError::Unavailable`]: it is not filed.
    pub async fn file(&self, id: GrantId, ask: &AccessAsk) -> Result<Filed, GrantError> {
        let digest = ask.digest().to_string();
        let mut tx = self.write().await?;
        let same = query(
            "UPDATE access_grant SET repeats = repeats + 1
             WHERE digest = $1 AND status = 'pending' AND lapses > $2 RETURNING *",
        )
        .bind(&digest)
        .bind(ask.at.as_micros())
        .optional(&mut tx)
        .await?;
        if let Some(same) = same {
            let row = whole(&mut tx, &same, ask.at).await?;
            tx.commit().await?;
            return Ok(Filed::Same(row));
        }
        // One that has lapsed makes room for it: whoever looks after what is due may come later.
        query(
            "UPDATE access_grant
             SET status = 'expired', ended = lapses, ending = 'time', recorded = false, recorder = $2
             WHERE digest = $1 AND status = 'pending'",
        )
        .bind(&digest)
        .bind(self.store.gateway())
        .execute(&mut tx)
        .await?;
        refuse_too_many(&mut tx, ask).await?;
        insert(&mut tx, id, ask, (&digest, self.store.gateway())).await?;
        let row = found(&mut tx, id, ask.at).await?.ok_or(GrantError::Unknown(id))?;
        tx.commit().await?;
        Ok(Filed::New(row))
    }

    /// One grant; `None` where there is none of that id.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`].
    pub async fn find(&self, id: GrantId, at: Timestamp) -> Result<Option<GrantRow>, GrantError> {
        let row = query("SELECT * FROM access_grant WHERE id = $1").bind(id.to_string());
        Ok(match row.optional(&self.store).await? {
            Some(row) => Some(with_decisions(&self.store, &row, at).await?),
            None => None,
        })
    }

    /// Grants, newest first; only those that wait or are in force unless `all`. With `viewer` those that
    /// concern this principal: its own, those of whoever acts for it, and, for people, those that may
    /// ask a group of theirs. Whether it may see them is for whoever lists them to say.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`], also where one of them cannot be understood.
    pub async fn list(
        &self,
        all: bool,
        viewer: Option<&Principal>,
        at: Timestamp,
    ) -> Result<Vec<GrantRow>, GrantError> {
        let Listed { mut rows, .. } = self.page((all, viewer), at, &Page::default()).await?;
        rows.retain(|row| all || row.status.is_open());
        Ok(rows)
    }

    /// A page of them. What is over by the clock alone is among those that are not, too.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn page(
        &self,
        (all, viewer): (bool, Option<&Principal>),
        at: Timestamp,
        page: &Page,
    ) -> Result<Listed<GrantRow>, GrantError> {
        let (before, id) = page.bounds();
        let groups = viewer.filter(|who| who.kind == PrincipalKind::Person).map(|who| &who.groups);
        let rows = by_dialect(
            listed!("SELECT value FROM json_each(groups)", "SELECT value FROM json_each($4)"),
            listed!(
                "SELECT json_array_elements_text(groups::json)",
                "SELECT json_array_elements_text($4::json)"
            ),
        )
        .bind(all)
        .bind(viewer.map(|who| who.issuer.as_str()))
        .bind(viewer.map(|who| who.subject.as_str()))
        .bind(groups.map_or_else(|| Ok("[]".to_owned()), json)?)
        .bind(page.rows())
        .bind(before)
        .bind(id)
        .all(&self.store)
        .await?;
        let mut listed = Vec::with_capacity(rows.len());
        for row in &rows {
            listed.push(with_decisions(&self.store, row, at).await?);
        }
        Ok(Listed::of(listed, rows.len(), page))
    }

    /// What of a principal's is open on a connection, for a role: those in force first, the one that lasts
    /// longest before others, then the newest request that waits. Whether the connection is what it was
    /// when it was asked is for whoever knows that to say.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`].
    pub async fn open_for(
        &self,
        standing: &Standing,
        at: Timestamp,
    ) -> Result<Vec<GrantRow>, GrantError> {
        let who = &standing.principal;
        let rows = query(
            "SELECT * FROM access_grant
             WHERE issuer = $1 AND subject = $2 AND connection = $3 AND role = $4
               AND status IN ('pending', 'active')
             ORDER BY coalesce(until, 0) DESC, asked DESC, id",
        )
        .bind(&who.issuer)
        .bind(&who.subject)
        .bind(&standing.connection.name)
        .bind(&standing.connection.role)
        .all(&self.store)
        .await?;
        let mut open = Vec::new();
        for row in &rows {
            let row = with_decisions(&self.store, row, at).await?;
            if row.status.is_open() && row.ask.principal.is_same(who) {
                open.push(row);
            }
        }
        open.sort_by_key(|row| row.status != GrantStatus::Active);
        Ok(open)
    }

    /// What an approval by this person would lead to: the asked groups it is for, and whether everybody
    /// has approved with it. Nothing is noted. For whoever must record a decision before making it.
    ///
    /// # Errors
    /// [`GrantError`], as approving would give it.
    pub async fn may_approve(
        &self,
        id: GrantId,
        reviewer: &Reviewer,
        at: Timestamp,
    ) -> Result<(BTreeSet<String>, bool), GrantError> {
        self.may_approve_by(id, reviewer, Shows::default(), at).await
    }

    /// As [`may_approve`](Self::may_approve), with what the person shows beside a token.
    ///
    /// # Errors
    /// [`GrantError`], as approving would give it.
    pub async fn may_approve_by(
        &self,
        id: GrantId,
        reviewer: &Reviewer,
        shows: Shows<'_>,
        at: Timestamp,
    ) -> Result<(BTreeSet<String>, bool), GrantError> {
        let mut tx = self.store.write(&[]).await?;
        let (_, said, begins) = approval(&mut tx, id, reviewer, shows, at).await?;
        Ok((said.groups, begins))
    }

    /// The asked groups for which this person may reject.
    ///
    /// # Errors
    /// [`GrantError`], as rejecting would give it.
    pub async fn may_reject(
        &self,
        id: GrantId,
        reviewer: &Reviewer,
        at: Timestamp,
    ) -> Result<BTreeSet<String>, GrantError> {
        let mut tx = self.store.write(&[]).await?;
        pending_for(&mut tx, id, reviewer, at).await.map(|(_, own)| own)
    }

    /// Approves on behalf of one person, whose decision the journal has. With the last approval that is
    /// wanted its time begins; it is in force once that is [`recorded`](Self::recorded).
    ///
    /// # Errors
    /// [`GrantError`]: nothing was noted.
    pub async fn approve(
        &self,
        id: GrantId,
        reviewer: &Reviewer,
        at: Timestamp,
    ) -> Result<Granted, GrantError> {
        self.approve_by(id, reviewer, Shows::default(), at).await
    }

    /// As [`approve`](Self::approve), with what the person shows beside a token. Where the request asks
    /// for a passkey, its assertion is used up in the transaction that notes the approval.
    ///
    /// # Errors
    /// [`GrantError`]: nothing was noted.
    pub async fn approve_by(
        &self,
        id: GrantId,
        reviewer: &Reviewer,
        shows: Shows<'_>,
        at: Timestamp,
    ) -> Result<Granted, GrantError> {
        let mut tx = self.write().await?;
        let (row, said, begins) = approval(&mut tx, id, reviewer, shows, at).await?;
        note(&mut tx, id, &said).await?;
        if begins {
            let until = at.plus(row.ask.length());
            // INVARIANT: a grant begins in this one statement and no other, behind `approval`, in one
            // transaction that no other writer comes into; and as not recorded.
            query(
                "UPDATE access_grant
                 SET status = 'active', begun = $2, until = $3, recorded = false, recorder = $4
                 WHERE id = $1 AND status = 'pending'",
            )
            .bind(id.to_string())
            .bind(at.as_micros())
            .bind(until.as_micros())
            .bind(self.store.gateway())
            .execute(&mut tx)
            .await?;
        }
        let row = found(&mut tx, id, at).await?.ok_or(GrantError::Unknown(id))?;
        tx.commit().await?;
        Ok(if begins { Granted::Begun(row) } else { Granted::Waiting(row) })
    }

    /// Rejects on behalf of one person, whose decision the journal has: one no is enough.
    ///
    /// # Errors
    /// [`GrantError`]: nothing was noted.
    pub async fn reject(
        &self,
        id: GrantId,
        reviewer: &Reviewer,
        reason: &str,
        at: Timestamp,
    ) -> Result<GrantRow, GrantError> {
        let reason = quorum::plain(reason);
        if reason.is_empty() {
            return Err(GrantError::NoReason);
        }
        let mut tx = self.write().await?;
        let (_, groups) = pending_for(&mut tx, id, reviewer, at).await?;
        note(&mut tx, id, &Reviewed { approved: false, reason, ..said(reviewer, groups, at) })
            .await?;
        query("UPDATE access_grant SET status = 'rejected', ended = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(at.as_micros())
            .execute(&mut tx)
            .await?;
        let row = found(&mut tx, id, at).await?.ok_or(GrantError::Unknown(id))?;
        tx.commit().await?;
        Ok(row)
    }

    /// Ends a grant, or takes a request back: what there is to record of it. `None` where it was over
    /// already.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`]: it may be in force still.
    pub async fn end(
        &self,
        id: GrantId,
        End { ending, by, reason }: End<'_>,
        at: Timestamp,
    ) -> Result<Option<GrantRow>, GrantError> {
        let mut tx = self.write().await?;
        let ended = query(
            "UPDATE access_grant
             SET status = CASE WHEN status = 'active' AND recorded THEN 'ended' ELSE 'withdrawn' END,
                 ended = $2, ending = $3, ended_by = $4, ended_who = $5, ended_why = $6,
                 recorded = false, recorder = $7
             WHERE id = $1 AND (status = 'active' AND until > $2 OR status = 'pending' AND lapses > $2)
             RETURNING *",
        )
        .bind(id.to_string())
        .bind(at.as_micros())
        .bind(ending.as_str())
        .bind(by.map_or("portcullis", |by| by.subject.as_str()))
        .bind(by.map(json).transpose()?)
        .bind(reason)
        .bind(self.store.gateway())
        .optional(&mut tx)
        .await?;
        let Some(ended) = ended else { return Ok(None) };
        let row = whole(&mut tx, &ended, at).await?;
        tx.commit().await?;
        Ok(Some(row))
    }

    /// Ends what is over by that moment, and gives it: each to one caller, however many look. It is not
    /// recorded yet.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`].
    pub async fn end_due(&self, at: Timestamp) -> Result<Vec<GrantRow>, GrantError> {
        let over = query(
            "UPDATE access_grant
             SET status = CASE WHEN status = 'active' AND recorded THEN 'ended' ELSE 'expired' END,
                 ended = CASE status WHEN 'active' THEN until ELSE lapses END, ending = 'time',
                 recorded = false, recorder = $2
             WHERE status = 'active' AND until <= $1 OR status = 'pending' AND lapses <= $1
             RETURNING *",
        );
        let mut tx = self.write().await?;
        let over = over.bind(at.as_micros()).bind(self.store.gateway()).all(&mut tx).await?;
        let rows = wholes(&mut tx, &over, at).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Requests that wait, of which a second group is asked by that moment, and for this gateway to record.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`].
    pub async fn escalations(&self, at: Timestamp) -> Result<Vec<GrantRow>, GrantError> {
        let due = query(concat!(
            "SELECT * FROM access_grant WHERE status = 'pending' AND escalates <= $1 AND ",
            own!("$2")
        ));
        self.these(due.bind(at.as_micros()).bind(self.store.gateway()), at).await
    }

    /// The journal has that a second group is asked.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`].
    pub async fn escalated(&self, id: GrantId) -> Result<(), GrantError> {
        let done = query("UPDATE access_grant SET escalates = NULL WHERE id = $1");
        self.store.change(&[Topic::Grants], done.bind(id.to_string())).await?;
        Ok(())
    }

    /// The journal has what this status of a grant says. With that a grant is in force, and a request is
    /// one that people may decide on. False where it is not so any more.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`]: it counts as not recorded.
    pub async fn recorded(&self, row: &GrantRow) -> Result<bool, GrantError> {
        let done = query(
            "UPDATE access_grant SET recorded = true
             WHERE id = $1 AND status = $2 AND NOT recorded",
        );
        let done = done.bind(row.id.to_string()).bind(row.status.word());
        Ok(self.store.change(&[Topic::Grants], done).await? == 1)
    }

    /// What the journal may not have, and this gateway is to record.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`].
    pub async fn unrecorded(&self, at: Timestamp) -> Result<Vec<GrantRow>, GrantError> {
        let left = query(concat!(
            "SELECT * FROM access_grant WHERE NOT recorded AND ",
            own!("$1"),
            " ORDER BY asked, id"
        ));
        self.these(left.bind(self.store.gateway()), at).await
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) async fn these(
        &self,
        asked: Query,
        at: Timestamp,
    ) -> Result<Vec<GrantRow>, GrantError> {
        let mut rows = Vec::new();
        for row in &asked.all(&self.store).await? {
            rows.push(with_decisions(&self.store, row, at).await?);
        }
        Ok(rows)
    }

    /// Whether there is anything to end, to escalate or to record, and which grants are in force.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`].
    pub async fn in_force(&self, at: Timestamp) -> Result<(bool, BTreeSet<GrantId>), GrantError> {
        let rows = query(
            "SELECT id, status, lapses, escalates, until, recorded FROM access_grant
             WHERE status IN ('pending', 'active') OR NOT recorded",
        )
        .all(&self.store)
        .await?;
        let (mut due, mut ids) = (false, BTreeSet::new());
        for row in &rows {
            let (id, status): (String, String) = (row.try_get("id")?, row.try_get("status")?);
            let recorded: bool = row.try_get("recorded")?;
            let by = |name: &str| {
                let micros: Option<i64> = row.try_get(name)?;
                Ok::<_, sqlx::Error>(micros.is_some_and(|micros| micros <= at.as_micros()))
            };
            let over = match &*status {
                "active" => by("until")?,
                "pending" => by("lapses")? || by("escalates")?,
                _ => false,
            };
            due |= over || !recorded;
            if status == "active" && recorded {
                ids.insert(id.parse().map_err(|e| bad("access_grant.id", e))?);
            }
        }
        Ok((due, ids))
    }

    /// Forgets grants that were over before this moment; how many. Their record is the journal: what that
    /// does not have is not forgotten.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`]: they stay, and do no harm.
    pub async fn forget_ended(&self, before: Timestamp) -> Result<u64, GrantError> {
        let gone = query(
            "DELETE FROM access_grant
             WHERE status NOT IN ('pending', 'active') AND recorded AND ended < $1",
        );
        Ok(self.store.change(&[], gone.bind(before.as_micros())).await?)
    }
}

async fn refuse_too_many(tx: &mut Tx, ask: &AccessAsk) -> Result<(), GrantError> {
    let who = &ask.principal;
    // A person, whether it asks itself or something asks for it.
    let (issuer, person) = who.person().unwrap_or((&who.issuer, &who.subject));
    let counts = query(
        "SELECT count(*) AS waiting,
                coalesce(sum(CASE WHEN issuer = $1 AND subject = $2 THEN 1 ELSE 0 END), 0) AS own,
                coalesce(sum(CASE WHEN coalesce(person_issuer, issuer) = $3
                                   AND coalesce(person, subject) = $4 THEN 1 ELSE 0 END), 0) AS persons
         FROM access_grant WHERE status = 'pending' AND lapses > $5",
    )
    .bind(&who.issuer)
    .bind(&who.subject)
    .bind(issuer)
    .bind(person)
    .bind(ask.at.as_micros())
    .one(tx)
    .await?;
    let number = |name: &str| counts.try_get::<i64>(name);
    let (own, persons, waiting) = (number("own")?, number("persons")?, number("waiting")?);
    let several = if own >= MAX_PENDING_GRANTS {
        format!("{own} requests of yours wait already")
    } else if persons >= MAX_PENDING_OF_PERSON {
        format!("{persons} requests for {person} wait already")
    } else if waiting >= MAX_WAITING {
        return Err(GrantError::Full(format!("{waiting} requests wait already: try again later")));
    } else {
        return Ok(());
    };
    Err(GrantError::Full(format!(
        "{several}: wait for a decision, or take some back (`portcullis grants end ID`)"
    )))
}

async fn insert(
    tx: &mut Tx,
    id: GrantId,
    ask: &AccessAsk,
    (digest, gateway): (&str, &str),
) -> Result<(), Unreadable> {
    let who = &ask.principal;
    let (person_issuer, person) = who.person().unzip();
    let escalation = ask.approvers.escalation.as_ref();
    let groups: BTreeSet<_> =
        escalation.map(|e| &e.to).into_iter().chain([&ask.approvers.group]).collect();
    query(
        "INSERT INTO access_grant (id, digest, status, connection, role, kind, issuer, subject,
                                   person_issuer, person, ask, asked, lapses, escalates, groups,
                                   recorder)
         VALUES ($1, $2, 'pending', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(id.to_string())
    .bind(digest)
    .bind(&ask.connection)
    .bind(&ask.role)
    .bind(who.kind.entity_type())
    .bind(&who.issuer)
    .bind(&who.subject)
    .bind(person_issuer)
    .bind(person)
    .bind(json(ask)?)
    .bind(ask.at.as_micros())
    .bind(ask.lapses.as_micros())
    .bind(escalation.map(|e| e.due(ask.at).as_micros()))
    .bind(json(&groups)?)
    .bind(gateway)
    .execute(tx)
    .await?;
    Ok(())
}

/// A request that waits, and the groups for which this person may decide it.
async fn pending_for(
    tx: &mut Tx,
    id: GrantId,
    reviewer: &Reviewer,
    at: Timestamp,
) -> Result<(GrantRow, BTreeSet<String>), GrantError> {
    let person = reviewer.principal();
    if !person.is_person_alone() {
        return Err(GrantError::NotYours(
            "only a person who acts for nobody decides on access; an agent's or a workload's token, \
             or that of whoever acts for somebody, never can",
        ));
    }
    let row = found(tx, id, at).await?.ok_or(GrantError::Unknown(id))?;
    let groups = row.ask.approvers.groups(row.ask.at, at);
    let own = quorum::asked_of(person, &row.ask.principal, &groups)?;
    match row.status {
        GrantStatus::Pending if !row.recorded => Err(GrantError::Unrecorded),
        GrantStatus::Pending => Ok((row, own)),
        over => Err(GrantError::Ended(over)),
    }
}

/// What this person would say, and whether everybody has approved with it. Nothing is noted.
async fn approval(
    tx: &mut Tx,
    id: GrantId,
    reviewer: &Reviewer,
    shows: Shows<'_>,
    at: Timestamp,
) -> Result<(GrantRow, Reviewed, bool), GrantError> {
    let (row, own) = pending_for(tx, id, reviewer, at).await?;
    let approval = said(reviewer, own, at);
    let seats = seats(&row.ask, at);
    let begins = quorum::after(&seats, row.decisions.clone(), approval.clone())?.is_empty();
    // INVARIANT: the one way to an approval, in the transaction that notes it.
    if row.ask.approvers.step_up.is_some() || shows.asserted.is_some() {
        let matter = Matter::Grant { grant: id, digest: row.ask.digest() };
        let person = reviewer.principal();
        use_assertion(tx, shows.asserted, person, (matter, shows.browser), at).await?;
    }
    Ok((row, approval, begins))
}

/// The approvals a request wants.
fn seats(ask: &AccessAsk, at: Timestamp) -> Vec<Seat> {
    // What asks nobody would be approved by nobody.
    let quorum = usize::from(ask.approvers.quorum.max(1));
    vec![ask.approvers.groups(ask.at, at); quorum]
}

fn said(reviewer: &Reviewer, groups: BTreeSet<String>, at: Timestamp) -> Reviewed {
    let Principal { issuer, subject, name, email, .. } = reviewer.principal().clone();
    Reviewed {
        approved: true,
        issuer,
        subject,
        name,
        email,
        groups,
        reason: String::new(),
        at,
        pattern: None,
    }
}

async fn note(tx: &mut Tx, id: GrantId, said: &Reviewed) -> Result<(), Unreadable> {
    query(
        "INSERT INTO access_decision (access_grant, verdict, issuer, subject, name, email, groups,
                                      reason, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id.to_string())
    .bind(if said.approved { "approved" } else { "rejected" })
    .bind(&said.issuer)
    .bind(&said.subject)
    .bind(&said.name)
    .bind(said.email.as_deref())
    .bind(json(&said.groups)?)
    .bind(&said.reason)
    .bind(said.at.as_micros())
    .execute(tx)
    .await?;
    Ok(())
}

async fn found(tx: &mut Tx, id: GrantId, at: Timestamp) -> Result<Option<GrantRow>, Unreadable> {
    let row = query("SELECT * FROM access_grant WHERE id = $1").bind(id.to_string());
    match row.optional(&mut *tx).await? {
        Some(row) => Ok(Some(whole(tx, &row, at).await?)),
        None => Ok(None),
    }
}

async fn wholes(tx: &mut Tx, rows: &[Row], at: Timestamp) -> Result<Vec<GrantRow>, Unreadable> {
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        all.push(whole(tx, row, at).await?);
    }
    Ok(all)
}

async fn whole(tx: &mut Tx, row: &Row, at: Timestamp) -> Result<GrantRow, Unreadable> {
    with_decisions(tx, row, at).await
}

/// A row as it stands at a moment, with what was said.
async fn with_decisions<'a>(
    on: impl Into<On<'a>>,
    row: &Row,
    at: Timestamp,
) -> Result<GrantRow, Unreadable> {
    let mut row = stored(row)?;
    let decisions =
        query("SELECT * FROM access_decision WHERE access_grant = $1 ORDER BY at, issuer, subject");
    let decisions = decisions.bind(row.id.to_string()).all(on).await?;
    row.decisions = decisions.iter().map(decision).collect::<Result<_, _>>()?;
    match row.status {
        GrantStatus::Pending if row.ask.lapses <= at => {
            (row.status, row.ended) = (GrantStatus::Expired, Some(row.ask.lapses));
        }
        GrantStatus::Approved if row.until.is_none_or(|until| until <= at) => {
            (row.status, row.ended) = (GrantStatus::Expired, row.until);
        }
        GrantStatus::Active if row.until.is_none_or(|until| until <= at) => {
            (row.status, row.ended) = (GrantStatus::Ended, row.until);
        }
        GrantStatus::Pending => {
            let seats = seats(&row.ask, at);
            let left = quorum::unfilled(&seats, &row.decisions);
            (row.wanted, row.waiting_for) = (left.len(), quorum::groups_of(left));
        }
        _ => {}
    }
    Ok(row)
}

fn stored(row: &Row) -> Result<GrantRow, Unreadable> {
    let text = |name: &str| row.try_get::<String>(name);
    let moment = |name: &str| {
        let micros: Option<i64> = row.try_get(name)?;
        Ok::<_, sqlx::Error>(micros.map(Timestamp::from_micros))
    };
    let (status, recorded): (String, bool) = (text("status")?, row.try_get("recorded")?);
    let known = GrantStatus::ALL.iter().copied().find(|known| known.as_str() == status);
    let known = known.map(|known| match known {
        GrantStatus::Active if !recorded => GrantStatus::Approved,
        known => known,
    });
    let ask: AccessAsk =
        serde_json::from_str(&text("ask")?).map_err(|e| bad("access_grant.ask", e))?;
    let (person_issuer, person): (Option<String>, Option<String>) =
        (row.try_get("person_issuer")?, row.try_get("person")?);
    let who = &ask.principal;
    // A row says twice what it binds, so that what somebody edits does not pass.
    let same = ask.digest().to_string() == text("digest")?
        && ask.connection == text("connection")?
        && ask.role == text("role")?
        && who.kind.entity_type() == text("kind")?
        && who.issuer == text("issuer")?
        && who.subject == text("subject")?
        && who.person().unzip() == (person_issuer.as_deref(), person.as_deref())
        && ask.at.as_micros() == row.try_get::<i64>("asked")?
        && ask.lapses.as_micros() == row.try_get::<i64>("lapses")?;
    if !same {
        return Err(bad("access_grant.ask", "it is not that of its row"));
    }
    let (begun, until) = (moment("begun")?, moment("until")?);
    if begun.map(|begun| begun.plus(ask.length())) != until {
        return Err(bad("access_grant.until", "it is not the end of what was asked for"));
    }
    let ending: Option<String> = row.try_get("ending")?;
    let word = |word: String| {
        let known = Ending::ALL.iter().copied().find(|known| known.as_str() == word);
        known.ok_or_else(|| bad("access_grant.ending", &word))
    };
    let repeats: i64 = row.try_get("repeats")?;
    let ended_who: Option<String> = row.try_get("ended_who")?;
    let ended_who = ended_who.map(|who| serde_json::from_str(&who)).transpose();
    Ok(GrantRow {
        id: text("id")?.parse().map_err(|e| bad("access_grant.id", e))?,
        status: known.ok_or_else(|| bad("access_grant.status", &status))?,
        ask,
        repeats: u32::try_from(repeats).unwrap_or(u32::MAX),
        begun,
        until,
        ended: moment("ended")?,
        ending: ending.map(word).transpose()?,
        ended_by: row.try_get("ended_by")?,
        ended_why: row.try_get("ended_why")?,
        ended_who: ended_who.map_err(|e| bad("access_grant.ended_who", e))?,
        recorded,
        decisions: Vec::new(),
        waiting_for: BTreeSet::new(),
        wanted: 0,
    })
}

fn decision(row: &Row) -> Result<Reviewed, Unreadable> {
    let (verdict, groups): (String, String) = (row.try_get("verdict")?, row.try_get("groups")?);
    Ok(Reviewed {
        approved: verdict == "approved",
        issuer: row.try_get("issuer")?,
        subject: row.try_get("subject")?,
        name: row.try_get("name")?,
        email: row.try_get("email")?,
        groups: serde_json::from_str(&groups).map_err(|e| bad("access_decision.groups", e))?,
        reason: row.try_get("reason")?,
        at: Timestamp::from_micros(row.try_get("at")?),
        pattern: None,
    })
}
