//! Masks the answers to one unit, or what a target says unasked: stands between the link, which
//! reads whole messages, and the client's writer and the recorder, which accept only masked ones.
//!
//! A burst in which nothing has to change goes out in the buffer it came in. Once anything was
//! refused, everything after it is.

use super::backend::error_fields;
use super::body::{Body, malformed};
use super::conversation::FeedKind;
use super::copy_out::{self, CopyOut};
use super::estimate;
use super::frames::{Frame, Frames, HEADER};
use super::report;
use super::rewrite::{Rewrite, put_message};
use super::rows::{self, RowPlan};
use super::sample::Sample;
use super::script::{Confirmation, Script};
use super::server::{self, WireError};
use super::track::{Act, Track};
use bytes::BytesMut;
use portcullis_core::limits::LimitKind;
use portcullis_core::mask::{ErrorPart, MaskFailure, Redacted, Redactor};
use portcullis_core::protocol::Masker;
use portcullis_core::verdict::Obligations;
use smallvec::SmallVec;
use std::sync::Arc;

/// How many changes of settings may wait to be taken.
const MAX_PARAMETER_CHANGES: usize = 256;

/// The server's own bound on command tags (`COMPLETION_TAG_BUFSIZE`), with its final zero byte.
const MAX_TAG: usize = 64;

/// Masks the answers to one unit and keeps its progress.
#[derive(Debug)]
pub struct AnswerMasker {
    redactor: Arc<dyn Redactor>,
    track: Track,
    /// By part; `None` until it is described, or where it has no rows.
    plans: SmallVec<[Option<RowPlan>; 1]>,
    copy: Option<Box<CopyOut>>,
    scratch: Vec<u8>,
    told: Told,
    sample: Sample,
    /// The client has called a function by number.
    calls: bool,
    /// The answer is a plan: one number of it is kept, and none of its rows.
    estimates: bool,
    broken: Option<MaskFailure>,
    bounds: Bounds,
    /// What the client is told instead of the target's next error.
    instead: Option<Instead>,
}

/// How far an answer may go, and what is kept back of it.
#[derive(Debug, Default)]
struct Bounds {
    /// Rows that may be passed on.
    rows: Option<u64>,
    /// True where nothing of the end of the answer goes out before it is known what becomes of it.
    keeps_end: bool,
    passing: Passing,
    /// What is kept back, masked.
    end: BytesMut,
}

/// What a client is told in place of an error of the target.
#[derive(Debug)]
struct Instead {
    body: Box<[u8]>,
    code: [u8; 5],
    /// Only where the target says that the request was cancelled.
    of_cancel: bool,
}

/// The SQLSTATE of a request that was cancelled (`query_canceled`).
const CANCELLED: &str = "57014";

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Passing {
    /// Masked messages go out.
    #[default]
    Out,
    /// They are kept back.
    Kept,
    /// The answer has gone too far: the rest is left out.
    Stopped,
}

/// Most bytes of an answer's end that are kept back.
const MAX_END: usize = 1 << 20;

/// What the target has said so far.
#[derive(Debug, Default)]
struct Told {
    confirmations: SmallVec<[Confirmation; 4]>,
    /// How many of them were taken.
    taken: usize,
    parameters: Vec<(String, String)>,
    status: Option<u8>,
    error: Option<[u8; 5]>,
    fatal: bool,
    rows: u64,
    masked: u64,
    /// Rows a plan expects, where that was asked.
    planned: Option<u64>,
}

impl AnswerMasker {
    /// A masker for the answers to `script`.
    #[must_use]
    pub fn new(script: &Script, obligations: &Obligations) -> Self {
        Self {
            redactor: Arc::clone(&obligations.redactor),
            track: Track::new(script),
            plans: script.parts.iter().map(|_| None).collect(),
            copy: None,
            scratch: Vec::new(),
            told: Told::default(),
            sample: Sample::default(),
            calls: script.calls,
            estimates: script.estimates,
            broken: None,
            bounds: Bounds {
                rows: obligations
                    .limits
                    .as_ref()
                    .and_then(|limits| limits.get(LimitKind::Rows).map(|limit| limit.most)),
                ..Bounds::default()
            },
            instead: None,
        }
    }

    /// Passes on at most so many rows, if it was more.
    pub fn limit_rows(&mut self, most: u64) {
        let rows = self.bounds.rows.get_or_insert(most);
        *rows = most.min(*rows);
    }

