//! A timeline as text for a terminal: `session show` prints it, `session replay` prints it slowly.
//! Beside the life of a request: afterwards.
//!
//! Every text in it was written by a caller, a target or a reviewer, and is hostile: it passes
//! [`crate::visible`], and stays to the right of a bar that only this module draws.

use crate::read::{Moment, TimelineItem};
use crate::recording::{AnswerSample, RecordedEvent, SampleValue};
use crate::visible::{clipped, line, lines, rfc3339, width};
use portcullis_core::id::GrantId;
use portcullis_core::journal::{Event, Status};
use portcullis_core::protocol::Shown;
use portcullis_core::refusal::Refusal;
use portcullis_core::review::Withdrawal;
use portcullis_core::verdict::Standing;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

/// Columns of the offset and the label, with the spaces after them.
const MARGIN: usize = 24;
/// The widest cell of a sample.
const CELL: usize = 40;

/// How to render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions {
    /// Colours, as ANSI escape sequences (ECMA-48, SGR).
    pub color: bool,
    /// Columns of the terminal; at least 32 are used.
    pub width: usize,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { color: false, width: 100 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Good,
    Bad,
    Waiting,
    Quiet,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "1",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Waiting => "33",
            Self::Quiet => "2",
        }
    }
}

/// One item as text: a label, and the lines beside it.
struct Block {
    label: String,
    tone: Tone,
    lines: Vec<String>,
}

/// Renders a timeline, one item after another.
///
/// # Errors
/// Those of `out`.
pub fn render_timeline(
    items: &[TimelineItem],
    out: &mut impl Write,
    options: RenderOptions,
) -> io::Result<()> {
    items.iter().try_for_each(|item| render_item(item, out, options))
}

/// Renders one item, for a replay that waits between them.
///
/// # Errors
/// Those of `out`.
pub fn render_item(
    item: &TimelineItem,
    out: &mut impl Write,
    options: RenderOptions,
) -> io::Result<()> {
    let room = options.width.saturating_sub(MARGIN).max(8);
    let block = match &item.moment {
        Moment::Entry { event, .. } => of_event(event, item, room),
        Moment::Recorded(event) => of_recorded(event, room),
    };
    let Block { label, tone, lines } = block;
    let (on, off) = if options.color {
        (format!("\u{1b}[{}m", tone.code()), "\u{1b}[0m")
    } else {
        (String::new(), "")
    };
    let mut left = format!("{:>10}  {on}{label:<9}{off}", offset(item.offset));
    for line in &lines {
        writeln!(out, "{left} │ {line}")?;
        " ".repeat(21).clone_into(&mut left);
    }
    Ok(())
}

/// `1:02:03.456`, without the hours where there are none.
fn offset(offset: Duration) -> String {
    let (seconds, millis) = (offset.as_secs(), offset.subsec_millis());
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}.{millis:03}")
    } else {
        format!("{minutes:02}:{seconds:02}.{millis:03}")
    }
}

/// An item with texts that may have several lines; empty ones are left out.
fn block(label: impl Into<String>, tone: Tone, texts: &[&str], room: usize) -> Block {
    let lines = texts.iter().filter(|t| !t.is_empty()).flat_map(|t| lines(t, room)).collect();
    Block { label: label.into(), tone, lines }
}

impl Block {
    /// Puts statements and parameters first. A parameter is one line, so that its value cannot
    /// pass for another parameter.
    fn about(mut self, shown: &Shown, room: usize) -> Self {
        let mut all = Vec::new();
        for (i, statement) in shown.statements.iter().enumerate() {
            all.extend(lines(statement, room));
            for (j, value) in shown.parameters.get(i).into_iter().flatten().enumerate() {
                let value = value.as_deref().unwrap_or("NULL");
                all.extend(line(&format!("${} = {value}", j + 1), room));
            }
        }
        for beyond in &shown.beyond {
            all.extend(line(&format!("not shown: {beyond}"), room));
        }
        all.append(&mut self.lines);
        self.lines = all;
        self
    }
}

