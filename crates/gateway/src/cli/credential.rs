//! `portcullis credential …`: a client of the gateway's own API.

use super::access::{Access, span, text};
use super::page;
use crate::config::Config;
use crate::services;
use clap::{Args, Subcommand};
use portcullis_core::time::Timestamp;
use portcullis_ledger::visible;
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// Short-lived credentials for one connection.
#[derive(Debug, Args)]
pub(crate) struct Credential {
    #[command(flatten)]
    access: Access,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Exchange your token for a credential. Prints the credential alone, so that
    /// `PGPASSWORD=$(portcullis credential create …)` works; what it is goes to standard error.
    Create(Create),
    /// Your credentials that are good, and those of whoever acts for you.
    List {
        /// Expired and revoked ones as well.
        #[arg(long)]
        all: bool,
    },
    /// Take one back, and end the sessions that were opened with it.
    Revoke {
        /// The credential's id.
        id: String,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// The only connection it will open.
    #[arg(long, value_name = "NAME")]
    connection: String,
    /// What it is for; reviewers and auditors read it.
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// For how long: no longer than your token, or what the gateway allows.
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    time: Option<Duration>,
    /// The token of a person to act for; yours is then the agent's.
    #[arg(long, env = "PORTCULLIS_PERSON_TOKEN", hide_env_values = true)]
    person_token: Option<String>,
    /// Take a token of the development provider for that person instead.
    #[arg(long, value_name = "NAME", conflicts_with = "person_token")]
    acting_for: Option<String>,
}

/// Runs one command against the API.
pub(crate) async fn run(
    credential: Credential,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let client = credential.access.client(config).await?;
    match credential.command {
        Command::Create(create) => {
            let person = match (create.person_token, &create.acting_for) {
                (Some(token), _) => Some(token),
                (None, Some(name)) => Some(services::development_token(config, name).await?),
                (None, None) => None,
            };
            let seconds = create.time.map(|time| time.as_secs().to_string());
            let mut terms = vec![
                ("audience", create.connection.as_str()),
                ("purpose", create.purpose.as_str()),
            ];
            terms.extend(seconds.iter().map(|seconds| ("lifetime", seconds.as_str())));
            let given = client.exchange(person.as_deref(), &terms).await?;
            if json {
                say!("{}", page::json(&given)?);
            } else {
                let about = given.pointer("/credential").unwrap_or(&Value::Null);
                eprintln!("{}", listed(about, page::width(page::PAGE)));
                say!("{}", text(&given, "/access_token"));
            }
        }
        Command::List { all } => {
            let path = if all { "/api/v1/credentials?all=true" } else { "/api/v1/credentials" };
            print_list(&client.get(path).await?, json)?;
        }
        Command::Revoke { id } => {
            // An id has no character that means something in a path.
            let id: String =
                id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let revoked = client.delete(&format!("/api/v1/credentials/{id}")).await?;
            if json {
                say!("{}", page::json(&revoked)?);
            } else {
                let id = visible::escape(text(&revoked, "/id"));
                say!("{id} is revoked, and its sessions end");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_list(credentials: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", page::json(credentials)?);
        return Ok(());
    }
    let credentials = credentials.as_array().map(Vec::as_slice).unwrap_or_default();
    if credentials.is_empty() {
        say!("there are no credentials");
    }
    for credential in credentials {
        say!("{}", listed(credential, page::width(page::PAGE)));
    }
    Ok(())
}

/// One credential: what the gateway made, then names and purpose, which may be anybody's.
fn listed(credential: &Value, width: usize) -> String {
    let revoked = credential.pointer("/revoked").is_some_and(|at| !at.is_null());
    let expires = credential.pointer("/expires").and_then(Value::as_i64).unwrap_or_default();
    let before = format!(
        "{}  {} {}  ",
        visible::escape(text(credential, "/id")),
        if revoked { "revoked, was good until" } else { "until" },
        visible::rfc3339(Timestamp::from_micros(expires)),
    );
    let name = text(credential, "/principal/name");
    let who = match text(credential, "/principal/acting_for") {
        "" => name.to_owned(),
        person => format!("{name} for {person}"),
    };
    let (connection, purpose) = (text(credential, "/connection"), text(credential, "/purpose"));
    page::behind(&before, &format!("{who} on {connection}: {purpose}"), width)
}
