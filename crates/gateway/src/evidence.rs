//! Evidence packs: a part of the record with everything that proves it, and what it says to an auditor, for somebody who
//! has nothing else of us. Beside the life of a request: long after it.
//!
//! The pack is files: the journal's own lines between two entries, a proof that they are all there is between, the signed
//! checkpoint, entries of before on which they rest, each with its proof, the rules, and a report. A manifest names
//! each by its digest and is signed with the journal's key. `portcullis-verify --evidence DIR --key FILE` checks it.

mod controls;
mod report;

pub(crate) use controls::Control;

use crate::config::Config;
use crate::documents::at_start;
use crate::fleet;
use crate::moment::now;
use crate::services::policy_files;
use crate::settings::Settings;
use anyhow::{Context as _, bail};
use aws_lc_rs::digest::{Context as Hash, SHA256};
use controls::Answers;
use portcullis_core::id::SessionId;
use portcullis_core::journal::{Entry, Event};
use portcullis_core::time::Timestamp;
use portcullis_ledger::evidence::{range, sign};
use portcullis_ledger::read::recording_of;
use portcullis_ledger::tail::{Position, Tail};
use portcullis_ledger::visible::rfc3339;
use portcullis_ledger::{proof, tail};
use portcullis_store::DocumentStore;
use report::Report;
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Which part of the record, and for whom.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// None: all there are.
    pub(crate) controls: Vec<Control>,
    /// With the recorded answers of sessions that ended then.
    pub(crate) recordings: bool,
}

/// What was written.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    pub(crate) directory: PathBuf,
    pub(crate) first: u64,
    pub(crate) end: u64,
    /// Entries of before, each with its proof.
    pub(crate) context: usize,
    pub(crate) recordings: usize,
    pub(crate) files: usize,
    /// The verifier key that checks it.
    pub(crate) key: String,
}

/// Writes a pack into `to`, which must not exist yet.
pub(crate) async fn make(wanted: Wanted, config: &Config, to: &Path) -> anyhow::Result<Made> {
    let store = fleet::open_beside(config).await?;
    let whole = at_start(config, &DocumentStore::new(store.clone())).await;
    store.close().await;
    let (whole, revision) = whole.context("the documents in force are not known")?;
    let to = to.to_owned();
    tokio::task::spawn_blocking(move || write(&wanted, &whole, revision, &to)).await?
}

