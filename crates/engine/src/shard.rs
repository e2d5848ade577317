//! A drain thread and the partitions it owns (`p % threads == index`): the only place where their rows get
//! positions. One pass takes all that waits, logs it with one write and one sync, publishes it, and answers.

pub(crate) mod apply;
mod commands;
pub(crate) mod copies;
mod pass;
pub(crate) mod positions;
pub(crate) mod space;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use arrow::array::UInt64Array;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use zepto_common::placement::Replica;
use zepto_common::{BatchId, Error, Lsn, PartitionId, Result, SchemaVersion, TableId};

use crate::chunk::Chunk;
use crate::copies::state::CopyState;
use crate::dedup::Window;
use crate::queue::{Full, Ring};
use crate::store::LogState;
use crate::store::shared::Shared;
use crate::table::TableData;
use crate::wal::{Log, LogPosition};

/// How long an idle drain thread sleeps at most; it is woken for work.
const IDLE: Duration = Duration::from_secs(1);
/// Commands that may wait for one drain thread.
const COMMANDS_MAX: usize = 1_024;
/// Rows of one group commit are gathered up to this many bytes.
const GROUP_BYTES_MAX: usize = 64 << 20;
/// Items of one group commit.
const GROUP_ITEMS_MAX: usize = 16_384;

/// What one drain thread stored of one item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) rows: u64,
    pub(crate) duplicate_rows: u64,
}

/// The rows of one block that belong to one drain thread.
#[derive(Debug)]
pub(crate) struct WriteItem {
    pub(crate) table: Arc<TableData>,
    pub(crate) batch: Option<BatchId>,
    pub(crate) block: u32,
    /// A retry has the same payload.
    pub(crate) repeatable: bool,
    pub(crate) chunk: Chunk,
    /// With a batch of a source: the offset of each row.
    pub(crate) offsets: Option<UInt64Array>,
    /// The rows as an Arrow IPC stream.
    pub(crate) payload: Bytes,
    /// In a store with copies: who has all of its partitions, about, and if a retry has the same rows their print, one
    /// of each part.
    pub(crate) followers: Arc<[Replica]>,
    pub(crate) prints: Vec<u64>,
    /// What was reserved in the ring.
    pub(crate) bytes: usize,
    /// Who waits: one for all of it, or in a store with copies one for each part.
    pub(crate) answers: Vec<oneshot::Sender<Result<Stored>>>,
}

impl WriteItem {
    fn row_count(&self) -> u64 {
        self.chunk.rows.num_rows() as u64
    }

    fn answer(self, outcome: &Result<Stored>) {
        tell_all(self.answers, outcome);
    }
}

/// Tells everybody the same; who does not wait any more need not know.
fn tell_all(answers: Vec<oneshot::Sender<Result<Stored>>>, outcome: &Result<Stored>) {
    for answer in answers {
        let _gave_up = answer.send(outcome.clone());
    }
}

/// The state of a shard at a pass boundary, for a checkpoint.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Per owned partition, the last applied lsn.
    pub(crate) applied: Vec<(PartitionId, Lsn)>,
    /// All frames below are applied.
    pub(crate) position: LogPosition,
    /// Every closed memtable of the shard with an id below this is covered by `applied`.
    pub(crate) sealed_below: u64,
    /// Encoded deduplication windows at `applied`, each with the number by which the manifest has it.
    pub(crate) windows: Vec<(TableId, u16, Bytes)>,
    /// What the copies remember; none in a store that stands alone.
    pub(crate) copies: Vec<(PartitionId, CopyState)>,
    /// No frame of an earlier start is needed any more.
    pub(crate) covers_old: bool,
}

/// What the background thread asks of a drain thread. It obeys between two passes.
#[derive(Debug)]
pub(crate) enum Command {
    /// Close all memtables and say where the log stands.
    Cut(SyncSender<Cut>),
    /// Say the applied lsns, then stand still until the other side of `forget` is dropped; forget the tokens of the
    /// tables that come from there.
    Pause { entered: SyncSender<Vec<(PartitionId, Lsn)>>, forget: Receiver<TableId> },
    /// A manifest covers the log up to here.
    Release(LogPosition),
    /// Remove the log files that wait to be used again: the disk is short.
    DropSpares,
    /// Log and show that rows of a table below a time are expired.
    Expire { table: Arc<TableData>, cutoff: i64, done: SyncSender<Result<()>> },
    /// Log and show the positions of a feed.
    Positions(positions::Raise),
    /// These tables are gone.
    Forget(Vec<TableId>),
    /// Of a store with copies.
    Copies(copies::CopyCommand),
    /// Handle what waits, then end.
    Stop,
}

/// The writers' and the background thread's side of a drain thread.
#[derive(Debug)]
pub(crate) struct Drain {
    pub(crate) ring: Ring<WriteItem>,
    /// Messages of other nodes.
    pub(crate) inbox: copies::Inbox,
    commands: Mutex<VecDeque<Command>>,
    commanded: AtomicBool,
    /// The thread ended by a panic: nobody takes from the queues any more.
    dead: AtomicBool,
}

impl Drain {
    pub(crate) fn new(slots: usize, bytes_max: usize) -> Self {
        Self {
            ring: Ring::new(slots, bytes_max),
            inbox: copies::Inbox::default(),
            commands: Mutex::new(VecDeque::new()),
            commanded: AtomicBool::new(false),
            dead: AtomicBool::new(false),
        }
    }

