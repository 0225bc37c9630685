//! Opening files that somebody else may have put there: plain files only, below one directory, and
//! nothing is waited for. Beside the life of a request: wherever the record is read back.
//!
//! A symbolic link in a ledger would show another file as evidence, and opening a FIFO would wait
//! for ever; so every step below the ledger's directory is taken with `O_NOFOLLOW`, and the last
//! one with `O_NONBLOCK` and a look at what was opened (open(2)).

use rustix::fs::{Mode, OFlags, openat};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path};

/// Opens the plain file `below` the directory `root` for reading.
///
/// # Errors
/// `InvalidInput` for a path that leads elsewhere, or to anything but a plain file; else the
/// operating system's (a symbolic link is `ELOOP` or `ENOTDIR`).
pub fn open(root: &Path, below: &Path) -> io::Result<File> {
    let (parent, name) = (below.parent().unwrap_or(Path::new("")), below.file_name());
    let name = name.ok_or_else(|| not_plain("this is no file's name"))?;
    let directory = directory(root, parent)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = openat(&directory, name, flags, Mode::empty());
    let file = File::from(opened.map_err(|error| match error {
        rustix::io::Errno::LOOP => not_plain("it is a symbolic link, not a file"),
        // A socket cannot be opened at all (open(2)).
        rustix::io::Errno::NXIO => not_plain("it is no plain file"),
        error => error.into(),
    })?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_plain("it is no plain file")) }
}

/// The directory `below` `root`, entered without following links.
///
/// # Errors
/// As for [`open`].
pub fn directory(root: &Path, below: &Path) -> io::Result<File> {
    let mut at = File::open(root)?;
    for part in below.components() {
        let Component::Normal(name) = part else {
            return Err(not_plain("the path leads out of the ledger"));
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(&at, name, flags, Mode::empty());
        at = File::from(opened.map_err(|error| match error {
            rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => {
                not_plain("a part of its path is a symbolic link, not a directory")
            }
            error => error.into(),
        })?);
    }
    Ok(at)
}

/// The text of a small file, of at most `most` bytes.
///
/// # Errors
/// As for [`open`], and `InvalidInput` where it has more.
pub fn read(root: &Path, below: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    open(root, below)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(not_plain("it is larger than any such file may be"));
    }
    Ok(text)
}

fn not_plain(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_plain_files_below_the_directory_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir(root.join("in")).unwrap();
        fs::write(root.join("in/plain"), "text").unwrap();
        symlink("plain", root.join("in/link")).unwrap();
        symlink("in", root.join("way")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            root.join("in/fifo"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert_eq!(read(root, Path::new("in/plain"), 4).unwrap(), "text");
        assert!(read(root, Path::new("in/plain"), 3).is_err());
        for bad in ["in/link", "way/plain", "in/fifo", "in", "../in/plain", "/etc/passwd", ""] {
            let kind = open(root, Path::new(bad)).map_err(|e| e.kind()).map(drop);
            assert_eq!(kind, Err(io::ErrorKind::InvalidInput), "{bad}");
        }
        let gone = open(root, Path::new("in/none")).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }
}
