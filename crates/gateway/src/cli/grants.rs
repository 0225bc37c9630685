//! `portcullis request` and `portcullis grants …`: a client of the gateway's own API.

use super::access::{Access, Client, NotDone, number, span, text, time};
use super::page::{self, Page};
use super::passkey::{self, Approved};
use crate::config::Config;
use crate::moment::now;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use portcullis_core::id::GrantId;
use portcullis_core::time::Timestamp;
use portcullis_ledger::visible;
use portcullis_targets::{OwnSecret, Reference};
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often it is asked whether somebody has decided.
const ASK: Duration = Duration::from_secs(1);
/// How often whoever waits is told that it still waits.
const STILL: Duration = Duration::from_secs(30);

/// Ask for access to a connection for a time, and wait until people have decided.
#[derive(Debug, Args)]
pub(super) struct Request {
    #[command(flatten)]
    access: Access,
    /// The connection.
    #[arg(long, value_name = "NAME")]
    connection: String,
    /// For how long, from the moment it is approved.
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    time: Duration,
    /// Why; people decide by it.
    #[arg(long)]
    reason: String,
    /// As which role at the target; by default the connection's own.
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    #[command(flatten)]
    shown: Shown,
    /// Do not wait for the decision.
    #[arg(long)]
    no_wait: bool,
}

/// The credential that will log in, where that is one of the gateway's own. It never stands on a command
/// line, which every process of the machine can read.
#[derive(Debug, Args)]
struct Shown {
    /// Where the credential is that will log in, where you act for somebody by token exchange: `env:NAME`,
    /// `file:PATH`, or `-` for a line of the standard input. The grant is for who it says.
    #[arg(long, value_name = "WHERE", value_parser = source, global = true)]
    credential_from: Option<Source>,
}

/// Where a credential is read.
#[derive(Debug, Clone)]
enum Source {
    Line,
    Secret(OwnSecret),
}

fn source(text: &str) -> Result<Source, String> {
    if text == "-" {
        return Ok(Source::Line);
    }
    let wrong = || {
        "write `env:NAME`, `file:PATH`, or `-` for a line of the standard input; never the credential itself".to_owned()
    };
    let reference: Reference = text.parse().map_err(|_| wrong())?;
    OwnSecret::try_from(reference).map(Source::Secret).map_err(|_| wrong())
}

impl Shown {
    /// The credential, where there is one to be shown.
    async fn read(&self) -> anyhow::Result<Option<String>> {
        let Some(source) = self.credential_from.clone() else { return Ok(None) };
        let read = tokio::task::spawn_blocking(move || match source {
            Source::Secret(secret) => {
                Ok(String::from_utf8(secret.read()?.to_vec()).context("it is not UTF-8")?)
            }
            Source::Line => {
                if std::io::stdin().is_terminal() {
                    eprintln!("the credential that will log in:");
                }
                let mut line = String::new();
                std::io::stdin().lock().read_line(&mut line)?;
                Ok::<_, anyhow::Error>(line)
            }
        });
        let text = read.await?.context("--credential-from")?.trim().to_owned();
        if text.is_empty() || !text.is_ascii() {
            bail!("--credential-from: there is no credential in it");
        }
        Ok(Some(text))
    }
}

/// Access that people grant for a time: what waits and what is in force.
#[derive(Debug, Args)]
pub(super) struct Grants {
    #[command(flatten)]
    access: Access,
    /// Rejected, expired and ended ones as well.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    shown: Shown,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One of them, with what was said.
    Show {
        /// The grant's id.
        id: GrantId,
    },
    /// Approve a request: its time begins with the last approval that is wanted.
    Approve {
        /// The grant's id.
        id: GrantId,
        /// Where it takes a passkey: say where that is done, and do not wait for it.
        #[arg(long)]
        no_wait: bool,
    },
    /// Reject a request.
    Reject {
        /// The grant's id.
        id: GrantId,
        /// Why; whoever asks reads it.
        #[arg(long)]
        reason: String,
    },
    /// End a grant, and the sessions that stand on it, at once; or take a request back.
    End {
        /// The grant's id.
        id: GrantId,
        /// Why; whoever has it reads it.
        #[arg(long)]
        reason: Option<String>,
    },
}

/// Asks for access.
pub(super) async fn request(
    request: Request,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let credential = request.shown.read().await?;
    let client = request.access.client(config).await?.showing(credential.clone());
    let body = json!({
        "connection": request.connection,
        "role": request.role,
        // What is too little or too much the gateway tells.
        "seconds": u32::try_from(request.time.as_secs()).unwrap_or(u32::MAX),
        "reason": request.reason,
        "credential": credential,
    });
    let mut grant = client.post("/api/v1/grants", &body).await?;
    if waits_still(&grant) && !request.no_wait {
        grant = wait(&client, grant).await?;
    }
    if json {
        say!("{}", page::json(&grant)?);
    } else {
        say!("{}", listed(&grant, page::width(page::PAGE)));
    }
    match text(&grant, "/status") {
        "active" | "approved" | "pending" => Ok(ExitCode::SUCCESS),
        _ => Err(NotDone(refusal(&grant)).into()),
    }
}

