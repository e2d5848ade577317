//! A folder of its own for each test, and nodes started in it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;
use zepto_harness::{Launch, node};

/// Environment variable by which `cargo xtask soak` multiplies the rounds of tests that loop.
const FACTOR: &str = "ZEPTO_TEST_FACTOR";
/// Environment variable by which it gives a round its seed.
const SEED: &str = "ZEPTO_TEST_SEED";

/// A test's folder; removed with its contents at the end.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    program: PathBuf,
}

impl Place {
    /// A new folder under `root`, which lies on a real disk.
    ///
    /// # Errors
    /// When the node's program was not built, or the folder cannot be made.
    pub fn new(root: &str) -> Result<Self> {
        let program = node::program_beside_this()?;
        let folder = TempDir::new_in(root).with_context(|| format!("cannot make a folder in {root}"))?;
        Ok(Self { folder, program })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// How to start a node whose data lie in `data` of this folder.
    #[must_use]
    pub fn launch(&self) -> Launch {
        Launch::new(&self.program, &self.folder.path().join("data"))
    }
}

/// Whether this is a soak: what takes long is done as users have it.
#[must_use]
pub fn is_soak() -> bool {
    env::var_os(FACTOR).is_some()
}

/// `rounds`, multiplied in a soak.
///
/// # Errors
/// When the environment's factor is no number.
pub fn rounds(rounds: usize) -> Result<usize> {
    match env::var_os(FACTOR) {
        None => Ok(rounds),
        Some(factor) => {
            let factor: usize =
                factor.to_string_lossy().parse().with_context(|| format!("{FACTOR}={factor:?}"))?;
            Ok(rounds * factor.max(1))
        }
    }
}

/// The seed of a test with random parts: the environment's in a soak, else a fresh one.
///
/// # Errors
/// When the environment's seed is no number.
pub fn seed() -> Result<u64> {
    match env::var_os(SEED) {
        None => Ok(rand::random()),
        Some(seed) => seed.to_string_lossy().parse().with_context(|| format!("{SEED}={seed:?}")),
    }
}

/// A file of the project, by its path from the root.
#[must_use]
pub fn project_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
