//! How much memory the machine or the control group leaves to this process.

use std::path::Path;

/// Used when neither the machine nor a control group can be asked.
const FALLBACK_BYTES: u64 = 2 << 30;

/// 75 % of the smaller of the machine's memory and the control group's limit.
#[must_use]
pub fn memory_limit_default() -> u64 {
    let group = control_group_limit(Path::new("/sys/fs/cgroup"));
    let machine = machine_memory(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default());
    let bytes = match (machine, group) {
        (Some(machine), Some(group)) => machine.min(group),
        (Some(bytes), None) | (None, Some(bytes)) => bytes,
        (None, None) => FALLBACK_BYTES,
    };
    bytes / 4 * 3
}

/// The bound of what may wait somewhere: one part of so many of the memory, and never more than `most` bytes.
#[must_use]
pub fn part_of(limit: u64, parts: u64, most: usize) -> usize {
    usize::try_from(limit / parts.max(1)).unwrap_or(usize::MAX).min(most)
}

/// The limit of control group version 2 (`memory.max`) or 1 (`memory/memory.limit_in_bytes`); None when unlimited.
fn control_group_limit(root: &Path) -> Option<u64> {
    ["memory.max", "memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|file| std::fs::read_to_string(root.join(file)).ok()?.trim().parse().ok())
        // Version 1 writes "no limit" as a number near 2^63.
        .filter(|limit| *limit < 1 << 60)
}

/// `MemTotal` of `/proc/meminfo`, bytes.
fn machine_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_group_is_believed_and_no_limit_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(control_group_limit(dir.path()), None);
        std::fs::write(dir.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(control_group_limit(dir.path()), None);
        std::fs::write(dir.path().join("memory.max"), "1073741824\n").unwrap();
        assert_eq!(control_group_limit(dir.path()), Some(1 << 30));
    }

    #[test]
    fn a_bound_is_a_part_of_the_memory_where_that_is_less() {
        assert_eq!(part_of(512 << 20, 8, 512 << 20), 64 << 20);
        assert_eq!(part_of(64 << 30, 8, 512 << 20), 512 << 20);
    }

    #[test]
    fn meminfo_counts_kibibytes() {
        assert_eq!(machine_memory("MemFree: 1 kB\nMemTotal:       24 kB\n"), Some(24 * 1024));
        assert_eq!(machine_memory(""), None);
    }
}
