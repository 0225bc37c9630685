//! Holding: what a session does while people decide on a request of its own, and what becomes of the
//! request then. Stands between the gate, which holds, and the link, which sends.

use super::asked::News;
use super::definitions::{CATALOG_TRIES, unreadable_catalog};
use super::{End, Session, reached};
use crate::catalog::{Rows, surroundings};
use crate::live::State;
use portcullis_core::basis::Basis;
use portcullis_core::effect::{Effect, ObjectKind, Operation, Verb};
use portcullis_core::gate::{Anew, Grounds, Held, Passage, Question};
use portcullis_core::protocol::Request as _;
use portcullis_core::refusal::{Refusal, RefusalClass, Retry, rule};
use portcullis_core::review::{Decision, Withdrawal};
use portcullis_sql::statement::GoesBy;
use portcullis_wire::pg::conversation::Turn;
use portcullis_wire::pg::protocol::Postgres;
use portcullis_wire::pg::server;
use portcullis_wire::pg::unit::{Shape, Unbound, Unit};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// When a client that waits hears of it, in seconds from the start; then every 30.
const NOTICES: [u64; 3] = [0, 5, 15];

/// When a client that has been told so often that it waits hears of it again, from the start.
pub(super) fn next_notice(told: usize) -> Duration {
    let due = NOTICES.get(told).copied().unwrap_or_else(|| 15 + 30 * (told as u64 - 2));
    Duration::from_secs(due)
}

type Asked = Question<Postgres>;

impl Session {
    /// Puts a request to people and sees it through: also where it goes back to them, because what
    /// an approval would have rested on is not what it was.
    pub(super) async fn review(&mut self, asked: Asked, shape: Shape) -> Result<(), End> {
        let mut next = Some(asked);
        while let Some(asked) = next.take() {
            let digest = *asked.request().digest().as_bytes();
            let (asked, grounds) = match self.grounds(asked).await? {
                Looked::Up(asked, grounds) => (asked, grounds),
                Looked::Refused => return Ok(()),
            };
            let moment = self.moments.next();
            match self.gate.ask(*asked, grounds, moment).await {
                Passage::Permitted(permit) => return self.send(permit).await,
                Passage::Refused(refusal) => {
                    self.unmeter();
                    return self.refuse(&refusal, shape, Some(digest)).await;
                }
                Passage::ToReview(asked) => next = Some(asked),
                Passage::Held(held) => next = Box::pin(self.hold(held, shape)).await?,
            }
        }
        Ok(())
    }

    /// Looks up what an approval of the request would rest on, by definitions read this moment.
    async fn grounds(&mut self, asked: Asked) -> Result<Looked, End> {
        let formed = self.formed_anew(asked.request().clone()).await?;
        let Some(Anew { request: unit, basis }) = formed else {
            let why = "a person has to decide on it, and what it would do cannot be looked up from \
                       inside this transaction or pipeline";
            let next = "end the transaction (or send Sync) and run it again";
            let unit = asked.request().clone();
            self.refuse_unit(&unit, rule::CURRENT_DEFINITIONS, why.to_owned(), next).await?;
            return Ok(Looked::Refused);
        };
        if let Some((why, next)) = self.unapprovable(&unit, &basis) {
            self.refuse_unit(&unit, "reviewable-requests", why, next).await?;
            return Ok(Looked::Refused);
        }
        let estimate = self.estimate(&unit).await?;
        let grounds = Grounds { basis, estimate };
        Ok(Looked::Up(Box::new(asked.about(unit)), grounds))
    }

    /// A request formed once more, by the definitions there are now, with what it rests on; `None`
    /// where it cannot be.
    async fn formed_anew(&mut self, unit: Unit) -> Result<Option<Anew<Postgres>>, End> {
        let detailed = match self.rehearsal {
            Some(_) => self.read_rehearsing().await?,
            None => self.read_detailed().await?,
        };
        let Some(detailed) = detailed else { return Ok(None) };
        let Turn::Unit(request) = self.conversation.reconsider(unit)? else { return Ok(None) };
        let mut settings = self.settings(request.operation()).await?;
        if request.unbound() == Some(Unbound::GoesBy(GoesBy::LastValue)) {
            settings.insert("what sequences gave last".to_owned(), self.id.to_string());
        }
        let definitions = detailed.definitions(request.operation());
        let rules = self.governed.judged_by;
        Ok(definitions.map(|definitions| {
            let basis = Basis { settings, definitions, rules: Some(rules) };
            Anew { request: *request, basis }
        }))
    }

