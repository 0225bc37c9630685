//! `portcullis review …`: a client of the gateway's own API.

use super::access::{Access, Client, number, span, text};
use super::page::{self, Page};
use super::passkey::{self, Approved};
use crate::config::Config;
use crate::moment::now;
use anyhow::bail;
use clap::{Args, Subcommand};
use portcullis_core::basis::Estimate;
use portcullis_core::rehearsal::{Image, Rehearsal, Sample, Stage};
use portcullis_core::time::Timestamp;
use portcullis_ledger::visible;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

/// Decide held requests.
#[derive(Debug, Args)]
pub(crate) struct Review {
    #[command(flatten)]
    access: Access,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The requests waiting.
    List {
        /// Decided, expired and withdrawn ones as well.
        #[arg(long)]
        all: bool,
    },
    /// One request: the exact bytes that will run, on what, for whom, and why it was held.
    Show {
        /// The review's id.
        id: String,
    },
    /// Let it run, once.
    Approve {
        /// The review's id.
        id: String,
        #[command(flatten)]
        pattern: Pattern,
        /// Where it takes a passkey: say where that is done, and do not wait for it.
        #[arg(long)]
        no_wait: bool,
    },
    /// Refuse it.
    Reject {
        /// The review's id.
        id: String,
        /// Why; the caller reads it.
        #[arg(long)]
        reason: String,
    },
    /// Ask the caller something before you decide: a client that waits is told, and may answer.
    Ask {
        /// The review's id.
        id: String,
        /// What you want to know, in up to 1000 bytes.
        text: String,
    },
    /// Answer what a reviewer has asked about a request of yours.
    Answer {
        /// The review's id.
        id: String,
        /// What you answer, in up to 1000 bytes: it decides nothing, and reviewers read it.
        text: String,
    },
    /// The patterns that are good: what may run in which session without asking.
    Patterns {
        /// Used up, expired, revoked ones and those of sessions that ended as well.
        #[arg(long)]
        all: bool,
    },
    /// Take a pattern back, at once.
    Revoke {
        /// The pattern's id.
        id: String,
    },
}

/// Leave for more requests like this one.
#[derive(Debug, Args)]
struct Pattern {
    /// Let others like it run as well in the same session, without asking: the same text but for
    /// the values that `review show` marks.
    #[arg(long)]
    pattern: bool,
    /// For how long.
    #[arg(
        long = "for",
        value_name = "TIME",
        default_value = "30m",
        value_parser = span,
        requires = "pattern"
    )]
    time: std::time::Duration,
    /// How many of them, beside this one.
    #[arg(long, value_name = "N", default_value_t = 20, requires = "pattern")]
    count: u32,
    /// Do not ask whether that is meant.
    #[arg(long, requires = "pattern")]
    yes: bool,
}

