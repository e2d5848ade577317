//! Rows per second, from a counter that only grows.

use std::time::{Duration, Instant};

/// Least distance of two looks at the counter, so that a rate means something.
const WINDOW_MIN: Duration = Duration::from_secs(1);

/// The rate between the last two looks that were far enough apart.
#[derive(Debug)]
pub struct Rate {
    at: Instant,
    rows: u64,
    per_second: f64,
}

impl Default for Rate {
    fn default() -> Self {
        Self::new()
    }
}

impl Rate {
    /// Begins now, from zero rows.
    #[must_use]
    pub fn new() -> Self {
        Self { at: Instant::now(), rows: 0, per_second: 0.0 }
    }

    /// Looks at the counter.
    pub fn per_second(&mut self, rows: u64) -> f64 {
        let elapsed = self.at.elapsed();
        if elapsed >= WINDOW_MIN {
            self.per_second = rows.saturating_sub(self.rows) as f64 / elapsed.as_secs_f64();
            self.at = Instant::now();
            self.rows = rows;
        }
        self.per_second
    }
}
