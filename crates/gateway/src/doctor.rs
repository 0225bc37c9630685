//! `portcullis doctor`: looks at everything a gateway needs, says what it means and what to do next,
//! and changes nothing. Beside the life of a request; works whether a gateway runs or not.

mod outside;
mod recordings;
mod running;
mod stores;

pub(crate) use running::{examine_running, unfinished};

use crate::config::Config;
use crate::disk::{self, Standing, Thresholds};
use crate::fleet::FILE;
use crate::moment::now;
use crate::secrets::{Read, over, references, sealed};
use crate::services;
use portcullis_core::time::Timestamp;
use portcullis_ledger::verify::{Problem, is_open};
use portcullis_targets::{MasterKey, Reference, certificate_ends};
use schemars::JsonSchema;
use serde::Serialize;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Seconds before its end at which a certificate should be renewed.
const SOON: i64 = 21 * 24 * 60 * 60;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "HealthStatus")]
pub(crate) enum Status {
    /// As it should be.
    Ok,
    /// It works, and weakens or will end.
    Warning,
    /// It does not work.
    Failure,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "HealthFinding")]
pub(crate) struct Finding {
    /// The kind of check.
    pub(crate) check: &'static str,
    /// The connection or provider it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) about: Option<String>,
    /// When it was looked at.
    pub(crate) at: Timestamp,
    /// How it stands.
    pub(crate) status: Status,
    /// What was found.
    pub(crate) found: String,
    /// What it means, where it is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) means: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Findings, told as they come.
pub(crate) struct Findings<'a> {
    tell: &'a mut (dyn FnMut(&Finding) + Send),
    worst: Status,
    /// What the next ones are about.
    about: Option<String>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(tell: &'a mut (dyn FnMut(&Finding) + Send)) -> Self {
        Self { tell, worst: Status::Ok, about: None }
    }

    /// What the next ones are about.
    fn about(&mut self, what: Option<&str>) {
        self.about = what.map(str::to_owned);
    }

    fn add(&mut self, mut finding: Finding) {
        finding.about.clone_from(&self.about);
        self.worst = self.worst.max(finding.status);
        (self.tell)(&finding);
    }

    fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        let found = found.into();
        self.add(Finding {
            check,
            about: None,
            at: now(),
            status: Status::Ok,
            found,
            means: None,
            next: None,
        });
    }

    fn warn(&mut self, check: &'static str, found: impl Into<String>, means: &str, next: &str) {
        self.odd(Status::Warning, check, found.into(), means, next);
    }

    fn fail(&mut self, check: &'static str, found: impl Into<String>, means: &str, next: &str) {
        self.odd(Status::Failure, check, found.into(), means, next);
    }

    fn odd(&mut self, status: Status, check: &'static str, found: String, means: &str, next: &str) {
        let (means, next) = (Some(means.to_owned()), Some(next.to_owned()));
        self.add(Finding { check, about: None, at: now(), status, found, means, next });
    }
}

/// Looks at what may block on a thread of its own: files, and what is worked out of them.
async fn aside(all: &mut Findings<'_>, look: impl FnOnce(&mut Findings<'_>) + Send + 'static) {
    let looked = tokio::task::spawn_blocking(move || {
        let mut found = Vec::new();
        let mut tell = |finding: &Finding| found.push(finding.clone());
        look(&mut Findings::new(&mut tell));
        found
    });
    match looked.await {
        Ok(found) => found.into_iter().for_each(|finding| all.add(finding)),
        Err(error) => {
            let means = "what comes after the last of these was not looked at";
            all.fail("health", error.to_string(), means, "see the gateway's log");
        }
    }
}

