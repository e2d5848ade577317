//! What a process says of itself, so that no other exporter is needed: memory, its limits, processor time.

use std::time::Duration;

use zepto_common::metric_names as names;

/// Cores this process may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Resident memory of this process, from `/proc/self/statm`.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Processor time of this process.
#[must_use]
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Sets them; `memory_limit` is the bound in force, bytes.
pub fn refresh(memory_limit: u64) {
    metrics::gauge!(names::MEMORY_LIMIT).set(memory_limit as f64);
    metrics::gauge!(names::CPU_LIMIT).set(cores() as f64);
    if let Some(bytes) = resident_bytes() {
        metrics::gauge!(names::MEMORY_USED).set(bytes as f64);
    }
    metrics::counter!(names::PROCESS_CPU).absolute(cpu_time().as_secs());
}
