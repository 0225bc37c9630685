//! Approving where that takes a passkey, which a terminal has not: the page on which it is done, and the wait
//! for that.

use super::access::{Client, NotDone, text};
use super::page;
use crate::config::Config;
use portcullis_ledger::visible;
use serde_json::Value;
use std::time::Duration;

/// How often it is asked how a review stands.
const ASK: Duration = Duration::from_secs(1);

/// What is approved: where it is asked about, and on which page of the console it is decided.
#[derive(Clone, Copy)]
pub(super) enum Approved {
    Review,
    Grant,
}

impl Approved {
    /// True where approving this takes a passkey.
    pub(super) fn is_wanted(self, row: &Value) -> bool {
        let place = match self {
            Self::Review => "/ask/step_up",
            Self::Grant => "/ask/approvers/step_up",
        };
        text(row, place) == "passkey"
    }

    fn path(self, id: &str) -> String {
        match self {
            Self::Review => format!("/api/v1/reviews/{id}"),
            Self::Grant => format!("/api/v1/grants/{id}"),
        }
    }

    fn page(self, id: &str) -> String {
        match self {
            Self::Review => format!("/reviews/{id}"),
            Self::Grant => "/access".to_owned(),
        }
    }
}

/// Says where it is approved, and waits until whoever asks has decided it there, or it is over: how it
/// stands then.
///
/// # Errors
/// [`NotDone`] where it is over without having been approved, or `wait` is false.
pub(super) async fn elsewhere(
    client: &Client,
    config: &Config,
    (what, mut row): (Approved, Value),
    wait: bool,
) -> anyhow::Result<Value> {
    let id = text(&row, "/id").to_owned();
    let origin = config.listen.http.public_url.as_deref().unwrap_or_else(|| client.at());
    // Passkeys are for names, and loopback has this one.
    let origin = origin.trim_end_matches('/').replace("//127.0.0.1", "//localhost");
    let told = format!("approving {id} takes your passkey, at {origin}{}", what.page(&id));
    if !wait {
        return Err(NotDone(told).into());
    }
    let told = format!("{told}; this waits for it, and Ctrl-C leaves it undecided");
    eprintln!("{}", page::message("", &told, page::width(page::UNCUT)));
    let me = client.get("/api/v1/me").await?;
    loop {
        let decisions = row.pointer("/decisions").and_then(Value::as_array);
        let own = decisions.into_iter().flatten().find(|said| {
            text(said, "/subject") == text(&me, "/subject")
                && text(said, "/issuer") == text(&me, "/issuer")
        });
        match (own, text(&row, "/status")) {
            (Some(said), _) if said.pointer("/approved") == Some(&Value::Bool(true)) => {
                return Ok(row);
            }
            (None, "pending") => {}
            (_, "approved" | "used" | "active") => return Ok(row),
            (_, status) => {
                let status = visible::escape(status);
                return Err(NotDone(format!("{id} is {status}: you have not approved it")).into());
            }
        }
        tokio::time::sleep(ASK).await;
        row = client.get(&what.path(&id)).await?;
    }
}
