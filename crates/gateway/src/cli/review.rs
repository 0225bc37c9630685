//! `portcullis review …`: a client of the gateway's own API.

use crate::config::Config;
use crate::services;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Decide held requests.
#[derive(Debug, Args)]
pub(crate) struct Review {
    /// The gateway's API; by default the one of the configuration.
    #[arg(long, env = "PORTCULLIS_API")]
    api: Option<String>,
    /// Your token.
    #[arg(long, env = "PORTCULLIS_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Take a token of the development provider for this person instead.
    #[arg(long = "as", value_name = "NAME", conflicts_with = "token")]
    name: Option<String>,
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
    },
    /// Refuse it.
    Reject {
        /// The review's id.
        id: String,
        /// Why; the caller reads it.
        #[arg(long)]
        reason: String,
    },
}

/// Runs one command against the API.
pub(crate) async fn run(review: Review, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let api = match &review.api {
        Some(api) => api.trim_end_matches('/').to_owned(),
        None => format!("http://{}", config.listen.http.address),
    };
    let token = match (&review.token, &review.name) {
        (Some(token), _) => token.clone(),
        (None, Some(name)) => services::development_token(config, name).await?,
        (None, None) => bail!("say who decides: --token (or PORTCULLIS_TOKEN), or --as NAME"),
    };
    let client = Client { api, token };
    match review.command {
        Command::List { all } => {
            let reviews =
                client.get(if all { "/api/v1/reviews?all=true" } else { "/api/v1/reviews" });
            let reviews = reviews.await?;
            if json {
                say!("{reviews:#}");
            } else {
                print_list(&reviews)?;
            }
        }
        Command::Show { id } => {
            let review = client.get(&format!("/api/v1/reviews/{id}")).await?;
            if json {
                say!("{review:#}");
            } else {
                say!("{}", rendered(&review).trim_end());
            }
        }
        Command::Approve { id } => {
            let review = client.post(&format!("/api/v1/reviews/{id}/approve"), &json!({})).await?;
            print_decision(&review, json)?;
        }
        Command::Reject { id, reason } => {
            let body = json!({ "reason": reason });
            let review = client.post(&format!("/api/v1/reviews/{id}/reject"), &body).await?;
            print_decision(&review, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Client {
    api: String,
    token: String,
}

impl Client {
    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(reqwest::Client::new().get(format!("{}{path}", self.api))).await
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(reqwest::Client::new().post(format!("{}{path}", self.api)).json(body)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let response = request
            .bearer_auth(&self.token)
            .send()
            .await
            .with_context(|| format!("no gateway answers at {}", self.api))?;
        let status = response.status();
        let body: Value = response.json().await.context("the answer is not JSON")?;
        if !status.is_success() {
            bail!("{}", body.get("detail").and_then(Value::as_str).unwrap_or(status.as_str()));
        }
        Ok(body)
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

fn who(review: &Value) -> String {
    let principal = text(review, "/ask/standing/principal/name");
    match text(review, "/ask/standing/principal/acting_for") {
        "" => principal.to_owned(),
        person => format!("{principal} for {person}"),
    }
}

fn print_list(reviews: &Value) -> anyhow::Result<()> {
    let reviews = reviews.as_array().map(Vec::as_slice).unwrap_or_default();
    if reviews.is_empty() {
        say!("nothing is waiting");
    }
    for review in reviews {
        say!(
            "{}  {:9} {}  {} on {}: {}",
            text(review, "/id"),
            text(review, "/status"),
            text(review, "/ask/digest").get(..12).unwrap_or(""),
            visible(&who(review)),
            visible(text(review, "/ask/standing/connection/name")),
            visible(text(review, "/ask/operation")),
        );
    }
    Ok(())
}

/// The reviewer's page: what the gateway observed first, what the caller claims not at all.
fn rendered(review: &Value) -> String {
    let mut page = String::new();
    let mut line = |label: &str, value: &str| page.push_str(&format!("{label:12} {value}\n"));
    line("review", text(review, "/id"));
    line("status", text(review, "/status"));
    line("digest", text(review, "/ask/digest").get(..12).unwrap_or(""));
    let empty = Vec::new();
    let list = |pointer: &str| review.pointer(pointer).and_then(Value::as_array).unwrap_or(&empty);
    let parameters = list("/ask/shown/parameters");
    for (i, statement) in list("/ask/shown/statements").iter().enumerate() {
        line("will run", &visible(statement.as_str().unwrap_or("")));
        let bound = parameters.get(i).and_then(Value::as_array).unwrap_or(&empty);
        for (n, value) in bound.iter().enumerate() {
            let value = value.as_str().map_or_else(|| "NULL".to_owned(), |v| format!("'{v}'"));
            line("", &format!("${} = {}", n + 1, visible(&value)));
        }
    }
    for beyond in list("/ask/shown/beyond") {
        line("not shown", &visible(beyond.as_str().unwrap_or("")));
    }
    line("which is", &visible(text(review, "/ask/operation")));
    line(
        "on",
        &visible(&format!(
            "{} ({}), database {}, as role {}",
            text(review, "/ask/standing/connection/name"),
            text(review, "/ask/standing/connection/environment"),
            text(review, "/ask/standing/connection/database"),
            text(review, "/ask/standing/connection/role"),
        )),
    );
    line("for", &visible(&who(review)));
    let (rule, reason) = (text(review, "/ask/ground/rule"), text(review, "/ask/ground/reason"));
    line("held by", &visible(&format!("{rule}: {reason}")));
    let groups: Vec<&str> = list("/ask/groups").iter().filter_map(Value::as_str).collect();
    line("asks", &visible(&groups.join(", ")));
    line("session", text(review, "/ask/session"));
    for decision in list("/decisions") {
        line("decided", &visible(&decision.to_string()));
    }
    page
}

fn print_decision(review: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{review:#}");
    } else {
        let digest = text(review, "/ask/digest").get(..12).unwrap_or("");
        say!("{} is {} (digest {digest})", text(review, "/id"), text(review, "/status"));
    }
    Ok(())
}

/// Control, bidirectional and zero-width characters made visible: the text is a caller's.
fn visible(text: &str) -> String {
    portcullis_ledger::visible::escape(text).into_owned()
}
