//! Embeds the console's pages, as far as `./dev console` has built them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let built = variable("CARGO_MANIFEST_DIR").join("../../console/dist");
    println!("cargo::rerun-if-changed={}", built.display());
    fs::write(variable("OUT_DIR").join("console.rs"), table(&built)?)
}

/// A Rust slice of the names and bytes of all files in a directory; an empty one where there is none.
fn table(built: &Path) -> io::Result<String> {
    let mut files: Vec<PathBuf> = match fs::read_dir(built) {
        Ok(entries) => entries.map(|e| e.map(|e| e.path())).collect::<io::Result<_>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    files.sort();
    let mut out = String::from("&[\n");
    for file in files.iter().filter(|file| file.is_file()) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') {
            let _ = writeln!(out, "    ({name:?}, include_bytes!({:?})),", file.canonicalize()?);
        }
    }
    out.push(']');
    Ok(out)
}
