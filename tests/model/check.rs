//! What the target heard, held against what was sent and permitted, and against the record.

use crate::SENTINEL;
use crate::client::{Outcome, Ran, Sent};
use crate::plan::{DIGITS, Fate, MARK};
use crate::tap::{Heard, Tap, Whose};
use std::time::{Duration, Instant};

/// How long sessions have to end, once their clients are gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until every session is over for the journal too.
pub(crate) fn settled(ran: &[Ran], tap: &Tap) {
    let deadline = Instant::now() + PATIENCE;
    for one in ran {
        let session = tap.wire(one.process).session;
        while !tap.recorded(&session).closed {
            assert!(Instant::now() < deadline, "seed {}: session {session} does not end", one.seed);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What is wrong with a session, if anything is.
pub(crate) fn complaint(ran: &Ran, tap: &Tap) -> Option<String> {
    let wire = tap.wire(ran.process);
    let intents = tap.recorded(&wire.session).intents;
    let heard = only_what_was_permitted(&ran.sent, &wire.heard);
    let recorded = recorded_before(&wire.heard, &intents);
    let shown =
        shows_sentinel(&ran.received).then(|| "the client received a masked value".to_owned());
    ran.complaint.clone().or(heard.err()).or(recorded.err()).or(shown)
}

/// Of the caller's, the target heard whole requests that may run, as they were sent.
fn only_what_was_permitted(sent: &[Sent], heard: &[Heard]) -> Result<usize, String> {
    let mut heard =
        heard.iter().filter(|h| h.whose == Whose::Caller && h.tag != b'D').enumerate().peekable();
    let mut count = 0;
    for request in sent {
        let allowed = request.fate != Fate::Refused
            && matches!(request.outcome, Outcome::Answered | Outcome::Unknown)
            && (request.fate != Fate::Held || request.approved_after.is_some());
        let mut begun = false;
        for (tag, body) in &request.messages {
            let next = heard.peek().is_some_and(|(_, h)| h.tag == *tag && h.body == *body);
            if !next || !allowed {
                // A copy that failed takes no more rows; who does not wait may not see it heard.
                let rest_is_rows = begun && b"dcf".contains(tag);
                if allowed && !begun && request.outcome == Outcome::Answered {
                    return Err(format!(
                        "step {}: it was answered, and not heard",
                        request.step + 1
                    ));
                }
                if allowed && begun && !rest_is_rows {
                    return Err(format!("step {}: a part of it was heard", request.step + 1));
                }
                break;
            }
            let place = heard.next().map_or(0, |(place, _)| place);
            if !begun && request.approved_after.is_some_and(|after| place < after) {
                return Err(format!("step {}: heard before it was approved", request.step + 1));
            }
            begun = true;
        }
        count += usize::from(begun);
    }
    match heard.next() {
        None => Ok(count),
        Some((_, h)) => Err(format!(
            "heard, and not permitted, or not then: {} {}",
            char::from(h.tag),
            h.body.escape_ascii()
        )),
    }
}

/// Whatever was heard had its intent on file by then: each in its order, with all markers.
fn recorded_before(heard: &[Heard], intents: &[String]) -> Result<(), String> {
    let mut next = 0;
    for h in heard.iter().filter(|h| h.whose != Whose::Chore && b"QPBE".contains(&h.tag)) {
        let markers = markers(&h.body);
        if markers.is_empty() && h.tag != b'Q' {
            continue;
        }
        let text = String::from_utf8_lossy(&h.body).trim_end_matches('\0').to_owned();
        let tells = |intent: &String| match markers.is_empty() {
            true => intent.contains(&text),
            false => markers.iter().all(|marker| intent.contains(marker)),
        };
        // Messages of one request share an intent.
        let on_file = &intents[..h.recorded.min(intents.len())];
        let from = next.min(on_file.len());
        match on_file[from..].iter().position(tells) {
            Some(at) => next = from + at,
            None => {
                return Err(format!(
                    "heard with no record of it on file, but {} intents, {from} of them of requests before: {} {}",
                    h.recorded,
                    char::from(h.tag),
                    h.body.escape_ascii()
                ));
            }
        }
        // The next `Query` is a request of its own.
        next += usize::from(h.tag == b'Q');
    }
    Ok(())
}

/// The numbers by which statements are told apart.
fn markers(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let runs = text.split(|c: char| !c.is_ascii_digit());
    runs.filter(|run| run.len() == DIGITS && run.starts_with(MARK)).map(str::to_owned).collect()
}

/// True where a value of a masked column can be read: as it is, backwards, or in hexadecimal.
pub(crate) fn shows_sentinel(bytes: &[u8]) -> bool {
    let backwards: String = SENTINEL.chars().rev().collect();
    let hex: String = SENTINEL.bytes().map(|b| format!("{b:02x}")).collect();
    [SENTINEL, &backwards, &hex].iter().any(|needle| {
        let needle = needle.as_bytes();
        bytes
            .windows(needle.len())
            .any(|w| w[0].eq_ignore_ascii_case(&needle[0]) && w.eq_ignore_ascii_case(needle))
    })
}

/// How much of everything there was: a test that heard nothing would find nothing wrong.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    sessions: usize,
    heard: usize,
    refused: usize,
    approved: usize,
    never: usize,
    cut: usize,
    estimates: usize,
    copied: usize,
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sessions, heard, refused, approved, never, cut, estimates, copied } = self;
        write!(
            f,
            "{sessions} sessions: {heard} requests heard ({approved} after approval, {copied} copying \
             in), {refused} refused, {never} never decided, {cut} ended by the client; {estimates} estimates"
        )
    }
}

pub(crate) fn counted(ran: &[Ran], tap: &Tap) -> Counted {
    let mut all = Counted { sessions: ran.len(), ..Counted::default() };
    for one in ran {
        let heard = tap.wire(one.process).heard;
        all.heard += only_what_was_permitted(&one.sent, &heard).unwrap_or(0);
        all.estimates +=
            heard.iter().filter(|h| h.whose == Whose::Estimate && h.tag == b'P').count();
        for sent in &one.sent {
            let is = |outcome| usize::from(sent.outcome == outcome);
            all.refused += is(Outcome::Refused);
            all.approved += usize::from(sent.approved_after.is_some());
            all.never += usize::from(sent.fate == Fate::Held) * is(Outcome::Never);
            all.cut += usize::from(sent.fate != Fate::Held) * is(Outcome::Never);
            all.copied += usize::from(sent.messages.iter().any(|(tag, _)| *tag == b'd'));
        }
    }
    all
}

impl Counted {
    pub(crate) fn demand(&self) {
        let few = self.sessions / 16;
        let enough = [self.approved, self.refused, self.never, self.cut, self.estimates];
        let enough = enough.iter().all(|count| *count >= few) && self.heard >= self.sessions;
        assert!(enough, "too little happened to say anything: {self}");
    }
}