fn write(wanted: &Wanted, config: &Config, revision: u64, to: &Path) -> anyhow::Result<Made> {
    let data = &config.data_dir;
    let found = Found::look(data, wanted)?;
    let Some((first, end)) = found.range else {
        bail!("nothing is recorded between {} and {}", rfc3339(wanted.from), rfc3339(wanted.to));
    };
    let mut pack = Pack::begin(to)?;
    let (mut report, mut answers) = (Report::default(), Answers::to(&wanted.controls));
    let mut needs = Needs::default();
    let mut entries = pack.create("entries.jsonl")?;
    let part = range(data, (first, end), &mut entries, &mut |sequence, json| {
        let entry: Entry = serde_json::from_slice(json)
            .map_err(|e| io::Error::other(format!("entry {sequence} cannot be read: {e}")))?;
        answers.take(sequence, &entry);
        needs.note(&entry);
        report.take(sequence, entry);
        Ok(())
    })?;
    pack.finish(entries)?;
    pack.put("checkpoint", part.checkpoint.as_bytes())?;
    pack.put("range.proof", part.proof.as_bytes())?;
    let context = found.context(&needs);
    for sequence in &context {
        let text = proof::inclusion(data, *sequence);
        // What retention has removed cannot be shown.
        match text {
            Ok(text) => pack.put(&format!("context/{sequence}.tlog-proof"), text.as_bytes())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut recordings = 0;
    if wanted.recordings {
        for session in &needs.closed {
            recordings += usize::from(pack.recording(data, *session)?);
        }
    }
    rules(&mut pack, config)?;
    let answered: Vec<_> = answers.all().map(|(_, answered)| answered).collect();
    pack.put("controls.json", &serde_json::to_vec_pretty(&json!({ "clauses": answered }))?)?;
    let text = report.text(wanted, &part, &answers, config);
    pack.put("report.md", text.as_bytes())?;
    let key = fs::read_to_string(data.join("keys/journal.ed25519.pub"))?.trim().to_owned();
    pack.put("journal.vkey", format!("{key}\n").as_bytes())?;
    let about = json!({
        "version": 1, "journal": tail::name(data)?, "first": part.first, "end": part.end,
        "from": rfc3339(wanted.from), "to": rfc3339(wanted.to), "made": rfc3339(now()),
        "gateway": env!("CARGO_PKG_VERSION"), "documents": revision,
    });
    let files = pack.sign(about, data)?;
    let (first, end, context) = (part.first, part.end, context.len());
    Ok(Made { directory: to.to_owned(), first, end, context, recordings, files, key })
}

/// The rules and settings of now: the journal says by digest which were in force when.
fn rules(pack: &mut Pack, config: &Config) -> anyhow::Result<()> {
    let mut texts = policy_files(config)?;
    texts.extend(config.policy.documents.clone());
    let listed: Vec<_> =
        texts.iter().map(|(name, text)| json!({ "file": name, "text": text })).collect();
    let version = crate::services::load_policies(&texts)?.version().to_owned();
    let rules = json!({ "version": version, "policies": listed });
    pack.put("rules.json", &serde_json::to_vec_pretty(&rules)?)?;
    // Without secrets: what is shown to administrators.
    pack.put("settings.json", &serde_json::to_vec_pretty(&Settings::of(&config.file))?)
}

/// What stands in the record before the range, and where the range is.
#[derive(Default)]
struct Found {
    range: Option<(u64, u64)>,
    sessions: HashMap<SessionId, u64>,
    reviews: HashMap<String, Vec<u64>>,
    grants: HashMap<String, Vec<u64>>,
    /// The newest of each document.
    documents: BTreeMap<(String, String), u64>,
    governed: Option<u64>,
}

impl Found {
    fn look(data: &Path, wanted: &Wanted) -> anyhow::Result<Self> {
        let (mut found, mut tail) = (Self::default(), Tail::open(data, Position::default())?);
        while let Some(one) = tail.next()? {
            let sequence = one.sequence;
            let facts = one.facts().map_err(|why| anyhow::anyhow!("entry {sequence}: {why}"))?;
            if (wanted.from..=wanted.to).contains(&facts.at) {
                let first = found.range.map_or(sequence, |(first, _)| first);
                found.range = Some((first, sequence + 1));
            }
            let word = &*facts.event;
            let rests = word == "session_opened"
                || word == "held"
                || word.starts_with("decided")
                || word.starts_with("access_")
                || matches!(word, "document_changed" | "governed");
            if rests && facts.at < wanted.from {
                let entry =
                    one.entry().map_err(|why| anyhow::anyhow!("entry {sequence}: {why}"))?;
                found.note(sequence, entry);
            }
        }
        Ok(found)
    }

    fn note(&mut self, sequence: u64, entry: Entry) {
        let add = |to: &mut HashMap<String, Vec<u64>>, id: String| {
            to.entry(id).or_default().push(sequence);
        };
        match entry.event {
            Event::SessionOpened { .. } => {
                self.sessions.extend(entry.session.map(|session| (session, sequence)));
            }
            Event::Held { ticket, .. } => add(&mut self.reviews, ticket.review.to_string()),
            Event::Decided { review, .. } => add(&mut self.reviews, review.to_string()),
            Event::AccessRequested { grant, .. }
            | Event::AccessDecided { grant, .. }
            | Event::AccessBegun { grant, .. } => add(&mut self.grants, grant.to_string()),
            Event::DocumentChanged { kind, name, after, .. } => {
                let which = (kind, name);
                match after {
                    Some(_) => drop(self.documents.insert(which, sequence)),
                    None => drop(self.documents.remove(&which)),
                }
            }
            Event::Governed { .. } if entry.session.is_none() => self.governed = Some(sequence),
            _ => {}
        }
    }

    /// The entries of before that those in the range rest on.
    fn context(&self, needs: &Needs) -> BTreeSet<u64> {
        let first = self.range.map_or(0, |(first, _)| first);
        let sessions = needs.sessions.iter().filter_map(|session| self.sessions.get(session));
        let reviews = needs.reviews.iter().filter_map(|review| self.reviews.get(review)).flatten();
        // A session that began before stands on a grant of before.
        let grants = needs.grants.iter().filter_map(|grant| self.grants.get(grant)).flatten();
        let all = sessions.chain(reviews).chain(grants).chain(self.documents.values());
        all.chain(&self.governed).copied().filter(|sequence| *sequence < first).collect()
    }
}

/// What entries in the range rest on.
#[derive(Default)]
struct Needs {
    sessions: BTreeSet<SessionId>,
    reviews: BTreeSet<String>,
    grants: BTreeSet<String>,
    /// Sessions that ended with a recording.
    closed: BTreeSet<SessionId>,
}

impl Needs {
    fn note(&mut self, entry: &Entry) {
        self.sessions.extend(entry.session);
        match &entry.event {
            Event::Intent { review: Some(review), .. } => {
                self.reviews.insert(review.to_string());
            }
            Event::Decided { review, .. } | Event::Rehearsed { review, .. } => {
                self.reviews.insert(review.to_string());
            }
            Event::SessionOpened { grant: Some(grant), .. } => {
                self.grants.insert(grant.to_string());
            }
            Event::SessionClosed { recording: Some(_), .. } => self.closed.extend(entry.session),
            _ => {}
        }
    }
}

/// A pack that is being written.
struct Pack {
    to: PathBuf,
    files: Vec<serde_json::Value>,
}

/// A file of it that is being written.
struct Making {
    name: String,
    file: BufWriter<File>,
    hash: Hash,
    bytes: u64,
}

impl Write for Making {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Pack {
    fn begin(to: &Path) -> anyhow::Result<Self> {
        let make = DirBuilder::new().mode(0o700).create(to);
        make.with_context(|| {
            format!("{}: it must be a directory that does not exist yet", to.display())
        })?;
        Ok(Self { to: to.to_owned(), files: Vec::new() })
    }

    fn create(&self, name: &str) -> anyhow::Result<Making> {
        let path = self.to.join(name);
        let parent = path.parent().unwrap_or(&self.to);
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let file = BufWriter::new(file.with_context(|| path.display().to_string())?);
        Ok(Making { name: name.to_owned(), file, hash: Hash::new(&SHA256), bytes: 0 })
    }

    fn finish(&mut self, mut made: Making) -> anyhow::Result<()> {
        made.flush()?;
        made.file.get_ref().sync_all()?;
        let sha256: String =
            made.hash.finish().as_ref().iter().map(|b| format!("{b:02x}")).collect();
        self.files.push(json!({ "name": made.name, "bytes": made.bytes, "sha256": sha256 }));
        Ok(())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let mut file = self.create(name)?;
        file.write_all(bytes)?;
        self.finish(file)
    }

    /// Copies the recording of a session, sealed as it is; false where there is none.
    fn recording(&mut self, data: &Path, session: SessionId) -> anyhow::Result<bool> {
        let Some(path) = recording_of(data, session)? else { return Ok(false) };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut file = self.create(&format!("recordings/{name}"))?;
        let mut from =
            BufReader::new(File::open(&path).with_context(|| path.display().to_string())?);
        let mut piece = vec![0; 64 * 1024];
        loop {
            let count = from.read(&mut piece)?;
            if count == 0 {
                break;
            }
            file.write_all(piece.get(..count).unwrap_or_default())?;
        }
        self.finish(file)?;
        Ok(true)
    }

    /// Signs what there is; how many files that are.
    fn sign(self, mut about: serde_json::Value, data: &Path) -> anyhow::Result<usize> {
        let count = self.files.len();
        if let Some(about) = about.as_object_mut() {
            about.insert("files".to_owned(), self.files.clone().into());
        }
        let manifest = serde_json::to_vec_pretty(&about)?;
        let note = sign(data, &manifest)?;
        let mut unlisted = Self { to: self.to, files: Vec::new() };
        unlisted.put("manifest.json", &manifest)?;
        unlisted.put("manifest.note", note.as_bytes())?;
        Ok(count + 2)
    }
}
