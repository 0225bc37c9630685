//! Backups of the store: one tar file with a manifest and the database, which any `tar` opens. Sealed
//! secrets stay sealed in it; the master key, the journal and the other keys are not part of it.

use crate::moment::now;
use anyhow::{Context as _, bail, ensure};
use portcullis_ledger::visible;
use portcullis_store::{Replacing, Settled, copy, examine, settle};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The name of the format, in the manifest.
const FORMAT: &str = "portcullis-backup";
/// Its version.
const VERSION: u32 = 1;
/// The names of the files in it, in their order.
const MANIFEST: &str = "manifest.json";
const DIGEST: &str = "manifest.sha256";
const DATABASE: &str = crate::fleet::FILE;
/// The longest manifest that is read, in bytes.
const LONGEST_MANIFEST: u64 = 1 << 20;
/// Bytes of a block of a tar file (POSIX.1-2017, pax, "ustar Interchange Format").
const BLOCK: usize = 512;

/// What is in a backup.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: String,
    version: u32,
    /// When it was made (RFC 3339).
    pub(crate) made: String,
    /// The program that made it.
    program: String,
    /// The newest step of the database's schema.
    schema: i64,
    /// Bytes of the database.
    bytes: u64,
    /// Its SHA-256, in hexadecimal.
    sha256: String,
    /// The sealed secrets in it.
    pub(crate) secrets: usize,
    /// The ids of the master keys that open them.
    pub(crate) master_keys: BTreeSet<String>,
}

/// Copies the store at `store` to the new file `to`, while gateways may use it.
pub(crate) async fn make(store: &Path, to: &Path, force: bool) -> anyhow::Result<Manifest> {
    ensure!(
        force || !to.exists(),
        "{} is there already: choose another name, or --force",
        to.display()
    );
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let new = || NamedTempFile::new_in(directory).with_context(|| directory.display().to_string());
    // For its owner alone from the start.
    let database = new()?;
    copy(store, database.path()).await?;
    let found = examine(database.path()).await.context("the copy")?;
    let (bytes, sha256) = digest(&mut File::open(database.path())?, &mut io::sink())?;
    let keys = found.secrets.iter().flat_map(|row| row.wraps.keys().cloned());
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: VERSION,
        made: visible::rfc3339(now()),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        schema: found.step,
        bytes,
        sha256,
        master_keys: keys.collect(),
        secrets: found.secrets.len(),
    };
    let file = new()?;
    let mut out = BufWriter::new(file.as_file());
    let text = serde_json::to_vec_pretty(&manifest)?;
    entry(&mut out, MANIFEST, text.len() as u64, &mut text.as_slice())?;
    let sum = digest_line(&text);
    entry(&mut out, DIGEST, sum.len() as u64, &mut sum.as_bytes())?;
    entry(&mut out, DATABASE, bytes, &mut File::open(database.path())?)?;
    out.write_all(&[0; 2 * BLOCK])?;
    out.flush()?;
    drop(out);
    file.as_file().sync_all()?;
    // It is worth something only if it can be read back.
    read(file.path(), &mut io::sink()).context("the new backup")?;
    let kept = if force { file.persist(to) } else { file.persist_noclobber(to) };
    kept.map_err(|error| error.error).with_context(|| to.display().to_string())?;
    File::open(directory)?.sync_all()?;
    Ok(manifest)
}

/// What a restore did.
pub(crate) struct Restored {
    pub(crate) manifest: Manifest,
    pub(crate) settled: Settled,
    /// Where the files are that stood in its place.
    pub(crate) kept: Option<PathBuf>,
}

/// Puts the store of a backup in the place of `store`. Nothing is changed before all of the backup
/// was read and found good; from then on a mark tells whatever opens the store of an interruption.
pub(crate) async fn restore(from: &Path, store: &Path, force: bool) -> anyhow::Result<Restored> {
    let directory = store.parent().unwrap_or(Path::new("."));
    if !force && let Some(there) = occupied(directory)? {
        bail!(
            "{} is not empty ({} is there): restore to another data_dir, or say --force, which puts \
             its store aside and leaves the rest",
            directory.display(),
            there.display()
        );
    }
    let replacing = Replacing::begin(store)?;
    let mut database = NamedTempFile::new_in(directory)?;
    let manifest =
        read(from, database.as_file_mut()).with_context(|| from.display().to_string())?;
    database.as_file().sync_all()?;
    let in_backup = || format!("{}: its database", from.display());
    examine(database.path()).await.with_context(in_backup)?;
    let settled = settle(database.path(), now()).await.with_context(in_backup)?;
    examine(database.path()).await.with_context(in_backup)?;
    File::open(database.path())?.sync_all()?;
    let aside = format!("before-restore-{}", now().as_micros() / 1_000_000);
    let new = database.into_temp_path();
    let kept = replacing.put(&new, &aside)?;
    // It has another name now.
    let _ = new.keep();
    Ok(Restored { manifest, settled, kept })
}

