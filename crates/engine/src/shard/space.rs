//! Looks at the room on the disk now and then, so that writes are refused before the last byte is used: segments,
//! the manifest and the operating system need room too, or nothing could ever be freed.

use std::time::{Duration, Instant};

use zepto_common::{Error, ErrorCode, Result};

use crate::store::shared::Shared;

/// How long an answer is believed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The last look.
#[derive(Debug)]
pub(crate) struct SpaceWatch {
    looked: Option<Instant>,
    short: Option<u64>,
}

impl SpaceWatch {
    pub(crate) fn new() -> Self {
        Self { looked: None, short: None }
    }

    /// Whether there is room for rows.
    ///
    /// # Errors
    /// `NotEnoughSpace`.
    pub(super) fn check(&mut self, shared: &Shared, now: Instant) -> Result<()> {
        let reserve = shared.options.disk_reserve;
        // While room is short every pass looks again, so that the first write after it came back succeeds.
        let stale = self.looked.is_none_or(|looked| now.duration_since(looked) >= LOOK_EVERY);
        if stale || self.short.is_some() {
            self.looked = Some(now);
            // A disk that cannot tell is tried by the write itself.
            let free = shared.disk().space(&shared.options.data_dir).map(|space| space.free);
            self.short = free.ok().filter(|&free| free < reserve);
        }
        match self.short {
            None => Ok(()),
            Some(free) => {
                let message = format!(
                    "{free} bytes are free on the disk of {} and {reserve} are kept in reserve: free some space",
                    shared.options.data_dir.display()
                );
                Err(Error::new(ErrorCode::NotEnoughSpace, message))
            }
        }
    }
}