fn of_event(event: &Event, item: &TimelineItem, room: usize) -> Block {
    match event {
        Event::Started { version, policy } => {
            let text = format!("gateway {version}, policy {policy}");
            block("started", Tone::Quiet, &[&text], room)
        }
        Event::LoginRefused { principal, peer, connection, refusal } => {
            let who = principal.as_deref().unwrap_or("an unknown caller");
            let text = format!("{who} from {peer} asked for {connection}");
            block("no entry", Tone::Bad, &[&text, &refusal.sentence()], room)
        }
        Event::SessionOpened { standing, peer, policy, claimed, settings, grant } => {
            opened((standing, *grant), peer, policy, (claimed, settings), item, room)
        }
        Event::SessionClosed { reason, recording } => {
            let digest = recording.map_or_else(String::new, |d| format!("recording {d}"));
            block("closed", Tone::Plain, &[reason, &digest], room)
        }
        Event::Intent { shown, .. } => {
            block("permitted", Tone::Good, &[&permitted(event)], room).about(shown, room)
        }
        Event::Refused { operation, shown, refusal, .. } => {
            let texts = [operation, &*refusal.sentence(), next(refusal)];
            block("refused", Tone::Bad, &texts, room).about(shown, room)
        }
        Event::Outcome { status, rows, tags, error, masked, micros } => {
            outcome(*status, (*rows, *masked, *micros), tags, error.as_deref(), room)
        }
        Event::Held { .. } | Event::Rehearsed { .. } => held(event, room),
        Event::Withdrawn { review, why } => {
            let text = format!("{review}: {}", withdrawn(*why));
            block("withdrawn", Tone::Waiting, &[&text], room)
        }
        Event::Decided { .. } => decided(event, room),
        Event::PatternRevoked { .. }
        | Event::SessionKilled { .. }
        | Event::SessionPaused { .. }
        | Event::SessionResumed { .. }
        | Event::Watched { .. }
        | Event::Frozen { .. }
        | Event::Thawed { .. }
        | Event::ReviewMessage { .. }
        | Event::ChatRefused { .. }
        | Event::DecisionRefused { .. }
        | Event::AdministrationRefused { .. } => administered(event, room),
        Event::DocumentChanged { .. } | Event::DocumentsKept { .. } | Event::Governed { .. } => {
            governed(event, room)
        }
        Event::AccessRequested { .. }
        | Event::AccessEscalated { .. }
        | Event::AccessDecided { .. }
        | Event::AccessBegun { .. }
        | Event::AccessEnded { .. }
        | Event::AccessRefused { .. } => access(event, room),
        Event::CredentialIssued { .. }
        | Event::CredentialRevoked { .. }
        | Event::ExchangeRefused { .. }
        | Event::SignedIn { .. }
        | Event::SignInRefused { .. }
        | Event::SignedOut { .. }
        | Event::PasskeyRegistered { .. }
        | Event::PasskeyRemoved { .. }
        | Event::PasskeyRefused { .. } => identity(event, room),
        Event::ContentsRemoved { .. } | Event::RecordingRemoved { .. } | Event::Unproven { .. } => {
            of_record(event, room)
        }
    }
}

/// What became of the record itself.
fn of_record(event: &Event, room: usize) -> Block {
    match event {
        Event::ContentsRemoved { segment, entries, why, .. } => {
            let rules: Vec<_> =
                why.iter().map(|why| format!("{} by {}", why.entries, why.rule)).collect();
            let rules = rules.join(", ");
            let text =
                format!("of segment {segment}, {entries} entries say nothing more: now {rules}");
            block("removed", Tone::Plain, &[&text], room)
        }
        Event::RecordingRemoved { recording, rule, .. } => block(
            "removed",
            Tone::Plain,
            &[&format!("the recording of {recording}, by {rule}")],
            room,
        ),
        Event::Unproven { file, bytes, digest, why } => {
            let text = format!("{file} ({bytes} bytes, SHA-256 {digest}): {why}");
            block("unproven", Tone::Bad, &[&text], room)
        }
        _ => block("record", Tone::Plain, &[], room),
    }
}

