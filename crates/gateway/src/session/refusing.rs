//! Refusals, in the client's own protocol: the session is left as the server would leave it after an
//! error. Where nothing of a request is forwarded.

use super::{End, NO_ROOM, Session, grammar};
use portcullis_core::effect::Operation;
use portcullis_core::id::DecisionId;
use portcullis_core::protocol::Request as _;
use portcullis_core::refusal::{Refusal, RefusalClass, Retry, rule};
use portcullis_wire::pg::chore::{Chore, ChoreOutcome};
use portcullis_wire::pg::conversation::{Unformed, Why};
use portcullis_wire::pg::script::Confirmation;
use portcullis_wire::pg::server::{self, WireError};
use portcullis_wire::pg::unit::{Shape, Unit};
use std::time::Duration;

/// Refused requests remembered per session, to slow identical repeats down.
const REMEMBERED_REFUSALS: usize = 256;

impl Session {
    /// A unit that would be judged by definitions of which nobody knows whether they still hold.
    pub(super) async fn outdated(&mut self, unit: Unit) -> Result<(), End> {
        let why = "the definitions it touches may have changed, and cannot be looked up from inside \
                   this transaction or pipeline";
        let next = "end the transaction (or send Sync) and run it again; REPEATABLE READ and \
                    SERIALIZABLE transactions have to be short";
        self.refuse_unit(&unit, rule::CURRENT_DEFINITIONS, why.to_owned(), next).await
    }

    /// Refuses a unit by a rule of the gateway's own.
    pub(super) async fn refuse_unit(
        &mut self,
        unit: &Unit,
        rule: &str,
        why: String,
        next: &str,
    ) -> Result<(), End> {
        let moment = self.moments.next();
        let refusal = own_refusal(moment.decision, unit.operation(), rule, (why, next));
        let refused =
            self.gate.refuse_unformed(unit.shown(), unit.operation(), refusal, moment).await;
        self.refuse(&refused, unit.shape(), None).await
    }

    /// A unit that could not even be formed.
    pub(super) async fn unformed(&mut self, unformed: Unformed) -> Result<(), End> {
        let moment = self.moments.next();
        let refusal = refusal_of(&unformed, moment.decision);
        let Unformed { why, shown, operation, shape } = unformed;
        let position = position_in(&why, shown.statements.last().map_or("", String::as_str));
        let refusal = self.gate.refuse_unformed(shown, &operation, refusal, moment).await;
        if refusal.class == RefusalClass::Unavailable {
            return self.refuse(&refusal, shape, None).await;
        }
        let status = self.fail_transaction().await?;
        let version = self.analyst.catalog().map_or(0, |catalog| catalog.server_version());
        let mut error = WireError { position, ..as_the_server(&why, &refusal) };
        error.hint = grammar::hint(&why, version).or(error.hint);
        self.answer_error(&error, shape, status).await
    }

    /// Answers a refusal in the client's own protocol, and leaves the session as the server would
    /// after an error. Identical repeats are answered later and later.
    pub(super) async fn refuse(
        &mut self,
        refusal: &Refusal,
        shape: Shape,
        digest: Option<[u8; 32]>,
    ) -> Result<(), End> {
        let status = self.fail_transaction().await?;
        if let Some(digest) = digest {
            let patience = self.patience(digest);
            tokio::select! {
                () = tokio::time::sleep(patience) => {}
                end = self.lease.ended() => return Err(end),
            }
        }
        self.answer_error(&server::refusal(refusal), shape, status).await
    }

    fn patience(&mut self, digest: [u8; 32]) -> Duration {
        if self.refused.len() >= REMEMBERED_REFUSALS {
            self.refused.clear();
        }
        let count = self.refused.entry(digest).or_default();
        *count = count.saturating_add(1);
        match *count {
            0..=2 => Duration::ZERO,
            n => Duration::from_secs(1 << (n - 3).min(4)),
        }
    }

