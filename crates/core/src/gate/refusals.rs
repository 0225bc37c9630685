//! What the gate refuses of its own accord, in words: limits reached, what cannot be shown, recorded or
//! decided.

use super::Moment;
use crate::access::Unentitled;
use crate::effect::Operation;
use crate::freeze::Frozen;
use crate::id::{DecisionId, ReviewId};
use crate::journal::{BeginError, JournalError};
use crate::limits::LimitKind;
use crate::protocol::Shown;
use crate::refusal::{Refusal, RefusalClass, Retry, rule};
use crate::review::DeskError;
use crate::verdict::{Ground, Obligations};

/// The refusal of a request for which nothing is left of what a rule allows.
pub(super) fn used_up(
    operation: &Operation,
    obligations: &Obligations,
    moment: Moment,
) -> Option<Refusal> {
    let (kind, limit) = obligations.limits.as_ref()?.used_up(&moment.used)?;
    let later = matches!(kind, LimitKind::PerSecond | LimitKind::PerMinute | LimitKind::PerHour);
    let ground = Ground {
        rule: limit.rule.to_string(),
        reason: format!("the limit of {} {kind} is reached", limit.most),
        hint: Some(if later { "wait, and send it again" } else { "open a new session" }.to_owned()),
        what: operation.to_string(),
    };
    let retry = if later { Retry::Later } else { Retry::AfterChange };
    Some(refusal_from(moment.decision, RefusalClass::Limit, retry, ground, None))
}

/// Why a request is frozen, as it is told. `unkept`: its transaction has changed something.
pub(super) fn frozen(why: &Frozen, what: &str, unkept: bool) -> (RefusalClass, Ground) {
    let (class, reason, hint) = match why {
        Frozen::By(freeze) => {
            let next = format!(
                "wait until {:.0}, or ask {}; another way to do the same is frozen too",
                freeze.until, freeze.by
            );
            let next = if unkept {
                format!("send ROLLBACK: what this transaction has changed cannot be kept; {next}")
            } else {
                next
            };
            (RefusalClass::Frozen, freeze.to_string(), next)
        }
        Frozen::Unknown(unknown) => (
            RefusalClass::Unavailable,
            unknown.to_string(),
            "tell the operator of this gateway; nothing has run".to_owned(),
        ),
    };
    let ground =
        Ground { rule: rule::FREEZE.to_owned(), reason, hint: Some(hint), what: what.to_owned() };
    (class, ground)
}

/// Why a session without a right to be there gets nothing, as it is told.
pub(super) fn unentitled(why: &Unentitled, what: &str) -> (RefusalClass, Retry, Ground) {
    let (class, retry, reason, hint) = match why {
        Unentitled::Ended { grant, until } => (
            RefusalClass::Ungranted,
            Retry::AfterApproval,
            format!(
                "the grant {grant} this session stood on is over (it was until {until:.0} at most)"
            ),
            "ask for access again (`portcullis request`), and log in anew",
        ),
        Unentitled::Unknown => (
            RefusalClass::Unavailable,
            Retry::Later,
            "it cannot be read whether the grant of this session stands, so it does nothing"
                .to_owned(),
            "try again in a few seconds, or send ROLLBACK; tell the operator of this gateway if it lasts; \
             nothing has run",
        ),
        Unentitled::Other => (
            RefusalClass::Ungranted,
            Retry::Never,
            "the entitlement it came with is not this session's".to_owned(),
            "tell the operator of this gateway; nothing has run",
        ),
    };
    let rule = rule::GRANTED_ACCESS.to_owned();
    (class, retry, Ground { rule, reason, hint: Some(hint.to_owned()), what: what.to_owned() })
}

/// Nobody approves what nobody can see.
pub(super) fn unreviewable(decision: DecisionId, ground: Ground) -> Refusal {
    let ground = Ground {
        rule: rule::REVIEWABLE_REQUESTS.to_owned(),
        reason: "it needs a review and is too large to be shown to a reviewer whole".to_owned(),
        hint: Some("send it in smaller pieces".to_owned()),
        what: ground.what,
    };
    refusal_from(decision, RefusalClass::Limit, Retry::AfterChange, ground, None)
}

pub(super) fn refusal_from(
    decision: DecisionId,
    class: RefusalClass,
    retry: Retry,
    ground: Ground,
    review: Option<ReviewId>,
) -> Refusal {
    Refusal {
        decision,
        class,
        rule: ground.rule,
        what: ground.what,
        why: ground.reason,
        retry,
        next: ground.hint,
        review,
    }
}

/// What is shown of a request whose texts no record can hold.
pub(super) fn unshown() -> Shown {
    let beyond = vec!["statements and parameters: larger than a record may be".to_owned()];
    Shown { beyond, ..Shown::default() }
}

pub(super) fn unrecorded(decision: DecisionId, what: &str, error: &BeginError) -> Refusal {
    let (class, rule, retry, next) = match error {
        BeginError::Unrecorded(JournalError::Full) => (
            RefusalClass::Unavailable,
            rule::RECORD_BEFORE_RUN,
            Retry::Later,
            "tell the operator of this gateway; nothing has run",
        ),
        BeginError::NoRoom(_) => (
            RefusalClass::Unavailable,
            rule::RECORD_BEFORE_RUN,
            Retry::Later,
            "tell the operator of this gateway to make room on its disk; nothing has run",
        ),
        BeginError::Unrecorded(JournalError::TooLarge(_)) => (
            RefusalClass::Limit,
            rule::REQUEST_SIZE,
            Retry::AfterChange,
            "send shorter statements and smaller parameters, in several requests",
        ),
        BeginError::Unrecorded(JournalError::Broken(_)) => (
            RefusalClass::Unavailable,
            rule::RECORD_BEFORE_RUN,
            Retry::Never,
            "tell the operator of this gateway that it must be restarted; nothing has run",
        ),
    };
    let why = match class {
        RefusalClass::Limit => format!("{error}: send less in one request"),
        _ => error.to_string(),
    };
    Refusal {
        decision,
        class,
        rule: rule.to_owned(),
        what: what.to_owned(),
        why,
        retry,
        next: Some(next.to_owned()),
        review: None,
    }
}

pub(super) fn undecidable(decision: DecisionId, what: &str, error: &DeskError) -> Refusal {
    let (class, retry) = match error {
        DeskError::Unavailable(_) => (RefusalClass::Unavailable, Retry::Later),
        DeskError::Full(_) => (RefusalClass::Limit, Retry::Later),
        DeskError::NoApproval(_) => (RefusalClass::NeedsApproval, Retry::AfterApproval),
    };
    Refusal {
        decision,
        class,
        rule: rule::REVIEW.to_owned(),
        what: what.to_owned(),
        why: error.to_string(),
        retry,
        next: None,
        review: None,
    }
}
