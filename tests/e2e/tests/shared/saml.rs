//! A real SAML provider: pysaml2 with xmlsec1.

use crate::provider::{Node, started};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A provider's process, and where it is.
pub(crate) struct Provider {
    pub(crate) process: Node,
    /// The name it has, which is an address below its own.
    pub(crate) entity: String,
    /// Its metadata, in a file.
    pub(crate) metadata: String,
}

fn root() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.find(|path| path.join("Cargo.lock").exists()).unwrap().to_owned()
}

/// The interpreter that has pysaml2; `./dev test` installs it. Says loudly that it is not there.
fn python() -> Option<PathBuf> {
    let installed = std::env::var_os("PORTCULLIS_TOOLS").map(PathBuf::from);
    let wanted = installed.is_some();
    let python = installed.unwrap_or_else(|| root().join(".dev"));
    let python = python.join("saml/bin/python");
    if !python.exists() || !Path::new("/usr/bin/xmlsec1").exists() {
        let why = "no test against an independent SAML provider: it is not installed";
        assert!(!wanted, "{why}: `./dev test` does");
        eprintln!("\n*** SKIPPED: {why} ***\n");
        return None;
    }
    Some(python)
}

/// One with its files in this folder, which is called by this name of loopback. `None` where it is not installed.
pub(crate) fn start(folder: &Path, host: &str) -> Option<Provider> {
    let mut command = Command::new(python()?);
    command.arg(root().join("tests/e2e/clients/saml/idp.py")).arg(folder).arg(host);
    let (process, said) = started(command);
    let said = |name: &str| said[name].as_str().unwrap().to_owned();
    Some(Provider { process, entity: said("entity"), metadata: said("metadata") })
}
