//! Runs one session of a plan as a client would, decides on what is held as people would, and holds
//! every answer against the model.

use crate::model::Model;
use crate::plan::{Decision, Fate, Plan, Request, Statement, Step};
use crate::tap::{Tap, Whose};
use portcullis_testkit::arena::Arena;
use portcullis_testkit::raw::{Message, RawClient, fields};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What all sessions share.
pub(crate) struct Scene<'a> {
    gateway: SocketAddr,
    http: SocketAddr,
    agent: String,
    reviewer: String,
    tap: &'a Tap,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(arena: &Arena, tap: &'a Tap) -> Self {
        let token = |name| arena.token(name).unwrap();
        let (agent, reviewer) = (token("claude"), token("bo"));
        Self { gateway: arena.postgres, http: arena.http, agent, reviewer, tap }
    }

    /// A person's decision; whether it was taken.
    fn decide(&self, review: &str, decision: &str) -> bool {
        let body = if decision == "reject" { r#"{"reason":"no"}"# } else { "" };
        let mut socket = TcpStream::connect(self.http).unwrap();
        let request = format!(
            "POST /api/v1/reviews/{review}/{decision} HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.reviewer,
            body.len()
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200")
    }
}

/// What became of a request, as far as the client can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered: it must have been heard.
    Answered,
    /// It was refused, or taken back: it must not have been heard.
    Refused,
    /// The client did not wait: it may have been heard, if it may be at all.
    Unknown,
    /// Nobody approved it, or it was not sent to its end.
    Never,
}

/// A request, as it was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) step: usize,
    /// Its messages, but for those that hold nothing (`Sync`, `Flush`) and descriptions.
    pub(crate) messages: Vec<(u8, Vec<u8>)>,
    pub(crate) fate: Fate,
    pub(crate) outcome: Outcome,
    /// How much the target had heard when a person approved it.
    pub(crate) approved_after: Option<usize>,
}

/// A session that has run.
pub(crate) struct Ran {
    pub(crate) seed: u64,
    pub(crate) process: u32,
    pub(crate) sent: Vec<Sent>,
    /// Everything the client received.
    pub(crate) received: Vec<u8>,
    pub(crate) complaint: Option<String>,
}

/// Runs a plan, up to its end or the first answer that the model does not expect.
pub(crate) fn run(scene: &Scene<'_>, plan: &Plan) -> Ran {
    let client = RawClient::log_in(scene.gateway, "claude", "shop", &scene.agent).unwrap();
    let process = client.cancel_key.as_ref().unwrap().0;
    let mut session = Session {
        scene,
        client,
        process,
        model: Model::new(),
        sent: Vec::new(),
        received: Vec::new(),
        cancels: false,
    };
    let mut complaint = None;
    for (n, step) in plan.steps.iter().enumerate() {
        match session.step(n, step) {
            Ok(true) => {}
            Ok(false) => break,
            Err(why) => {
                complaint = Some(format!("step {}: {why}", n + 1));
                break;
            }
        }
    }
    let Session { sent, received, .. } = session;
    Ran { seed: plan.seed, process, sent, received, complaint }
}

struct Session<'a> {
    scene: &'a Scene<'a>,
    client: RawClient,
    process: u32,
    model: Model,
    sent: Vec<Sent>,
    received: Vec<u8>,
    /// True once it has sent a request to cancel, which may hit what comes later.
    cancels: bool,
}

/// What was heard in answer to a request.
#[derive(Default)]
struct Answer {
    /// Code and text of the first error.
    error: Option<(String, String)>,
    held: bool,
    approved_after: Option<usize>,
    /// True where the client hung up.
    left: bool,
    status: u8,
    /// True where rows that are copied in were sent.
    copied: bool,
}

/// Messages as bytes hold them.
fn split(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some(length) = bytes.get(1..5) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        all.push((bytes[0], bytes[5..=length].to_vec()));
        bytes = &bytes[length + 1..];
    }
    all
}

