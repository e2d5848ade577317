//! What a figure depends on: processor, memory, the disk's sync time, the commit.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use zepto_harness::disk;

use super::report::ms;

/// Syncs that are measured.
const SYNC_ROUNDS: usize = 200;

/// One paragraph about this machine and the disk under `dir`.
pub(super) fn describe(dir: &Path) -> Result<String> {
    let times = disk::sync_times(dir, SYNC_ROUNDS)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    Ok(format!(
        "Machine: {cores} cores ({processor}), {memory}; client and server share them. \
         Disk: fdatasync of 64 KiB p50 {}, p99 {}. Commit {}.\n",
        ms(disk::percentile(&times, 0.5)),
        ms(disk::percentile(&times, 0.99)),
        commit().unwrap_or_else(|| "unknown".to_owned()),
    ))
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The commit of the checkout in which this program was built, marked when files differ from it; of the working
/// directory if the program was carried elsewhere.
fn commit() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    commit_in(program.parent()?).or_else(|| commit_in(Path::new(".")))
}

fn commit_in(dir: &Path) -> Option<String> {
    let describe = ["describe", "--always", "--dirty", "--abbrev=12"];
    let output = Command::new("git").arg("-C").arg(dir).args(describe).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
