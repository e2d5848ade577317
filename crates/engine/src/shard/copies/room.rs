//! The room that an item has in its drain thread's ring, until the last of those who wait for it is answered.

use std::fmt;
use std::sync::Arc;

use crate::store::shared::Shared;

/// One slot and so many bytes; dropping it gives them back.
pub(super) struct Room {
    shared: Arc<Shared>,
    index: usize,
    bytes: usize,
}

impl Room {
    /// What was reserved for an item.
    pub(super) fn of(shared: &Arc<Shared>, index: usize, bytes: usize) -> Self {
        Self { shared: shared.clone(), index, bytes }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(drain) = self.shared.drains.get(self.index) {
            drain.ring.free(1, self.bytes);
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
