//! Where the project lies and which files are its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Directories that hold no source of ours.
const FOREIGN: &[&str] = &[".git", ".venv", "node_modules", "__pycache__"];

/// The checkout.
pub(crate) struct Workspace {
    /// Folder of the top Cargo.toml.
    pub(crate) root: PathBuf,
}

/// A file of the project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceFile {
    /// Path from the root, with `/`.
    pub(crate) name: String,
    /// Its contents.
    pub(crate) text: String,
}

impl Workspace {
    /// The workspace that this program was built in.
    pub(crate) fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().context("xtask lies in a workspace")?;
        Ok(Self { root: root.to_path_buf() })
    }

    /// Contents of a file under the root.
    pub(crate) fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.root.join(name)).with_context(|| format!("cannot read {name}"))
    }

    /// Every text file of the project, sorted by name. Build results (`target*`) and files that are not
    /// UTF-8 (data) are left out.
    pub(crate) fn text_files(&self) -> Result<Vec<SourceFile>> {
        let mut found = Vec::new();
        collect(&self.root, &self.root, &mut found)?;
        found.sort();
        Ok(found)
    }
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<SourceFile>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind.is_dir() {
            if !FOREIGN.contains(&name.as_str()) && !name.starts_with("target") {
                collect(root, &path, found)?;
            }
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(&path)
        {
            let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            found.push(SourceFile { name, text });
        }
    }
    Ok(())
}