    /// The same once the session is not paused, and by what there is then.
    async fn formed_unpaused(&mut self, unit: Unit) -> Result<Option<Anew<Postgres>>, End> {
        loop {
            self.outwait_pause().await?;
            let anew = self.formed_anew(unit.clone()).await?;
            if self.lease.paused().is_none() {
                return Ok(anew);
            }
        }
    }

    /// Why nobody can be asked about a request, where what it does hangs on something that an approval
    /// of it could not bind; and what to do instead.
    fn unapprovable(&self, unit: &Unit, basis: &Basis) -> Option<(String, &'static str)> {
        let inside = self.conversation.transaction_status() != b'I';
        if let Some((why, next)) = unit.unbound().and_then(|unbound| unbound.told(inside)) {
            return Some((why.to_owned(), next));
        }
        let mut names = read_settings(unit.operation()).filter_map(|path| path.first());
        let bound =
            |name: &str| basis.settings.keys().any(|known| known.eq_ignore_ascii_case(name));
        let name = names.find(|name| !bound(name))?;
        let why = match &**name {
            "?" => "it reads a setting whose name is not known before it runs".to_owned(),
            name => format!("it reads the setting {name}, of which no value can be looked up"),
        };
        let why = format!("a person has to decide on it, and {why}");
        Some((why, "write the value itself into the statement"))
    }

    /// The session's settings, as the target has them: those that decide on any statement, and those
    /// that the operation, or a definition, reads.
    async fn settings(&mut self, operation: &Operation) -> Result<BTreeMap<String, String>, End> {
        let inside = self.rehearsal.is_some() || self.conversation.transaction_status() != b'I';
        let rows = self.catalog_rows(surroundings(inside), CATALOG_TRIES).await?;
        let rows = rows.ok_or_else(|| unreadable_catalog("its settings cannot be read"))?;
        Ok(bound_settings(rows, operation))
    }

    /// Keeps a held client informed until people decide, or it goes away, or takes it back. What
    /// comes back has to be put to people again.
    pub(super) async fn hold(
        &mut self,
        held: Held<Postgres>,
        shape: Shape,
    ) -> Result<Option<Asked>, End> {
        let started = Instant::now();
        let mut told = 0;
        let mut news = News::new(self.gate.desk());
        self.lease.is(State::Held);
        if held.rehearse().is_some() {
            // Before it, since it may take some seconds.
            self.tell_held(&held, started).await?;
            told += 1;
            self.lease.is(State::Rehearsing);
            if let Err(end) = Box::pin(self.rehearse(&held)).await {
                self.withdraw(held, Withdrawal::SessionEnded).await;
                return Err(end);
            }
        }
        self.lease.is(State::Held);
        loop {
            let due = next_notice(told);
            let takes_more = self.may_read_ahead();
            let until = self.rehearsal.as_ref().map(|rehearsed| rehearsed.until());
            let (pause_ends, mut pauses) = self.lease.pause_turns();
            let event = tokio::select! {
                biased;
                // First: an approval that comes too late runs nothing.
                end = self.lease.ended() => Waited::Ended(end),
                () = self.cancelled.cancelled() => Waited::Over(Withdrawal::Cancelled),
                _ = pauses.changed() => Waited::Nothing,
                () = reached(pause_ends) => Waited::Nothing,
                // What is approved while the session is paused waits for its end.
                decision = self.gate.decided(&held), if pause_ends.is_none() => Waited::Decided(decision),
                read = self.client.read(&mut self.inbox), if takes_more => {
                    match read {
                        Ok(0) | Err(_) => Waited::Over(Withdrawal::Disconnected),
                        Ok(_) => Waited::Nothing,
                    }
                }
                () = reached(until) => Waited::TimeUp,
                () = news.come() => Waited::Said,
                () = tokio::time::sleep(due.saturating_sub(started.elapsed())) => Waited::Notice,
            };
            match event {
                Waited::Nothing => {}
                Waited::Said => self.tell_said(&held, &mut news).await?,
                Waited::Notice => {
                    told += 1;
                    // Locks do not wait for a client to read.
                    if self.rehearsal.is_none() {
                        self.tell_held(&held, started).await?;
                    }
                }
                Waited::TimeUp => {
                    self.undo_rehearsal("nobody had decided when its time was over").await?;
                    news.again();
                }
                Waited::Decided(decision) => return self.decided(held, decision, shape).await,
                Waited::Ended(end) => {
                    self.withdraw(held, Withdrawal::SessionEnded).await;
                    return Err(end);
                }
                Waited::Over(Withdrawal::Cancelled) => {
                    self.undo_rehearsal("the caller cancelled").await?;
                    return self.withdrawn(held, shape).await.map(|()| None);
                }
                Waited::Over(why) => {
                    // Where that cannot be told the target, the end of the session does it.
                    let _ = self.undo_rehearsal("the caller went away").await;
                    self.withdraw(held, why).await;
                    return Err(End::ClientLeft);
                }
            }
        }
    }