/// Looks at everything.
pub(crate) async fn examine_all(file: &Path, mut findings: Findings<'_>) -> Status {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(error) => {
            let means = "nothing else can be looked at, and no gateway starts with it";
            findings.fail("config", error.to_string(), means, "correct the line that is named");
            return findings.worst;
        }
    };
    let all = &mut findings;
    configuration(all, file, &config);
    let running = is_open(&config.data_dir);
    data_directory(all, &config.data_dir, Thresholds::of(&config.journal), running);
    journal(all, &config.data_dir, running);
    recordings::read(all, &config.data_dir).await;
    let rows = stores::store(all, &config, running).await;
    secrets(all, &config, &rows).await;
    certificates(all, &config);
    outside::ports(all, &config, running).await;
    outside::providers(all, &config, running).await;
    outside::targets(all, &config, Read(rows)).await;
    findings.worst
}

fn configuration(all: &mut Findings<'_>, file: &Path, config: &Config) {
    match services::check(config) {
        Ok(warnings) => {
            for warning in &warnings {
                all.warn(
                    "config",
                    warning.as_str(),
                    "it works, and is hardly what was meant",
                    "see the manual, docs/reference/configuration.md",
                );
            }
            let count = config.connections.len();
            all.ok("config", format!("{}: {count} connections", file.display()));
        }
        Err(error) => {
            let means = "a gateway does not start with it, or refuses sessions";
            all.fail(
                "config",
                format!("{}: {error:#}", file.display()),
                means,
                "correct what is named",
            );
        }
    }
}

/// Files that hold secrets or statements, below `data_dir`.
fn private_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = vec![directory.to_owned()];
    for below in ["", "keys", "tls", "journal", "tree", "recordings"] {
        let entries = fs::read_dir(directory.join(below)).into_iter().flatten();
        // A directory that is itself its owner's alone keeps others from all that is in it.
        files.extend(entries.flatten().map(|entry| entry.path()).take(1000));
    }
    files
}

fn data_directory(all: &mut Findings<'_>, directory: &Path, room: Thresholds, running: bool) {
    let shown = directory.display();
    let found = match fs::metadata(directory) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !running => {
            let means = "journal, recordings and reviews are kept there; the first start makes it";
            all.warn(
                "data_dir",
                format!("{shown} does not exist"),
                means,
                "start the gateway, or correct data_dir",
            );
            return;
        }
        Err(error) => {
            let means = "neither the gateway nor this command can use it";
            all.fail(
                "data_dir",
                format!("{shown}: {error}"),
                means,
                "run this as the gateway's user",
            );
            return;
        }
    };
    let others = |path: &PathBuf| match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_symlink() => found.permissions().mode() & 0o077 != 0,
        _ => false,
    };
    let closed = found.permissions().mode() & 0o077 == 0;
    let open: Vec<PathBuf> = match closed {
        true => Vec::new(),
        false => private_files(directory).into_iter().filter(others).collect(),
    };
    if let Some(first) = open.first() {
        let found =
            format!("{} and {} more can be read by others", first.display(), open.len() - 1);
        let means = "statements, keys and sealed secrets are in there";
        all.fail("data_dir", found, means, &format!("chmod -R go= {shown}"));
    } else {
        all.ok("data_dir", format!("{shown} is its owner's alone (user {})", found.uid()));
    }
    disk(all, directory, room);
}

fn disk(all: &mut Findings<'_>, directory: &Path, thresholds: Thresholds) {
    let Ok(space) = disk::space(directory) else {
        let means = "how much room there is cannot be told";
        all.warn("disk", directory.display().to_string(), means, "look at it with df");
        return;
    };
    let (free, reserve, low) = (space.free >> 20, thresholds.reserve >> 20, thresholds.low >> 20);
    let found = format!("{free} MiB free for {}", directory.display());
    let next = "make room, or move data_dir to a larger disk";
    let standing = thresholds.standing(space);
    if space.read_only {
        let (found, means) =
            (format!("{} is read-only", directory.display()), "nothing is recorded");
        all.fail("disk", found, means, "mount it for writing");
    } else if standing == Standing::Full {
        let means = format!(
            "that is less than journal.disk_reserve_mib, {reserve}: no session and no request begins"
        );
        all.fail("disk", found, &means, next);
    } else if standing == Standing::Low {
        let means = match reserve {
            0 => "when the disk is full the journal fails, and nothing runs until a restart"
                .to_owned(),
            _ => format!("below {reserve} MiB no session and no request begins any more"),
        };
        let found = format!("{found}, less than journal.disk_low_mib, {low}");
        all.warn("disk", found, &means, next);
    } else {
        all.ok("disk", found);
    }
}