/// By what a request was permitted.
fn permitted(event: &Event) -> String {
    let Event::Intent { operation, rules, review, pattern, of_gateway, .. } = event else {
        return String::new();
    };
    let asker = if *of_gateway { "the gateway asks, for reviewers: " } else { "" };
    let mut by = format!("{asker}{operation}; permitted by {}", rules.join(", "));
    if let Some(review) = review {
        by = format!("{by}; approved in {review}");
    }
    if let Some(used) = pattern {
        by = format!("{by}; use {} of {} of {}", used.number, used.of, used.pattern);
    }
    by
}

/// Why a request was taken back.
const fn withdrawn(why: Withdrawal) -> &'static str {
    match why {
        Withdrawal::Disconnected => "the caller hung up",
        Withdrawal::Cancelled => "the caller cancelled",
        Withdrawal::SessionEnded => "the session ended",
        Withdrawal::Changed => "what it rests on has changed",
        Withdrawal::Unvouched => "somebody who had approved it is not vouched for any more",
    }
}

/// What the gateway goes by.
fn governed(event: &Event, room: usize) -> Block {
    match event {
        Event::DocumentChanged { set, kind, name, before, after, by } => {
            let what = match (before, after) {
                (None, _) => "made",
                (Some(_), Some(_)) => "changed",
                (Some(_), None) => "removed",
            };
            let text = format!("{kind}/{name} {what} by {by}, documents {set}");
            let after = after.as_deref().unwrap_or("");
            block("document", Tone::Plain, &[&text, after], room)
        }
        Event::DocumentsKept { set, by, why } => {
            let text = format!("documents {set} by {by} never were in force: {why}");
            block("not taken", Tone::Bad, &[&text], room)
        }
        Event::Governed { documents, policy } => {
            let text = format!("by documents {documents}, policy {policy} from here on");
            block("governed", Tone::Plain, &[&text], room)
        }
        _ => block("", Tone::Plain, &[], room),
    }
}

/// What people did to patterns, to sessions and to agents.
fn administered(event: &Event, room: usize) -> Block {
    match event {
        Event::PatternRevoked { pattern, review, by } => {
            let text = format!("{pattern}, given in {review}, revoked by {by}");
            block("revoked", Tone::Bad, &[&text], room)
        }
        Event::SessionKilled { by, reason } => {
            block("killed", Tone::Bad, &[&format!("{by} ended the session: {reason}")], room)
        }
        Event::SessionPaused { by, reason, until } => {
            let text = format!("{by} paused the session until {}: {reason}", rfc3339(*until));
            block("paused", Tone::Waiting, &[&text], room)
        }
        Event::SessionResumed { by } => {
            let by = by.as_ref().map_or("its time is over".to_owned(), |by| format!("by {by}"));
            block("resumed", Tone::Plain, &[&by], room)
        }
        Event::Watched { by, how, recording, searched, .. } => {
            let what = recording.map(|id| id.to_string()).unwrap_or_default();
            let text = format!("{by} ({}) {what}", how.as_str());
            block("watched", Tone::Quiet, &[&text, searched.as_deref().unwrap_or("")], room)
        }
        Event::Frozen { freeze, by } => {
            block("frozen", Tone::Bad, &[&format!("{freeze} (by {by})")], room)
        }
        Event::Thawed { freeze, by, why } => {
            let why = why.as_deref().unwrap_or("");
            block("thawed", Tone::Plain, &[&format!("{freeze} by {by}"), why], room)
        }
        Event::ReviewMessage { review, asks, by, text } => {
            let does = if *asks { "asks about" } else { "answers about" };
            block("said", Tone::Plain, &[&format!("{by} {does} {review}:"), text], room)
        }
        Event::ChatRefused { chat, by, review, peer, why } => {
            let who = by.as_deref().unwrap_or("somebody");
            let about = review.map(|review| format!(" about {review}")).unwrap_or_default();
            let text = format!("{who} of {chat} at {peer}{about}: {why}");
            block("not taken", Tone::Bad, &[&text], room)
        }
        Event::DecisionRefused { review, by, why } => {
            let text = format!("{by} may not decide {review}: {why}");
            block("not taken", Tone::Bad, &[&text], room)
        }
        Event::AdministrationRefused { by, what, why } => {
            block("not taken", Tone::Bad, &[&format!("{by} may not {what}: {why}")], room)
        }
        _ => block("", Tone::Plain, &[], room),
    }
}

