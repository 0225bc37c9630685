//! Files with something secret in them: read bounded, and only where nobody else can read them.

use crate::credential::CredentialError;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Reads at most `most` bytes and one more, by which what is longer shows. The rights are those of
/// the file that was opened, not of whatever stands there a moment later.
pub(crate) fn read(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    let failed = |error| CredentialError::File { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !is_private(&found) {
        let mode = found.mode() & 0o7777;
        return Err(CredentialError::Exposed { path: path.to_owned(), mode });
    }
    // Room for everything that may be read, so that growing leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// True where nobody but its owner can read or write a file. One of root's may be readable by its
/// group where the gateway is not root, as PostgreSQL has it with its key: that is how orchestrators
/// hand out secrets.
fn is_private(found: &Metadata) -> bool {
    let others = found.mode() & 0o077;
    let of_root = found.uid() == 0 && !rustix::process::geteuid().is_root();
    others == 0 || (of_root && others & 0o037 == 0)
}

/// What is in it without the one line end that editors and secret mounts put there.
pub(crate) fn trim_line_end(bytes: &mut Vec<u8>) {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
}
