//! `portcullis secret …`: sealed passwords of targets, and the master key that opens them. Works on
//! the store itself, beside a gateway that runs or without one: whoever may do it has the store and
//! the key.

use super::access::NotDone;
use super::page;
use crate::config::{Config, nearest};
use crate::documents::{self, Kind};
use crate::fleet;
use crate::moment::now;
use crate::secrets::{SecretSettings, over, references, sealed};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use portcullis_ledger::visible;
use portcullis_store::{ChangeError, DocumentStore, SecretRow, SecretStore};
use portcullis_targets::{
    MasterKey, MasterKeySettings, Plain, Reference, SealError, Sealed, SecretName,
};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// The most that is read as a secret: more than can be one, so that what is too long is seen.
const MOST: usize = 64 * 1024;

/// Sealed passwords of targets.
#[derive(Debug, Args)]
pub(super) struct Secret {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the master key: the file of `[secrets.master_key]`, which must not exist yet.
    Init,
    /// Seal a secret, or a new value of one. The value is typed in, or read from standard input; it is
    /// never an argument. Sessions opened from now on use it.
    Set {
        /// Its name, as in `password_from = "sealed:NAME"`.
        name: SecretName,
        /// The only connection that may use it; by default the one that names it.
        #[arg(long, value_name = "NAME")]
        connection: Option<String>,
    },
    /// The secrets there are: names, connections, master keys and when they were set. Never values.
    List,
    /// Forget a secret.
    Remove {
        /// Its name.
        name: SecretName,
    },
    /// Change the master key. Every secret can be opened with the old and the new one until the last
    /// step, so whatever interrupts this leaves all of them readable: run it again.
    RotateMaster {
        /// The new key, where it is not to be made by this command: `env:NAME` or `file:PATH`. Then
        /// the old one goes with --finish, once the configuration names the new one.
        #[arg(long, value_name = "REFERENCE")]
        to: Option<Reference>,
        /// Let go of all other keys than the one the configuration names now.
        #[arg(long, conflicts_with = "to")]
        finish: bool,
    },
    /// Open every secret with the master key, and say which do not.
    Check,
}

/// Runs one command on the store below `data_dir`.
pub(super) async fn run(
    Secret { command }: Secret,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    if let Command::Init = command {
        return init(&config.secrets, json);
    }
    let store = fleet::open_beside(config).await?;
    let secrets = SecretStore::new(store.clone());
    // Connections that are documents use secrets too.
    let with_documents = documents::at_start(config, &DocumentStore::new(store.clone())).await;
    let config = match &with_documents {
        Ok((config, _)) => config,
        Err(error) => {
            let why = format!("connections of documents are not looked at: {error:#}");
            eprintln!("portcullis: {}", visible::escape(&why));
            config
        }
    };
    let done = match command {
        Command::Init => Ok(ExitCode::SUCCESS),
        Command::Set { name, connection } => {
            let connection = connection_of(config, &name, connection)?;
            set(config, &secrets, &name, &connection, json).await
        }
        Command::List => list(&secrets, json).await,
        Command::Remove { name } => remove(config, &secrets, &name, json).await,
        Command::RotateMaster { to, finish } => {
            rotate(config, &secrets, to.as_ref(), finish, json).await
        }
        Command::Check => check(config, &secrets, json).await,
    };
    store.close().await;
    done
}

fn master_settings(config: &Config) -> anyhow::Result<&MasterKeySettings> {
    config.secrets.master_key.as_ref().context(
        "there is no master key: add [secrets.master_key] to the configuration, with file = \"…\", \
         and run `portcullis secret init`",
    )
}

