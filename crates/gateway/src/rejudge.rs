//! What is recorded, judged again: by the rules in force and by rules that somebody wants, which verdicts
//! differ. Nothing is sent anywhere: names are those of the catalog that sessions have read last.
//!
//! A request is judged by what the journal keeps of it. What of that is not what was sent, or does not mean
//! what it did, is told and not guessed.

use crate::generation::Rules;
use crate::recordings::{Archive, Sought, Unread};
use crate::trial::{Said, Texts, Trial, Untried, Word};
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::id::{RequestId, SessionId};
use portcullis_core::journal::{Entry, Event};
use portcullis_core::protocol::Shown;
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::{Circumstances, Standing};
use portcullis_store::index::Search;
use portcullis_store::{Page, Place};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sessions that are looked for at once.
const SESSIONS: u32 = 20;
/// How long one part takes before it says where to go on.
const TURN: Duration = Duration::from_secs(2);
/// How long one session may take.
const SESSION: Duration = Duration::from_secs(10);
/// Entries of one session that are read at once, of 4 MiB at most.
const ENTRIES: u32 = 500;
/// Callers, and requests of each, of which it is kept what is said.
const CALLERS: usize = 200;
const REQUESTS: usize = 10_000;
/// Examples of each change, and kinds of changes and of reasons, that are told.
const EXAMPLES: usize = 5;
const KINDS: usize = 100;
/// Characters of a statement in an example.
const CUT: usize = 300;

/// A part of what is recorded, judged again.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "Rejudged")]
pub(crate) struct Rejudged {
    /// Sessions that were looked at.
    pub(crate) sessions: u64,
    /// Requests in them, in the span.
    pub(crate) requests: u64,
    /// Those that could be judged again.
    pub(crate) judged: u64,
    /// Those of which the verdict would be another one, or who is asked, what an approval takes, a limit, or
    /// what of the answer is masked, as far as the statement says.
    pub(crate) changed: u64,
    /// Which verdicts change, and how; those of further kinds are only counted.
    changes: Vec<Change>,
    /// What could not be judged again, and why.
    not_judged: Vec<NotJudged>,
    /// Where to go on; absent where this was the last part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
}

/// A verdict that changes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RejudgedChange")]
struct Change {
    /// By the rules in force.
    from: Word,
    to: Word,
    /// The rule that decides now.
    from_rule: String,
    /// The rule that would decide.
    to_rule: String,
    /// What becomes of masks in the answers.
    masks: Masks,
    count: u64,
    examples: Vec<Example>,
}

/// What becomes of what is masked in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RejudgedMasks")]
enum Masks {
    /// What was masked is; or there is no answer by one of the two.
    Same,
    /// Something would be shown that is masked now.
    Fewer,
    /// Something would be masked that is shown now.
    More,
    /// Both, or it would be masked in another way.
    Other,
}

impl Masks {
    fn between(now: &Said, then: &Said) -> Self {
        let same = (&now.masked, &now.detectors) == (&then.masked, &then.detectors);
        if same || now.verdict == Word::Refuse || then.verdict == Word::Refuse {
            return Self::Same;
        }
        let (now, then) = (now.hides(), then.hides());
        if then.is_subset(&now) {
            Self::Fewer
        } else if now.is_subset(&then) {
            Self::More
        } else {
            Self::Other
        }
    }
}

/// A recorded request.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RejudgedExample")]
struct Example {
    session: SessionId,
    /// The number of its entry: what a link to that moment names.
    entry: u64,
    at: Timestamp,
    who: String,
    connection: String,
    /// A caller's text, cut.
    statement: String,
    /// What was said to it then.
    recorded: Word,
    /// What is masked now and would not be, and
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unmasked: Vec<String>,
    /// what would be and is not. The first few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    masked: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NotRejudged")]
struct NotJudged {
    why: String,
    count: u64,
    session: SessionId,
    entry: u64,
}

/// What is compared.
pub(crate) struct Compared {
    pub(crate) now: Rules,
    pub(crate) then: Rules,
    pub(crate) since: Timestamp,
}

type Key = (Word, Word, String, String, Masks);

#[derive(Default)]
struct Report {
    memo: Memo,
    whole: Rejudged,
    changes: BTreeMap<Key, (u64, Vec<Example>)>,
    reasons: BTreeMap<String, (u64, SessionId, u64)>,
}

impl Report {
    fn not_judged(&mut self, why: &str, count: u64, session: SessionId, entry: u64) {
        if self.reasons.len() < KINDS || self.reasons.contains_key(why) {
            self.reasons.entry(why.to_owned()).or_insert((0, session, entry)).0 += count;
        }
    }

