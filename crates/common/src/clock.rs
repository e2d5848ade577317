//! Time: the monotonic clock orders and bounds, the wall clock only labels.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970 UTC by the wall clock; 0 if the clock stands before 1970, the last nanosecond of
/// `i64` if it stands after 2262. Never used to order events.
#[must_use]
pub fn wall_nanos() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}
