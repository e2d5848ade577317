//! `X-ClickHouse-Progress`: how far a statement is, noted while the answer's head waits.
//!
//! ClickHouse writes each of these header lines when it comes; here they all leave with the head of the answer,
//! because an HTTP server can send a head only whole.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use tokio::time::{MissedTickBehavior, interval_at};
use zepto_common::service::Progress;

use crate::reply::{self, PROGRESS, Summary};

/// Most lines that are sent, the newest: some clients take no more than a hundred headers.
const LINES_MAX: usize = 32;
/// Shortest interval.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Takes notes of one statement.
pub(super) struct Notes {
    interval: Option<Duration>,
    started: Instant,
    progress: Arc<Progress>,
    lines: VecDeque<String>,
}

impl Notes {
    /// None for the interval: no notes.
    pub(super) fn new(interval: Option<Duration>, started: Instant, progress: Arc<Progress>) -> Self {
        let interval = interval.map(|interval| interval.max(INTERVAL_MIN));
        Self { interval, started, progress, lines: VecDeque::new() }
    }

    /// Waits for `work`, with a note at every interval.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let Some(interval) = self.interval else { return work.await };
        let mut ticks = interval_at(tokio::time::Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = work.as_mut() => return done,
                _ = ticks.tick() => self.note(),
            }
        }
    }

    fn note(&mut self) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(Summary::of(&self.progress, 0, 0).json(self.started));
    }

    /// Puts the notes into the answer's head.
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        for line in &self.lines {
            reply::put(headers, PROGRESS, line);
        }
    }
}
