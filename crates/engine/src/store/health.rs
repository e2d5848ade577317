//! Whether the logs take rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use zepto_common::{Error, ErrorCode, Result};

/// Whether the logs take rows. Reads go on in every state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogState {
    /// They do.
    Healthy,
    /// They do not at present (disk full or read-only) and will by themselves once the cause is gone.
    ReadOnly {
        /// What is wrong and what helps.
        reason: String,
    },
    /// They will not until a restart: what is on the disk must be read again.
    Failed {
        /// What is wrong and what helps.
        reason: String,
    },
}

impl LogState {
    fn rank(&self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::ReadOnly { .. } => 1,
            Self::Failed { .. } => 2,
        }
    }
}

/// The state of each drain thread's log, and the refusals counted.
#[derive(Debug)]
pub(crate) struct Health {
    logs: Vec<ArcSwap<(LogState, ErrorCode)>>,
    changes: AtomicU64,
}

impl Health {
    pub(crate) fn new(logs: usize) -> Self {
        let healthy = || ArcSwap::from_pointee((LogState::Healthy, ErrorCode::LogicalError));
        Self { logs: (0..logs).map(|_| healthy()).collect(), changes: AtomicU64::new(0) }
    }

    /// Notes the state of a log, with the code that writers are refused with.
    pub(crate) fn set(&self, log: usize, state: LogState, code: ErrorCode) {
        let before = self.logs[log].load();
        if before.0 == state {
            return;
        }
        match &state {
            LogState::Healthy => tracing::info!(log, "the log takes rows again"),
            LogState::ReadOnly { reason } => {
                tracing::error!(log, reason, "the log takes no rows until the disk does")
            }
            LogState::Failed { reason } => {
                tracing::error!(log, reason, "the log takes no rows until a restart")
            }
        }
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.logs[log].store(Arc::new((state, code)));
    }

    /// The worst state of all logs.
    pub(crate) fn worst(&self) -> LogState {
        let states = self.logs.iter().map(|log| log.load().0.clone());
        states.max_by_key(LogState::rank).unwrap_or(LogState::Healthy)
    }

    /// Whether a log takes rows.
    ///
    /// # Errors
    /// `NotEnoughSpace`, `TableIsReadOnly`, `CannotFsync`, as the log failed.
    pub(crate) fn check(&self, log: usize) -> Result<()> {
        let state = self.logs[log].load();
        match &state.0 {
            LogState::Healthy => Ok(()),
            LogState::ReadOnly { reason } | LogState::Failed { reason } => {
                Err(Error::new(state.1, reason.clone()))
            }
        }
    }

    /// Whether a log takes no rows and may recover by itself.
    pub(crate) fn is_read_only(&self, log: usize) -> bool {
        matches!(self.logs[log].load().0, LogState::ReadOnly { .. })
    }

    /// As [`check`](Self::check), but a log that may recover by itself is let through, so that one write tries it.
    pub(crate) fn is_failed(&self, log: usize) -> bool {
        matches!(self.logs[log].load().0, LogState::Failed { .. })
    }
}
