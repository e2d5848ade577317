//! What a release leaves behind for its successors: a data directory, what must be read from it, and its HTTP answers.
//!
//! A fixture is a folder `tests/fixtures/<version>`: `data/` has the node's files, each compressed with zstd (a log
//! file is 64 MiB, nearly all of it zeros); `script.jsonl` the statements with the answers they must give, computed
//! from the rows' formulas and never taken from a node; `http.jsonl` requests with the answers of that version.

pub mod content;
pub mod http;

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Bytes that are looked at for zeros at once.
const PAGE: usize = 64 << 10;
/// Compression level: fixtures are written once and kept for ever.
const LEVEL: i32 = 19;
/// Files of a data directory that are not kept: they belong to a running process.
const LEFT_OUT: &[&str] = &["LOCK", "spill"];

/// Compresses all files of a folder, with its folders, into another.
///
/// # Errors
/// When something cannot be read or written.
pub fn pack(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut entries: Vec<_> = fs::read_dir(from)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            pack(&entry.path(), &to.join(&name))?;
        } else {
            let packed = zstd::encode_all(File::open(entry.path())?, LEVEL)?;
            fs::write(to.join(format!("{name}.zst")), packed)?;
        }
    }
    Ok(())
}

/// Undoes [`pack`]; long runs of zeros become holes.
///
/// # Errors
/// When something cannot be read or written, or is no packed file.
pub fn unpack(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            unpack(&entry.path(), &to.join(&name))?;
            continue;
        }
        let plain = name.strip_suffix(".zst").with_context(|| format!("{name} is not packed"))?;
        let mut packed = zstd::Decoder::new(File::open(entry.path())?)?;
        let mut file = File::create(to.join(plain))?;
        let mut page = Vec::with_capacity(PAGE);
        let mut length = 0;
        while packed.by_ref().take(PAGE as u64).read_to_end(&mut page)? > 0 {
            if page.iter().any(|byte| *byte != 0) {
                file.seek(SeekFrom::Start(length))?;
                file.write_all(&page)?;
            }
            length += page.len() as u64;
            page.clear();
        }
        file.set_len(length)?;
    }
    Ok(())
}

/// The values of a file of JSON lines.
///
/// # Errors
/// When it cannot be read; the message names the line.
pub fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let parse = |(at, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), at + 1))
    };
    text.lines().enumerate().map(parse).collect()
}

/// Writes a file of JSON lines.
///
/// # Errors
/// When it cannot be written.
pub fn write_lines(path: &Path, values: &[Value]) -> Result<()> {
    let lines: Vec<String> = values.iter().map(|value| format!("{value}\n")).collect();
    Ok(fs::write(path, lines.concat())?)
}

/// The folders of all versions, oldest name first.
///
/// # Errors
/// When there is none.
pub fn versions(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    found.retain(|path| path.is_dir());
    found.sort();
    ensure!(!found.is_empty(), "there is no fixture in {}", folder.display());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_folder_comes_back_byte_for_byte() -> Result<()> {
        let place = tempfile::tempdir()?;
        let (from, packed, to) =
            (place.path().join("from"), place.path().join("packed"), place.path().join("to"));
        fs::create_dir_all(from.join("inner"))?;
        let mut sparse = vec![0; 3 * PAGE + 5];
        sparse[PAGE + 1] = 7;
        fs::write(from.join("inner/log"), &sparse)?;
        fs::write(from.join("empty"), b"")?;
        fs::write(from.join("LOCK"), b"1")?;
        pack(&from, &packed)?;
        unpack(&packed, &to)?;
        ensure!(fs::read(to.join("inner/log"))? == sparse && fs::read(to.join("empty"))?.is_empty());
        ensure!(!to.join("LOCK").exists());
        Ok(())
    }
}