    pub(super) async fn answer_error(
        &mut self,
        error: &WireError,
        shape: Shape,
        status: u8,
    ) -> Result<(), End> {
        self.conversation.refused(shape);
        self.author(|out| {
            server::error(out, error);
            if shape != Shape::Flush {
                server::ready(out, status);
            }
        })
        .await
    }

    /// Where a transaction or a pipeline is open at the target, makes it fail as it would have
    /// failed on an error of its own.
    pub(super) async fn fail_transaction(&mut self) -> Result<u8, End> {
        let status = self.conversation.transaction_status();
        if !self.conversation.pipeline_open() && status != b'T' {
            return Ok(status);
        }
        let (status, unasked) = match self.chore(Chore::fail_transaction()).await? {
            ChoreOutcome::Settled { status, unasked }
            | ChoreOutcome::Failed { status, unasked, .. } => (status, unasked),
            ChoreOutcome::Catalog { unasked, .. } => (status, unasked),
        };
        self.pass_on(unasked).await?;
        self.conversation.settle(&[Confirmation::Ready(status)]);
        Ok(status)
    }
}

/// A refusal by a rule of the gateway's own.
pub(super) fn own_refusal(
    decision: DecisionId,
    operation: &Operation,
    rule: &str,
    (why, next): (String, &str),
) -> Refusal {
    Refusal {
        decision,
        class: RefusalClass::Policy,
        rule: rule.to_owned(),
        what: operation.to_string(),
        why,
        retry: Retry::AfterChange,
        next: Some(next.to_owned()),
        review: None,
    }
}

/// The refusal of a unit that could not be formed.
pub(crate) fn refusal_of(unformed: &Unformed, decision: DecisionId) -> Refusal {
    let (class, rule) = match &unformed.why {
        Why::Syntax { .. } => (RefusalClass::Unreadable, rule::SYNTAX),
        Why::TooLarge { .. } | Why::TooManyColumns | Why::Limit { .. } => {
            (RefusalClass::Limit, rule::REQUEST_SIZE)
        }
        Why::UnknownStatement { .. } | Why::UnknownPortal { .. } => {
            (RefusalClass::Unresolved, rule::KNOWN_NAMES)
        }
        Why::Encoding
        | Why::Unspoken { .. }
        | Why::Respoken
        | Why::FunctionCall
        | Why::Ambiguous { .. }
        | Why::LongName
        | Why::CopyNotLast => (RefusalClass::Unreadable, rule::READABLE_REQUESTS),
    };
    Refusal {
        decision,
        class,
        rule: rule.to_owned(),
        what: unformed.why.to_string(),
        why: String::new(),
        retry: match unformed.why {
            Why::Limit { what: NO_ROOM, .. } => Retry::Later,
            _ => Retry::AfterChange,
        },
        next: None,
        review: None,
    }
}

/// Where a syntax error is, in characters of the text from 1, as the server counts.
fn position_in(why: &Why, text: &str) -> Option<usize> {
    let Why::Syntax { at: Some(at), .. } = why else { return None };
    text.get(..*at).map(|before| before.chars().count() + 1)
}

/// Where the server itself would refuse the same text or name, its own words and code.
fn as_the_server(why: &Why, refusal: &Refusal) -> WireError {
    let code = match why {
        Why::Syntax { .. } => "42601",
        Why::UnknownStatement { .. } => "26000",
        Why::UnknownPortal { .. } => "34000",
        Why::TooManyColumns => "54011",
        // `program_limit_exceeded` and `out_of_memory`, as the server has them.
        Why::TooLarge { .. } => return WireError { code: "54000", ..server::refusal(refusal) },
        Why::Limit { what: NO_ROOM, .. } => {
            return WireError { code: "53200", ..server::refusal(refusal) };
        }
        _ => return server::refusal(refusal),
    };
    WireError::new(code, why.to_string())
}
