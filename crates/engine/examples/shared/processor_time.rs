//! The processor time of this process' threads, by their names.

use std::path::Path;

/// Nanoseconds that a thread has spent on a processor; the folder is below `/proc`.
pub(crate) fn nanos_of(task: &Path) -> u64 {
    let stat = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// Nanoseconds of all live threads whose name begins so (the kernel keeps fifteen letters).
pub(crate) fn nanos_of_threads(name: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten().map(|task| task.path());
    let named = |task: &std::path::PathBuf| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.starts_with(name))
    };
    tasks.filter(named).map(|task| nanos_of(&task)).sum()
}