    /// Tells a held client how its request stands.
    async fn tell_held(&mut self, held: &Held<Postgres>, started: Instant) -> Result<(), End> {
        let (message, hint) = hold_notice(held, started.elapsed());
        self.author(|out| server::notice(out, "01000", &message, Some(&hint))).await
    }

    async fn withdraw(&mut self, held: Held<Postgres>, why: Withdrawal) {
        let moment = self.moments.next();
        self.gate.withdraw(held, why, moment).await;
    }

    /// Takes a held request on that was decided. What was approved runs only where it still does
    /// what people saw, by what there is now.
    async fn decided(
        &mut self,
        held: Held<Postgres>,
        decision: Decision,
        shape: Shape,
    ) -> Result<Option<Asked>, End> {
        self.lease.is(State::Running);
        if let Err(end) = self.take_up() {
            self.withdraw(held, Withdrawal::SessionEnded).await;
            return Err(end);
        }
        self.governed.judges();
        let mut anew = None;
        let late = self.rehearsal.as_ref().is_some_and(|r| r.until() <= Instant::now());
        let undo = match &decision {
            Decision::Approved => late.then_some("its time was over when it was approved"),
            Decision::Rejected { .. } => Some("a reviewer rejected it"),
            Decision::Expired => Some("the review expired"),
            Decision::Withdrawn => Some("the review was withdrawn, or used by another session"),
        };
        if let Some(why) = undo {
            self.undo_rehearsal(why).await?;
        }
        if decision == Decision::Approved {
            anew = match self.formed_unpaused(held.request().clone()).await {
                Ok(anew) => anew,
                Err(end) => {
                    self.withdraw(held, Withdrawal::SessionEnded).await;
                    return Err(end);
                }
            };
            // Once more, right before the approval is used up.
            if self.cancelled.is_cancelled() {
                self.undo_rehearsal("the caller cancelled").await?;
                return self.withdrawn(held, shape).await.map(|()| None);
            }
        }
        let moment = self.moments.next();
        let passage = self.gate.resume(held, decision, anew, moment).await;
        let passage = match (passage, self.rehearsal.take()) {
            (Passage::Permitted(permit), Some(rehearsed))
                if rehearsed.until() > Instant::now() && self.lease.paused().is_none() =>
            {
                return self.keep_rehearsed(permit, *rehearsed).await.map(|()| None);
            }
            (passage, rehearsed) => {
                self.rehearsal = rehearsed;
                passage
            }
        };
        let why = match &passage {
            Passage::Permitted(_) => "its time was over when it was approved: it runs anew",
            _ => "what was approved may not run as it is: see the record",
        };
        self.undo_rehearsal(why).await?;
        match passage {
            Passage::Permitted(permit) => self.send(permit).await.map(|()| None),
            Passage::Refused(refusal) => self.refuse(&refusal, shape, None).await.map(|()| None),
            Passage::ToReview(asked) => Ok(Some(asked)),
            // The gate does not hold a request it has just taken on.
            Passage::Held(held) => self.withdrawn(held, shape).await.map(|()| None),
        }
    }

    /// Answers a request that was cancelled while it was held.
    async fn withdrawn(&mut self, held: Held<Postgres>, shape: Shape) -> Result<(), End> {
        let moment = self.moments.next();
        let refusal = Refusal {
            decision: moment.decision,
            class: RefusalClass::Withdrawn,
            rule: held.ground().rule.clone(),
            what: held.ground().what.clone(),
            why: "you cancelled it; nothing has run".to_owned(),
            retry: Retry::AfterApproval,
            next: None,
            review: Some(held.ticket().review),
        };
        self.gate.withdraw(held, Withdrawal::Cancelled, moment).await;
        self.refuse(&refusal, shape, None).await
    }
}

