//! Time as the protocol needs it: differences on one node's clock, never a wall clock.

use std::time::Duration;

/// A reading of a clock that only grows and counts the time that the machine was suspended, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment that comes `by` later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The protocol's times. They must rise: replicate timeout < lease < the coordinator's time to declare a node dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long an answer of a follower lets the owner read and acknowledge, from the owner's own send time.
    pub lease: Duration,
    /// A follower that is silent for so long is proposed for removal from the set.
    pub replicate_timeout: Duration,
    /// Without other traffic the owner sends so often.
    pub heartbeat: Duration,
    /// What was not answered is sent again after this time.
    pub resend: Duration,
}

impl Timing {
    /// How long a follower waits, after its last answer to one owner, before it follows another: the lease and a tenth,
    /// so that clocks may run apart by almost that much.
    #[must_use]
    pub fn guard(&self) -> Duration {
        self.lease + self.lease / 10
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_millis(5000),
            replicate_timeout: Duration::from_millis(2000),
            heartbeat: Duration::from_millis(500),
            resend: Duration::from_millis(500),
        }
    }
}