    fn judged(&mut self, now: &Said, then: &Said, example: impl FnOnce() -> Example) {
        self.whole.judged += 1;
        let masks = Masks::between(now, then);
        let same = |a: &Said, b: &Said| {
            (a.verdict, &a.groups, &a.terms) == (b.verdict, &b.groups, &b.terms)
        };
        if masks == Masks::Same && same(now, then) {
            return;
        }
        self.whole.changed += 1;
        let rule = |said: &Said| said.rules.first().cloned().unwrap_or_default();
        let key = (now.verdict, then.verdict, rule(now), rule(then), masks);
        if self.changes.len() >= KINDS && !self.changes.contains_key(&key) {
            return;
        }
        let (count, examples) = self.changes.entry(key).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            // Nothing is shown of what does not run.
            let (unmasked, masked) = match masks {
                Masks::Same => (Vec::new(), Vec::new()),
                _ => {
                    let (now, then) = (now.hides(), then.hides());
                    (without(&now, &then), without(&then, &now))
                }
            };
            examples.push(Example { unmasked, masked, ..example() });
        }
    }

    fn finish(self) -> Rejudged {
        let Self { mut whole, changes, reasons, memo: _ } = self;
        let change = |((from, to, from_rule, to_rule, masks), (count, examples))| Change {
            from,
            to,
            from_rule,
            to_rule,
            masks,
            count,
            examples,
        };
        whole.changes = changes.into_iter().map(change).collect();
        let reason = |(why, (count, session, entry))| NotJudged { why, count, session, entry };
        whole.not_judged = reasons.into_iter().map(reason).collect();
        whole
    }
}

/// The first few of what is in one and not in the other.
fn without(one: &BTreeSet<String>, other: &BTreeSet<String>) -> Vec<String> {
    one.difference(other).take(EXAMPLES).cloned().collect()
}

/// A part of what is recorded, from the newest session on.
pub(crate) async fn rejudged(
    archive: &Archive,
    compared: Arc<Compared>,
    after: Option<Place>,
) -> Result<(Rejudged, Option<Place>), Unread> {
    let (begun, mut report) = (Instant::now(), Report::default());
    let search = Search { from: Some(compared.since), ..Search::default() };
    let mut page = Page { limit: SESSIONS, after };
    loop {
        let found = archive.search(&search, &Sought::default(), &page, |_| true).await?;
        let (rows, next) = found;
        let count = rows.len();
        for (at, row) in rows.into_iter().enumerate() {
            let place = Place { at: row.opened, id: row.id.to_string() };
            let judged = again(archive, &compared, row.id, &mut report).await;
            match judged {
                // What cannot be read of one keeps nobody from the others.
                Err(Unread::Ledger(_)) => {
                    report.not_judged("its session cannot be read: see health", 1, row.id, 0);
                }
                judged => judged?,
            }
            let last = at + 1 == count && next.is_none();
            if !last && begun.elapsed() > TURN {
                return Ok((report.finish(), Some(place)));
            }
        }
        match next {
            Some(place) if begun.elapsed() > TURN => return Ok((report.finish(), Some(place))),
            Some(place) => page.after = Some(place),
            None => return Ok((report.finish(), None)),
        }
    }
}