fn journal(all: &mut Findings<'_>, directory: &Path, running: bool) {
    if !directory.join("journal").exists() && !directory.join("keys").exists() {
        if directory.join(FILE).exists() {
            let means =
                "right where no gateway was started with this store yet; else the record is gone";
            all.warn(
                "journal",
                "there is a store and no journal",
                means,
                "look for it in your backups",
            );
        } else {
            all.ok("journal", "there is none yet");
        }
        return;
    }
    match crate::cli::verified_record(directory) {
        Ok(report) => {
            let whose =
                if running { "written by a running gateway" } else { "of a stopped gateway" };
            let said = report.to_string();
            all.ok("journal", format!("{whose}: {}", said.lines().next().unwrap_or_default()));
        }
        Err(finding) if finding.problem == Problem::Unsigned => {
            let means = "the gateway was stopped before it could sign the end of the record";
            all.warn("journal", finding.to_string(), means, "start the gateway: it signs them");
        }
        Err(finding) => {
            let means = "the record was changed or is not whole, or this user cannot read it";
            let next =
                "do not start over it: keep a copy, and see docs/how-to/verify-the-record.md";
            all.fail("journal", finding.to_string(), means, next);
        }
    }
}

async fn secrets(all: &mut Findings<'_>, config: &Config, rows: &[portcullis_store::SecretRow]) {
    let Some(settings) = &config.secrets.master_key else {
        if !rows.is_empty() {
            let means = "nothing opens them";
            let found = format!("{} sealed secrets and no master key", rows.len());
            all.warn("secrets", found, means, "add [secrets.master_key] to the configuration");
        }
        return;
    };
    let settings = settings.clone();
    let place = settings.place();
    let read = tokio::task::spawn_blocking(move || settings.read()).await;
    let key = match read {
        Ok(Ok(key)) => key,
        Ok(Err(error)) => {
            let means =
                "no sealed secret can be opened, and a gateway that needs one does not start";
            all.fail(
                "secrets",
                error.to_string(),
                means,
                "put the key back where [secrets.master_key] says",
            );
            return;
        }
        Err(error) => {
            all.fail("secrets", error.to_string(), "the master key was not read", "run this again");
            return;
        }
    };
    all.ok("secrets", format!("master key {} is in {place}", key.id()));
    each_secret(all, config, rows, &key);
    for (connection, role, reference) in references(config) {
        if let Reference::Sealed(name) = reference {
            let Some(row) = rows.iter().find(|row| row.name == name.as_str()) else {
                let found =
                    format!("connection {connection}, role {role}: there is no secret {name}");
                let next = format!("portcullis secret set {name}");
                all.fail("secrets", found, "no session to this target can be opened", &next);
                continue;
            };
            if row.connection != connection {
                let found =
                    format!("{name} belongs to {}, and {connection} names it", row.connection);
                let next = format!("portcullis secret set {name} --connection {connection}");
                all.fail("secrets", found, "the gateway does not start", &next);
            }
        }
    }
}

fn each_secret(
    all: &mut Findings<'_>,
    config: &Config,
    rows: &[portcullis_store::SecretRow],
    key: &MasterKey,
) {
    let mut good = 0;
    for row in rows {
        let checked = sealed(row).map_err(|e| e.to_string());
        let checked = checked.and_then(|sealed| key.check(&sealed).map_err(|e| e.to_string()));
        let used = references(config)
            .any(|(_, _, from)| from.to_string() == format!("sealed:{}", row.name));
        match checked {
            Ok(()) => good += 1,
            Err(error) if used => {
                let means = "this is not the key it was sealed under, or it was changed: the gateway \
                             does not start";
                all.fail(
                    "secrets",
                    error,
                    means,
                    "put the right key back, or set the secret again",
                );
            }
            Err(error) => {
                let means = "nothing uses it";
                let next = format!("portcullis secret remove {}", row.name);
                all.warn("secrets", error, means, &next);
            }
        }
        if row.wraps.len() > 1 {
            let found = format!("{} is under {} master keys", row.name, row.wraps.len());
            let means = "a change of the master key has not ended; both open it";
            all.warn("secrets", found, means, "portcullis secret rotate-master --finish");
        }
    }
    if good > 0 {
        all.ok("secrets", format!("{good} of {} sealed secrets open", rows.len()));
    }
}

