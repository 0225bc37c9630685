//! What a running gateway sees of itself: what `portcullis doctor` looks at, without reading the whole record
//! (which `audit verify` does), and what only the gateway itself knows.

use super::{
    Finding, Findings, Status, aside, certificates, configuration, data_directory, outside,
    recordings, secrets, stores,
};
use crate::config::Config;
use crate::disk::Thresholds;
use crate::moment::now;
use crate::secrets::Read;
use crate::services::Services;
use portcullis_store::Page;
use std::sync::Arc;
use std::time::Duration;

/// Looks at everything.
pub(crate) async fn examine_running(services: &Services, mut findings: Findings<'_>) -> Status {
    let all = &mut findings;
    let config = Arc::new(services.documents.in_force(&services.now()));
    let read = config.clone();
    aside(all, move |all| file(all, &read)).await;
    documents(all, services);
    journal(all, services);
    recordings::running(all, services).await;
    let directory = config.data_dir.clone();
    let room = Thresholds::of(&config.journal);
    aside(all, move |all| data_directory(all, &directory, room, true)).await;
    let rows = stores::store(all, &config, true).await;
    secrets(all, &config, &rows).await;
    let read = config.clone();
    aside(all, move |all| certificates(all, &read)).await;
    outside::ports(all, &config, true).await;
    outside::providers(all, &config, true).await;
    outside::targets(all, &config, Read(rows)).await;
    notifications(all, services).await;
    exports(all, services);
    retention(all, services);
    findings.worst
}

/// The gateway goes by what its file said when it started; the next start goes by what it says now.
fn file(all: &mut Findings<'_>, config: &Config) {
    match Config::load(&config.file) {
        Ok(found) => configuration(all, &config.file, &found),
        Err(error) => all.warn(
            "config",
            error.to_string(),
            "the gateway goes by what it read at its start, and does not start again with this",
            "correct the line that is named",
        ),
    }
}

fn documents(all: &mut Findings<'_>, services: &Services) {
    let revision = services.now().revision;
    match services.documents.trouble() {
        None => all.ok("documents", format!("revision {revision} is gone by")),
        Some(why) => {
            let means = "what is gone by is older than the documents there are";
            let found = format!("revision {revision} is gone by: {why}");
            all.fail("documents", found, means, "correct the document that is named, and apply it");
        }
    }
}

fn journal(all: &mut Findings<'_>, services: &Services) {
    match services.ledger.health() {
        Ok(()) => all.ok("journal", "entries are written and signed"),
        Err(error) => {
            let means = "what cannot be recorded is refused, so nothing runs";
            all.fail("journal", error.to_string(), means, "make room, then restart the gateway");
        }
    }
}

async fn notifications(all: &mut Findings<'_>, services: &Services) {
    let rows = match services.notifications.list(&Page::default()).await {
        Ok(found) => found.rows,
        Err(error) => {
            let means = "nobody is told that somebody waits for people";
            return all.fail("notifications", error.to_string(), means, "see the store, above");
        }
    };
    let late: Vec<_> = rows.iter().filter(|row| row.ended.is_none() && row.attempts > 0).collect();
    let Some(first) = late.first() else {
        return all.ok("notifications", "none has failed and is to be sent again");
    };
    let why = first.error.as_deref().unwrap_or("no reason was given");
    let found = format!("{} wait to be sent again; {}: {why}", late.len(), first.channel);
    let means = "people hear late, or not at all, that somebody waits for them";
    all.warn("notifications", found, means, "see portcullis notifications --open");
}

fn exports(all: &mut Findings<'_>, services: &Services) {
    for (name, standing) in services.exports.all() {
        let seen = standing.seen();
        let behind = services.ledger.written().saturating_sub(seen.next);
        let waits = seen.waits.as_secs();
        let found = match &seen.trouble {
            Some((why, _)) => format!("{name}: {behind} entries behind, for {waits} s: {why}"),
            None => format!("{name}: {behind} entries behind"),
        };
        let next =
            "see the gateway's log, and the receiver; nothing is lost while the journal is there";
        match seen.trouble {
            Some((_, true)) => {
                all.fail("export", found, "the receiver is sent nothing more", next);
            }
            Some(_) => all.warn("export", found, "the receiver hears late of what happens", next),
            None if seen.withheld > 0 => {
                let found = format!("{name}: {} entries were not taken or kept", seen.withheld);
                let means =
                    "the receiver lacks them: it knows their numbers and hashes, or nothing";
                let next = "portcullis audit export shows them; see what the receiver limits";
                all.warn("export", found, means, next);
            }
            None => all.ok("export", found),
        }
    }
}

fn retention(all: &mut Findings<'_>, services: &Services) {
    let seen = services.removing.seen();
    if !seen.is_on {
        return;
    }
    let (entries, recordings, waiting) = (seen.entries, seen.recordings, seen.waiting);
    let found =
        format!("removed since the start: what {entries} entries say, {recordings} recordings");
    if let Some(why) = seen.trouble {
        let means = "what is not to be kept any longer is still there";
        all.warn("retention", why, means, "see the gateway's log and portcullis retention plan");
    } else if waiting > 0 {
        let found =
            format!("{found}; {waiting} entries are due and not yet read by every receiver");
        let means = "what is not to be kept any longer is still there";
        all.warn("retention", found, means, "see the receivers of [[export]], above");
    } else {
        all.ok("retention", found);
    }
    for (hold, count) in seen.held {
        all.ok("retention", format!("{count} sessions and events are kept by the hold {hold}"));
    }
}

/// What is told where there was no time to look at all of it.
pub(crate) fn unfinished(patience: Duration) -> Finding {
    Finding {
        check: "health",
        about: None,
        at: now(),
        status: Status::Failure,
        found: format!("not everything was looked at within {} s", patience.as_secs()),
        means: Some("what comes after the last of these was not looked at".to_owned()),
        next: Some(
            "see which target or provider does not answer, and run portcullis doctor".to_owned(),
        ),
    }
}