/// One entry of a session that a verdict was said in.
fn asked(event: &Event) -> Option<(&Shown, &str, Word)> {
    match event {
        Event::Intent { shown, operation, of_gateway: false, review: None, .. } => {
            Some((shown, operation, Word::Allow))
        }
        Event::Refused { shown, operation, .. } => Some((shown, operation, Word::Refuse)),
        Event::Held { shown, operation, .. } => Some((shown, operation, Word::Hold)),
        _ => None,
    }
}

/// A session that is judged again, part by part.
struct Judging {
    session: SessionId,
    deadline: Instant,
    standing: Option<Standing>,
    granted: bool,
    trials: Option<Arc<Trials>>,
    held: BTreeSet<RequestId>,
}

/// Judges one session again, as far as there is time.
async fn again(
    archive: &Archive,
    compared: &Arc<Compared>,
    session: SessionId,
    report: &mut Report,
) -> Result<(), Unread> {
    let Some((head, _)) = archive.session(session).await? else { return Ok(()) };
    report.whole.sessions += 1;
    let deadline = Instant::now() + SESSION;
    let mut judging = Judging {
        session,
        deadline,
        standing: None,
        granted: false,
        trials: None,
        held: BTreeSet::new(),
    };
    let mut from = Some(0);
    while let Some(at) = from {
        if Instant::now() > deadline {
            let why =
                format!("the rest of its session: that takes longer than {} s", SESSION.as_secs());
            report.not_judged(&why, 1, session, at);
            break;
        }
        let part = archive.part(&head, at, ENTRIES).await?;
        from = part.next;
        let entries = archive.entries(&head, part).await?;
        let (compared, mut taken) = (compared.clone(), std::mem::take(report));
        // Statements are read on a thread of its own, as the runtime's are.
        let judged = tokio::task::spawn_blocking(move || {
            for (number, entry) in entries {
                judging.judge(&mut taken, &compared, number, &entry);
            }
            (judging, taken)
        });
        (judging, *report) = judged.await?;
    }
    Ok(())
}

impl Judging {
    fn judge(&mut self, report: &mut Report, compared: &Compared, number: u64, entry: &Entry) {
        if let Event::SessionOpened { standing, grant, .. } = &entry.event {
            self.granted = grant.is_some();
            self.trials = Some(report.memo.trials(compared, standing));
            self.standing = Some(standing.clone());
            return;
        }
        let Some((shown, operation, recorded)) = asked(&entry.event) else { return };
        if entry.at < compared.since {
            return;
        }
        // What was held and refused in the end was asked once.
        if entry.request.is_some_and(|id| self.held.contains(&id)) {
            return;
        }
        if recorded == Word::Hold {
            self.held.extend(entry.request);
        }
        report.whole.requests += 1;
        let (Some(standing), Some(trials)) = (&self.standing, &self.trials) else { return };
        let found = match Instant::now() > self.deadline {
            _ if self.granted => {
                Err("its session stood on a grant, which is over or another one".to_owned())
            }
            true => Err(format!("its session takes longer than {} s", SESSION.as_secs())),
            false => trials.both(shown, operation),
        };
        let (now, then) = match found {
            Ok(both) => both,
            Err(why) => return report.not_judged(&why, 1, self.session, number),
        };
        report.judged(&now, &then, || Example {
            session: self.session,
            entry: number,
            at: entry.at,
            who: standing.principal.to_string(),
            connection: standing.connection.name.clone(),
            statement: shown.statements.join("; ").chars().take(CUT).collect(),
            recorded,
            unmasked: Vec::new(),
            masked: Vec::new(),
        });
    }
}

/// What was worked out in this part and is the same for others: most requests are asked again and again.
#[derive(Default)]
struct Memo(HashMap<String, Arc<Trials>>);

impl Memo {
    /// For one caller on one connection, whichever its token: neither its number nor its end is in any verdict.
    fn trials(&mut self, compared: &Compared, standing: &Standing) -> Arc<Trials> {
        let mut standing = standing.clone();
        standing.principal.token_id = None;
        standing.principal.expires = Timestamp::from_micros(i64::MAX);
        let (principal, name) = (&standing.principal, &standing.connection.name);
        let made = || {
            let of = |rules| Trial::of(rules, principal, name);
            let (now, then) = (of(&compared.now), of(&compared.then));
            Arc::new(Trials { now, then, said: Mutex::default() })
        };
        // One that has no JSON form is like no other.
        let Ok(key) = serde_json::to_string(&(principal, name)) else { return made() };
        if self.0.len() >= CALLERS {
            self.0.clear();
        }
        Arc::clone(self.0.entry(key).or_insert_with(made))
    }
}