    /// Keeps the end of the answer back, from the first command that is complete, to be
    /// [taken](Masker::take_kept) or dropped. ReadyForQuery is left out: whoever ends the request
    /// writes it.
    pub const fn keep_end(&mut self) {
        self.bounds.keeps_end = true;
    }

    /// Keeps all of the answer back likewise, but for what is said unasked: nobody is waited for while
    /// it is not known what becomes of it.
    pub const fn keep_all(&mut self) {
        self.bounds.keeps_end = true;
        self.bounds.passing = Passing::Kept;
    }

    /// True where the answer went beyond its rows, or more of its end would have to be kept than
    /// there is room for: the rest of it was left out, ReadyForQuery too.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.bounds.passing == Passing::Stopped
    }

    /// Says why where the target says that the request was cancelled.
    pub fn explain_cancel(&mut self, error: &WireError) {
        self.put_instead(error, true);
    }

    /// A masker for what a target says unasked: errors, notices, notifications, parameter
    /// changes, and nothing else.
    #[must_use]
    pub fn standing(obligations: &Obligations) -> Self {
        Self::new(&Script::default(), obligations)
    }

    /// True once everything asked has been answered. Of a unit that ends in `Flush`, or has
    /// [failed open](Self::failed_open), the server still awaits a `Sync`.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.track.finished()
    }

    /// True where an extended unit without a `Sync` has failed: the server discards everything
    /// until one comes.
    #[must_use]
    pub const fn failed_open(&self) -> bool {
        self.track.failed_open()
    }

    /// True while the target waits for copied rows whose end has not been fed.
    #[must_use]
    pub fn copying_in(&self) -> bool {
        self.track.copying_in()
    }

    /// True where the unit in flight takes copied-in rows now.
    #[must_use]
    pub fn takes_feed(&self) -> bool {
        self.broken.is_none() && self.track.copying_in()
    }

    /// To be told of each feed once it was sent; else what answers it is refused.
    pub fn feed_sent(&mut self, kind: FeedKind) {
        self.track.feed_sent(kind);
    }

    /// The target is made to fail; the client is told `error` in place of its error.
    pub fn tell_instead(&mut self, error: &WireError) {
        self.put_instead(error, false);
    }

    fn put_instead(&mut self, error: &WireError, of_cancel: bool) {
        let mut message = BytesMut::new();
        server::error(&mut message, error);
        let code = error.code.as_bytes().try_into().unwrap_or(*b"XX000");
        let body = message.get(HEADER..).unwrap_or_default().into();
        self.instead = Some(Instead { body, code, of_cancel });
    }

    /// The transaction status (`I`, `T` or `E`) of the last ReadyForQuery.
    #[must_use]
    pub const fn transaction_status(&self) -> Option<u8> {
        self.told.status
    }

    /// What the target has confirmed since this was last called, in order.
    pub fn take_confirmations(&mut self) -> &[Confirmation] {
        let from = std::mem::replace(&mut self.told.taken, self.told.confirmations.len());
        self.told.confirmations.get(from..).unwrap_or_default()
    }

    /// Changes of settings the target has reported since this was last called: name and value.
    pub fn parameter_changes(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.told.parameters)
    }

    /// Rows passed on: DataRows, and rows copied out.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.told.rows
    }

    /// The rows a plan expects, where the request asked for an estimate and got one.
    #[must_use]
    pub const fn planned_rows(&self) -> Option<u64> {
        self.told.planned
    }

    /// Values that were replaced or removed.
    #[must_use]
    pub const fn masked_values(&self) -> u64 {
        self.told.masked
    }

    /// The tags of the parts completed so far, in order.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.told.confirmations.iter().filter_map(|c| match c {
            Confirmation::Part(_, tag) if !tag.is_empty() => Some(&**tag),
            _ => None,
        })
    }

    /// The SQLSTATE of the first error.
    #[must_use]
    pub const fn error_code(&self) -> Option<[u8; 5]> {
        self.told.error
    }

    /// True where the target has said that it ends the session (FATAL or PANIC).
    #[must_use]
    pub const fn fatal(&self) -> bool {
        self.told.fatal
    }

    /// The first rows of each part, masked.
    #[must_use]
    pub const fn sample(&self) -> &Sample {
        &self.sample
    }

    fn mask_all(&mut self, frames: &Frames) -> Result<Frames, MaskFailure> {
        let mut out = Rewrite::new(frames.bytes().clone());
        let mut end = 0;
        for frame in frames {
            let act = self.track.accept(frame.tag, frame.body.is_empty())?;
            self.bounded(act, &frame, &mut out)?;
            end = frame.end();
        }
        if end != frames.bytes().len() {
            return Err(malformed("a burst that ends in the middle of a message"));
        }
        Ok(out.finish())
    }

    /// Lets a message go out, keeps it back or leaves it out.
    fn bounded(
        &mut self,
        act: Act,
        frame: &Frame<'_>,
        out: &mut Rewrite,
    ) -> Result<(), MaskFailure> {
        let row = matches!(act, Act::Row { .. } | Act::CopyData);
        if row && self.bounds.rows.is_some_and(|most| self.told.rows >= most) {
            self.bounds.passing = Passing::Stopped;
        }
        let ends = matches!(act, Act::Complete { .. } | Act::Empty { .. } | Act::Suspended { .. });
        if self.bounds.keeps_end && ends && self.bounds.passing == Passing::Out {
            self.bounds.passing = Passing::Kept;
        }
        let unasked = matches!(act, Act::Notice { .. } | Act::Notification | Act::Parameter);
        let ready = matches!(act, Act::Ready) && self.bounds.keeps_end;
        if unasked || self.bounds.passing == Passing::Out && !ready {
            return self.act(act, frame, out);
        }
        out.leave_out(frame);
        if self.bounds.passing == Passing::Stopped && row {
            return Ok(());
        }
        let keep = self.bounds.passing == Passing::Kept && !ready;
        let masked = self.apart(act, frame)?;
        if keep && self.bounds.end.len() + masked.bytes().len() > MAX_END {
            self.bounds.passing = Passing::Stopped;
        } else if keep {
            self.bounds.end.extend_from_slice(masked.bytes());
        }
        Ok(())
    }

    /// One message on its own, masked.
    fn apart(&mut self, act: Act, frame: &Frame<'_>) -> Result<Frames, MaskFailure> {
        let mut single = BytesMut::new();
        put_message(&mut single, frame.tag, frame.body)?;
        let single = Frames::from(single);
        let mut out = Rewrite::new(single.bytes().clone());
        for frame in &single {
            self.act(act, &frame, &mut out)?;
        }
        Ok(out.finish())
    }

    fn act(&mut self, act: Act, frame: &Frame<'_>, out: &mut Rewrite) -> Result<(), MaskFailure> {
        match act {
            Act::Row { part } => self.row(part, frame, out),
            Act::Pass => Ok(()),
            Act::CopyIn => copy_out::read_response(frame.body).map(drop),
            Act::CopyData => self.copy_data(frame, out),
            Act::Step(step) => {
                self.leave_out_of_call(frame, out);
                self.confirm(Confirmation::Step(step));
                Ok(())
            }
            Act::Describe { step, part, swallow } => {
                self.describe(part, frame)?;
                self.described(step, swallow, frame, out);
                Ok(())
            }
            Act::NoData { step, part, swallow } => {
                if let Some(plan) = part.and_then(|p| self.plans.get_mut(p)) {
                    *plan = None;
                }
                self.described(Some(step), swallow, frame, out);
                Ok(())
            }
            Act::CopyOut { part, format } => {
                let response = copy_out::read_response(frame.body)?;
                self.copy = Some(Box::new(CopyOut::ask(&*self.redactor, part, format, response)?));
                Ok(())
            }
            Act::CopyDone => self.copy_done(frame, out),
            Act::Complete { part } => {
                self.leave_out_of_call(frame, out);
                self.complete(part, frame)
            }
            Act::Empty { part } => {
                self.confirm(Confirmation::Part(part, Box::from("")));
                Ok(())
            }
            Act::Suspended { part } => {
                self.confirm(Confirmation::Suspended(part));
                Ok(())
            }
            Act::Error { step, part } => self.error(step, part, frame, out),
            Act::Notice { part } => self.report(part, frame, out).map(drop),
            Act::Notification => self.notification(frame, out),
            Act::Parameter => self.parameter(frame),
            Act::Ready => self.ready(frame),
        }
    }

    fn confirm(&mut self, confirmation: Confirmation) {
        self.told.confirmations.push(confirmation);
    }

    /// Makes the plan for a part's rows. A description that governs no rows needs none.
    fn describe(&mut self, part: Option<usize>, frame: &Frame<'_>) -> Result<(), MaskFailure> {
        let fields = rows::read_description(frame.body)?;
        let Some(part) = part else { return Ok(()) };
        let Some(place) = self.plans.get_mut(part) else {
            return Err(MaskFailure::Untraceable(format!("part {part} is unknown")));
        };
        *place = Some(RowPlan::ask(&*self.redactor, part, &fields)?);
        self.sample.describe(part, &fields);
        Ok(())
    }

    fn described(
        &mut self,
        step: Option<usize>,
        swallow: bool,
        frame: &Frame<'_>,
        out: &mut Rewrite,
    ) {
        if swallow {
            out.leave_out(frame);
        }
        if let Some(step) = step {
            self.confirm(Confirmation::Step(step));
        }
    }

    fn row(
        &mut self,
        part: usize,
        frame: &Frame<'_>,
        out: &mut Rewrite,
    ) -> Result<(), MaskFailure> {
        if self.estimates {
            out.leave_out(frame);
            self.told.planned = self.told.planned.or_else(|| estimate::planned_rows(frame.body));
            return Ok(());
        }
        if self.calls {
            return self.result_of_call(part, frame, out);
        }
        self.masked_row(part, frame, out)
    }

    fn masked_row(
        &mut self,
        part: usize,
        frame: &Frame<'_>,
        out: &mut Rewrite,
    ) -> Result<(), MaskFailure> {
        let Some(plan) = self.plans.get(part).and_then(Option::as_ref) else {
            return Err(malformed("a row of columns that were not described"));
        };
        let (body, masked) = plan.mask(&*self.redactor, frame, &mut self.scratch, out)?;
        self.sample.row(part, &plan.types, body);
        self.told.rows += 1;
        self.told.masked += masked;
        Ok(())
    }

    /// The one value of the one row, as FunctionCallResponse.
    fn result_of_call(
        &mut self,
        part: usize,
        frame: &Frame<'_>,
        out: &mut Rewrite,
    ) -> Result<(), MaskFailure> {
        if self.told.rows > 0 {
            return Err(malformed("more than one row in answer to a function call"));
        }
        let mut single = BytesMut::new();
        put_message(&mut single, frame.tag, frame.body)?;
        let single = Frames::from(single);
        let mut masked = Rewrite::new(single.bytes().clone());
        for frame in &single {
            self.masked_row(part, &frame, &mut masked)?;
        }
        // Behind the header stands how many values a row has.
        let masked = masked.finish();
        let value = masked.bytes().get(HEADER + 2..).unwrap_or_default();
        put_message(out.leave_out(frame), b'V', value)
    }

    /// Who has called a function by number is told nothing about a statement.
    fn leave_out_of_call(&self, frame: &Frame<'_>, out: &mut Rewrite) {
        if self.calls {
            out.leave_out(frame);
        }
    }

    fn copy_data(&mut self, frame: &Frame<'_>, out: &mut Rewrite) -> Result<(), MaskFailure> {
        let copy = self.copy.as_mut().ok_or_else(|| malformed("copied rows without a copy"))?;
        let (rows, masked) = copy.data(&*self.redactor, frame, out, &mut self.sample)?;
        self.told.rows += rows;
        self.told.masked += masked;
        Ok(())
    }

    fn copy_done(&mut self, frame: &Frame<'_>, out: &mut Rewrite) -> Result<(), MaskFailure> {
        let Some(mut copy) = self.copy.take() else {
            return Err(malformed("the end of a copy that has not begun"));
        };
        let (rows, masked) = copy.done(&*self.redactor, frame, out, &mut self.sample)?;
        self.told.rows += rows;
        self.told.masked += masked;
        Ok(())
    }

    fn complete(&mut self, part: usize, frame: &Frame<'_>) -> Result<(), MaskFailure> {
        let mut body = Body::new("CommandComplete", frame.body);
        let tag = body.text()?;
        body.end()?;
        if tag.len() >= MAX_TAG || !tag.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(malformed("a command tag that no server writes"));
        }
        self.confirm(Confirmation::Part(part, Box::from(tag)));
        Ok(())
    }

    fn error(
        &mut self,
        step: Option<usize>,
        part: Option<usize>,
        frame: &Frame<'_>,
        out: &mut Rewrite,
    ) -> Result<(), MaskFailure> {
        // Part of a copied row whose end never came is dropped with the copy.
        self.copy = None;
        let told = self
            .instead
            .take_if(|instead| !instead.of_cancel || error_fields(frame.body).code == CANCELLED);
        let (code, fatal) = match told {
            Some(instead) => {
                out.replace(frame, &instead.body)?;
                (instead.code, false)
            }
            None => self.report(part, frame, out)?,
        };
        self.told.error.get_or_insert(code);
        self.told.fatal |= fatal;
        if let Some(step) = step {
            self.confirm(Confirmation::Failed(step));
        }
        Ok(())
    }

    fn report(
        &mut self,
        part: Option<usize>,
        frame: &Frame<'_>,
        out: &mut Rewrite,
    ) -> Result<([u8; 5], bool), MaskFailure> {
        let report = report::treat(&*self.redactor, part, frame.body, &mut self.scratch)?;
        if let Some(changed) = &report.changed {
            out.replace(frame, changed)?;
        }
        Ok((report.code, report.fatal))
    }

    fn notification(&mut self, frame: &Frame<'_>, out: &mut Rewrite) -> Result<(), MaskFailure> {
        let mut body = Body::new("NotificationResponse", frame.body);
        body.i32()?;
        body.cstr()?;
        let head = frame.body.len() - body.rest().len();
        let payload = body.cstr()?;
        body.end()?;
        self.scratch.clear();
        let (kind, scratch) = (ErrorPart::Notification, &mut self.scratch);
        let payload: &[u8] = match self.redactor.redact_error(None, "", kind, payload, scratch) {
            Redacted::Unchanged => return Ok(()),
            Redacted::Replaced => &self.scratch,
            Redacted::Removed => &[],
        };
        let mut changed = frame.body.get(..head).unwrap_or_default().to_vec();
        report::put_text(&mut changed, payload);
        out.replace(frame, &changed)
    }

    fn parameter(&mut self, frame: &Frame<'_>) -> Result<(), MaskFailure> {
        let (name, value) = read_parameter(frame.body)?;
        if self.told.parameters.len() >= MAX_PARAMETER_CHANGES {
            return Err(MaskFailure::TooLarge("too many parameter changes at once".to_owned()));
        }
        self.told.parameters.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    fn ready(&mut self, frame: &Frame<'_>) -> Result<(), MaskFailure> {
        let status = read_ready(frame.body)?;
        self.told.status = Some(status);
        self.confirm(Confirmation::Ready(status));
        Ok(())
    }
}

