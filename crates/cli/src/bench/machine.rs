//! What a figure depends on: processor, memory, the disk's sync time, the commit.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use zepto_harness::disk;

use super::report::ms;

/// Syncs that are measured.
const SYNC_ROUNDS: usize = 200;

/// Steps of the yardstick: each needs the one before, so neither width nor cleverness of a processor helps.
const STEPS: u64 = 200_000_000;
/// Bytes that the other yardstick reads, beyond what caches hold.
const SWEPT_BYTES: usize = 256 << 20;
/// Times that a yardstick is laid on; the median counts.
const YARDSTICKS: usize = 5;

/// One paragraph about this machine and the disk under `dir`.
pub(super) fn describe(dir: &Path) -> Result<String> {
    let times = disk::sync_times(dir, SYNC_ROUNDS)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    Ok(format!(
        "Machine: {cores} cores ({processor}), {memory}; client and server share them. \
         Yardsticks on one core: {STEPS} dependent multiplications {}, summing 256 MiB {}. \
         Disk: fdatasync of 64 KiB p50 {}, p99 {}. Commit {}.\n",
        ms(multiplications()),
        ms(sweep()),
        ms(disk::percentile(&times, 0.5)),
        ms(disk::percentile(&times, 0.99)),
        commit().unwrap_or_else(|| "unknown".to_owned()),
    ))
}

/// How fast this machine is today: figures of two runs can be held against each other by it.
fn multiplications() -> Duration {
    median(|| (0..STEPS).fold(1u64, |x, step| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step)))
}

/// The same for its memory.
fn sweep() -> Duration {
    let words = vec![3u64; SWEPT_BYTES / size_of::<u64>()];
    median(|| black_box(&words).iter().fold(0u64, |sum, word| sum.wrapping_add(*word)))
}

fn median(work: impl Fn() -> u64) -> Duration {
    let mut times: Vec<Duration> = (0..YARDSTICKS)
        .map(|_| {
            let begun = Instant::now();
            black_box(work());
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[YARDSTICKS / 2]
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
