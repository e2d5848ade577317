//! What a feed shows of itself: in `/admin/feeds` and as metrics.

use std::collections::BTreeMap;
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::{Value, json};
use zepto_common::metric_names as names;

use crate::source::SourcePartition;
use crate::supervisor::State;

/// Shared by the feed, which writes it, and whoever shows it.
#[derive(Debug)]
pub struct FeedStatus {
    name: String,
    kind: &'static str,
    table: String,
    started: Instant,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    state: State,
    rows: u64,
    duplicate_rows: u64,
    messages: u64,
    dead_letters: u64,
    restarts: u64,
    missed: u64,
    lag: u64,
    rate: f64,
    /// Rows, and when, at the last measurement of the rate.
    measured: (u64, Instant),
    last_error: Option<String>,
    positions: BTreeMap<SourcePartition, u64>,
}

impl FeedStatus {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(name: &str, kind: &'static str, table: &str) -> Self {
        let told = Told {
            state: State::Starting,
            rows: 0,
            duplicate_rows: 0,
            messages: 0,
            dead_letters: 0,
            restarts: 0,
            missed: 0,
            lag: 0,
            rate: 0.0,
            measured: (0, Instant::now()),
            last_error: None,
            positions: BTreeMap::new(),
        };
        Self {
            name: name.to_owned(),
            kind,
            table: table.to_owned(),
            started: Instant::now(),
            told: Mutex::new(told),
        }
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.told.lock().state
    }

    /// Shows what its supervisor says.
    pub(crate) fn set_state(&self, state: State) {
        let mut told = self.told.lock();
        if told.state != state {
            tracing::info!(feed = self.name, from = ?told.state, to = ?state, "a feed's state");
        }
        told.state = state;
        let running = if state == State::Running { 1.0 } else { 0.0 };
        metrics::gauge!(names::FEED_RUNNING, "feed" => self.name.clone()).set(running);
    }

    /// Notes a fault; the text stays until the next one.
    pub(crate) fn fault(&self, error: &str) {
        let mut told = self.told.lock();
        // Once per fault and not per try: the feed waits between two tries.
        if told.last_error.as_deref() != Some(error) {
            tracing::warn!(feed = self.name, error, "a feed is in trouble");
        }
        told.last_error = Some(error.to_owned());
    }

    pub(crate) fn restarted(&self) {
        self.told.lock().restarts += 1;
    }

    /// Notes messages that are durable, as rows or as dead letters.
    pub(crate) fn read(&self, messages: u64) {
        self.told.lock().messages += messages;
    }

    /// Notes a block that is durable.
    pub(crate) fn stored(&self, rows: u64, duplicate_rows: u64) {
        let mut told = self.told.lock();
        told.rows += rows;
        told.duplicate_rows += duplicate_rows;
        metrics::counter!(names::FEED_ROWS, "feed" => self.name.clone()).increment(rows);
    }

    /// Notes messages that went to the dead-letter table.
    pub(crate) fn dead(&self, messages: u64) {
        self.told.lock().dead_letters += messages;
        let counter =
            metrics::counter!(names::FEED_DECODE_ERRORS, "feed" => self.name.clone(), "kind" => self.kind);
        counter.increment(messages);
    }

    /// Notes messages that the source removed before they were read.
    pub(crate) fn missed(&self, messages: u64, what: &str) {
        self.told.lock().missed += messages;
        metrics::counter!(names::FEED_MISSED, "feed" => self.name.clone()).increment(messages);
        self.fault(what);
    }

    pub(crate) fn dead_letters(&self) -> u64 {
        self.told.lock().dead_letters
    }

    pub(crate) fn at(&self, lag: u64, positions: &BTreeMap<SourcePartition, u64>) {
        let mut told = self.told.lock();
        told.lag = lag;
        told.positions.clone_from(positions);
        let (rows, since) = told.measured;
        let seconds = since.elapsed().as_secs_f64();
        if seconds >= 1.0 {
            told.rate = (told.rows - rows) as f64 / seconds;
            told.measured = (told.rows, Instant::now());
        }
        metrics::gauge!(names::FEED_LAG, "feed" => self.name.clone()).set(lag as f64);
    }

    /// All of it.
    #[must_use]
    pub fn show(&self) -> Value {
        let told = self.told.lock();
        let position = |(at, offset): (&SourcePartition, &u64)| json!({ "topic": &*at.topic, "partition": at.number, "next_offset": offset });
        // A feed that stands still measures nothing any more.
        let rate = if told.measured.1.elapsed().as_secs() > 10 { 0.0 } else { told.rate };
        json!({
            "name": self.name,
            "kind": self.kind,
            "table": self.table,
            "state": told.state,
            "uptime_seconds": self.started.elapsed().as_secs(),
            "messages": told.messages,
            "rows": told.rows,
            "duplicate_rows": told.duplicate_rows,
            "dead_letters": told.dead_letters,
            "restarts": told.restarts,
            "missed": told.missed,
            "lag": told.lag,
            "rows_per_second": rate,
            "last_error": told.last_error,
            "positions": told.positions.iter().map(position).collect::<Vec<_>>(),
        })
    }
}
