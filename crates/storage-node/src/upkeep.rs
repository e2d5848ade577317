//! Gives freed memory back to the system.
//!
//! The allocator returns pages some time after they were freed, but only while somebody allocates: a node that comes to
//! rest after a load would keep what sorting and flushing needed. So it is told, once after each checkpoint and once
//! when a busy process has become quiet. Nothing waits for this, and nothing depends on it but the resident memory.

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;
use zepto_engine::Store;
use zepto_process::allocator;

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(2);
/// Processor time per period below which the process is at rest.
const REST: Duration = Duration::from_millis(100);

/// What the last look saw.
#[derive(Debug, Default)]
struct Watch {
    cpu: Duration,
    checkpoints: u64,
    worked: bool,
}

impl Watch {
    /// Whether memory is to be given back now, `cpu` processor time and `checkpoints` after the start.
    fn look(&mut self, cpu: Duration, checkpoints: u64) -> bool {
        let at_rest = cpu.saturating_sub(self.cpu) < REST;
        let due = checkpoints != self.checkpoints || (at_rest && self.worked);
        self.worked = !at_rest;
        (self.cpu, self.checkpoints) = (cpu, checkpoints);
        due
    }
}

/// Looks after the process's memory until `stop`.
pub(crate) async fn give_memory_back(store: Arc<Store>, stop: CancellationToken) {
    let mut watch = Watch::default();
    while tokio::time::timeout(PERIOD, stop.cancelled()).await.is_err() {
        if watch.look(cpu_time(), store.stats().checkpoints) {
            // A failure is a panic in the allocator, which would have ended the process.
            let _ = tokio::task::spawn_blocking(allocator::give_back_now).await;
        }
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_after_work_and_after_each_checkpoint() {
        let second = Duration::from_secs;
        let mut watch = Watch::default();
        assert!(!watch.look(second(1), 0), "busy");
        assert!(watch.look(second(1), 0), "quiet after work");
        assert!(!watch.look(second(1), 0), "still quiet");
        assert!(!watch.look(second(2), 0), "busy again");
        assert!(watch.look(second(3), 1), "a checkpoint while busy");
        assert!(watch.look(second(3), 1), "quiet after work");
        assert!(!watch.look(second(3), 1), "nothing more to give");
    }
}
