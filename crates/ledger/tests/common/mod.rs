//! Entries to record, and a ledger to record them in.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests stand outside the tests themselves"
)]
#![allow(dead_code, reason = "each test file uses a part of it")]

use portcullis_core::digest::{Digest, Digester};
use portcullis_core::id::{DecisionId, RequestId, ReviewId, SessionId};
use portcullis_core::journal::{Durability, Entry, Event, Journal as _, Status};
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::protocol::{ProtocolKind, Shown};
use portcullis_core::refusal::{Refusal, RefusalClass, Retry};
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::{ConnectionFacts, Standing};
use portcullis_ledger::verify::{Finding, Report, VerifyOptions, verify};
use portcullis_ledger::{Ledger, LedgerSettings};
use std::path::{Path, PathBuf};

pub(crate) fn session(n: u64) -> SessionId {
    SessionId::from_bits(n)
}

pub(crate) fn request(n: u64) -> RequestId {
    RequestId::from_bits(n)
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_760_000_000_000_000 + micros)
}

pub(crate) fn digest(n: u64) -> Digest {
    Digester::new("test").part(&n.to_be_bytes()).finish()
}

pub(crate) fn shown(text: &str) -> Shown {
    Shown { statements: vec![text.to_owned()], parameters: vec![vec![]], ..Shown::default() }
}

pub(crate) fn standing() -> Standing {
    Standing {
        principal: Principal {
            kind: PrincipalKind::Agent,
            subject: "agent-7".into(),
            name: "Night agent".into(),
            issuer: "https://idp.example".into(),
            acting_for: Some("ada".into()),
            acting_for_issuer: None,
            email: None,
            groups: ["agents".to_owned()].into(),
            token_id: None,
            expires: at(3_600_000_000),
        },
        connection: ConnectionFacts {
            name: "shop".into(),
            environment: "production".into(),
            protocol: ProtocolKind::Postgres,
            database: "shop".into(),
            role: "app".into(),
        },
    }
}

pub(crate) fn refusal() -> Refusal {
    Refusal {
        decision: DecisionId::from_bits(9),
        class: RefusalClass::Policy,
        rule: "no-drop".into(),
        what: "drop public.orders".into(),
        why: "tables are dropped by migrations".into(),
        retry: Retry::Never,
        next: Some("open a migration".into()),
        review: Some(ReviewId::from_bits(5)),
    }
}

pub(crate) fn entry(micros: i64, s: u64, r: Option<u64>, event: Event) -> Entry {
    Entry { at: at(micros), session: Some(session(s)), request: r.map(request), event }
}

pub(crate) fn opened(micros: i64, s: u64) -> Entry {
    let event = Event::SessionOpened {
        standing: standing(),
        peer: "127.0.0.1:5432".into(),
        policy: "p1".into(),
        claimed: "psql".into(),
        settings: vec!["search_path=app".into()],
        grant: None,
    };
    entry(micros, s, None, event)
}

pub(crate) fn closed(micros: i64, s: u64, recording: Option<Digest>) -> Entry {
    entry(micros, s, None, Event::SessionClosed { reason: "done".into(), recording })
}

pub(crate) fn intent(micros: i64, s: u64, r: u64, text: &str) -> Entry {
    let event = Event::Intent {
        operation: "SELECT · read public.orders".into(),
        shown: shown(text),
        digest: digest(r),
        rules: vec!["reads".into()],
        review: None,
        pattern: None,
        of_gateway: false,
        durability: Durability::Written,
    };
    entry(micros, s, Some(r), event)
}

pub(crate) fn outcome(micros: i64, s: u64, r: u64, rows: u64) -> Entry {
    let event = Event::Outcome {
        status: Status::Done,
        rows,
        tags: vec![format!("SELECT {rows}")],
        error: None,
        masked: 1,
        micros: 1500,
    };
    entry(micros, s, Some(r), event)
}

pub(crate) fn settings() -> LedgerSettings {
    LedgerSettings { origin: "test.example/journal".into(), ..LedgerSettings::default() }
}

pub(crate) fn open(dir: &Path) -> Ledger {
    Ledger::open(dir, settings()).expect("the ledger opens")
}

pub(crate) async fn durable(ledger: &Ledger, entry: Entry) -> u64 {
    ledger.append(entry, Durability::Durable).await.expect("recorded").sequence()
}

/// Appends a session of `requests` requests, open to close: `2 + 2 * requests` entries.
pub(crate) async fn a_session(ledger: &Ledger, s: u64, requests: u64) {
    durable(ledger, opened(0, s)).await;
    for r in 0..requests {
        durable(ledger, intent(1, s, r, &format!("SELECT {r}"))).await;
        durable(ledger, outcome(2, s, r, r)).await;
    }
    durable(ledger, closed(3, s, None)).await;
}

pub(crate) fn check(dir: &Path) -> Result<Report, Finding> {
    verify(dir, &VerifyOptions::default())
}

pub(crate) fn segment(dir: &Path, first: u64) -> PathBuf {
    dir.join("journal").join(format!("{first:020}.jsonl"))
}

/// Adds to the newest segment, behind the ledger's back.
pub(crate) fn scribble(dir: &Path, first: u64, bytes: &[u8]) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().append(true).open(segment(dir, first)).unwrap();
    file.write_all(bytes).unwrap();
}
