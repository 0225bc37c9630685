//! Signed heads: what the journal commits to, in the C2SP signed-note and tlog-checkpoint shapes,
//! and the Ed25519 key (RFC 8032) that signs them. Beside the life of a request: after a sync.
//!
//! The verifier parses and checks heads with code of its own ([`mod@crate::verify`]).

use crate::chain::{Chain, Hash, hex, sha256};
use crate::error::LedgerError;
use crate::layout::{Layout, private, sync_dir};
use crate::mac::Macs;
use crate::visible;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use portcullis_core::time::Timestamp;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// C2SP signed-note signature type of Ed25519.
const ED25519_NOTE: u8 = 0x01;
const PRIVATE: &str = "journal.ed25519";
const PUBLIC: &str = "journal.ed25519.pub";

/// Bytes that were cut off the end of a file on recovery, and kept beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Torn {
    /// Name of the file that keeps them, in the journal's directory.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) hash: Hash,
}

/// What a head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) chain: Chain,
    /// The root of the tree over the entries; the heads of the first gateways have none.
    pub(crate) root: Option<Hash>,
    pub(crate) at: Timestamp,
    pub(crate) torn: Vec<Torn>,
}

/// The log's name and signing key.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    origin: String,
    id: [u8; 4],
    vkey: String,
    macs: Arc<Macs>,
}

impl Signer {
    /// Loads the key of a ledger; makes one where the ledger is new.
    pub(crate) fn load(layout: &Layout, origin: &str, new: bool) -> Result<Self, LedgerError> {
        let path = layout.keys().join(PRIVATE);
        // The key is its owner's, who may keep it elsewhere and link to it.
        let signer = match fs::read_to_string(&path) {
            Ok(text) => Self::read(&path, &Zeroizing::new(text))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound && new => Self::create(&path, origin)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let detail = "is missing, but there is a journal that it signs: put it back".into();
                return Err(LedgerError::Key { path, detail });
            }
            Err(e) => return Err(LedgerError::io("read", &path)(e)),
        };
        let public = layout.keys().join(PUBLIC);
        let line = format!("{}\n", signer.vkey);
        if fs::read_to_string(&public).ok().as_deref() != Some(line.as_str()) {
            replace(&public, line.as_bytes()).map_err(LedgerError::io("write", &public))?;
        }
        Ok(signer)
    }

    fn create(path: &Path, origin: &str) -> Result<Self, LedgerError> {
        if origin.is_empty()
            || origin.chars().any(|c| c == '+' || c.is_whitespace())
            || visible::escape(origin) != origin
        {
            let detail = "must be a name without spaces or `+`, like `example.com/portcullis`";
            return Err(LedgerError::Setting { setting: "origin", detail: detail.into() });
        }
        let key = |detail: &str| LedgerError::Key { path: path.to_owned(), detail: detail.into() };
        let mut seed = Zeroizing::new([0u8; 32]);
        SystemRandom::new().fill(&mut *seed).map_err(|_| key("no random bytes to make it from"))?;
        let signer = Self::from_seed(&*seed, origin).ok_or_else(|| key("cannot be made"))?;
        let mut data = Zeroizing::new(vec![ED25519_NOTE]);
        data.extend_from_slice(&*seed);
        let data = Zeroizing::new(BASE64.encode(&*data));
        let id = hex(&signer.id);
        let text = Zeroizing::new(format!("PRIVATE+KEY+{origin}+{id}+{}\n", *data));
        replace(path, text.as_bytes()).map_err(LedgerError::io("write", path))?;
        Ok(signer)
    }

    fn read(path: &Path, text: &str) -> Result<Self, LedgerError> {
        let key = |detail: &str| LedgerError::Key { path: path.to_owned(), detail: detail.into() };
        let mode = fs::metadata(path).map_err(LedgerError::io("inspect", path))?.permissions();
        if mode.mode() & 0o077 != 0 {
            return Err(key("can be read by others than its owner: chmod 600 it"));
        }
        let malformed = || key("is not `PRIVATE+KEY+<origin>+<id>+<base64>`: restore it");
        let rest = text.trim_end().strip_prefix("PRIVATE+KEY+").ok_or_else(malformed)?;
        let mut parts = rest.splitn(3, '+');
        let (Some(origin), Some(id), Some(data)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed());
        };
        let data = Zeroizing::new(BASE64.decode(data).map_err(|_| malformed())?);
        let seed = data.strip_prefix(&[ED25519_NOTE]).ok_or_else(malformed)?;
        let signer = Self::from_seed(seed, origin).ok_or_else(malformed)?;
        if hex(&signer.id) != id {
            return Err(malformed());
        }
        Ok(signer)
    }

    pub(crate) fn from_seed(seed: &[u8], origin: &str) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let mut key = vec![ED25519_NOTE];
        key.extend_from_slice(pair.public_key().as_ref());
        // C2SP signed-note: key ID = SHA-256(name || 0x0A || type || key)[:4].
        let named = [origin.as_bytes(), b"\n", &key].concat();
        let [a, b, c, d, ..] = sha256(&named);
        let id = [a, b, c, d];
        let vkey = format!("{origin}+{}+{}", hex(&id), BASE64.encode(&key));
        let macs = Arc::new(Macs::derive(seed));
        Some(Self { pair, origin: origin.to_owned(), id, vkey, macs })
    }

    /// The keys of the codes in lines, which belong to this key.
    pub(crate) fn macs(&self) -> &Arc<Macs> {
        &self.macs
    }

    /// The verifier key (C2SP signed-note): what an auditor keeps elsewhere.
    pub(crate) fn vkey(&self) -> &str {
        &self.vkey
    }

    /// The signed note of a head.
    pub(crate) fn sign(&self, head: &Head) -> Result<String, String> {
        let Chain { size, last } = head.chain;
        let mut note = format!("{}\n{size}\n", self.origin);
        match &head.root {
            Some(root) => {
                let _ = writeln!(note, "{}\nchain {}", BASE64.encode(root), hex(&last));
            }
            None => {
                let _ = writeln!(note, "{}", BASE64.encode(last));
            }
        }
        let _ = writeln!(note, "time {}", visible::rfc3339(head.at));
        for Torn { name, bytes, hash } in &head.torn {
            let _ = writeln!(note, "torn {name} {bytes} {}", hex(hash));
        }
        self.note(&note)
    }

    /// A signed note (C2SP) with this text, which ends with a line feed.
    pub(crate) fn note(&self, text: &str) -> Result<String, String> {
        let signature = self.pair.try_sign(text.as_bytes()).map_err(|_| "signing failed")?;
        let blob = BASE64.encode([&self.id, signature.as_ref()].concat());
        Ok(format!("{text}\n\u{2014} {} {blob}\n", self.origin))
    }

    /// The head in a note, if this key has signed it.
    pub(crate) fn open(&self, note: &str) -> Option<Head> {
        let (text, signatures) = note.split_once("\n\n")?;
        let text = format!("{text}\n");
        let prefix = format!("\u{2014} {} ", self.origin);
        let signed = signatures.lines().filter_map(|l| l.strip_prefix(&prefix)).any(|blob| {
            let Ok(blob) = BASE64.decode(blob) else { return false };
            let Some(signature) = blob.strip_prefix(&self.id) else { return false };
            let key = UnparsedPublicKey::new(&ED25519, self.pair.public_key());
            key.verify(text.as_bytes(), signature).is_ok()
        });
        if !signed {
            return None;
        }
        let mut lines = text.lines();
        if lines.next()? != self.origin {
            return None;
        }
        let size = lines.next()?.parse().ok()?;
        let third = BASE64.decode(lines.next()?).ok()?.try_into().ok()?;
        let (chain, at) = (Chain { size, last: third }, Timestamp::from_micros(0));
        let mut head = Head { chain, root: None, at, torn: Vec::new() };
        for line in lines {
            if let Some(last) = line.strip_prefix("chain ") {
                let last: portcullis_core::digest::Digest = last.parse().ok()?;
                (head.chain.last, head.root) = (*last.as_bytes(), Some(third));
            } else if let Some(time) = line.strip_prefix("time ") {
                let at: jiff::Timestamp = time.parse().ok()?;
                head.at = Timestamp::from_micros(at.as_microsecond());
            } else if let Some(torn) = line.strip_prefix("torn ") {
                let mut words = torn.split(' ');
                let name = words.next()?.to_owned();
                let bytes = words.next()?.parse().ok()?;
                let digest: portcullis_core::digest::Digest = words.next()?.parse().ok()?;
                head.torn.push(Torn { name, bytes, hash: *digest.as_bytes() });
            }
        }
        Some(head)
    }
}

