//! People's passkeys, and the challenges they were asked to sign. What a passkey was asserted for is used
//! up here, in the transaction that it lets happen: a challenge is there once, is its person's, and is for
//! exactly one matter.

use crate::db::{On, Row, Tx, query};
use crate::open::Store;
use crate::page::{Listed, Page};
use crate::rows::{Unreadable, bad, json};
use portcullis_core::digest::Digest;
use portcullis_core::id::{BrowserSessionId, PasskeyId};
use portcullis_core::passkey::{Asserted, Matter, Statement};
use portcullis_core::principal::{Person, Principal};
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// Most passkeys of one person.
pub const MAX_PASSKEYS: usize = 10;
/// Most challenges of one person that may wait for an answer; one more takes the oldest one's place.
const MAX_CHALLENGES: i64 = 20;

/// A passkey, as its person sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PasskeyRow {
    /// Which.
    pub id: PasskeyId,
    /// What its person calls it.
    pub name: String,
    /// Who vouches for its person.
    pub issuer: String,
    /// The person's subject there.
    pub subject: String,
    /// When it was registered.
    pub made: Timestamp,
    /// When it last signed.
    pub used: Option<Timestamp>,
    /// The id its authenticator knows it by.
    #[serde(skip)]
    pub credential: Vec<u8>,
    /// Its public key, as a `COSE_Key`.
    #[serde(skip)]
    pub public_key: Vec<u8>,
    /// The authenticator's counter; 0 where it has none.
    #[serde(skip)]
    pub sign_count: u32,
}

impl PasskeyRow {
    fn is_of(&self, who: &Principal) -> bool {
        self.issuer == who.issuer && self.subject == who.subject
    }
}

/// A challenge that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenged {
    /// What it is for.
    pub matter: Matter,
    /// Random, for this one time.
    pub nonce: Digest,
    /// In which browser session it was asked.
    pub browser: Option<BrowserSessionId>,
    /// Until when it may be answered.
    pub until: Timestamp,
}

/// Why a passkey lets nothing happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepUpError {
    /// None was shown.
    #[error(
        "this takes a passkey: open its page in the console, signed in in a browser, and approve it there"
    )]
    Wanted,
    /// Nothing vouches for a first one.
    #[error(
        "your first passkey takes a sign-in for which your provider has just asked anew who you are, and each \
         such sign-in vouches for one: go to /auth/login?anew=true&return_to=/passkeys, and register it then"
    )]
    NotAnew,
    /// The challenge is not there for this.
    #[error(
        "what the passkey signed is not what there is to decide now, or was used already, or is too \
         old: look at it again, and approve it anew"
    )]
    NotThis,
    /// It is not the person's, or was removed.
    #[error("this is none of your passkeys: use one that you have registered")]
    NotYours,
    /// Its counter has not gone up.
    #[error(
        "the passkey's counter has not gone up, so there may be a copy of it: nothing was done; \
         have another administrator remove this passkey, and register another"
    )]
    Counter,
    /// It is known already.
    #[error("this passkey is registered already")]
    Known,
    /// There are too many.
    #[error("you have {MAX_PASSKEYS} passkeys: have another administrator remove one first")]
    Full,
    /// The store failed; nothing was done.
    #[error("the store of passkeys cannot be read or written")]
    Unavailable,
}

/// A passkey that was removed past any gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedPast {
    /// Which.
    pub id: PasskeyId,
    /// Who vouches for its person.
    pub issuer: String,
    /// The person's subject there.
    pub subject: String,
    /// Who has removed it, in words.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Why no passkey is removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemovalError {
    /// There is none.
    #[error("there is no such passkey")]
    None,
    /// It would be of people of several issuers.
    #[error("several issuers have somebody of that subject: say which by --issuer, of {}", .0.join(", "))]
    Several(Vec<String>),
    /// The store failed.
    #[error(transparent)]
    Unavailable(#[from] StepUpError),
}

