//! The journal as its files have it at a moment: read by everybody who wants to know whether
//! something is recorded already.

use serde_json::Value;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

/// What was read of the files so far.
#[derive(Default)]
pub(crate) struct Journal {
    directory: PathBuf,
    /// How far each file was read, to the end of a line.
    read: HashMap<PathBuf, u64>,
    sessions: HashMap<String, Session>,
}

/// What the journal says of one session.
#[derive(Default, Clone)]
pub(crate) struct Session {
    /// The lines of its intents, in their order.
    pub(crate) intents: Vec<String>,
    /// How many requests were refused.
    pub(crate) refused: usize,
    pub(crate) closed: bool,
}

impl Journal {
    pub(crate) fn of(directory: PathBuf) -> Self {
        Self { directory, ..Self::default() }
    }

    /// Reads what has come since.
    pub(crate) fn poll(&mut self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == "jsonl"));
        files.sort();
        for path in files {
            let at = self.read.get(&path).copied().unwrap_or(0);
            let Ok(mut file) = File::open(&path) else { continue };
            let mut new = Vec::new();
            file.seek(SeekFrom::Start(at)).unwrap();
            file.read_to_end(&mut new).unwrap();
            let whole = new.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
            for line in String::from_utf8_lossy(&new[..whole]).lines() {
                self.take(line);
            }
            self.read.insert(path, at + whole as u64);
        }
    }

    fn take(&mut self, line: &str) {
        let json = line.split('\t').next().unwrap_or_default();
        let Ok(value) = serde_json::from_str::<Value>(json) else { return };
        let entry = &value["entry"];
        let Some(session) = entry["session"].as_str() else { return };
        let session = self.sessions.entry(session.to_owned()).or_default();
        match entry["event"].as_str() {
            Some("intent") => session.intents.push(json.to_owned()),
            Some("refused") => session.refused += 1,
            Some("session_closed") => session.closed = true,
            _ => {}
        }
    }

    /// How many intents of this session are on file.
    pub(crate) fn intents(&self, session: &str) -> usize {
        self.sessions.get(session).map_or(0, |s| s.intents.len())
    }

    pub(crate) fn session(&self, session: &str) -> Session {
        self.sessions.get(session).cloned().unwrap_or_default()
    }
}