/// Runs one command against the API.
pub(crate) async fn run(review: Review, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let client = review.access.client(config).await?;
    match review.command {
        Command::List { all } => {
            let reviews =
                client.get(if all { "/api/v1/reviews?all=true" } else { "/api/v1/reviews" });
            let reviews = reviews.await?;
            if json {
                say!("{}", page::json(&reviews)?);
            } else {
                print_list(&reviews)?;
            }
        }
        Command::Show { id } => show(&client, &id, json).await?,
        Command::Ask { id, text } | Command::Answer { id, text } => {
            let body = json!({ "text": text });
            let message = client.post(&format!("/api/v1/reviews/{id}/messages"), &body).await?;
            if json {
                say!("{}", page::json(&message)?);
            } else {
                let does = if is_question(&message) { "asked" } else { "answered" };
                say!("{does}: whoever looks at {} sees it", visible::escape(&id));
            }
        }
        Command::Approve { id, pattern, no_wait } => {
            // Who may not see it is told why when it is approved.
            if let Ok(review) = client.get(&format!("/api/v1/reviews/{id}")).await
                && Approved::Review.is_wanted(&review)
            {
                let review = (Approved::Review, review);
                let review = passkey::elsewhere(&client, config, review, !no_wait).await?;
                print_decision(&review, json)?;
                return Ok(ExitCode::SUCCESS);
            }
            let body = match pattern.pattern {
                true => as_pattern(&client, &id, &pattern).await?,
                false => json!({}),
            };
            let review = client.post(&format!("/api/v1/reviews/{id}/approve"), &body).await?;
            print_decision(&review, json)?;
        }
        Command::Patterns { all } => {
            let path = if all { "/api/v1/patterns?all=true" } else { "/api/v1/patterns" };
            print_patterns(&client.get(path).await?, json)?;
        }
        Command::Revoke { id } => {
            let path = format!("/api/v1/patterns/{id}/revoke");
            let pattern = client.post(&path, &json!({})).await?;
            if json {
                say!("{}", page::json(&pattern)?);
            } else {
                let id = visible::escape(text(&pattern, "/id"));
                say!("{id} is revoked: it was used {} times", number(&pattern, "/used"));
            }
        }
        Command::Reject { id, reason } => {
            let body = json!({ "reason": reason });
            let review = client.post(&format!("/api/v1/reviews/{id}/reject"), &body).await?;
            print_decision(&review, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows one review, and what was said about it.
async fn show(client: &Client, id: &str, json: bool) -> anyhow::Result<()> {
    let mut review = client.get(&format!("/api/v1/reviews/{id}")).await?;
    let context = client.get(&format!("/api/v1/reviews/{id}/context")).await?;
    let messages = context.get("messages").cloned().unwrap_or_default();
    if json {
        if let Some(review) = review.as_object_mut() {
            review.insert("messages".to_owned(), messages);
        }
        say!("{}", page::json(&review)?);
    } else {
        let width = page::width(page::PAGE);
        say!("{}{}", rendered(&review, width), said(&messages, width));
    }
    Ok(())
}

fn is_question(message: &Value) -> bool {
    message.get("asks").and_then(Value::as_bool) == Some(true)
}

/// What was asked about a request and answered.
fn said(messages: &Value, width: usize) -> String {
    let mut page = Page::new(width);
    for message in messages.as_array().into_iter().flatten() {
        let label = if is_question(message) { "asked by" } else { "answered by" };
        page.fact(label, text(message, "/name"));
        page.text("", text(message, "/text"));
    }
    page.finish()
}

/// What is asked for with a pattern, once whoever gives it has read what it lets through.
async fn as_pattern(client: &Client, id: &str, pattern: &Pattern) -> anyhow::Result<Value> {
    let review = client.get(&format!("/api/v1/reviews/{id}")).await?;
    if review.pointer("/ask/pattern").is_none_or(Value::is_null) {
        bail!("this request makes no pattern: approve it by itself");
    }
    let minutes = pattern.time.as_secs().div_ceil(60);
    let mut page = Page::new(page::width(page::PAGE));
    let who = format!("{}, in session {} alone", who(&review), text(&review, "/ask/session"));
    page.fact("lets run", &format!("up to {} more, within {minutes} minutes", pattern.count));
    page.fact("for", &who);
    page.fact("means", PATTERN_MEANS);
    page.text("pattern", text(&review, "/ask/pattern/shown"));
    eprintln!("{}", page.finish());
    if !pattern.yes && !confirmed()? {
        bail!("nothing was approved (to give a pattern without being asked, add --yes)");
    }
    let seconds = u32::try_from(pattern.time.as_secs()).unwrap_or(u32::MAX);
    Ok(json!({ "pattern": { "seconds": seconds, "count": pattern.count } }))
}

/// What a reviewer has to know before giving one.
const PATTERN_MEANS: &str = "each marked place may hold ANY value of its kind, so that any row may \
    be chosen and anything written there; nobody is asked again until it is used up, expires or is \
    revoked. All else stays: the text, what it does, definitions, settings";

/// True where somebody at a terminal says yes.
fn confirmed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("Give this pattern? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn print_patterns(patterns: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", page::json(patterns)?);
        return Ok(());
    }
    let patterns = patterns.as_array().map(Vec::as_slice).unwrap_or_default();
    if patterns.is_empty() {
        say!("there are no patterns");
    }
    for pattern in patterns {
        let good = pattern.pointer("/good").and_then(Value::as_bool).unwrap_or_default();
        let before = format!(
            "{}  {:5} {}/{}  {}  ",
            visible::escape(text(pattern, "/id")),
            if good { "good" } else { "ended" },
            number(pattern, "/used"),
            number(pattern, "/most"),
            visible::escape(text(pattern, "/session")),
        );
        let about = format!(
            "{} on {}: {}",
            text(pattern, "/name"),
            text(pattern, "/connection"),
            text(pattern, "/shown")
        );
        say!("{}", page::behind(&before, &about, page::width(page::PAGE)));
    }
    Ok(())
}

fn who(review: &Value) -> String {
    let principal = |what: &str| text(review, &format!("/ask/standing/principal/{what}"));
    let who = format!("{} ({} {})", principal("name"), principal("kind"), principal("subject"));
    match principal("acting_for") {
        "" => who,
        person => format!("{who} for {person}"),
    }
}

fn print_list(reviews: &Value) -> anyhow::Result<()> {
    let reviews = reviews.as_array().map(Vec::as_slice).unwrap_or_default();
    if reviews.is_empty() {
        say!("nothing is waiting");
    }
    for review in reviews {
        say!("{}", listed(review, page::width(page::PAGE)));
    }
    Ok(())
}

/// One review in a list: what the gateway made, then names and effects, which may be anybody's.
fn listed(review: &Value, width: usize) -> String {
    let before = format!(
        "{}  {:9} {}  ",
        visible::escape(text(review, "/id")),
        visible::escape(text(review, "/status")),
        short(review)
    );
    let about = format!(
        "{} on {}: {}",
        who(review),
        text(review, "/ask/standing/connection/name"),
        text(review, "/ask/operation")
    );
    page::behind(&before, &about, width)
}

fn short(review: &Value) -> Cow<'_, str> {
    visible::escape(text(review, "/ask/digest").get(..12).unwrap_or(""))
}

/// The reviewer's page: what the gateway observed first, then the request's own texts, whole.
fn rendered(review: &Value, width: usize) -> String {
    let mut page = Page::new(width);
    page.fact("review", text(review, "/id"));
    page.fact("status", text(review, "/status"));
    clock(&mut page, review);
    page.fact("digest", &short(review));
    page.fact("session", text(review, "/ask/session"));
    page.fact("for", &who(review));
    page.fact("known to", text(review, "/ask/standing/principal/issuer"));
    let connection = |what: &str| text(review, &format!("/ask/standing/connection/{what}"));
    let on = format!(
        "{} ({}), database {}, as role {}",
        connection("name"),
        connection("environment"),
        connection("database"),
        connection("role"),
    );
    page.fact("on", &on);
    page.fact("which is", text(review, "/ask/operation"));
    let (rule, reason) = (text(review, "/ask/ground/rule"), text(review, "/ask/ground/reason"));
    page.fact("held by", &format!("{rule}: {reason}"));
    let groups: Vec<&str> = list(review, "/ask/groups").iter().filter_map(Value::as_str).collect();
    page.fact("asks", &groups.join(", "));
    if Approved::Review.is_wanted(review) {
        page.fact("takes", "a passkey of whoever approves it, in the console");
    }
    if number(review, "/repeats") > 0 {
        page.fact("sent again", &format!("{} times while it waits", number(review, "/repeats")));
    }
    if let Some(again) = review.pointer("/ask/again").filter(|again| !again.is_null()) {
        let because: Vec<&str> = list(again, "/because").iter().filter_map(Value::as_str).collect();
        let (previous, because) = (text(again, "/previous"), because.join(", "));
        page.fact("again", &format!("takes the place of {previous}: {because}"));
    }
    page.fact("touches", &estimate(review));
    rehearsed(&mut page, review);
    rests_on(&mut page, review);
    for decision in list(review, "/decisions") {
        page.fact("decided", &decision.to_string());
    }
    for beyond in list(review, "/ask/shown/beyond") {
        page.fact("not shown", beyond.as_str().unwrap_or(""));
    }
    let parameters = list(review, "/ask/shown/parameters");
    for (i, statement) in list(review, "/ask/shown/statements").iter().enumerate() {
        page.text("will run", statement.as_str().unwrap_or(""));
        let bound = parameters.get(i).and_then(Value::as_array);
        for (n, value) in bound.into_iter().flatten().enumerate() {
            let value = value.as_str().map_or_else(|| "NULL".to_owned(), |v| format!("'{v}'"));
            page.value("with", &format!("${} = {value}", n + 1));
        }
    }
    let pattern = text(review, "/ask/pattern/shown");
    if !pattern.is_empty() {
        page.text("as a pattern", pattern);
    }
    page.finish()
}

/// When it was asked, and how long it is still open.
fn clock(page: &mut Page, review: &Value) {
    let at = |pointer| review.pointer(pointer).and_then(Value::as_i64).map(Timestamp::from_micros);
    if let Some(asked) = at("/ask/at") {
        page.fact("asked", &visible::rfc3339(asked));
    }
    let Some(expires) = at("/expires") else { return };
    let mut told = visible::rfc3339(expires);
    if matches!(text(review, "/status"), "pending" | "approved") {
        told = format!("{told}, {}", left(expires.since(now())));
    }
    page.fact("expires", &told);
}

/// Time that is left, rounded down: nobody is to count on what is not there.
fn left(time: Duration) -> String {
    match time.as_secs() {
        0 => "which is now".to_owned(),
        seconds @ 1..120 => format!("in {seconds} s"),
        seconds => format!("in {} min", seconds / 60),
    }
}

/// How much it may touch, in words.
fn estimate(review: &Value) -> String {
    let told = review.pointer("/ask/estimate").cloned().unwrap_or_default();
    serde_json::from_value::<Estimate>(told).unwrap_or_default().to_string()
}

/// What it did when it was run for show. Names and values in it are the target's, masked.
fn rehearsed(page: &mut Page, review: &Value) {
    let told = review.pointer("/rehearsal").cloned().unwrap_or_default();
    let Ok(rehearsal) = serde_json::from_value::<Rehearsal>(told) else { return };
    let why = rehearsal.why.as_deref().unwrap_or("");
    let stands = match rehearsal.stage {
        Stage::Running => "it is being run".to_owned(),
        Stage::Open => {
            let until = rehearsal.until.map(visible::rfc3339).unwrap_or_default();
            format!("its transaction is open until {until}: approved by then, it stays as it is")
        }
        Stage::Kept => format!("committed: {why}"),
        Stage::Undone => format!("rolled back: {why}"),
        Stage::Unknown => format!("committed or rolled back, nobody knows which: {why}"),
        Stage::Failed => format!("tried, and nothing of it is left: {why}"),
        Stage::Untried => format!("not run: {why}"),
    };
    page.fact("rehearsed", &stands);
    let Some(seen) = &rehearsal.seen else { return };
    page.fact("", &seen.to_string());
    if rehearsal.stage == Stage::Undone {
        let most = seen.changed;
        page.fact(
            "",
            &format!("approved now, it runs anew, and may change no more than {most} rows"),
        );
    }
    let (before, after) = seen.samples();
    for (label, sample) in [("before", before), ("after", after)] {
        match sample {
            Sample::None { why } => page.fact(label, &format!("no rows: {why}")),
            Sample::Rows(image) => sampled(page, label, image),
        }
    }
}

/// Rows as texts, one after the other.
fn sampled(page: &mut Page, label: &str, image: &Image) {
    if image.rows.is_empty() {
        page.fact(label, "no rows");
    }
    for row in &image.rows {
        let values = image.columns.iter().zip(row).map(|(column, value)| match value {
            Some(value) => format!("{column} = '{value}'"),
            None => format!("{column} = NULL"),
        });
        page.value(label, &values.collect::<Vec<_>>().join(", "));
    }
    if image.more {
        page.fact(label, "and more rows");
    }
}

/// What an approval rests on beside the request: where it changes, people are asked again.
fn rests_on(page: &mut Page, review: &Value) {
    let settings = list(review, "/ask/basis/settings").iter();
    let settings = settings.filter_map(|s| Some((s.get(0)?.as_str()?, s.get(1)?.as_str()?)));
    let mut all: Vec<String> = settings.map(|(name, value)| format!("{name} = {value}")).collect();
    let more = number(review, "/ask/basis/more_settings");
    all.push(format!("{more} more settings"));
    page.fact("rests on", &all.join("; "));
    let definitions = list(review, "/ask/basis/definitions").iter().filter_map(Value::as_str);
    let mut all: Vec<&str> = definitions.collect();
    let more = number(review, "/ask/basis/more_definitions");
    let more = if more > 0 { format!("{more} more") } else { String::new() };
    all.extend((!more.is_empty()).then_some(more.as_str()));
    if !all.is_empty() {
        page.fact("", &format!("definition of {}", all.join(", ")));
    }
}

fn list<'a>(review: &'a Value, pointer: &str) -> &'a [Value] {
    review.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn print_decision(review: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", page::json(review)?);
    } else {
        let (id, status) = (text(review, "/id"), text(review, "/status"));
        let waits: Vec<&str> =
            list(review, "/waiting_for").iter().filter_map(Value::as_str).collect();
        let counts = match (status, list(review, "/decisions")) {
            ("pending", [_, ..]) => {
                format!("; your approval counts, and it waits for {}", waits.join(" and "))
            }
            _ => String::new(),
        };
        say!(
            "{} is {} (digest {}){}",
            visible::escape(id),
            visible::escape(status),
            short(review),
            visible::escape(&counts)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(statement: &str, value: &str, name: &str) -> Value {
        json!({
            "id": "rev_1", "status": "pending", "decisions": [{"reason": statement}],
            "repeats": 2, "expires": 4_000_000_000_000_000_i64,
            "rehearsal": {
                "stage": "undone", "why": name,
                "seen": {
                    "tag": value, "changed": 3,
                    "tables": [{"table": name, "inserted": 0, "updated": 2, "deleted": 1}],
                    "before": {"rows": {
                        "columns": [name, "n"], "rows": [[value, null], [statement, "1"]],
                        "more": true,
                    }},
                    "after": {"none": {"why": statement}},
                },
            },
            "ask": {
                "digest": "abcdefabcdefabcdef", "session": "ses_1", "operation": name,
                "groups": [name], "ground": {"rule": "r", "reason": statement},
                "standing": {
                    "principal": {
                        "name": name, "kind": "agent", "subject": name, "issuer": name,
                        "acting_for": name,
                    },
                    "connection": {"name": name, "environment": "e", "database": name, "role": "x"},
                },
                "again": {"previous": "rev_0", "times": 1, "because": [name]},
                "estimate": {"rows": {"rows": 1, "of": 2, "table": name}},
                "basis": {
                    "settings": [["role", name]], "more_settings": 3,
                    "definitions": [name, value], "more_definitions": 1,
                },
                "pattern": {"digest": "abc", "shown": statement},
                "shown": {
                    "statements": [statement], "parameters": [[value, null]], "beyond": [statement],
                },
            },
        })
    }

    /// However a terminal of this width cuts the lines, no text of others begins one.
    #[test]
    fn no_text_reaches_the_left_margin() {
        let labels = [
            "review",
            "status",
            "asked",
            "expires",
            "digest",
            "session",
            "for",
            "known to",
            "on",
            "which is",
            "held by",
            "asks",
            "sent again",
            "again",
            "touches",
            "rehearsed",
            "before",
            "after",
            "rests on",
            "as a pattern",
            "decided",
            "not shown",
            "will run",
            "with",
            "",
        ];
        for width in [24, 40, 80, 133] {
            for filler in [" ", "\u{a0}", "漢", "⌚", "e\u{301}", "\t", "\n", "\r\n", "\u{85}"] {
                for wide in 0..3 * width {
                    let spoof = format!("x{}digest       SPOOF", filler.repeat(wide));
                    if wide % 7 != 0 && wide % width > 14 {
                        continue;
                    }
                    let review = review(&spoof, &spoof, &spoof);
                    let pages = rendered(&review, width) + "\n" + &listed(&review, width);
                    for line in pages.lines().filter(|l| !l.starts_with("rev_1  pending")) {
                        assert!(visible::width(line) <= width, "{width}: {line}");
                        let label: String = line.chars().take(12).collect();
                        assert!(labels.contains(&label.trim_end()), "{line}");
                    }
                    assert_eq!(pages.lines().filter(|l| l.starts_with("digest ")).count(), 1);
                }
            }
        }
    }

    #[test]
    fn the_page_shows_facts_first_and_texts_whole() {
        let page = rendered(&review("DELETE\nFROM t", "5' \u{202e}", "ana"), 80);
        let at = |what: &str| page.find(what).unwrap();
        assert!(
            at("\nfor          ana (agent ana) for ana") < at("\nwill run     │ DELETE\n"),
            "{page}"
        );
        assert!(at("\nwhich is") < at("\nwill run"), "{page}");
        assert!(
            page.contains("\n             │ FROM t\nwith         │ $1 = '5' ⟨U+202E⟩'\n"),
            "{page}"
        );
        assert!(page.contains("\nwith         │ $2 = NULL\n"), "{page}");
        assert!(
            page.contains("\ntouches      about 1 rows of 2 in ana, by the target's own"),
            "{page}"
        );
        assert!(page.contains("\nrests on     role = ana; 3 more settings\n"), "{page}");
        assert!(page.contains("\nrehearsed    rolled back: ana\n"), "{page}");
        assert!(page.contains("3 rows changed in all; ana: 2 changed, 1 gone"), "{page}");
        assert!(page.contains("it runs anew, and may change no more than 3 rows"), "{page}");
        assert!(page.contains("\nbefore       │ ana = '5' ⟨U+202E⟩', n = NULL\n"), "{page}");
        assert!(page.contains("\nbefore       and more rows\n"), "{page}");
    }

    #[test]
    fn json_hides_nothing_and_stays_json() {
        let review = review("\u{202e}\u{9b}31m\u{7f}\u{200b}\u{e0041}\u{1f600}é", "v", "n");
        let printed = page::json(&review).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), review);
        assert!(
            printed.contains("\\u202e\\u009b31m\\u007f\\u200b\\udb40\\udc41\u{1f600}é"),
            "{printed}"
        );
    }
}