/// Those that hold something of the caller's which runs or is kept.
fn telling(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = split(bytes);
    all.retain(|(tag, _)| b"QPBECdcf".contains(tag));
    all
}

impl Session<'_> {
    /// Sends one request and sees it through; false where the session is over after it.
    fn step(&mut self, n: usize, step: &Step) -> Result<bool, String> {
        let statements = match &step.request {
            Request::Run(number) => match self.model.prepared(*number) {
                Some(statement) => vec![statement],
                None => return Ok(true),
            },
            other => other.statements(),
        };
        let prepares = match &step.request {
            Request::Prepare(_, statement) if statement.fate == Fate::Refused => Fate::Refused,
            _ => Fate::Free,
        };
        let fate = statements.iter().map(|s| s.fate).max().unwrap_or(prepares);
        let [first, second] = step.request.messages();
        self.client.piece = step.piece;
        let mut sent = Sent {
            step: n,
            messages: telling(&first),
            fate,
            outcome: Outcome::Unknown,
            approved_after: None,
        };
        if let Some(cut) = step.cut {
            let end = first.len() * cut / 1000;
            let _ = self.client.send(&first[..end]);
            sent.outcome = Outcome::Never;
            self.sent.push(sent);
            return Ok(false);
        }
        let gone = |error: anyhow::Error| format!("it could not be sent: {error}");
        self.client.send(&first).map_err(gone)?;
        if step.cancel {
            self.cancel();
        }
        let answer = match self.answer(step, &second) {
            Ok(answer) => answer,
            Err(why) => {
                self.sent.push(sent);
                return Err(why);
            }
        };
        if answer.copied {
            sent.messages.extend(telling(&second));
        }
        sent.approved_after = answer.approved_after;
        if answer.left {
            sent.outcome =
                if answer.approved_after.is_some() { Outcome::Unknown } else { Outcome::Never };
            self.sent.push(sent);
            return Ok(false);
        }
        let judged = self.judge(step, fate, &statements, &answer);
        sent.outcome = match &judged {
            Ok(outcome) => *outcome,
            Err(_) => Outcome::Unknown,
        };
        self.sent.push(sent);
        judged.map(|_| true)
    }

    fn cancel(&mut self) {
        self.cancels = true;
        let Some((process, key)) = self.client.cancel_key.clone() else { return };
        let mut socket = TcpStream::connect(self.scene.gateway).unwrap();
        let body = [&80_877_102u32.to_be_bytes()[..], &process.to_be_bytes(), &key].concat();
        let length = (body.len() as u32 + 4).to_be_bytes();
        // It answers nothing; what it stops is over before it closes.
        let _ = socket.write_all(&[&length[..], &body].concat());
        let _ = socket.read(&mut [0]);
    }

    /// How many messages of the caller's own the target has heard, but for descriptions.
    fn heard(&self) -> usize {
        let wire = self.scene.tap.wire(self.process);
        wire.heard.iter().filter(|h| h.whose == Whose::Caller && h.tag != b'D').count()
    }

    /// Reads on to the end of the answer, and does what a client and people do meanwhile.
    fn answer(&mut self, step: &Step, second: &[u8]) -> Result<Answer, String> {
        let mut answer = Answer::default();
        let flushes = matches!(step.request, Request::Extended { flush: true, .. });
        let mut rest = (!second.is_empty()).then_some(second);
        loop {
            let message = match self.client.receive() {
                Ok(Some(message)) => message,
                Ok(None) => return Err("the session ended".to_owned()),
                Err(error) => return Err(format!("no answer: {error}")),
            };
            self.received.push(message.tag);
            self.received.extend_from_slice(&message.body);
            match message.tag {
                b'E' if answer.error.is_none() => answer.error = Some(error(&message)),
                b'N' if fields(&message.body).contains("held for review") => {
                    answer.held = true;
                    if !self.decide(step.decision, &message, &mut answer)? {
                        answer.left = true;
                        return Ok(answer);
                    }
                }
                b'G' => {
                    let data = rest.take().ok_or("rows are asked for")?;
                    answer.copied = true;
                    self.client.send(data).map_err(|e| e.to_string())?;
                }
                b'Z' => {
                    answer.status = message.body.first().copied().unwrap_or_default();
                    return Ok(answer);
                }
                _ => {}
            }
            if flushes
                && b"CIsE".contains(&message.tag)
                && let Some(sync) = rest.take()
            {
                self.client.send(sync).map_err(|e| e.to_string())?;
            }
        }
    }

    /// What people, or the client, do about a held request; false where the client hangs up.
    fn decide(
        &mut self,
        decision: Decision,
        notice: &Message,
        answer: &mut Answer,
    ) -> Result<bool, String> {
        let text = fields(&notice.body);
        let review = text.split("review ").find(|rest| rest.starts_with("rev_"));
        let word = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let review: String = review.ok_or("no review")?.chars().take_while(word).collect();
        // Long enough for a request that does not wait to be heard.
        std::thread::sleep(Duration::from_millis(3));
        match decision {
            Decision::Leave => return Ok(false),
            Decision::Cancel => self.cancel(),
            Decision::Reject => drop(self.scene.decide(&review, "reject")),
            Decision::Approve => {
                let heard = self.heard();
                if self.scene.decide(&review, "approve") {
                    answer.approved_after = Some(heard);
                }
            }
        }
        Ok(true)
    }

    /// Holds an answer against the model, and the model against the session.
    fn judge(
        &mut self,
        step: &Step,
        fate: Fate,
        statements: &[Statement],
        answer: &Answer,
    ) -> Result<Outcome, String> {
        let before = self.model.status;
        let (code, text) = answer.error.clone().unwrap_or_default();
        let refused = text.contains("portcullis");
        let cancelled = code == "57014" && self.cancels;
        if fate == Fate::Refused && code.is_empty() {
            return Err("what is to be refused was not".to_owned());
        }
        let outcome = if refused || fate == Fate::Refused {
            self.model.refused();
            Outcome::Refused
        } else if cancelled {
            // It may have been stopped on either side of the gate.
            self.model.refused();
            Outcome::Unknown
        } else {
            let done = match &step.request {
                Request::Prepare(number, statement) => self.model.prepares(*number, statement),
                _ => self.model.ran(statements),
            };
            if done != code.is_empty() {
                return Err(format!(
                    "expected {}: {code} {text}",
                    if done { "success" } else { "an error" }
                ));
            }
            Outcome::Answered
        };
        match fate {
            Fate::Free if refused && !cancelled => {
                return Err(format!("what is permitted was refused: {text}"));
            }
            Fate::Held if outcome == Outcome::Answered && answer.approved_after.is_none() => {
                return Err("what is to be held ran without an approval".to_owned());
            }
            Fate::Held if before == b'I' && !answer.held && !cancelled => {
                return Err(format!("what is to be held was not: {code} {text}"));
            }
            _ => {}
        }
        // A cancelled request may have ended the transaction or failed in it, by when it was hit.
        if cancelled {
            self.model.status = answer.status;
        }
        let told = self.scene.tap.wire(self.process).status;
        if answer.status != self.model.status || answer.status != told {
            return Err(format!(
                "the client is told status {}, the server says {}, and the model {}",
                char::from(answer.status),
                char::from(told),
                char::from(self.model.status)
            ));
        }
        Ok(outcome)
    }
}

/// Code and text of an error.
fn error(message: &Message) -> (String, String) {
    let field = |tag: u8| {
        let found = message.body.split(|b| *b == 0).find(|field| field.first() == Some(&tag));
        found.map(|f| String::from_utf8_lossy(&f[1..]).into_owned()).unwrap_or_default()
    };
    (field(b'C'), field(b'M'))
}
