//! Masked values that a caller writes back: refused before the gate for what stands in a request,
//! and in the middle of a copy for rows that come in after it was permitted.

use crate::judge::SessionJudge;
use portcullis_core::effect::Operation;
use portcullis_core::protocol::{Request as _, Shown};
use portcullis_core::refusal::rule;
use portcullis_sql::statement::CopyIn;
use portcullis_wire::pg::conversation::CopyFeed;
use portcullis_wire::pg::copy_in::CopyReader;
use portcullis_wire::pg::unit::{Place, Unit};
use std::collections::VecDeque;

/// The rule that refuses it.
pub(crate) const RULE: &str = rule::MASKED_WRITE_BACK;
/// What to do instead.
pub(crate) const NEXT: &str = "values you read here are masked: leave that column out of your \
                               change, so that it keeps its value, or ask for the right to see it";

/// Where a unit writes a masked value, if it does.
pub(crate) fn written_back(judge: &SessionJudge, unit: &Unit) -> Option<String> {
    let (found, place) = unit.find_written(|value, columns| judge.find_masked(value, columns))?;
    let place = match place {
        Place::Parameter(number) => format!("parameter ${number}"),
        Place::Text(at) => format!("the literal at byte {} of the statement", at + 1),
    };
    Some(why(&place, found.as_str()))
}

fn why(place: &str, found: &str) -> String {
    format!("{place} holds {found}, which would take the place of the value it stands for")
}

/// Looks at rows that are copied in.
#[derive(Debug)]
pub(crate) struct CopyWatch {
    /// The copies that have not begun.
    next: VecDeque<CopyIn>,
    current: Option<(CopyReader, CopyIn)>,
    shown: Shown,
    operation: Operation,
}

impl CopyWatch {
    /// For a request that copies rows in, where anything is masked for its caller.
    pub(crate) fn of(judge: &SessionJudge, unit: &Unit) -> Option<Self> {
        let next: VecDeque<CopyIn> = unit.copies_in().into();
        if next.is_empty() || !judge.masks_anything() {
            return None;
        }
        Some(Self { next, current: None, shown: unit.shown(), operation: unit.operation().clone() })
    }

    /// The target waits for the rows of the next copy.
    pub(crate) fn begin(&mut self) {
        self.current = self.next.pop_front().map(|copy| (CopyReader::new(copy.format), copy));
    }

    /// Where these rows hold a masked value, if they do.
    pub(crate) fn look(&mut self, judge: &SessionJudge, feed: &CopyFeed) -> Option<String> {
        let (reader, copy) = self.current.as_mut()?;
        let (found, spot) = reader.look(feed, |value, spot| {
            let columns = spot.column.and_then(|column| copy.columns.get(column));
            judge.find_masked(value, columns.map_or(&[], |columns| columns.as_slice()))
        })?;
        let column = spot.column.map(|column| format!(", column {}", column + 1));
        let place = format!("row {}{} of the rows", spot.row, column.unwrap_or_default());
        self.current = None;
        Some(why(&place, found.as_str()))
    }

    /// What the refusal is recorded with.
    pub(crate) fn request(&self) -> (Shown, Operation) {
        (self.shown.clone(), self.operation.clone())
    }
}
