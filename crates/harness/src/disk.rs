//! How long a disk takes to make bytes durable: the figure without which no write benchmark means anything.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of one measured write.
const WRITE_BYTES: usize = 64 << 10;

/// Times of `fdatasync` after a write of 64 KiB into allocated space, sorted, shortest first.
///
/// # Errors
/// When the directory cannot be written.
pub fn sync_times(dir: &Path, rounds: usize) -> io::Result<Vec<Duration>> {
    let path = dir.join("sync-times");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    let block = vec![0x5a_u8; WRITE_BYTES];
    for i in 0..rounds {
        file.write_all_at(&block, (i * WRITE_BYTES) as u64)?;
    }
    file.sync_all()?;
    let mut times = Vec::with_capacity(rounds);
    for i in 0..rounds {
        file.write_all_at(&block, (i * WRITE_BYTES) as u64)?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed());
    }
    std::fs::remove_file(&path)?;
    times.sort();
    Ok(times)
}

/// The value below which this part (0 to 1) of the sorted values lies; zero for none.
#[must_use]
pub fn percentile(sorted: &[Duration], part: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    // The product is between 0 and the last index.
    let at = (last as f64 * part.clamp(0.0, 1.0)).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 0.0), Duration::from_millis(1));
        assert_eq!(percentile(&values, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&values, 1.0), Duration::from_millis(100));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