/// Something in a directory, but for the lock of the store.
fn occupied(directory: &Path) -> anyhow::Result<Option<PathBuf>> {
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "lock") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Reads a backup: its manifest, and the database into `into`, whose digest has to be the one named.
fn read(from: &Path, into: &mut dyn Write) -> anyhow::Result<Manifest> {
    let mut file = BufReader::new(File::open(from)?);
    let size = header(&mut file, MANIFEST)?;
    ensure!(size <= LONGEST_MANIFEST, "this is no backup: its manifest is too long");
    let mut text = Vec::new();
    (&mut file).take(size).read_to_end(&mut text)?;
    padding(&mut file, size)?;
    let sum = digest_line(&text);
    let mut named = vec![0; sum.len()];
    let size = header(&mut file, DIGEST)?;
    ensure!(size == sum.len() as u64, "this is no backup: its digest has another length");
    file.read_exact(&mut named)?;
    ensure!(named == sum.as_bytes(), "this backup is damaged: its manifest was changed");
    padding(&mut file, size)?;
    let manifest: Manifest =
        serde_json::from_slice(&text).context("this is no backup: its manifest cannot be read")?;
    ensure!(manifest.format == FORMAT, "this is no backup of portcullis");
    ensure!(
        manifest.version == VERSION,
        "this backup is of format {}, and this program knows {VERSION}: use the version that made \
         it ({})",
        manifest.version,
        manifest.program
    );
    let size = header(&mut file, DATABASE)?;
    ensure!(size == manifest.bytes, "this backup is damaged: the database has another size");
    let (bytes, sha256) = digest(&mut (&mut file).take(size), into)?;
    ensure!(
        bytes == manifest.bytes && sha256 == manifest.sha256,
        "this backup is damaged: the database is not the one in the manifest; nothing was changed"
    );
    padding(&mut file, size)?;
    let mut rest = Vec::new();
    file.take(4 * BLOCK as u64).read_to_end(&mut rest)?;
    ensure!(
        rest.len() >= 2 * BLOCK && rest.iter().all(|byte| *byte == 0),
        "this backup is damaged: it does not end where it should"
    );
    Ok(manifest)
}

/// Copies, and gives length and SHA-256 of what was copied.
fn digest(from: &mut dyn Read, into: &mut dyn Write) -> io::Result<(u64, String)> {
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let (mut buffer, mut length) = (vec![0; 64 * 1024], 0);
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let part = buffer.get(..count).unwrap_or_default();
        hash.update(part);
        into.write_all(part)?;
        length += count as u64;
    }
    into.flush()?;
    let text = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((length, text))
}

/// The digest of the manifest, as `sha256sum -c` reads it.
fn digest_line(manifest: &[u8]) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, manifest);
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hash}  {MANIFEST}\n")
}

/// Writes a file of a tar file.
fn entry(out: &mut dyn Write, name: &str, size: u64, from: &mut dyn Read) -> io::Result<()> {
    out.write_all(&ustar(name, size))?;
    let written = io::copy(&mut from.take(size), out)?;
    if written != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    out.write_all(&vec![0; gap(size)])
}

/// Bytes from the end of a file to the next block.
const fn gap(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

/// The header of a regular file: mode 0600, no owner, no time.
fn ustar(name: &str, size: u64) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = block.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, name.as_bytes());
    put(100, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    // Eleven octal digits reach 8 GiB; beyond, GNU's form, which all readers know.
    if size < 1 << 33 {
        put(124, format!("{size:011o}\0").as_bytes());
    } else {
        put(124, &[0x80, 0, 0, 0]);
        put(128, &size.to_be_bytes());
    }
    put(136, b"00000000000\0");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum = checksum(&block);
    if let Some(place) = block.get_mut(148..156) {
        place.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    block
}

/// The sum of a header's bytes, with spaces in the place of the sum.
fn checksum(block: &[u8]) -> u32 {
    let byte =
        |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) };
    block.iter().enumerate().map(byte).sum()
}

/// Reads a header, which must be that of a regular file of this name; its size.
fn header(from: &mut dyn Read, name: &str) -> anyhow::Result<u64> {
    let mut block = vec![0; BLOCK];
    from.read_exact(&mut block).context("this is no backup: it is too short")?;
    let field = |at: usize, length: usize| block.get(at..at + length).unwrap_or_default();
    let size = match field(124, 12) {
        [0x80, 0, 0, 0, rest @ ..] => <[u8; 8]>::try_from(rest).ok().map(u64::from_be_bytes),
        octal => std::str::from_utf8(octal)
            .ok()
            .and_then(|text| u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()),
    };
    // There is one way to write it, so anything else was not written by this program.
    let size = size.filter(|size| ustar(name, *size) == block);
    size.with_context(|| format!("this is no backup, or it is damaged: {name} is not in its place"))
}