/// What opens references, over secrets that were read.
fn vault(config: &Config, rows: Read) -> anyhow::Result<portcullis_targets::Secrets> {
    over(config, Arc::new(rows))
}

/// How long until a certificate ends, and what that means.
fn expiry(all: &mut Findings<'_>, what: &str, ends: i64, next: &str) {
    let now = now().as_micros() / 1_000_000;
    let at = Timestamp::from_micros(ends.saturating_mul(1_000_000));
    let at = portcullis_ledger::visible::rfc3339(at);
    let means = "TLS fails for everybody who verifies it once it has ended";
    match ends - now {
        ..=0 => all.fail("certificates", format!("{what} ended at {at}"), means, next),
        1..SOON => all.warn("certificates", format!("{what} ends at {at}"), means, next),
        _ => all.ok("certificates", format!("{what} is good until {at}")),
    }
}

fn certificates(all: &mut Findings<'_>, config: &Config) {
    let Some(path) = &config.listen.postgres.tls_certificate else { return };
    let what = format!("listen.postgres.tls_certificate {}", path.display());
    match fs::read(path).ok().as_deref().and_then(certificate_ends) {
        Some(ends) => expiry(all, &what, ends, "renew it, and restart the gateway"),
        None => {
            let means = "clients cannot verify the gateway, and it does not start";
            all.fail("certificates", format!("{what} cannot be read"), means, "put it there");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(of: impl FnOnce(&mut Findings<'_>)) -> Vec<(Status, String)> {
        let mut told = Vec::new();
        let mut tell = |finding: &Finding| told.push((finding.status, finding.found.clone()));
        of(&mut Findings::new(&mut tell));
        told
    }

    const ROOM: Thresholds = Thresholds { low: 2, reserve: 1 };

    #[test]
    fn a_disk_is_told_of_before_it_is_full() {
        let directory = tempfile::tempdir().unwrap();
        let status = |low, reserve| {
            told(|all| disk(all, directory.path(), Thresholds { low, reserve }))[0].0
        };
        assert_eq!(status(2, 1), Status::Ok);
        assert_eq!(status(u64::MAX, 1), Status::Warning);
        assert_eq!(status(u64::MAX, u64::MAX), Status::Failure);
        assert_eq!(status(u64::MAX, 0), Status::Warning, "nothing is kept in reserve");
    }

    #[test]
    fn a_certificate_is_told_before_it_ends() {
        let now = crate::moment::now().as_micros() / 1_000_000;
        for (left, status) in [
            (-1, Status::Failure),
            (3600, Status::Warning),
            (SOON - 60, Status::Warning),
            (SOON + 60, Status::Ok),
        ] {
            let told = told(|all| expiry(all, "c", now + left, "renew it"));
            assert_eq!(told.len(), 1);
            assert_eq!(told[0].0, status, "{told:?}");
        }
    }

    #[test]
    fn a_directory_that_others_can_read_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(path.join("portcullis.db"), "").unwrap();
        let good = told(|all| data_directory(all, path, ROOM, false));
        assert_eq!(good[0].0, Status::Ok, "{good:?}");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        let open = told(|all| data_directory(all, path, ROOM, false));
        assert_eq!(open[0].0, Status::Failure, "{open:?}");
        let none = told(|all| data_directory(all, &path.join("none"), ROOM, false));
        assert_eq!(none[0].0, Status::Warning, "{none:?}");
    }
}
