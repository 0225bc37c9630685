//! A protocol with no rules, a gate that opens, and a real PostgreSQL server to dial.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

pub mod server;

use bytes::{Buf as _, BytesMut};
use portcullis_core::access::Entitlement;
use portcullis_core::digest::Digest;
use portcullis_core::effect::Operation;
use portcullis_core::freeze::{Freezes, InForce};
use portcullis_core::gate::{Admission, Gate, GateSettings, LogIn, Moment};
use portcullis_core::id::{DecisionId, PatternId, RequestId, SessionId};
use portcullis_core::journal::{Durability, Entry, Journal, JournalError, Receipt};
use portcullis_core::mask::{
    CopyFormat, ErrorPart, Field, Format, MaskFailure, Plan, Redacted, Redactor, Treatment,
};
use portcullis_core::pattern::{Grant, Use};
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::protocol::{Chore, Masker, Protocol, ProtocolKind, Request, Shown};
use portcullis_core::rehearsal::Rehearsal;
use portcullis_core::review::{
    Approval, Ask, Claim, Decision, Desk, DeskError, Ticket, Withdrawal,
};
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::{
    Approvals, Circumstances, ConnectionFacts, Judge, Obligations, Standing, Verdict,
};
use portcullis_targets::{DialError, DialRequest, Dialed, Dialer, StartupSettings, Target};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// PostgreSQL as far as these tests need it: chores that are simple queries.
pub struct Bare;

/// One message: its type and body.
#[derive(Debug, Clone)]
pub struct Message(pub u8, pub BytesMut);

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.1
    }
}

pub struct Nothing;

/// A simple query, answered by everything up to ReadyForQuery.
pub struct SimpleQuery(pub String, Vec<Message>);

pub fn query(text: &str) -> SimpleQuery {
    SimpleQuery(text.to_owned(), Vec::new())
}

impl Request for Nothing {
    fn operation(&self) -> &Operation {
        unimplemented!("no requests here")
    }
    fn digest(&self) -> Digest {
        unimplemented!("no requests here")
    }
    fn shown(&self) -> Shown {
        Shown::default()
    }
    fn wire_bytes(&self) -> &[u8] {
        &[]
    }
}

impl Masker for Nothing {
    type Answer = Message;
    type Sample = ();
    fn mask(&mut self, answer: Message) -> Result<Message, MaskFailure> {
        Ok(answer)
    }

    fn take_sample(&mut self) {}
}

impl Chore for SimpleQuery {
    type Answer = Message;
    type Outcome = Vec<Message>;

    fn wire_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![b'Q'];
        bytes.extend((self.0.len() as u32 + 5).to_be_bytes());
        bytes.extend(self.0.as_bytes());
        bytes.push(0);
        bytes
    }

    fn absorb(&mut self, answer: Message) -> Result<Option<Vec<Message>>, MaskFailure> {
        let last = answer.0 == b'Z';
        self.1.push(answer);
        Ok(last.then(|| std::mem::take(&mut self.1)))
    }
}

impl Protocol for Bare {
    const KIND: ProtocolKind = ProtocolKind::Postgres;
    type Request = Nothing;
    type Answer = Message;
    type Masker = Nothing;
    type Feed = Vec<u8>;
    type Chore = SimpleQuery;

    fn masker(_: &Nothing, _: &Obligations) -> Nothing {
        Nothing
    }
    fn standing_masker(_: &Obligations) -> Nothing {
        Nothing
    }
    fn takes_feed(_: &Nothing, _: &Vec<u8>) -> bool {
        false
    }
    fn split(buffer: &mut BytesMut) -> Result<Option<Message>, MaskFailure> {
        let Some([kind, a, b, c, d]) = buffer.first_chunk().copied() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if buffer.len() < 1 + length {
            return Ok(None);
        }
        let mut message = buffer.split_to(1 + length);
        message.advance(5);
        Ok(Some(Message(kind, message)))
    }
}

#[derive(Debug, Clone, Copy)]
struct Open;

