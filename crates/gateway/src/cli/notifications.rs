//! `portcullis notifications`: what people were told of what waits for them, and whether it was taken.

use super::access::{Access, number, text, time};
use super::page;
use crate::config::Config;
use clap::Args;
use portcullis_ledger::visible;
use serde_json::Value;
use std::process::ExitCode;

/// What people were told of what waits for them, and whether it was taken.
#[derive(Debug, Args)]
pub(super) struct Notifications {
    #[command(flatten)]
    access: Access,
    /// Only those that were not delivered.
    #[arg(long)]
    open: bool,
}

pub(super) async fn run(
    notifications: Notifications,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let found = notifications.access.client(config).await?.get("/api/v1/notifications").await?;
    let mut rows = found.as_array().cloned().unwrap_or_default();
    rows.retain(|row| !notifications.open || text(row, "/state") != "delivered");
    if json {
        say!("{}", page::json(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        say!("there are no notifications");
    }
    for row in &rows {
        say!("{}", listed(row));
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(row: &Value) -> String {
    let shown = |pointer| visible::escape(text(row, pointer)).into_owned();
    // Of a held request, or of one for access.
    let about = format!("{}{}", shown("/review"), shown("/grant"));
    let before = format!("{about}  {:<9}  ", shown("/state"));
    let (tried, times) =
        (number(row, "/attempts"), if number(row, "/attempts") == 1 { "" } else { "s" });
    let mut what = format!(
        "{} to {}, {}, tried {tried} time{times}",
        text(row, "/event"),
        text(row, "/channel"),
        time(row, "/made")
    );
    if !text(row, "/error").is_empty() {
        what = format!("{what}: {}", text(row, "/error"));
    }
    page::behind(&before, &what, page::width(page::PAGE))
}