/// Waits for people, and says how it stands whenever that is different, and now and then.
async fn wait(client: &Client, mut grant: Value) -> anyhow::Result<Value> {
    let path = format!("/api/v1/grants/{}", text(&grant, "/id"));
    let (mut told, mut at) = (String::new(), Instant::now());
    loop {
        let standing = waits(&grant);
        if standing != told || at.elapsed() >= STILL {
            eprintln!("{}", page::message("", &standing, page::width(page::PAGE)));
            (told, at) = (standing, Instant::now());
        }
        tokio::time::sleep(ASK).await;
        grant = client.get(&path).await?;
        if !waits_still(&grant) {
            return Ok(grant);
        }
    }
}

/// True where a request may come into force yet.
fn waits_still(grant: &Value) -> bool {
    matches!(text(grant, "/status"), "pending" | "approved")
}

/// Whom a request waits for, in words.
fn waits(grant: &Value) -> String {
    if text(grant, "/status") == "approved" {
        return format!(
            "{} is approved, and in force as soon as that is recorded",
            text(grant, "/id")
        );
    }
    let groups: Vec<&str> = list(grant, "/waiting_for").iter().filter_map(Value::as_str).collect();
    let people = match number(grant, "/wanted") {
        1 => "one person".to_owned(),
        more => format!("{more} people"),
    };
    format!(
        "{} waits for {people} of {} until {}; Ctrl-C leaves it waiting",
        text(grant, "/id"),
        groups.join(" or "),
        time(grant, "/ask/lapses"),
    )
}

/// Why a request came to nothing.
fn refusal(grant: &Value) -> String {
    let id = text(grant, "/id");
    match text(grant, "/status") {
        "rejected" => {
            let said = list(grant, "/decisions").iter().rev();
            let no = said.into_iter().find(|one| one["approved"] == false);
            let (by, why) =
                no.map_or(("somebody", ""), |no| (text(no, "/name"), text(no, "/reason")));
            format!("{id} was rejected by {by}: {why}")
        }
        "expired" => format!("nobody decided on {id} in time; asking again asks people anew"),
        "withdrawn" => format!("{id} was taken back by {}", text(grant, "/ended_by")),
        other => format!("{id} is {other}"),
    }
}

/// Lists grants, or does something to one.
pub(super) async fn grants(
    grants: Grants,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let credential = grants.shown.read().await?;
    let client = grants.access.client(config).await?.showing(credential);
    let post = async |id: GrantId, what: &str, body: Value| {
        client.post(&format!("/api/v1/grants/{id}/{what}"), &body).await
    };
    let grant = match grants.command {
        None => {
            let path = if grants.all { "/api/v1/grants?all=true" } else { "/api/v1/grants" };
            let rows = client.get(path).await?;
            print_list(&rows, json)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Show { id }) => {
            let grant = client.get(&format!("/api/v1/grants/{id}")).await?;
            if !json {
                say!("{}", rendered(&grant, page::width(page::PAGE)));
                return Ok(ExitCode::SUCCESS);
            }
            grant
        }
        Some(Command::Approve { id, no_wait }) => {
            // Who may not see it is told why when it is approved.
            match client.get(&format!("/api/v1/grants/{id}")).await {
                Ok(grant) if Approved::Grant.is_wanted(&grant) => {
                    let grant = (Approved::Grant, grant);
                    passkey::elsewhere(&client, config, grant, !no_wait).await?
                }
                _ => post(id, "approve", json!({})).await?,
            }
        }
        Some(Command::Reject { id, reason }) => {
            post(id, "reject", json!({ "reason": reason })).await?
        }
        Some(Command::End { id, reason }) => post(id, "end", json!({ "reason": reason })).await?,
    };
    if json {
        say!("{}", page::json(&grant)?);
    } else {
        say!("{}", listed(&grant, page::width(page::PAGE)));
    }
    Ok(ExitCode::SUCCESS)
}

fn print_list(grants: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", page::json(grants)?);
        return Ok(());
    }
    let grants = grants.as_array().map(Vec::as_slice).unwrap_or_default();
    if grants.is_empty() {
        say!("nothing is asked for, and nothing is granted, that concerns you");
    }
    for grant in grants {
        say!("{}", listed(grant, page::width(page::PAGE)));
    }
    Ok(())
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn who(grant: &Value) -> String {
    let principal = |what: &str| text(grant, &format!("/ask/principal/{what}"));
    let who = format!("{} ({} {})", principal("name"), principal("kind"), principal("subject"));
    match principal("acting_for") {
        "" => who,
        person => format!("{who} for {person}"),
    }
}