impl Redactor for Open {
    fn plan(&self, _: usize, _: &[Field<'_>]) -> Result<Plan, MaskFailure> {
        Ok(Plan::default())
    }
    fn plan_copy(&self, _: usize, _: usize, _: CopyFormat) -> Result<Plan, MaskFailure> {
        Ok(Plan::default())
    }
    fn redact(&self, _: &Treatment, _: (u32, Format), _: &[u8], _: &mut Vec<u8>) -> Redacted {
        Redacted::Unchanged
    }
    fn redact_error(
        &self,
        _: Option<usize>,
        _: &str,
        _: ErrorPart,
        _: &[u8],
        _: &mut Vec<u8>,
    ) -> Redacted {
        Redacted::Unchanged
    }
    fn redact_text(&self, _: &[u8], _: &mut Vec<u8>) -> Redacted {
        Redacted::Unchanged
    }
}

impl Judge for Open {
    fn judge(&self, _: &Operation, _: &Circumstances, _: &Approvals) -> Verdict {
        Verdict::Permit(Obligations { redactor: Arc::new(Open), rules: Arc::new([]), limits: None })
    }
    fn policy_version(&self) -> &str {
        "test"
    }
}

impl Journal for Open {
    async fn append(&self, _: Entry, _: Durability) -> Result<Receipt, JournalError> {
        Ok(Receipt::issued_by_journal_assertion(0))
    }
    fn note(&self, _: Entry) -> Result<(), JournalError> {
        Ok(())
    }
}

impl Desk for Open {
    async fn file(&self, _: Ask) -> Result<Ticket, DeskError> {
        Err(DeskError::Unavailable(String::new()))
    }
    async fn decided(&self, _: &Ticket) -> Decision {
        Decision::Withdrawn
    }
    async fn consume_ready(&self, _: &Ticket) -> bool {
        false
    }
    async fn consume(&self, _: &Ticket, _: Digest, _: Timestamp) -> Result<Approval, DeskError> {
        Err(DeskError::Unavailable(String::new()))
    }
    async fn claim(&self, _: &Ticket, _: Timestamp) -> Result<Claim, DeskError> {
        Err(DeskError::Unavailable(String::new()))
    }
    async fn show(&self, _: &Ticket, _: &Rehearsal) -> Result<(), DeskError> {
        Err(DeskError::Unavailable(String::new()))
    }
    fn withdraw(&self, _: &Ticket, _: Withdrawal) {}
    async fn retire(&self, _: &Ticket, _: Withdrawal) {}
    async fn pattern(
        &self,
        _: SessionId,
        _: Digest,
        _: Timestamp,
    ) -> Result<Option<Grant>, DeskError> {
        Ok(None)
    }
    async fn use_pattern(
        &self,
        _: PatternId,
        _: SessionId,
        _: Digest,
        _: Timestamp,
    ) -> Result<Use, DeskError> {
        Err(DeskError::Unavailable(String::new()))
    }
}

impl Freezes for Open {
    fn generation(&self) -> u64 {
        0
    }
    fn in_force(&self) -> InForce {
        InForce { generation: 0, freezes: Ok(Arc::new([])) }
    }
}

/// An admission to a connection as a role, got the only way there is: from a gate.
pub async fn admission(name: &str, database: &str, role: &str) -> Admission<Bare> {
    let at = Timestamp::from_micros(0);
    let text = |t: &str| t.to_owned();
    let principal = Principal {
        kind: PrincipalKind::Agent,
        subject: text("a"),
        name: text("a"),
        issuer: text("i"),
        acting_for: None,
        acting_for_issuer: None,
        email: None,
        groups: BTreeSet::new(),
        token_id: None,
        expires: at,
    };
    let connection = ConnectionFacts {
        name: text(name),
        environment: text("test"),
        protocol: ProtocolKind::Postgres,
        database: text(database),
        role: text(role),
    };
    let standing = Arc::new(Standing { principal, connection });
    let moment = Moment {
        at,
        request: RequestId::from_bits(1),
        decision: DecisionId::from_bits(1),
        used: portcullis_core::limits::Used::default(),
    };
    let parts = (Open, Arc::new(Open) as Arc<dyn Freezes>, Open, Open);
    let entitled = Entitlement::open_by_configuration_assertion(name);
    let settings = GateSettings::default();
    let session = SessionId::from_bits(1);
    let login = LogIn { peer: text("test"), ..LogIn::default() };
    let admitted =
        Gate::admit::<Bare>(session, standing, parts, entitled, settings, login, moment).await;
    match admitted {
        Ok((_, admission)) => admission,
        Err(refusal) => panic!("{refusal}"),
    }
}

/// A dialer with one connection, `shop`, from its settings in TOML.
pub fn dialer(settings: &str) -> Dialer {
    let target: Target = toml::from_str(settings).unwrap();
    Dialer::new(HashMap::from([("shop".to_owned(), target)])).unwrap()
}

/// Dials connection `shop` as `role`.
pub async fn dial_as(dialer: &Dialer, role: &str) -> Result<Dialed<Bare>, DialError> {
    dial(dialer, "shop", role).await
}

/// Dials connection `shop`, admitted to `database` as `role`.
pub async fn dial(dialer: &Dialer, database: &str, role: &str) -> Result<Dialed<Bare>, DialError> {
    let parameters = [("TimeZone".to_owned(), "Asia/Tokyo".to_owned())];
    let settings = StartupSettings::read(&parameters).unwrap();
    let request = DialRequest { application_name: Some("portcullis:test"), settings: &settings };
    dialer.dial(admission("shop", database, role).await, &request).await
}

/// The values of the first row of an answer, and the SQLSTATE if there is an error.
pub fn first_row(messages: &[Message]) -> (Vec<String>, Option<String>) {
    let mut values = Vec::new();
    let mut code = None;
    for Message(kind, body) in messages {
        if *kind == b'D' && values.is_empty() {
            let mut body = &body[2..];
            while !body.is_empty() {
                let length = body.get_u32() as usize;
                values.push(String::from_utf8_lossy(&body[..length]).into_owned());
                body.advance(length);
            }
        }
        if *kind == b'E' {
            let field = body[..].split(|b: &u8| *b == 0).find(|f| f.first() == Some(&b'C'));
            code = field.map(|f| String::from_utf8_lossy(&f[1..]).into_owned());
        }
    }
    (values, code)
}