fn init(settings: &SecretSettings, json: bool) -> anyhow::Result<ExitCode> {
    let file = settings.master_key.as_ref().and_then(|key| key.file.as_ref()).context(
        "`secret init` makes the file of [secrets.master_key] file = \"…\", and there is none in \
         the configuration; for an environment variable or a command make a key with \
         `openssl rand -base64 32`",
    )?;
    let key = MasterKey::generate()?;
    keep_key(file, &key).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => NotDone(format!(
            "{} is there already, and stays: `portcullis secret rotate-master` changes it",
            file.display()
        ))
        .into(),
        _ => anyhow::Error::from(error).context(file.display().to_string()),
    })?;
    if json {
        say!("{}", page::json(&json!({ "master_key": key.id(), "file": file }))?);
    } else {
        say!("master key {} is in {}", key.id(), visible::escape(&file.display().to_string()));
        say!(
            "keep a copy where the backups of the store are not: without it no secret opens again"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a key to a new file that nobody else can read: whole, or not at all.
fn keep_key(file: &Path, key: &MasterKey) -> io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut new = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
    new.write_all(key.to_text().as_bytes())?;
    new.as_file().sync_all()?;
    new.persist_noclobber(file).map_err(|error| error.error)?;
    sync_directory(file)
}

fn sync_directory(file: &Path) -> io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn connection_of(
    config: &Config,
    name: &SecretName,
    given: Option<String>,
) -> anyhow::Result<String> {
    if let Some(given) = given {
        if config.connections.contains_key(&given) {
            return Ok(given);
        }
        let meant = nearest(&given, config.connections.keys().map(String::as_str));
        if let Some(meant) = meant {
            bail!(
                "there is no connection `{given}`; did you mean `{meant}`? (for a document that is to come, \
                 apply it first)"
            );
        }
        Kind::Connection.check_name(&given).map_err(|wrong| NotDone(wrong.to_string()))?;
        eprintln!(
            "portcullis: there is no connection {given} yet: one of that name can use it, and no other"
        );
        return Ok(given);
    }
    let users = references(config).filter(|(_, _, from)| **from == Reference::Sealed(name.clone()));
    let users: BTreeSet<&str> = users.map(|(connection, _, _)| connection).collect();
    let mut users = users.into_iter();
    match (users.next(), users.next()) {
        (Some(only), None) => Ok(only.to_owned()),
        (None, _) => bail!(
            "no connection names it: say --connection NAME, the only one that will be able to use it"
        ),
        _ => bail!("several connections name it, and a secret belongs to one: give each its own"),
    }
}

async fn set(
    config: &Config,
    secrets: &SecretStore,
    name: &SecretName,
    connection: &str,
    json: bool,
) -> anyhow::Result<ExitCode> {
    master_settings(config)?;
    let vault = over(config, std::sync::Arc::new(crate::secrets::Read(Vec::new())))?;
    let master = vault.master_key().await?;
    let value = Plain::new(read_value(name)?).context("the value")?;
    let sealed = value.seal(&master, name, connection)?;
    drop(value);
    let row = SecretRow {
        name: sealed.name.to_string(),
        connection: sealed.connection.clone(),
        purpose: sealed.purpose.clone(),
        value: sealed.value.clone(),
        since: now(),
        wraps: sealed.wraps.iter().map(|w| (w.master.clone(), w.key.clone())).collect(),
    };
    let replaced = secrets.put(&row).await?;
    // The master key may have been changed between reading it and now.
    let opens = vault.master_key().await.map(|key| key.check(&sealed));
    if !matches!(opens, Ok(Ok(()))) {
        bail!("the master key was changed meanwhile: set the secret again");
    }
    if json {
        let done = json!({ "name": name.as_str(), "connection": connection,
            "master_key": master.id(), "replaced": replaced });
        say!("{}", page::json(&done)?);
    } else {
        let again = if replaced { " again" } else { "" };
        let connection = visible::escape(connection);
        say!("{name} is sealed{again} for connection {connection}, under {}", master.id());
    }
    Ok(ExitCode::SUCCESS)
}

/// The value: typed twice without being shown, or what standard input has.
fn read_value(name: &SecretName) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let input = io::stdin();
    if !input.is_terminal() {
        let mut value = Zeroizing::new(Vec::with_capacity(MOST));
        input.lock().take(MOST as u64).read_to_end(&mut value).context("standard input")?;
        return Ok(value);
    }
    let ask = |what: &str| -> anyhow::Result<Zeroizing<Vec<u8>>> {
        eprint!("{what}: ");
        io::stderr().flush()?;
        let before = tcgetattr(&input)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&input, OptionalActions::Flush, &hidden)?;
        let mut value = Zeroizing::new(Vec::with_capacity(MOST));
        let read = input.lock().take(MOST as u64).read_until(b'\n', &mut value);
        tcsetattr(&input, OptionalActions::Flush, &before)?;
        read?;
        Ok(value)
    };
    let value = ask(&format!("value of {name}"))?;
    if *ask("once more")? != *value {
        return Err(NotDone("the two are not alike: nothing was changed".to_owned()).into());
    }
    Ok(value)
}