/// One grant in a list: what the gateway keeps of it, then the words of whoever asks.
fn listed(grant: &Value, width: usize) -> String {
    let seconds = number(grant, "/ask/seconds");
    let when = match text(grant, "/status") {
        "active" => format!("until {}", time(grant, "/until")),
        "pending" | "approved" => format!("for {}", length(seconds)),
        _ => format!("since {}", time(grant, "/ended")),
    };
    let before = format!(
        "{}  {:9} {when}  ",
        visible::escape(text(grant, "/id")),
        visible::escape(text(grant, "/status")),
    );
    let ask = |what: &str| text(grant, &format!("/ask/{what}"));
    let about =
        format!("{} on {} as {}: {}", who(grant), ask("connection"), ask("role"), ask("reason"));
    page::behind(&before, &about, width)
}

fn length(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        _ => format!("{} min", seconds / 60),
    }
}

/// The page of one grant: what the gateway keeps of it first, then the words of whoever asks.
fn rendered(grant: &Value, width: usize) -> String {
    let mut page = Page::new(width);
    let ask = |what: &str| text(grant, &format!("/ask/{what}"));
    page.fact("grant", text(grant, "/id"));
    page.fact("status", text(grant, "/status"));
    page.fact("for", &who(grant));
    page.fact("known to", text(grant, "/ask/principal/issuer"));
    let on = format!("{} ({}), as role {}", ask("connection"), ask("environment"), ask("role"));
    page.fact("on", &on);
    let port = number(grant, "/ask/port");
    page.fact("which is", &format!("database {} at {}:{port}", ask("database"), ask("host")));
    page.fact(
        "how long",
        &format!("{} from its last approval", length(number(grant, "/ask/seconds"))),
    );
    page.fact("asked", &time(grant, "/ask/at"));
    if Approved::Grant.is_wanted(grant) {
        page.fact("takes", "a passkey of whoever approves it, in the console");
    }
    match text(grant, "/status") {
        "pending" | "approved" => page.fact("waits", &waits(grant)),
        "active" => {
            page.fact("since", &time(grant, "/begun"));
            let until = grant.pointer("/until").and_then(Value::as_i64).unwrap_or_default();
            let left = Timestamp::from_micros(until).since(now()).as_secs();
            page.fact("until", &format!("{}, {} left", time(grant, "/until"), length(left)));
        }
        _ => {
            let by = match text(grant, "/ended_by") {
                "" => String::new(),
                by => format!(" by {by}"),
            };
            page.fact(
                "ended",
                &format!("{}{by} {}", time(grant, "/ended"), text(grant, "/ending")),
            );
            if !text(grant, "/ended_why").is_empty() {
                page.value("because", text(grant, "/ended_why"));
            }
        }
    }
    if number(grant, "/repeats") > 0 {
        page.fact("asked again", &format!("{} times while it waited", number(grant, "/repeats")));
    }
    for one in list(grant, "/decisions") {
        let verb = if one["approved"] == true { "approved" } else { "rejected" };
        let said = format!("{verb} by {} at {}", text(one, "/name"), time(one, "/at"));
        page.fact("decided", &said);
        if !text(one, "/reason").is_empty() {
            page.value("because", text(one, "/reason"));
        }
    }
    page.value("claims", ask("reason"));
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> Value {
        json!({
            "id": "grt_1", "status": "active", "until": 0, "wanted": 1, "waiting_for": ["dba"],
            "decisions": [{ "approved": false, "name": text, "reason": text, "at": 0 }],
            "ask": {
                "connection": text, "environment": text, "role": text, "reason": text, "at": 0,
                "seconds": 1800,
                "principal": { "kind": "agent", "name": text, "subject": text, "issuer": text,
                    "acting_for": text },
            },
        })
    }

    /// However a terminal of this width cuts the lines, no text of others begins one.
    #[test]
    fn no_text_reaches_the_left_margin() {
        for width in [24, 40, 80] {
            for filler in [" ", "\u{a0}", "漢", "\n", "\u{85}"] {
                for wide in 0..2 * width {
                    let grant = grant(&format!("x{}SPOOF  active", filler.repeat(wide)));
                    for page in [listed(&grant, width), rendered(&grant, width)] {
                        assert!(!page.lines().any(|line| line.starts_with("SPOOF")), "{page}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_grant_is_told_on_a_line() {
        let told = listed(&grant("ana"), 200);
        let expect = "grt_1  active    until 1970-01-01T00:00:00Z  ana (agent ana) for ana on ana as \
                      ana: ana";
        assert_eq!(told, expect);
        assert!(waits(&grant("ana")).starts_with("grt_1 waits for one person of dba until"));
    }
}
