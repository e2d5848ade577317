//! The statements that run now: admission, the way to stop one, and what it holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::service::{Progress, RequestContext, RunningQuery};

/// Bytes of a statement's text that are shown.
const TEXT_BYTES_MAX: usize = 4_096;

/// One statement while it runs. Plans reach it through the session's extensions.
#[derive(Debug)]
pub(crate) struct QueryHandle {
    /// Counters, also read by the door.
    pub(crate) progress: Arc<Progress>,
    /// Bytes that its operators have reserved.
    pub(crate) memory: AtomicUsize,
    /// Fires when the client went away or the statement was killed.
    pub(crate) cancel: CancellationToken,
    /// When it is stopped.
    pub(crate) deadline: Instant,
    reading: ReadLimits,
    id: String,
    user: String,
    text: String,
    started: Instant,
    killed: AtomicBool,
}

/// What a statement may read, by the settings `max_rows_to_read`, `max_bytes_to_read` and `read_overflow_mode`.
#[derive(Debug, Clone, Copy)]
struct ReadLimits {
    rows: u64,
    bytes: u64,
    /// Reading ends there in place of an error.
    cut: bool,
}

impl ReadLimits {
    fn new(settings: &BTreeMap<String, String>) -> Self {
        let wanted = |name: &str| settings.get(name).and_then(|text| zepto_common::settings::size(text));
        let most = |name: &str| wanted(name).filter(|most| *most > 0).unwrap_or(u64::MAX);
        Self {
            rows: most("max_rows_to_read"),
            bytes: most("max_bytes_to_read"),
            cut: settings.get("read_overflow_mode").is_some_and(|mode| mode == "break"),
        }
    }
}

impl QueryHandle {
    fn new(text: &str, context: &RequestContext, deadline: Instant) -> Self {
        Self {
            progress: Arc::new(Progress::default()),
            memory: AtomicUsize::new(0),
            cancel: context.cancel.child_token(),
            deadline,
            reading: ReadLimits::new(&context.settings),
            id: context.query_id.clone(),
            user: context.user.clone(),
            text: shortened(text),
            started: Instant::now(),
            killed: AtomicBool::new(false),
        }
    }

    /// A part of a statement that another node lists.
    pub(crate) fn of_fragment(context: &RequestContext) -> Arc<Self> {
        Arc::new(Self::new("", context, context.deadline))
    }

    /// Its id for people.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Who sent it.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// Why it must stop; None while it may go on.
    pub(crate) fn stopped(&self) -> Option<Error> {
        if self.cancel.is_cancelled() {
            return Some(self.cancelled());
        }
        if Instant::now() >= self.deadline {
            return Some(self.timed_out());
        }
        self.read_too_much()
    }

    /// The error of a statement that has read more than its settings permit.
    pub(crate) fn read_too_much(&self) -> Option<Error> {
        let ReadLimits { rows, bytes, cut } = self.reading;
        let read_rows = self.progress.read_rows.load(Ordering::Relaxed);
        let read_bytes = self.progress.read_bytes.load(Ordering::Relaxed);
        if cut || (read_rows <= rows && read_bytes <= bytes) {
            return None;
        }
        let (code, what, most, now) = if read_rows > rows {
            (ErrorCode::TooManyRows, "rows", rows, read_rows)
        } else {
            (ErrorCode::TooManyBytes, "bytes", bytes, read_bytes)
        };
        let message =
            format!("Limit for rows or bytes to read exceeded, max {what}: {most}, current {what}: {now}");
        Some(Error::new(code, message))
    }

    /// Whether it has read what its settings permit and is to answer for that (`read_overflow_mode = 'break'`).
    pub(crate) fn has_read_enough(&self) -> bool {
        let ReadLimits { rows, bytes, cut } = self.reading;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        cut && (read(&self.progress.read_rows) >= rows || read(&self.progress.read_bytes) >= bytes)
    }

    /// The error of a statement that was killed or whose client went away.
    pub(crate) fn cancelled(&self) -> Error {
        let why = if self.killed.load(Ordering::Relaxed) { "killed" } else { "cancelled" };
        Error::new(ErrorCode::QueryWasCancelled, format!("Query was {why}"))
    }

    /// The error of a statement that ran past its deadline.
    pub(crate) fn timed_out(&self) -> Error {
        let seconds = self.started.elapsed().as_secs_f64();
        let most = self.deadline.saturating_duration_since(self.started).as_secs_f64();
        let message = format!("Timeout exceeded: elapsed {seconds:.3} seconds, maximum: {most:.3}");
        Error::new(ErrorCode::TimeoutExceeded, message)
    }

    /// Seconds since its start.
    pub(crate) fn elapsed(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn shown(&self) -> RunningQuery {
        RunningQuery {
            query_id: self.id.clone(),
            user: self.user.clone(),
            query: self.text.clone(),
            elapsed: self.elapsed(),
            read_rows: self.progress.read_rows.load(Ordering::Relaxed),
            memory_usage: self.memory.load(Ordering::Relaxed) as u64,
            node: None,
        }
    }
}

/// All running statements, at most a fixed number of them.
#[derive(Debug)]
pub(crate) struct Running {
    most: usize,
    next: AtomicU64,
    handles: Mutex<BTreeMap<u64, Arc<QueryHandle>>>,
}

/// Takes a statement off the list when it is dropped.
#[derive(Debug)]
pub(crate) struct RunningGuard {
    running: Arc<Running>,
    number: u64,
    /// The statement.
    pub(crate) handle: Arc<QueryHandle>,
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.running.handles.lock().remove(&self.number);
    }
}

impl Running {
    /// A list of at most `most`.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, next: AtomicU64::new(0), handles: Mutex::new(BTreeMap::new()) })
    }

    /// Admits a statement.
    ///
    /// # Errors
    /// `TooManySimultaneousQueries`, `QueryWithSameIdIsAlreadyRunning`.
    pub(crate) fn start(
        self: &Arc<Self>,
        text: &str,
        context: &RequestContext,
        deadline: Instant,
    ) -> Result<RunningGuard> {
        let handle = Arc::new(QueryHandle::new(text, context, deadline));
        let mut handles = self.handles.lock();
        if handles.len() >= self.most {
            let message = format!("Too many simultaneous queries. Maximum: {}", self.most);
            return Err(Error::new(ErrorCode::TooManySimultaneousQueries, message));
        }
        if !handle.id.is_empty() && handles.values().any(|other| other.id == handle.id) {
            let message = format!("Query with id = {} is already running", handle.id);
            return Err(Error::new(ErrorCode::QueryWithSameIdIsAlreadyRunning, message));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        handles.insert(number, handle.clone());
        Ok(RunningGuard { running: self.clone(), number, handle })
    }

    /// What runs now, oldest first.
    pub(crate) fn list(&self) -> Vec<RunningQuery> {
        self.handles.lock().values().map(|handle| handle.shown()).collect()
    }

    /// Stops the statements for which `wanted` is true, except the one that asks; gives their ids.
    pub(crate) fn kill(&self, wanted: impl Fn(&RunningQuery) -> bool) -> Vec<RunningQuery> {
        let mut stopped = Vec::new();
        for handle in self.handles.lock().values() {
            let shown = handle.shown();
            if wanted(&shown) {
                handle.killed.store(true, Ordering::Relaxed);
                handle.cancel.cancel();
                stopped.push(shown);
            }
        }
        stopped
    }
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