async fn list(secrets: &SecretStore, json: bool) -> anyhow::Result<ExitCode> {
    let rows = secrets.list().await?;
    if json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({ "name": row.name, "connection": row.connection, "purpose": row.purpose,
                    "master_keys": row.wraps.keys().collect::<Vec<_>>(),
                    "since": row.since.as_micros() })
            })
            .collect();
        say!("{}", page::json(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        say!("there are no sealed secrets");
    }
    for row in &rows {
        let keys = row.wraps.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let days = now().since(row.since).as_secs() / (24 * 60 * 60);
        let before = format!("{}  ", visible::escape(&row.name));
        let since = visible::rfc3339(row.since);
        let text = format!("for {}, under {keys}, set {since} ({days} days ago)", row.connection);
        say!("{}", page::behind(&before, &text, page::width(page::UNCUT)));
    }
    Ok(ExitCode::SUCCESS)
}

async fn remove(
    config: &Config,
    secrets: &SecretStore,
    name: &SecretName,
    json: bool,
) -> anyhow::Result<ExitCode> {
    if !secrets.remove(name.as_str()).await? {
        return Err(NotDone(format!("there is no sealed secret `{name}`")).into());
    }
    let used = references(config).find(|(_, _, from)| **from == Reference::Sealed(name.clone()));
    let used = used.map(|(connection, _, _)| connection);
    if json {
        say!("{}", page::json(&json!({ "removed": name.as_str(), "still_named_by": used }))?);
        return Ok(ExitCode::SUCCESS);
    }
    say!("{name} is removed");
    if let Some(connection) = used {
        say!("connection {} still names it, and cannot log in", visible::escape(connection));
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(config: &Config, secrets: &SecretStore, json: bool) -> anyhow::Result<ExitCode> {
    let master = master_settings(config)?.read()?;
    let rows = secrets.list().await?;
    let said = |row: &SecretRow| match sealed(row) {
        Ok(sealed) => master.check(&sealed).err().map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    let found: Vec<(&str, Option<String>)> =
        rows.iter().map(|row| (row.name.as_str(), said(row))).collect();
    let wrong = found.iter().filter(|(_, problem)| problem.is_some()).count();
    if json {
        let found = found.iter().map(|(name, problem)| json!({ "name": name, "problem": problem }));
        let found: Vec<_> = found.collect();
        say!("{}", page::json(&json!({ "master_key": master.id(), "secrets": found }))?);
    } else {
        for (name, problem) in &found {
            let before = format!("{}  ", visible::escape(name));
            let text = problem.as_deref().unwrap_or("opens");
            say!("{}", page::behind(&before, text, page::width(page::UNCUT)));
        }
        let good = found.len() - wrong;
        say!("{good} of {} secrets open with {}", found.len(), master.id());
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A secret that stands in the way of a change of keys.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the secret `{0}` has a name that none can have")]
    Name(String),
}

fn whole(row: &SecretRow) -> Result<Sealed, Stuck> {
    sealed(row).map_err(|_| Stuck::Name(row.name.clone()))
}

fn explained(error: ChangeError<Stuck>) -> anyhow::Error {
    match error {
        ChangeError::Store(error) => error.into(),
        ChangeError::One(error) => NotDone(format!(
            "{error}; no key was changed: every secret has to open first (`portcullis secret check`)"
        ))
        .into(),
    }
}

async fn rotate(
    config: &Config,
    secrets: &SecretStore,
    to: Option<&Reference>,
    finish: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let settings = master_settings(config)?;
    let current = settings.read()?;
    let (key, under, next) = match (to, &settings.file) {
        _ if finish => (current, "", None),
        (Some(to), _) => {
            let place = MasterKeySettings::from_reference(to)
                .context("--to takes `env:NAME` or `file:PATH`")?;
            let new = place.read()?;
            add_key(secrets, &current, &new).await?;
            let next = format!(
                "both keys open them now; name {to} in [secrets.master_key], restart the gateway \
                 where it is an environment variable, and run \
                 `portcullis secret rotate-master --finish`"
            );
            (new, "also ", Some(next))
        }
        (None, Some(file)) => (replace_file(secrets, &current, file).await?, "", None),
        (None, None) => bail!(
            "the master key is no file that could be replaced: make a new one, and give it with \
             --to env:NAME or --to file:PATH"
        ),
    };
    if next.is_none() {
        finish_under(secrets, &key).await?;
    }
    let count = secrets.list().await?.len();
    if json {
        let done = json!({ "master_key": key.id(), "secrets": count, "finished": next.is_none() });
        say!("{}", page::json(&done)?);
    } else {
        say!("{count} secrets are {under}under {}", key.id());
        if let Some(next) = next {
            say!("{}", page::message("", &next, page::width(page::UNCUT)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets a second key open every secret.
async fn add_key(secrets: &SecretStore, old: &MasterKey, new: &MasterKey) -> anyhow::Result<()> {
    let wrap = |row: &SecretRow| -> Result<_, Stuck> {
        let sealed = whole(row)?;
        if new.check(&sealed).is_ok() {
            return Ok(None);
        }
        let wrap = old.rewrap(&sealed, new)?;
        Ok(Some((wrap.master, wrap.key)))
    };
    secrets.add_wraps(wrap).await.map(drop).map_err(explained)
}

/// Lets all other keys go.
async fn finish_under(secrets: &SecretStore, key: &MasterKey) -> anyhow::Result<()> {
    let check = |row: &SecretRow| Ok(key.check(&whole(row)?)?);
    secrets.keep_wraps_of(key.id(), check).await.map(drop).map_err(explained)
}

/// Puts a new key in the place of the file. Before it stands there every secret opens with it, and the
/// old one still opens all of them; it stays beside the new one under its id, for older backups.
async fn replace_file(
    secrets: &SecretStore,
    current: &MasterKey,
    file: &Path,
) -> anyhow::Result<MasterKey> {
    // A link is not to be replaced by a file.
    let file = fs::canonicalize(file).with_context(|| file.display().to_string())?;
    let at = |ending: &str| -> PathBuf {
        let mut name = file.clone().into_os_string();
        name.push(ending);
        name.into()
    };
    let next = at(".next");
    let settings = MasterKeySettings { file: Some(next.clone()), ..MasterKeySettings::default() };
    // One that is there is of a change that was interrupted: secrets may be under it.
    if !next.exists() {
        keep_key(&next, &MasterKey::generate()?).with_context(|| next.display().to_string())?;
    }
    let new = settings.read()?;
    add_key(secrets, current, &new).await?;
    let old = at(&format!(".{}", current.id()));
    match fs::hard_link(&file, &old) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| old.display().to_string());
        }
        _ => {}
    }
    fs::rename(&next, &file).with_context(|| file.display().to_string())?;
    sync_directory(&file)?;
    let old = old.display().to_string();
    eprintln!("the old key is in {}: older backups need it", visible::escape(&old));
    Ok(new)
}