fn padding(from: &mut dyn Read, size: u64) -> anyhow::Result<()> {
    let mut gap = vec![0; gap(size)];
    from.read_exact(&mut gap).context("this backup is damaged: it is too short")?;
    ensure!(gap.iter().all(|byte| *byte == 0), "this backup is damaged: there is more in it");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_store::Store;

    async fn stored(directory: &Path) -> PathBuf {
        fs::create_dir_all(directory).unwrap();
        let path = directory.join("portcullis.db");
        Store::open(&path).await.unwrap().close().await;
        path
    }

    #[test]
    fn the_header_of_a_large_file_is_read_back() {
        for size in [0, 1, 511, 512, (1 << 33) - 1, 1 << 33, u64::MAX] {
            let block = ustar("portcullis.db", size);
            assert_eq!(header(&mut block.as_slice(), "portcullis.db").unwrap(), size);
            assert!(header(&mut block.as_slice(), "other").is_err());
        }
    }

    #[tokio::test]
    async fn a_backup_is_restored_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let store = stored(&directory.path().join("a")).await;
        let file = directory.path().join("backup.tar");
        let manifest = make(&store, &file, false).await.unwrap();
        assert!(manifest.bytes > 0 && manifest.secrets == 0);
        let again = make(&store, &file, false).await.unwrap_err().to_string();
        assert!(again.contains("--force"), "{again}");
        make(&store, &file, true).await.unwrap();
        // The system's tar reads it.
        let tar = std::process::Command::new("tar").arg("-tf").arg(&file).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&tar.stdout),
            "manifest.json\nmanifest.sha256\nportcullis.db\n"
        );

        let good = fs::read(&file).unwrap();
        let target = directory.path().join("b");
        fs::create_dir(&target).unwrap();
        let database = target.join("portcullis.db");
        // Every kind of damage is refused, and nothing stands there afterwards.
        for (what, at) in [
            ("header", 3),
            ("manifest", 600),
            ("padding", 1000),
            ("digest", 1600),
            ("database", good.len() - 3000),
        ] {
            let mut bad = good.clone();
            bad[at] ^= 0x20;
            fs::write(&file, &bad).unwrap();
            assert!(restore(&file, &database, false).await.is_err(), "{what}");
            assert!(!database.exists(), "{what}");
        }
        for length in [0, 100, 512, 5000, good.len() - 1024, good.len() - 1] {
            fs::write(&file, &good[..length]).unwrap();
            assert!(restore(&file, &database, false).await.is_err(), "{length}");
            assert!(!database.exists(), "{length}");
        }
        fs::write(&file, &good).unwrap();
        let done = restore(&file, &database, false).await.unwrap();
        assert_eq!(done.kept, None);
        let left: Vec<_> = fs::read_dir(&target).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "database and lock: {left:?}");
        Store::open(&database).await.unwrap().close().await;

        let error = restore(&file, &database, false).await.err().unwrap().to_string();
        assert!(error.contains("not empty") && error.contains("--force"), "{error}");
        let open = Store::open(&database).await.unwrap();
        let error = restore(&file, &database, true).await.err().unwrap().to_string();
        assert!(error.contains("in use"), "{error}");
        open.close().await;
        let done = restore(&file, &database, true).await.unwrap();
        assert!(done.kept.unwrap().join("portcullis.db").exists());
    }

    #[tokio::test]
    async fn an_interrupted_restore_is_seen_and_done_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = stored(directory.path()).await;
        let file = directory.path().join("backup.tar");
        make(&store, &file, false).await.unwrap();
        // As it is between the first rename and the second one.
        let aside = directory.path().join("before-restore-1");
        fs::create_dir(&aside).unwrap();
        fs::rename(&store, aside.join("portcullis.db")).unwrap();
        let mark = directory.path().join("portcullis.db.restoring");
        fs::write(&mark, "before-restore-1").unwrap();
        let error = Store::open(&store).await.unwrap_err().to_string();
        assert!(error.contains("interrupted") && error.contains("portcullis restore"), "{error}");
        assert!(!store.exists(), "no empty store was made in its place");
        restore(&file, &store, true).await.unwrap();
        assert!(!mark.exists() && aside.join("portcullis.db").exists());
        Store::open(&store).await.unwrap().close().await;
    }
}
