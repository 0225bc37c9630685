//! Documents in files: `connections/NAME.toml`, `policies/NAME.cedar` and so on below a directory. For
//! `portcullis apply`, and for the directory that a gateway watches.

use super::{Document, Kind, MOST_TEXT};
use anyhow::{Context as _, bail};
use rustix::fs::OFlags;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Whose files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Whatever whoever runs the command may read.
    Caller,
    /// Those that nobody but their owner may write, where that is whoever runs the gateway, or root.
    /// Nothing behind a symbolic link.
    Owner,
}

/// The documents below a directory, or the one in a file of such a directory.
pub(crate) fn read(path: &Path, trust: Trust) -> anyhow::Result<Vec<Document>> {
    let found = fs::metadata(path).with_context(|| path.display().to_string())?;
    if !found.is_dir() {
        let of = path.parent().and_then(kind_of_directory);
        let kind = of.with_context(|| {
            format!("{}: a document is in one of {}", path.display(), Kind::directories())
        })?;
        return Ok(vec![document(kind, path, trust)?]);
    }
    if let Some(kind) = kind_of_directory(path) {
        if trust == Trust::Owner {
            bail!(
                "{}: what is watched is the directory above, which has all documents there are",
                path.display()
            );
        }
        return of_kind(kind, path, trust);
    }
    checked(path, trust)?;
    for entry in entries(path)? {
        let extension = entry.extension();
        if Kind::ALL.iter().any(|kind| extension.is_some_and(|e| e == kind.extension())) {
            bail!(
                "{}: what it is about is told by its directory: put it into one of {}",
                entry.display(),
                Kind::directories()
            );
        }
    }
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let directory = path.join(kind.directory());
        // Whatever else keeps it from being looked at is told.
        if directory.try_exists().with_context(|| directory.display().to_string())? {
            all.extend(of_kind(kind, &directory, trust)?);
        } else if trust == Trust::Owner && kind.is_needed() {
            bail!(
                "{}: it is not there, which may be an accident (is everything mounted?): where there are no \
                 documents of this kind, let it be there and empty",
                directory.display()
            );
        }
    }
    Ok(all)
}

fn kind_of_directory(path: &Path) -> Option<Kind> {
    // `.` has no name of its own.
    let path = path.canonicalize().ok()?;
    Kind::ALL.into_iter().find(|kind| path.file_name().is_some_and(|n| n == kind.directory()))
}

/// What is in a directory, in order, without what is hidden: editors and version control keep things there.
fn entries(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let context = || path.display().to_string();
    let mut all = Vec::new();
    for entry in fs::read_dir(path).with_context(context)? {
        let entry = entry.with_context(context)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            all.push(entry.path());
        }
    }
    all.sort();
    Ok(all)
}

fn of_kind(kind: Kind, directory: &Path, trust: Trust) -> anyhow::Result<Vec<Document>> {
    checked(directory, trust)?;
    let mut all = Vec::new();
    for file in entries(directory)? {
        if file.extension().is_none_or(|e| e != kind.extension()) {
            bail!("{}: files here end in `.{}`", file.display(), kind.extension());
        }
        all.push(document(kind, &file, trust)?);
    }
    Ok(all)
}

fn document(kind: Kind, file: &Path, trust: Trust) -> anyhow::Result<Document> {
    let context = || file.display().to_string();
    let name = file.file_stem().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{}: its name is no text", file.display()))?;
    kind.check_name(name)?;
    let mut options = File::options();
    options.read(true);
    if trust == Trust::Owner {
        // So that no pipe is waited for either.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    let open = options.open(file).with_context(context)?;
    let found = open.metadata().with_context(context)?;
    if !found.is_file() {
        bail!("{}: it is no file", file.display());
    }
    owned(file, &found, trust)?;
    let mut text = String::new();
    let most = MOST_TEXT as u64 + 1;
    open.take(most).read_to_string(&mut text).with_context(context)?;
    if text.len() > MOST_TEXT {
        bail!("{}: it is longer than {MOST_TEXT} bytes", file.display());
    }
    Ok(Document { kind, name: name.to_owned(), text })
}

/// Whether a directory is one that others cannot put files into.
fn checked(directory: &Path, trust: Trust) -> anyhow::Result<()> {
    let found = match trust {
        Trust::Caller => fs::metadata(directory),
        Trust::Owner => fs::symlink_metadata(directory),
    };
    let found = found.with_context(|| directory.display().to_string())?;
    if !found.is_dir() {
        bail!("{}: it is no directory, or a symbolic link", directory.display());
    }
    owned(directory, &found, trust)
}

fn owned(path: &Path, found: &fs::Metadata, trust: Trust) -> anyhow::Result<()> {
    if trust == Trust::Caller {
        return Ok(());
    }
    let own = fs::metadata("/proc/self").context("/proc/self")?.uid();
    if found.mode() & 0o022 != 0 || ![0, own].contains(&found.uid()) {
        bail!(
            "{}: others may write it: it has to be the gateway's or root's, and nobody else's to write \
             (chmod go-w)",
            path.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn files_are_read_by_kind_and_name() {
        let dir = tempfile::tempdir().unwrap();
        allow(dir.path(), 0o700);
        let policies = dir.path().join("policies");
        fs::create_dir(&policies).unwrap();
        allow(&policies, 0o755);
        let file = policies.join("one.cedar");
        fs::write(&file, "// nothing").unwrap();
        allow(&file, 0o644);
        fs::write(policies.join(".one.cedar.swp"), "x").unwrap();
        fs::write(dir.path().join("README.md"), "x").unwrap();
        let one =
            Document { kind: Kind::Policy, name: "one".to_owned(), text: "// nothing".to_owned() };
        for path in [dir.path(), &policies, &file] {
            assert_eq!(read(path, Trust::Caller).unwrap(), std::slice::from_ref(&one));
        }
        let refused = |expect: &str| {
            let why = format!("{:#}", read(dir.path(), Trust::Owner).unwrap_err());
            assert!(why.contains(expect), "{why}");
        };
        // A part that is not there may be one that is not mounted.
        refused("connections: it is not there");
        let connections = dir.path().join("connections");
        fs::create_dir(&connections).unwrap();
        allow(&connections, 0o755);
        assert_eq!(read(dir.path(), Trust::Owner).unwrap(), std::slice::from_ref(&one));
        let part = read(&policies, Trust::Owner).unwrap_err().to_string();
        assert!(part.contains("the directory above"), "{part}");
        allow(&file, 0o664);
        refused("others may write it");
        assert!(read(dir.path(), Trust::Caller).is_ok());
        allow(&file, 0o644);
        allow(&policies, 0o777);
        refused("others may write it");
        allow(&policies, 0o755);
        symlink(&file, policies.join("two.cedar")).unwrap();
        refused("two.cedar");
        fs::remove_file(policies.join("two.cedar")).unwrap();
        fs::write(policies.join("two.toml"), "").unwrap();
        refused("files here end in `.cedar`");
        fs::remove_file(policies.join("two.toml")).unwrap();
        fs::write(dir.path().join("shop.toml"), "").unwrap();
        refused("put it into");
        fs::remove_file(dir.path().join("shop.toml")).unwrap();
        fs::write(&file, vec![b'/'; MOST_TEXT + 1]).unwrap();
        refused("is longer than");
    }
}