/// What became of access that people grant for a time.
fn access(event: &Event, room: usize) -> Block {
    match event {
        Event::AccessRequested { grant, ask } => {
            let text = format!(
                "{grant}: {} asks for {} as {} for {} s, of {} of {}",
                ask.principal,
                ask.connection,
                ask.role,
                ask.seconds,
                ask.approvers.quorum,
                ask.approvers.group
            );
            block("asks", Tone::Waiting, &[&text, &format!("claims: {}", ask.reason)], room)
        }
        Event::AccessEscalated { grant, to } => {
            block("escalated", Tone::Waiting, &[&format!("{grant} asks {to} as well")], room)
        }
        Event::AccessDecided { grant, by, groups, decision, reason, passkey, .. } => {
            let tone = if decision == "approved" { Tone::Good } else { Tone::Bad };
            let mut text = format!("{grant} {decision} by {by} for {}", list(groups));
            if let Some(proof) = passkey {
                text = format!("{text}; by passkey {}", proof.passkey);
            }
            block("decided", tone, &[&text, reason.as_deref().unwrap_or("")], room)
        }
        Event::AccessBegun { grant, principal, connection, role, until, approved_by } => {
            let by = approved_by.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            let until = rfc3339(*until);
            let text =
                format!("{grant}: {principal} on {connection} as {role} until {until}, by {by}");
            block("granted", Tone::Good, &[&text], room)
        }
        Event::AccessEnded { grant, principal, connection, was_in_force, ending, by, reason } => {
            let what = if *was_in_force { "access" } else { "the request" };
            let by = by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
            let text = format!("{grant}: {what} of {principal} on {connection} ({ending}{by})");
            block("ended", Tone::Plain, &[&text, reason.as_deref().unwrap_or("")], room)
        }
        Event::AccessRefused { by, what, why } => {
            block("not taken", Tone::Bad, &[&format!("{by} may not {what}: {why}")], room)
        }
        _ => block("", Tone::Plain, &[], room),
    }
}

/// A request that waits for people, or is run for them to see.
fn held(event: &Event, room: usize) -> Block {
    if let Event::Rehearsed { review, operation, until, .. } = event {
        let text = format!(
            "{operation}; for {review}, to be rolled back unless it is approved by {}",
            rfc3339(*until)
        );
        return block("rehearsed", Tone::Waiting, &[&text], room);
    }
    let Event::Held { ticket, operation, shown, ground, again } = event else {
        return block("", Tone::Plain, &[], room);
    };
    let groups = list(&ticket.groups);
    let mut by = format!(
        "{} waits for {groups} until {} ({}, request {})",
        ticket.review,
        rfc3339(ticket.expires),
        ground.rule,
        ticket.digest.short()
    );
    if let Some(again) = again {
        let because = again.because.join(", ");
        by = format!("{by}; again after {}: {because}", again.previous);
    }
    let texts = [operation, &*by, &ground.reason];
    block("held", Tone::Waiting, &texts, room).about(shown, room)
}