/// What is said to a request by the rules in force and by those that are wanted, or why that is not known.
type Both = Result<(Said, Said), String>;

/// A caller on a connection, by the rules in force and by those that are wanted.
struct Trials {
    now: Result<Trial, Untried>,
    then: Result<Trial, Untried>,
    /// By the digest of everything that is judged of a request.
    said: Mutex<HashMap<Digest, Both>>,
}

impl Trials {
    fn both(&self, shown: &Shown, operation: &str) -> Both {
        let asked = (&shown.statements, &shown.parameters, shown.elided, operation);
        let Ok(asked) = serde_json::to_vec(&asked) else {
            return both((&self.now, &self.then), shown, operation);
        };
        let key = Digester::new("portcullis/rejudged/1").part(&asked).finish();
        let mut known = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(both) = known.get(&key) {
            return both.clone();
        }
        let said = both((&self.now, &self.then), shown, operation);
        if known.len() >= REQUESTS {
            known.clear();
        }
        known.insert(key, said.clone());
        said
    }
}

/// By the rules in force, and by those that are wanted.
fn both(
    (now, then): (&Result<Trial, Untried>, &Result<Trial, Untried>),
    shown: &Shown,
    operation: &str,
) -> Both {
    if shown.elided || shown.statements.is_empty() {
        return Err("its text is not kept whole".to_owned());
    }
    let one = |trial: &Result<Trial, Untried>| -> Result<Said, String> {
        let trial = trial.as_ref().map_err(ToString::to_string)?;
        if let Some(said) = trial.turned_away() {
            return Ok(said);
        }
        let texts = Texts { statements: &shown.statements, parameters: &shown.parameters };
        let tried = trial.request(texts, &Circumstances::default()).map_err(|e| e.to_string())?;
        // What cannot be read is recorded as such.
        let read = tried.operation.filter(|read| read.to_string() == operation);
        match read {
            Some(read) if trial.hangs_on_transaction(&read) => Err(HANGS.to_owned()),
            Some(_) => Ok(tried.said),
            None => Err(NOT_THE_SAME.to_owned()),
        }
    };
    Ok((one(now)?, one(then)?))
}

/// A recorded request.
pub(crate) struct Recorded {
    pub(crate) shown: Shown,
    /// What it did, in words.
    pub(crate) operation: String,
    /// What was said to it.
    pub(crate) word: Word,
}

/// What is said of a request that cannot be judged again.
pub(crate) const NOT_THE_SAME: &str = "its text or names do not say what they did: values were redacted, names lead elsewhere or nowhere \
     now, or it rests on what came before it in its session";

/// The same of one of which the record does not say what its rules ask for.
const HANGS: &str = "rules ask whether it was inside a transaction, which the record does not say";

/// One recorded request, to be explained, and what it did in words.
pub(crate) async fn recorded(
    archive: &Archive,
    head: &crate::recordings::Head,
    number: u64,
) -> Result<Option<(Standing, Recorded)>, Unread> {
    let first = archive.entries(head, archive.part(head, 0, 1).await?).await?;
    let standing = first.into_iter().find_map(|(_, entry)| match entry.event {
        Event::SessionOpened { standing, .. } => Some(standing),
        _ => None,
    });
    let part = archive.entries(head, archive.part(head, number, 1).await?).await?;
    let found = part.into_iter().find(|(found, _)| *found == number);
    let said = found.and_then(|(_, entry)| {
        let (shown, operation, word) = asked(&entry.event)?;
        Some(Recorded { shown: shown.clone(), operation: operation.to_owned(), word })
    });
    Ok(standing.zip(said))
}