/// The line of the heads file that keeps a note: a JSON string.
pub(crate) fn record(note: &str) -> Vec<u8> {
    let mut line = serde_json::Value::from(note).to_string().into_bytes();
    line.push(b'\n');
    line
}

/// Replaces a file in one step: either the old bytes or the new ones are there after a crash.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new: PathBuf = parent.join(name);
    let mut file = private().write(true).create(true).truncate(true).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_dir(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            chain: Chain { size: 3, last: sha256(b"x") },
            root: Some(sha256(b"root")),
            at: Timestamp::from_micros(1_700_000_000_000_000),
            torn: vec![Torn { name: "torn-1".into(), bytes: 9, hash: sha256(b"torn") }],
        }
    }

    #[test]
    fn a_head_opens_under_the_key_that_signed_it_and_no_other() {
        let signer = Signer::from_seed(&[7; 32], "example.com/log").unwrap();
        let note = signer.sign(&head()).unwrap();
        assert_eq!(signer.open(&note), Some(head()));
        let first = Head { root: None, ..head() };
        assert_eq!(signer.open(&signer.sign(&first).unwrap()), Some(first));
        let other = Signer::from_seed(&[8; 32], "example.com/log").unwrap();
        assert_eq!(other.open(&note), None);
        assert_eq!(signer.open(&note.replacen("\n3\n", "\n2\n", 1)), None);
    }

    #[test]
    fn a_key_file_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        crate::layout::create_dir(&layout.keys()).unwrap();
        let made = Signer::load(&layout, "example.com/log", true).unwrap();
        let again = Signer::load(&layout, "example.org/other", false).unwrap();
        assert_eq!(made.vkey(), again.vkey(), "the origin is fixed when the key is made");
        let path = layout.keys().join(PRIVATE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Signer::load(&layout, "x", false), Err(LedgerError::Key { .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(Signer::load(&layout, "x", false), Err(LedgerError::Key { .. })));
    }

    #[test]
    fn an_origin_that_a_note_cannot_hold_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for origin in ["", "a b", "a+b", "a\nb", "a\u{202e}b"] {
            let made = Signer::load(&Layout::new(dir.path()), origin, true);
            assert!(matches!(made, Err(LedgerError::Setting { .. })), "{origin:?}");
        }
    }
}