/// The paths of the settings that a request reads by name; `?` where that is not known.
fn read_settings(operation: &Operation) -> impl Iterator<Item = &[Box<str>]> {
    let shown = |e: &&Effect| e.verb == Verb::Read && e.object.kind == ObjectKind::Setting;
    operation.effects.iter().filter(shown).map(|e| &*e.object.path)
}

/// True where a request may read any of the settings the server lists: all of them are asked for, or
/// nobody knows what code does.
fn reads_any_setting(operation: &Operation) -> bool {
    let lists = |path: &[Box<str>]| path.first().is_none_or(|name| &**name == "?");
    let shows = |e: &Effect| {
        matches!(e.verb, Verb::Execute | Verb::Unknown)
            || e.object.kind == ObjectKind::Relation
                && e.object.path.iter().any(|part| &**part == "pg_settings")
    };
    read_settings(operation).any(lists) || operation.effects.iter().any(shows)
}

/// Of the answers to [`surroundings`], what an approval of the operation binds. The second has values
/// as they are while definitions are read: of settings that the first lists it tells only that some
/// definition reads them.
fn bound_settings(rows: Rows, operation: &Operation) -> BTreeMap<String, String> {
    let any = reads_any_setting(operation);
    let mut rows = rows.into_iter();
    let fields = |row: Vec<Option<String>>| {
        let mut row = row.into_iter();
        let (name, value) = (row.next()??, row.next()?.unwrap_or_default());
        Some((name, value, row.next().flatten()))
    };
    let listed: Vec<_> = rows.next().into_iter().flatten().filter_map(fields).collect();
    let named: Vec<_> = rows.flatten().filter_map(fields).collect();
    let named_by_definitions = |name: &str| {
        // A rehearsal has its own.
        !name.ends_with("_timeout") && named.iter().any(|(n, ..)| n.eq_ignore_ascii_case(name))
    };
    let is_read = |name: &str| {
        let mut read = read_settings(operation).filter_map(|path| path.first());
        // Those of a library come to be when it is first used, which may be by this very request.
        any && !name.contains('.')
            || read.any(|n| n.eq_ignore_ascii_case(name))
            || named_by_definitions(name)
    };
    let mut settings = BTreeMap::new();
    for (name, value, counts) in &listed {
        if counts.as_deref() != Some("f") || is_read(name) {
            settings.insert(name.clone(), value.clone());
        }
    }
    // Those that exist by use alone.
    for (name, value, _) in &named {
        if name.contains('.') && !listed.iter().any(|(n, ..)| n.eq_ignore_ascii_case(name)) {
            settings.insert(name.clone(), value.clone());
        }
    }
    settings
}

/// Whether it could be looked up what an approval would rest on.
enum Looked {
    Up(Box<Asked>, Grounds),
    /// It could not, and the caller was told.
    Refused,
}

enum Waited {
    /// The session ends.
    Ended(End),
    /// The transaction of the rehearsal has been open for as long as it may.
    TimeUp,
    Nothing,
    /// Reviews have changed: there may be a question.
    Said,
    Notice,
    Decided(Decision),
    Over(Withdrawal),
}

/// What a held client hears.
fn hold_notice(held: &Held<Postgres>, waited: Duration) -> (String, String) {
    let ticket = held.ticket();
    let groups: Vec<&str> = ticket.groups.iter().map(String::as_str).collect();
    let ground = held.ground();
    let (again, because) = match held.again() {
        Some(again) => {
            let because = again.because.join(", ");
            (" again", format!("; {because}, so the approval of {} is void", again.previous))
        }
        None => ("", String::new()),
    };
    let so_far = match held.rehearse() {
        Some(_) => "it may be run for people to see, and nothing of it stays until it is approved",
        None => "nothing has run yet",
    };
    let message = format!(
        "portcullis: held{again} for review by {}: {} (rule \"{}\", review {}, digest {}){because}; \
         {}; {so_far}, waiting {} s",
        groups.join(" and "),
        ground.what,
        ground.rule,
        ticket.review,
        ticket.digest.short(),
        held.estimate(),
        waited.as_secs(),
    );
    let hint = format!(
        "A reviewer decides with `portcullis review approve {}`. Cancel to withdraw the request.",
        ticket.review
    );
    (message, hint)
}
