//! `portcullis policy`: tests of policies, without a gateway, and what was recorded judged again by others.

use super::access::{Access, number};
use super::documents::back;
use super::{page, rejudged};
use crate::config::Config;
use crate::documents::files::{Trust, read};
use crate::documents::fixtures::{self, Outcome};
use crate::documents::{Document, with_documents};
use crate::generation::Rules;
use crate::services::{load_policies, policy_files};
use clap::{Args, Subcommand};
use portcullis_core::time::Timestamp;
use portcullis_ledger::visible;
use portcullis_store::{DocumentRow, Documents};
use serde_json::json;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Policies, without a gateway.
#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Run the tests of a directory of documents. What asks about statements needs the catalog of a
    /// target, and is run by the gateway alone: `portcullis apply --dry-run`.
    Test(Test),
    /// Judge what a running gateway has recorded by the rules in force and by those of a directory of documents:
    /// which requests would get another verdict, how many and which for example, and what could not be judged
    /// again and why. Nothing is changed, and nothing is sent to a target.
    Replay(Box<Replay>),
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    access: Access,
    /// A directory with `policies/NAME.cedar` and `connections/NAME.toml`, or one such file.
    #[arg(value_name = "PATH", required = true)]
    files: Vec<PathBuf>,
    /// How far back, 31 days at most.
    #[arg(long, value_name = "SPAN", value_parser = back, default_value = "7d")]
    since: Duration,
    /// As if all documents that are not there were removed.
    #[arg(long)]
    prune: bool,
    /// End with 1 where a request would get another verdict.
    #[arg(long)]
    exit_code: bool,
}

/// Judges what is recorded again.
pub(super) async fn replay(
    replay: Replay,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut documents = Vec::new();
    for path in &replay.files {
        documents.extend(read(path, Trust::Caller)?);
    }
    let client = replay.access.client(config).await?;
    let wanted = json!({ "documents": documents, "prune": replay.prune });
    let told = rejudged::run(&client, &wanted, replay.since).await?;
    if json {
        say!("{}", page::json(&told)?);
    } else {
        rejudged::show(&told)?;
    }
    let changed = number(&told, "/changed") > 0;
    Ok(if replay.exit_code && changed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// A directory with `policies/NAME.cedar` and `tests/NAME.toml`, or one such file. Packs, files and
    /// connections of the configuration count besides.
    #[arg(short, long = "file", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn test(test: &Test, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let mut rows = Vec::new();
    for path in &test.files {
        let documents = read(path, Trust::Caller)?;
        rows.extend(documents.into_iter().map(|Document { kind, name, text }| DocumentRow {
            kind: kind.word().to_owned(),
            name,
            text,
            revision: 0,
            changed: Timestamp::from_micros(0),
            changed_by: String::new(),
        }));
    }
    let config = with_documents(config, &Documents { revision: 0, rows })?;
    let files = [policy_files(&config)?, config.policy.documents.clone()].concat();
    let rules = Rules {
        policies: Arc::new(load_policies(&files)?),
        settings: config.connections.iter().map(|(n, one)| (n.clone(), one.clone())).collect(),
        connections: HashMap::new(),
    };
    let tested = fixtures::run(&config.policy.tests, &rules);
    let count = |result| tested.iter().filter(|one| one.result == result).count();
    let failed = count(Outcome::Failed);
    if json {
        say!("{}", page::json(&tested)?);
    } else {
        for one in &tested {
            let line = match one.result {
                Outcome::Passed => {
                    visible::escape(&format!("{}: `{}`", one.file, one.name)).into_owned()
                }
                _ => one.line(),
            };
            say!("{}: {line}", one.result.as_str());
        }
        let (passed, not_run) = (count(Outcome::Passed), count(Outcome::NotRun));
        say!("{passed} passed, {failed} failed, {not_run} not run");
    }
    Ok(if failed > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