/// What became of a credential of the gateway's own, or of the wish for one.
fn credential(event: &Event, room: usize) -> Block {
    match event {
        Event::CredentialIssued {
            credential, principal, connection, purpose, vouched_by, ..
        } => {
            let by = vouched_by.join(" and ");
            let until = rfc3339(principal.expires);
            let text = format!("{credential} to {principal} for {connection} until {until} ({by})");
            block("issued", Tone::Good, &[&text, &format!("claims: {purpose}")], room)
        }
        Event::CredentialRevoked { credential, by, connection } => {
            let text = format!("{credential} for {connection}, revoked by {by}");
            block("revoked", Tone::Bad, &[&text], room)
        }
        Event::ExchangeRefused { principals, connection, peer, why } => {
            let text = format!("{} from {peer} asked for {connection}", principals.join(" for "));
            block("not issued", Tone::Bad, &[&text, why], room)
        }
        _ => block("", Tone::Plain, &[], room),
    }
}

/// What became of people in browsers, and of credentials.
fn identity(event: &Event, room: usize) -> Block {
    match event {
        Event::SignedIn { browser, principal, provider, peer } => {
            let text = format!("{principal} from {peer} by {provider} ({browser})");
            block("sign-in", Tone::Good, &[&text], room)
        }
        Event::SignInRefused { principal, provider, peer, why } => {
            let text = format!("{principal} of {provider} from {peer} may not sign in: {why}");
            block("not taken", Tone::Bad, &[&text], room)
        }
        Event::SignedOut { browser, by, why } => {
            block("sign-out", Tone::Plain, &[&format!("{browser} by {by}: {why}")], room)
        }
        Event::PasskeyRegistered { .. }
        | Event::PasskeyRemoved { .. }
        | Event::PasskeyRefused { .. } => passkeys(event, room),
        other => credential(other, room),
    }
}

/// What became of people's passkeys.
fn passkeys(event: &Event, room: usize) -> Block {
    match event {
        Event::PasskeyRegistered { passkey, principal, browser, peer, by, .. } => {
            let how = match by {
                Some(proof) => format!("by {}", proof.passkey),
                None => "the first, trusted on first use".to_owned(),
            };
            let text = format!("{passkey} of {principal}, in {browser} from {peer}; {how}");
            block("passkey", Tone::Good, &[&text], room)
        }
        Event::PasskeyRemoved { passkey, of, by, .. } => {
            block("removed", Tone::Bad, &[&format!("{passkey} of {of}, by {by}")], room)
        }
        Event::PasskeyRefused { by, what, why } => {
            block("not taken", Tone::Bad, &[&format!("{by} may not {what}: {why}")], room)
        }
        _ => block("", Tone::Plain, &[], room),
    }
}

/// What a reviewer said.
fn decided(event: &Event, room: usize) -> Block {
    let Event::Decided { review, by, groups, decision, reason, digest, pattern, passkey, via } =
        event
    else {
        return block("", Tone::Plain, &[], room);
    };
    let tone = if decision == "approved" { Tone::Good } else { Tone::Bad };
    let groups = list(groups);
    let mut text = format!("{review} {decision} by {by} for {groups} (request {})", digest.short());
    if let Some(terms) = pattern {
        let (count, seconds) = (terms.count, terms.seconds);
        text = format!("{text}, and {count} more like it within {seconds} s");
    }
    if let Some(proof) = passkey {
        text = format!("{text}; by passkey {}", proof.passkey);
    }
    if let Some(via) = via {
        text = format!("{text}; as {via}");
    }
    block("decided", tone, &[&text, reason.as_deref().unwrap_or("")], room)
}

fn opened(
    (standing, grant): (&Standing, Option<GrantId>),
    peer: &str,
    policy: &str,
    (claimed, settings): (&str, &[String]),
    item: &TimelineItem,
    room: usize,
) -> Block {
    let (principal, connection) = (&standing.principal, &standing.connection);
    let who = format!(
        "{principal} ({}, {} at {}) from {peer}",
        principal.kind.entity_type().to_lowercase(),
        principal.subject,
        principal.issuer
    );
    let by = grant.map(|grant| format!(", by {grant}")).unwrap_or_default();
    let to = format!(
        "to {} ({}, {} database {} as {}) under policy {policy}{by}",
        connection.name,
        connection.environment,
        connection.protocol.as_str(),
        connection.database,
        connection.role
    );
    let claims = if claimed.is_empty() { String::new() } else { format!("claims: {claimed}") };
    let at = rfc3339(item.at);
    let with = if settings.is_empty() {
        String::new()
    } else {
        format!("with the settings {}", settings.join(", "))
    };
    block("opened", Tone::Plain, &[&at, &who, &to, &claims, &with], room)
}

