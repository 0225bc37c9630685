//! `portcullis doctor`.

use super::page;
use crate::doctor::{Finding, Findings, Status, examine_all};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Looks at everything and says what is wrong: 0 nothing, 1 something weakens or will end, 2 something
/// does not work.
pub(super) async fn run(config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    let mut told = Ok(());
    let mut tell = |finding: &Finding| {
        all.push(serde_json::to_value(finding).unwrap_or_default());
        if !json && told.is_ok() {
            told = tell(finding);
        }
    };
    let worst = examine_all(config, Findings::new(&mut tell)).await;
    told?;
    if json {
        say!("{}", page::json(&json!({ "status": worst, "findings": all }))?);
    } else {
        let count = |status: &str| {
            all.iter().filter(|found| found.pointer("/status") == Some(&json!(status))).count()
        };
        let (failures, warnings) = (count("failure"), count("warning"));
        say!("{} checks: {failures} failures, {warnings} warnings", all.len());
    }
    Ok(match worst {
        Status::Ok => ExitCode::SUCCESS,
        Status::Warning => ExitCode::from(1),
        Status::Failure => ExitCode::from(2),
    })
}

fn tell(finding: &Finding) -> anyhow::Result<()> {
    let word = match finding.status {
        Status::Ok => "ok",
        Status::Warning => "warning",
        Status::Failure => "failure",
    };
    let (means, next) = (finding.means.as_deref(), finding.next.as_deref());
    told((word, finding.check), &finding.found, means, next)
}

/// One finding, for a person.
pub(super) fn told(
    (status, check): (&str, &str),
    found: &str,
    means: Option<&str>,
    next: Option<&str>,
) -> anyhow::Result<()> {
    let width = page::width(page::UNCUT);
    say!("{}", page::message(&format!("{status:8} {check:13} "), found, width));
    if let Some(means) = means {
        say!("{}", page::message("         means         ", means, width));
    }
    if let Some(next) = next {
        say!("{}", page::message("         next          ", next, width));
    }
    Ok(())
}
