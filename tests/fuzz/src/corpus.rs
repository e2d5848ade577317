//! Kept inputs: one file each, named by the hash of what is in it (XXH3-64, hexadecimal).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xxhash_rust::xxh3::xxh3_64;

/// The folder of the kept inputs in the repository.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/fuzz")
}

/// The inputs in `folder`, in the order of their names; none when there is no such folder.
///
/// # Errors
/// A file that cannot be read.
pub fn load(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
    paths.iter().map(read).collect()
}

/// Writes an input, and gives its path.
///
/// # Errors
/// The folder or file cannot be written.
pub fn save(folder: &Path, input: &[u8]) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(format!("{:016x}", xxh3_64(input)));
    std::fs::write(&path, input).with_context(|| path.display().to_string())?;
    Ok(path)
}