    /// Puts an item whose room was reserved into the ring.
    ///
    /// # Errors
    /// The ring has no slot for it.
    pub(crate) fn push(&self, item: WriteItem, rows: u64) -> std::result::Result<(), Full> {
        // With a fence behind it: either the thread's end sees the item, or this sees the end.
        self.ring.push(item, rows)?;
        if self.dead.load(Ordering::SeqCst) {
            self.refuse_all(&died());
        }
        Ok(())
    }

    /// Answers all that waits and all that comes: the thread has ended without doing so.
    pub(crate) fn bury(&self) {
        self.dead.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.refuse_all(&died());
        self.commands.lock().clear();
    }

    /// Puts a command in the queue and wakes the thread.
    ///
    /// # Errors
    /// The queue is full, which means that the thread has been stuck for long.
    pub(crate) fn command(&self, command: Command) -> Result<()> {
        {
            let mut commands = self.commands.lock();
            if self.dead.load(Ordering::SeqCst) {
                return Err(died());
            }
            if commands.len() >= COMMANDS_MAX {
                return Err(Error::internal("a drain thread does not take commands"));
            }
            commands.push_back(command);
        }
        self.commanded.store(true, Ordering::Release);
        self.ring.wake();
        Ok(())
    }

    /// Asks the thread to end; waits for a place in the queue at most so long.
    pub(crate) fn stop(&self, patience: Duration) {
        let deadline = std::time::Instant::now() + patience;
        let dead = || self.dead.load(Ordering::SeqCst);
        while self.command(Command::Stop).is_err() && !dead() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
    }

    fn next_command(&self) -> Option<Command> {
        let mut commands = self.commands.lock();
        let command = commands.pop_front();
        self.commanded.store(!commands.is_empty(), Ordering::Release);
        command
    }

    fn has_command(&self) -> bool {
        self.commanded.load(Ordering::Acquire)
    }

    /// Answers all that waits with this error; for a thread that has ended.
    pub(crate) fn refuse_all(&self, error: &Error) {
        while let Some(item) = self.ring.pop(WriteItem::row_count) {
            self.ring.free(1, item.bytes);
            item.answer(&Err(error.clone()));
        }
    }
}

fn died() -> Error {
    Error::internal("a storage thread has died: see the log and restart")
}

/// Stands for a drain thread: when it falls by a panic, those who wait for the thread hear of it.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    index: usize,
}

impl Watch {
    pub(crate) fn new(shared: Arc<Shared>, index: usize) -> Self {
        Self { shared, index }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = died();
            let state = LogState::Failed { reason: error.message.clone() };
            self.shared.health.set(self.index, state, error.code);
            self.shared.drains[self.index].bury();
        }
    }
}

/// What a drain thread knows of one table.
#[derive(Debug, Default)]
pub(crate) struct TableMemory {
    pub(crate) window: Window,
    /// The newest schema version with a frame in this start's log.
    pub(crate) schema_logged: SchemaVersion,
}

/// The state that the drain thread alone has.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) log: Log,
    /// The number of the file with which this start began the log.
    pub(crate) first_sequence: u64,
    /// Last lsn given out per owned partition (by partition number; others stay 0).
    pub(crate) lsns: Vec<u64>,
    pub(crate) tables: HashMap<TableId, TableMemory>,
    /// Tables with rows in an active memtable since the last cut.
    pub(crate) dirty: HashMap<TableId, Arc<TableData>>,
    pub(crate) space: space::SpaceWatch,
    pub(crate) logged: LogMeter,
    /// The copies that this thread carries; None in a store that stands alone.
    pub(crate) copies: Option<Box<copies::Copies>>,
}

/// The log since the last checkpoint.
#[derive(Debug)]
pub(crate) struct LogMeter {
    pub(crate) bytes: u64,
    pub(crate) asked: bool,
}

impl LogMeter {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { bytes, asked: false }
    }
}

impl Shard {
    /// The partitions that this thread owns.
    fn owned(&self) -> impl Iterator<Item = PartitionId> + use<> {
        let (index, step) = (self.index as u16, self.shared.drains.len());
        (index..self.shared.partitions).step_by(step).map(PartitionId)
    }

    fn drain(&self) -> &Drain {
        &self.shared.drains[self.index]
    }

    /// The thread's body: ends on [`Command::Stop`] after handling what waits.
    pub(crate) fn run(mut self) {
        // A start on a disk that is short of room is ready for reads only, before anybody has tried to write.
        let _ = self.ready_for_rows(std::time::Instant::now());
        if let Some(copies) = self.copies.take() {
            return self.carry(*copies);
        }
        loop {
            let mut stop = false;
            while let Some(command) = self.drain().next_command() {
                stop |= self.obey(command);
            }
            let group = self.gather();
            if !group.is_empty() {
                self.pass(group);
            } else if !stop {
                let drain = self.drain();
                drain.ring.sleep(IDLE, || drain.has_command());
                self.look_again();
            }
            if stop {
                return self.finish();
            }
        }
    }

    /// Handles what still waits (writes are refused by now, so it is bounded) and ends the log.
    fn finish(mut self) {
        loop {
            let group = self.gather();
            if group.is_empty() {
                break;
            }
            self.pass(group);
        }
        if !self.log.has_failed()
            && let Err(error) = self.log.close()
        {
            tracing::error!(shard = self.index, %error, "the log was not closed; its synced frames are safe");
        }
    }
}
