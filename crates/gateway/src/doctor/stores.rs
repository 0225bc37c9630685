//! The gateway's store: in SQLite, or in PostgreSQL.

use super::Findings;
use crate::config::Config;
use crate::fleet::FILE;
use crate::moment::now;
use portcullis_store::{
    Examined, ExaminedServer, PostgresSettings, SecretRow, StoreError, examine, examine_server,
};
use std::path::Path;

/// Looks at the store, and gives the sealed secrets in it.
pub(super) async fn store(
    all: &mut Findings<'_>,
    config: &Config,
    running: bool,
) -> Vec<SecretRow> {
    match config.store.postgres(&config.data_dir).await {
        Ok(Some(settings)) => server(all, &settings).await.map(|found| found.secrets),
        Ok(None) => {
            let path = config.data_dir.join(FILE);
            sqlite(all, &path, running).await.map(|found| found.secrets)
        }
        Err(error) => {
            let next =
                "put the password where store.password_from says, for the gateway's user alone";
            all.fail("store", format!("{error:#}"), WITHOUT, next);
            None
        }
    }
    .unwrap_or_default()
}

/// What it means that there is none.
const WITHOUT: &str = "the gateway does not start without its store, and refuses what it needs it for \
                       while it runs";

async fn server(all: &mut Findings<'_>, settings: &PostgresSettings) -> Option<ExaminedServer> {
    let found = match examine_server(settings, now).await {
        Ok(found) => found,
        Err(error) => {
            all.fail("store", error.to_string(), WITHOUT, next_for(&error));
            return None;
        }
    };
    let (name, step) = (&found.server, found.step);
    let there = match &*found.gateways {
        [] => "no gateway is there".to_owned(),
        names => format!("{} gateways are there ({})", names.len(), names.join(", ")),
    };
    let text = format!("{name} answers: {} KiB, schema step {step}, {there}", found.bytes >> 10);
    match (found.missing, step) {
        (0, _) => all.ok("store", text),
        (_, 0) => {
            all.warn(
                "store",
                format!("{name} has no tables yet"),
                "the first start makes them",
                "start the gateway",
            );
        }
        _ => {
            let means = "it is of an older version; the next start brings it up to date, and gateways \
                         of older versions then refuse everything";
            all.warn(
                "store",
                text,
                means,
                "pg_dump it, and stop all gateways, before you start one",
            );
        }
    }
    Some(found)
}

async fn sqlite(all: &mut Findings<'_>, path: &Path, running: bool) -> Option<Examined> {
    let shown = path.display();
    if !path.exists() && !running {
        let (found, next) = (format!("there is no {shown} yet"), "start the gateway");
        if path.with_file_name("journal").exists() {
            let means = "there is a journal, so there was a store: reviews, labels, freezes, \
                         credentials and sealed secrets are gone";
            all.fail("store", found, means, "portcullis restore BACKUP");
        } else {
            all.warn("store", found, "the first start makes it", next);
        }
        return None;
    }
    match examine(path).await {
        Ok(found) => {
            let text =
                format!("{shown} is whole: {} KiB, schema step {}", found.bytes >> 10, found.step);
            if found.missing > 0 {
                let means = "it is of an older version; the next start brings it up to date, which \
                             older versions then cannot read";
                all.warn(
                    "store",
                    text,
                    means,
                    "portcullis backup FILE before you start the gateway",
                );
            } else {
                let who = if running { ", open in a running gateway" } else { "" };
                all.ok("store", format!("{text}{who}"));
            }
            Some(found)
        }
        Err(error) => {
            let means = "the gateway does not start without its store, and refuses what it needs it \
                         for while it runs";
            all.fail("store", error.to_string(), means, next_for(&error));
            None
        }
    }
}

fn next_for(error: &StoreError) -> &'static str {
    match error {
        StoreError::Server { next, .. } => next,
        StoreError::Url(_) => "correct store.url in the configuration",
        StoreError::InUse { .. } => "stop the gateways first",
        StoreError::Corrupted { .. } | StoreError::Missing { .. } => {
            "stop the gateway, keep a copy of data_dir, and portcullis restore BACKUP --force"
        }
        StoreError::Restoring { .. } => "portcullis restore BACKUP --force, with the same backup",
        StoreError::Locked { .. } => "find out who has it open (lsof), and stop that",
        StoreError::NewerSchema { .. } => "run the version that wrote it, or a newer one",
        StoreError::OlderGateway { .. } => "restart the gateway with this version",
        StoreError::Full { .. } => "make room on the disk",
        StoreError::ReadOnly { .. } | StoreError::Unavailable { .. } => {
            "run this as the gateway's user, and see that it may write the file and its directory"
        }
    }
}