impl From<Unreadable> for RemovalError {
    fn from(error: Unreadable) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<sqlx::Error> for RemovalError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<Unreadable> for StepUpError {
    fn from(error: Unreadable) -> Self {
        tracing::error!(error = error.0, "passkeys cannot be read or written");
        Self::Unavailable
    }
}

impl From<sqlx::Error> for StepUpError {
    fn from(error: sqlx::Error) -> Self {
        Unreadable::from(error).into()
    }
}

/// Where passkeys are kept. Clones are the same.
#[derive(Debug, Clone)]
pub struct PasskeyStore {
    store: Store,
}

impl PasskeyStore {
    /// The passkeys of a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Keeps that somebody is asked to sign this, and gives the challenge.
    ///
    /// # Errors
    /// [`StepUpError::Unavailable`].
    pub async fn challenge(
        &self,
        who: &Principal,
        asked: &Challenged,
        now: Timestamp,
    ) -> Result<Digest, StepUpError> {
        let Challenged { matter, nonce, browser, until } = asked;
        let (issuer, subject) = (&*who.issuer, &*who.subject);
        let challenge = Statement { matter: *matter, issuer, subject, nonce }.challenge();
        let mut tx = self.store.write(&[]).await?;
        query("DELETE FROM passkey_challenge WHERE until <= $1")
            .bind(now.as_micros())
            .execute(&mut tx)
            .await?;
        query(
            "DELETE FROM passkey_challenge WHERE issuer = $1 AND subject = $2
               AND challenge NOT IN (SELECT challenge FROM passkey_challenge
                                     WHERE issuer = $1 AND subject = $2
                                     ORDER BY made DESC, challenge LIMIT $3)",
        )
        .bind(issuer)
        .bind(subject)
        .bind(MAX_CHALLENGES - 1)
        .execute(&mut tx)
        .await?;
        query(
            "INSERT INTO passkey_challenge (challenge, nonce, matter, issuer, subject, browser, made, until)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(challenge.to_string())
        .bind(nonce.to_string())
        .bind(json(matter)?)
        .bind(issuer)
        .bind(subject)
        .bind(browser.map(|browser| browser.to_string()))
        .bind(now.as_micros())
        .bind(until.as_micros())
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(challenge)
    }

    /// What somebody was asked by this challenge, where it can still be answered: by this person, in this
    /// browser session. It stays to be used.
    ///
    /// # Errors
    /// [`StepUpError::NotThis`], [`StepUpError::Unavailable`].
    pub async fn asked(
        &self,
        challenge: Digest,
        who: &Principal,
        browser: Option<BrowserSessionId>,
        now: Timestamp,
    ) -> Result<Challenged, StepUpError> {
        let row = query(
            "SELECT * FROM passkey_challenge
             WHERE challenge = $1 AND issuer = $2 AND subject = $3 AND until > $4",
        )
        .bind(challenge.to_string())
        .bind(&who.issuer)
        .bind(&who.subject)
        .bind(now.as_micros())
        .optional(&self.store)
        .await?;
        let asked = row.as_ref().map(challenged).transpose()?;
        asked.filter(|asked| asked.browser == browser).ok_or(StepUpError::NotThis)
    }

    /// A person's passkey by the id its authenticator knows it by.
    ///
    /// # Errors
    /// [`StepUpError::NotYours`], [`StepUpError::Unavailable`].
    pub async fn of_credential(
        &self,
        credential: &[u8],
        who: &Principal,
    ) -> Result<PasskeyRow, StepUpError> {
        let found = query("SELECT * FROM passkey WHERE credential = $1").bind(credential);
        let found = found.optional(&self.store).await?;
        let found = found.as_ref().map(row).transpose()?;
        found.filter(|found| found.is_of(who)).ok_or(StepUpError::NotYours)
    }

    /// All passkeys of a person.
    ///
    /// # Errors
    /// [`StepUpError::Unavailable`].
    pub async fn of_person(&self, who: &Principal) -> Result<Vec<PasskeyRow>, StepUpError> {
        of_person(&self.store, who).await
    }

    /// The passkey of this id.
    ///
    /// # Errors
    /// [`StepUpError::Unavailable`].
    pub async fn find(&self, id: PasskeyId) -> Result<Option<PasskeyRow>, StepUpError> {
        let found = query("SELECT * FROM passkey WHERE id = $1").bind(id.to_string());
        Ok(found.optional(&self.store).await?.as_ref().map(row).transpose()?)
    }

    /// A page of the passkeys of a person, or of everybody; newest first.
    ///
    /// # Errors
    /// [`StepUpError::Unavailable`].
    pub async fn list(
        &self,
        who: Option<&Principal>,
        page: &Page,
    ) -> Result<Listed<PasskeyRow>, StepUpError> {
        let (before, id) = page.bounds();
        let found = query(
            "SELECT * FROM passkey
             WHERE ($1 IS NULL OR issuer = $1 AND subject = $2)
               AND made <= $4 AND (made < $4 OR id > $5)
             ORDER BY made DESC, id LIMIT $3",
        )
        .bind(who.map(|who| who.issuer.as_str()))
        .bind(who.map(|who| who.subject.as_str()))
        .bind(page.rows())
        .bind(before)
        .bind(id)
        .all(&self.store)
        .await?;
        let rows = found.iter().map(row).collect::<Result<_, Unreadable>>()?;
        Ok(Listed::of(rows, found.len(), page))
    }

    /// Keeps that a provider has just asked anew who this session's person is: until then, and once, that
    /// vouches for a first passkey. Of somebody who has one, nothing is kept.
    ///
    /// # Errors
    /// [`StepUpError::Unavailable`].
    pub async fn vouch(
        &self,
        (browser, who): (BrowserSessionId, &Principal),
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StepUpError> {
        let mut tx = self.store.write(&[]).await?;
        let over = query("DELETE FROM passkey_vouched WHERE until <= $1").bind(now.as_micros());
        over.execute(&mut tx).await?;
        if of_person(&mut tx, who).await?.is_empty() {
            query("INSERT INTO passkey_vouched (browser, issuer, subject, until) VALUES ($1, $2, $3, $4)")
                .bind(browser.to_string())
                .bind(&who.issuer)
                .bind(&who.subject)
                .bind(until.as_micros())
                .execute(&mut tx)
                .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Whether this session's sign-in vouches for a first passkey now. It does not end by being asked.
    ///
    /// # Errors
    /// [`StepUpError::Unavailable`].
    pub async fn is_vouched(
        &self,
        browser: BrowserSessionId,
        now: Timestamp,
    ) -> Result<bool, StepUpError> {
        let found = query("SELECT until FROM passkey_vouched WHERE browser = $1 AND until > $2");
        let found = found.bind(browser.to_string()).bind(now.as_micros());
        Ok(found.optional(&self.store).await?.is_some())
    }

    /// Registers a passkey. `challenge` is used up, and so is what a passkey that is there has signed for
    /// it: where the person has one already, that has to be. Where not, the sign-in that vouches for it is.
    ///
    /// # Errors
    /// [`StepUpError`]: it is not registered.
    pub async fn register(
        &self,
        person: &Person,
        new: &PasskeyRow,
        (challenge, browser): (Digest, BrowserSessionId),
        by: Option<&Asserted>,
    ) -> Result<(), StepUpError> {
        let mut tx = self.store.write(&[]).await?;
        self.registered(&mut tx, person, new, (challenge, browser), by).await?;
        Ok(tx.commit().await?)
    }

    /// As [`register`](Self::register), and nothing is kept. For whoever must record it first.
    ///
    /// # Errors
    /// [`StepUpError`], as registering would give it.
    pub async fn may_register(
        &self,
        person: &Person,
        new: &PasskeyRow,
        (challenge, browser): (Digest, BrowserSessionId),
        by: Option<&Asserted>,
    ) -> Result<(), StepUpError> {
        let mut tx = self.store.write(&[]).await?;
        self.registered(&mut tx, person, new, (challenge, browser), by).await
    }

    async fn registered(
        &self,
        tx: &mut Tx,
        person: &Person,
        new: &PasskeyRow,
        (challenge, browser): (Digest, BrowserSessionId),
        by: Option<&Asserted>,
    ) -> Result<(), StepUpError> {
        let who = person.principal();
        let matter = Matter::Passkey { browser };
        use_challenge(tx, (challenge, matter), (who, Some(browser)), new.made).await?;
        let there = of_person(&mut *tx, who).await?.len();
        match by {
            Some(asserted) => {
                let stands = (matter, Some(browser));
                use_assertion(tx, Some(asserted), who, stands, new.made).await?;
            }
            None if there > 0 => return Err(StepUpError::Wanted),
            None => {
                // INVARIANT: used in this one statement, in the transaction that keeps the passkey.
                let used = query(
                    "DELETE FROM passkey_vouched
                     WHERE browser = $1 AND issuer = $2 AND subject = $3 AND until > $4",
                );
                let used = used.bind(browser.to_string()).bind(&who.issuer).bind(&who.subject);
                let used = used.bind(new.made.as_micros());
                if used.execute(&mut *tx).await? != 1 {
                    return Err(StepUpError::NotAnew);
                }
            }
        }
        if there >= MAX_PASSKEYS {
            return Err(StepUpError::Full);
        }
        let kept = query(
            "INSERT INTO passkey (id, credential, public_key, issuer, subject, name, sign_count, made)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (credential) DO NOTHING",
        )
        .bind(new.id.to_string())
        .bind(new.credential.as_slice())
        .bind(new.public_key.as_slice())
        .bind(&who.issuer)
        .bind(&who.subject)
        .bind(&new.name)
        .bind(i64::from(new.sign_count))
        .bind(new.made.as_micros())
        .execute(tx)
        .await?;
        if kept == 1 { Ok(()) } else { Err(StepUpError::Known) }
    }

    /// Removes all passkeys of a person, or one of them, past any gateway: whose subject this is, and, where
    /// several issuers have such a one, of that issuer. What is gone is told by [`to_record`](Self::to_record)
    /// until the journal has it.
    ///
    /// # Errors
    /// [`RemovalError`]: nothing is removed.
    pub async fn remove_of(
        &self,
        (subject, issuer): (&str, Option<&str>),
        only: Option<PasskeyId>,
        by: &str,
        now: Timestamp,
    ) -> Result<Vec<PasskeyRow>, RemovalError> {
        let mut tx = self.store.write(&[]).await?;
        let found = query(
            "SELECT * FROM passkey
             WHERE subject = $1 AND ($2 IS NULL OR issuer = $2) AND ($3 IS NULL OR id = $3)
             ORDER BY made, id",
        );
        let only = only.map(|id| id.to_string());
        let found = found.bind(subject).bind(issuer).bind(only.as_deref());
        let found = found.all(&mut tx).await?;
        let found = found.iter().map(row).collect::<Result<Vec<_>, Unreadable>>()?;
        let first = found.first().ok_or(RemovalError::None)?;
        if found.iter().any(|row| row.issuer != first.issuer) {
            let issuers = found.iter().map(|row| row.issuer.clone());
            return Err(RemovalError::Several(
                issuers.collect::<BTreeSet<_>>().into_iter().collect(),
            ));
        }
        not_by_a_sign_in_from_before(&mut tx, (&first.issuer, subject)).await?;
        for row in &found {
            let gone = query("DELETE FROM passkey WHERE id = $1").bind(row.id.to_string());
            gone.execute(&mut tx).await?;
            let kept = query(
                "INSERT INTO passkey_removed (id, issuer, subject, by_whom, at) VALUES ($1, $2, $3, $4, $5)",
            );
            kept.bind(row.id.to_string())
                .bind(&row.issuer)
                .bind(&row.subject)
                .bind(by)
                .bind(now.as_micros())
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        Ok(found)
    }

    /// What was removed past any gateway, and is in no journal yet.
    ///
    /// # Errors
    /// [`StepUpError::Unavailable`].
    pub async fn to_record(&self) -> Result<Vec<RemovedPast>, StepUpError> {
        let found = query("SELECT * FROM passkey_removed ORDER BY at, id").all(&self.store).await?;
        Ok(found.iter().map(removed_past).collect::<Result<_, Unreadable>>()?)
    }

    /// Forgets a removal that a journal has now.
    ///
    /// # Errors
    /// [`StepUpError::Unavailable`]: it will be told again.
    pub async fn recorded(&self, id: PasskeyId) -> Result<(), StepUpError> {
        let told = query("DELETE FROM passkey_removed WHERE id = $1").bind(id.to_string());
        self.store.change(&[], told).await?;
        Ok(())
    }

    /// Removes a passkey, which approves nothing from then on; false where it is gone already.
    ///
    /// # Errors
    /// [`StepUpError::Unavailable`]: it may still be good.
    pub async fn remove(&self, id: PasskeyId) -> Result<bool, StepUpError> {
        let mut tx = self.store.write(&[]).await?;
        let found = query("SELECT * FROM passkey WHERE id = $1").bind(id.to_string());
        let Some(found) = found.optional(&mut tx).await? else { return Ok(false) };
        let found = row(&found)?;
        not_by_a_sign_in_from_before(&mut tx, (&found.issuer, &found.subject)).await?;
        let gone = query("DELETE FROM passkey WHERE id = $1").bind(id.to_string());
        let gone = gone.execute(&mut tx).await?;
        tx.commit().await?;
        Ok(gone == 1)
    }
}

/// Whose passkey goes registers a first one again only by a sign-in from then on.
async fn not_by_a_sign_in_from_before(
    tx: &mut Tx,
    (issuer, subject): (&str, &str),
) -> Result<(), StepUpError> {
    let over = query("DELETE FROM passkey_vouched WHERE issuer = $1 AND subject = $2");
    over.bind(issuer).bind(subject).execute(tx).await?;
    Ok(())
}

async fn of_person<'a>(
    on: impl Into<On<'a>>,
    who: &Principal,
) -> Result<Vec<PasskeyRow>, StepUpError> {
    let found = query("SELECT * FROM passkey WHERE issuer = $1 AND subject = $2 ORDER BY made, id");
    let found = found.bind(&who.issuer).bind(&who.subject).all(on).await?;
    Ok(found.iter().map(row).collect::<Result<_, Unreadable>>()?)
}

/// Uses a challenge for this matter up: of any number of answers to it, one finds it.
async fn use_challenge(
    tx: &mut Tx,
    (challenge, matter): (Digest, Matter),
    (who, browser): (&Principal, Option<BrowserSessionId>),
    now: Timestamp,
) -> Result<(), StepUpError> {
    // INVARIANT: a challenge is used in this one statement, in the transaction that it lets happen.
    let used = query(
        "DELETE FROM passkey_challenge
         WHERE challenge = $1 AND issuer = $2 AND subject = $3 AND coalesce(browser, '') = $4
           AND until > $5 AND matter = $6",
    )
    .bind(challenge.to_string())
    .bind(&who.issuer)
    .bind(&who.subject)
    .bind(browser.map(|browser| browser.to_string()).unwrap_or_default())
    .bind(now.as_micros())
    .bind(json(&matter)?)
    .execute(tx)
    .await?;
    if used == 1 { Ok(()) } else { Err(StepUpError::NotThis) }
}

/// Uses an assertion up for what it lets happen in this transaction: that it is of this person, of this
/// very matter as it stands now, by a passkey that is the person's now, and for the first time.
pub(crate) async fn use_assertion(
    tx: &mut Tx,
    asserted: Option<&Asserted>,
    who: &Principal,
    (matter, browser): (Matter, Option<BrowserSessionId>),
    now: Timestamp,
) -> Result<(), StepUpError> {
    let asserted = asserted.ok_or(StepUpError::Wanted)?;
    let evidence = asserted.evidence();
    if (&evidence.issuer, &evidence.subject) != (&who.issuer, &who.subject) {
        return Err(StepUpError::NotYours);
    }
    if evidence.matter != matter {
        return Err(StepUpError::NotThis);
    }
    use_challenge(tx, (evidence.statement().challenge(), matter), (who, browser), now).await?;
    let found = query("SELECT * FROM passkey WHERE id = $1").bind(evidence.passkey.to_string());
    let found = found.optional(&mut *tx).await?.as_ref().map(row).transpose()?;
    let found = found.filter(|found| found.is_of(who)).ok_or(StepUpError::NotYours)?;
    let (before, now_at) = (found.sign_count, asserted.sign_count());
    // Web Authentication §7.2 step 22: authenticators without a counter always say 0.
    if (before, now_at) != (0, 0) && now_at <= before {
        return Err(StepUpError::Counter);
    }
    query("UPDATE passkey SET sign_count = $2, used = $3 WHERE id = $1")
        .bind(evidence.passkey.to_string())
        .bind(i64::from(now_at))
        .bind(now.as_micros())
        .execute(tx)
        .await?;
    Ok(())
}

fn challenged(row: &Row) -> Result<Challenged, Unreadable> {
    let text = |name: &str| row.try_get::<String>(name);
    let browser: Option<String> = row.try_get("browser")?;
    let browser = browser.map(|browser| browser.parse()).transpose();
    let matter = serde_json::from_str(&text("matter")?);
    Ok(Challenged {
        matter: matter.map_err(|e| bad("passkey_challenge.matter", e))?,
        nonce: text("nonce")?.parse().map_err(|e| bad("passkey_challenge.nonce", e))?,
        browser: browser.map_err(|e| bad("passkey_challenge.browser", e))?,
        until: Timestamp::from_micros(row.try_get("until")?),
    })
}

fn removed_past(row: &Row) -> Result<RemovedPast, Unreadable> {
    let text = |name: &str| row.try_get::<String>(name);
    Ok(RemovedPast {
        id: text("id")?.parse().map_err(|e| bad("passkey_removed.id", e))?,
        issuer: text("issuer")?,
        subject: text("subject")?,
        by: text("by_whom")?,
        at: Timestamp::from_micros(row.try_get("at")?),
    })
}

fn row(row: &Row) -> Result<PasskeyRow, Unreadable> {
    let text = |name: &str| row.try_get::<String>(name);
    let used: Option<i64> = row.try_get("used")?;
    let sign_count: i64 = row.try_get("sign_count")?;
    Ok(PasskeyRow {
        id: text("id")?.parse().map_err(|e| bad("passkey.id", e))?,
        name: text("name")?,
        issuer: text("issuer")?,
        subject: text("subject")?,
        made: Timestamp::from_micros(row.try_get("made")?),
        used: used.map(Timestamp::from_micros),
        credential: row.try_get("credential")?,
        public_key: row.try_get("public_key")?,
        sign_count: u32::try_from(sign_count).map_err(|e| bad("passkey.sign_count", e))?,
    })
}