/// The transaction status in a ReadyForQuery.
pub(super) fn read_ready(body: &[u8]) -> Result<u8, MaskFailure> {
    match body {
        [status @ (b'I' | b'T' | b'E')] => Ok(*status),
        _ => Err(malformed("ReadyForQuery has no valid transaction status")),
    }
}

/// Longest name and value of a parameter together, in bytes.
const MAX_PARAMETER: usize = 8 * 1024;

/// Name and value of a ParameterStatus. Settings that change how text is read may not become
/// others than those this gateway reads by.
pub(super) fn read_parameter(body: &[u8]) -> Result<(&str, &str), MaskFailure> {
    if body.len() > MAX_PARAMETER {
        return Err(MaskFailure::TooLarge(format!("a parameter of {} bytes", body.len())));
    }
    let mut body = Body::new("ParameterStatus", body);
    let (name, value) = (body.text()?, body.text()?);
    body.end()?;
    let readable = match name {
        "client_encoding" => ["utf8", "utf-8"].iter().any(|v| value.eq_ignore_ascii_case(v)),
        "standard_conforming_strings" => value == "on",
        _ => true,
    };
    if readable {
        return Ok((name, value));
    }
    Err(malformed(format!("{name} changed to something this gateway does not read by")))
}

impl Masker for AnswerMasker {
    type Answer = Frames;

    type Sample = Sample;

    fn take_sample(&mut self) -> Sample {
        std::mem::take(&mut self.sample)
    }

    fn take_kept(&mut self) -> Option<Frames> {
        let kept = std::mem::take(&mut self.bounds.end);
        (!kept.is_empty()).then(|| Frames::from(kept))
    }

    fn mask(&mut self, answer: Frames) -> Result<Frames, MaskFailure> {
        if let Some(failure) = &self.broken {
            return Err(failure.clone());
        }
        self.mask_all(&answer).inspect_err(|failure| self.broken = Some(failure.clone()))
    }
}