fn outcome(
    status: Status,
    (rows, masked, micros): (u64, u64, u64),
    tags: &[String],
    error: Option<&str>,
    room: usize,
) -> Block {
    let (label, tone) = match status {
        Status::Done => ("done", Tone::Good),
        Status::Failed => ("failed", Tone::Bad),
        Status::Limited => ("limited", Tone::Bad),
        Status::Undone => ("undone", Tone::Plain),
        Status::Unknown => ("unknown", Tone::Bad),
        Status::Withheld => ("withheld", Tone::Bad),
        Status::Broken => ("broken", Tone::Bad),
        Status::Abandoned => ("abandoned", Tone::Bad),
    };
    if status == Status::Abandoned {
        let text = "the gateway stopped before the outcome was known; it may have run";
        return block(label, tone, &[text], room);
    }
    let millis = micros / 1000;
    let mut text = format!("{rows} rows, {masked} values masked, {millis}.{:03} ms", micros % 1000);
    for tag in tags {
        text = format!("{text}, {tag}");
    }
    let error = error.map_or_else(String::new, |e| format!("error {e}"));
    let fate = match status {
        Status::Unknown => "nobody knows whether it is committed: its COMMIT was not answered",
        _ => "",
    };
    block(label, tone, &[&text, &error, fate], room)
}

fn of_recorded(event: &RecordedEvent, room: usize) -> Block {
    match event {
        RecordedEvent::Answer(sample) => {
            Block { label: "answer".to_owned(), tone: Tone::Quiet, lines: table(sample, room) }
        }
        RecordedEvent::Message { severity, code, text, .. } => {
            block("target", Tone::Quiet, &[&format!("{severity} {code}: {text}")], room)
        }
        RecordedEvent::Limit { bytes } => {
            let text = format!("the recording reached its limit of {bytes} bytes");
            block("limit", Tone::Bad, &[&text], room)
        }
    }
}

fn next(refusal: &Refusal) -> &str {
    refusal.next.as_deref().unwrap_or("")
}

fn list(groups: &BTreeSet<String>) -> String {
    groups.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn table(sample: &AnswerSample, room: usize) -> Vec<String> {
    let cell = |value: &SampleValue| match value {
        SampleValue::Null => "∅".to_owned(),
        SampleValue::Text(text) => clipped(text, CELL),
        SampleValue::Bytes(bytes) => clipped(&format!("\\x{}", crate::chain::hex(bytes)), CELL),
    };
    let heading = sample.columns.iter().map(|name| clipped(name, CELL)).collect();
    let mut rows: Vec<Vec<String>> = vec![heading];
    rows.extend(sample.sample.iter().map(|row| row.iter().map(cell).collect()));
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; columns];
    for row in &rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = width(cell).max(*widest);
        }
    }
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, widest)| {
                format!("{cell}{}", " ".repeat(widest.saturating_sub(width(cell))))
            });
            cut(cells.collect::<Vec<_>>().join("  ").trim_end(), room)
        })
        .collect();
    let shown = sample.sample.len();
    if sample.truncated {
        lines.push(format!("({shown} of {} rows recorded)", sample.rows));
    } else {
        lines.push(format!("({} rows)", sample.rows));
    }
    lines
}

/// A line of text that is escaped already, cut to the room there is.
fn cut(line: &str, room: usize) -> String {
    if width(line) <= room {
        return line.to_owned();
    }
    let (mut used, mut out) = (0, String::new());
    for c in line.chars() {
        used += width(c.encode_utf8(&mut [0; 4]));
        if used >= room {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}
