//! A drain thread of a store with copies: the shell of a [`zepto_replication::Copy`] for each of its partitions.
//!
//! One turn takes the messages and rows that wait, has the copies judge them, and carries out what they say in its
//! order: log entries gather in the log's group, messages in the outbox, which goes out before the sync. One sync covers the entries of all partitions;
//! the copies hear of it, and what they say then is carried out too. What is to be shown is published before anybody is
//! answered. When a row is acknowledged is
//! the copies' to say; it is shown when no change of the rows below it waits ([`changes`]).

mod carry;
mod changes;
mod feeds;
mod group;
mod inbox;
mod install;
mod restless;
mod room;
mod writes;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use zepto_common::ids::{Epoch, SetVersion};
use zepto_common::placement::{Placement, Replica};
use zepto_common::{Error, ErrorCode, Lsn, PartitionId, Result};
use zepto_replication::{Copy, Moment, Outcome, RequestId};

use super::positions::Raise;
use super::{Command, IDLE, Shard, Stored};
use crate::copies::data::CopyData;
use crate::copies::{CopyOptions, CopyStatus, Letter, Payload, PeerMessage, Whole};
use crate::wal::LogPosition;

use group::OpenGroup;
use install::Transfer;
use restless::Restless;
use room::Room;

pub(crate) use changes::ChangeItem;
pub(crate) use inbox::{Delivered, Inbox};
pub(crate) use install::{Replaced, Replacement, TransferCommand};

/// Messages that wait for each other.
const LETTERS_MAX: usize = 4_096;

/// What the doors ask of a drain thread with copies.
#[derive(Debug)]
pub(crate) enum CopyCommand {
    /// What the coordinator has agreed on.
    Learn(Arc<Placement>),
    /// May what is shown be read now?
    Read(Vec<(PartitionId, oneshot::Sender<Result<Lsn>>)>),
    /// Give a partition up.
    HandOver(PartitionId),
    /// The set of this version may not become smaller.
    MayNotShrink(PartitionId, Epoch, SetVersion),
    /// Tell the positions of a feed, or raise them.
    Positions(Raise),
    /// Where a copy stands.
    Status(PartitionId, oneshot::Sender<CopyStatus>),
    /// Answer when nothing is left to do but to wait.
    Settle(SyncSender<()>),
    /// Of whole states.
    Transfer(TransferCommand),
    /// Log a change of rows in these partitions.
    Change(ChangeItem),
    /// The manifest has these changes: what follows them may be shown.
    Changed(Vec<(PartitionId, Lsn)>),
}

/// One copy with its data.
#[derive(Debug)]
struct Held {
    copy: Copy<Payload, Whole>,
    data: CopyData,
    transfer: Transfer,
    /// Entries given to the log since the start, and how many of them the copy knows to be synced.
    logged: u64,
    reported: u64,
    /// The change that waits for the background thread; nothing above it is shown.
    blocked: Option<Lsn>,
    /// Bytes of rows that came since.
    behind_bytes: usize,
}

/// Who waits for a copy.
#[derive(Debug)]
enum Waiter {
    /// Of his rows so many were there before, and are not in what he waits for.
    Writer {
        partition: PartitionId,
        answer: oneshot::Sender<Result<Stored>>,
        rows: u64,
        known: u64,
        _room: Arc<Room>,
    },
    Change {
        answer: oneshot::Sender<Result<()>>,
    },
    Reader {
        partition: PartitionId,
        answer: oneshot::Sender<Result<Lsn>>,
    },
    Feed(Raise),
}

/// All copies of one drain thread.
#[derive(Debug)]
pub(crate) struct Copies {
    options: CopyOptions,
    held: BTreeMap<u16, Held>,
    restless: Restless,
    waiters: HashMap<RequestId, Waiter>,
    requests: u64,
    answers: Vec<(RequestId, Outcome)>,
    /// Entries that go into the log as one frame.
    group: Option<OpenGroup>,
    ticked: Moment,
    settlers: Vec<SyncSender<()>>,
    /// What is to be said to other nodes, until something is worth waiting for.
    outbox: Vec<Letter>,
    /// Bytes of entries that were read from the logs again in this turn.
    read_bytes: usize,
    /// Something came in since the last turn.
    stirred: bool,
    failed: bool,
}

impl Held {
    fn is_restless(&self) -> bool {
        let shows_all = self.data.applied >= self.data.state.committed.0;
        self.reported < self.logged || !shows_all || self.copy.awaits_sync()
    }
}

impl Copies {
    /// The copies as the logs have them. Nothing is logged or sent before the first turn.
    pub(crate) fn new(shard: &Shard, options: CopyOptions, data: Vec<(PartitionId, CopyData)>) -> Self {
        let me = Replica { node: options.node, disk: shard.shared.disk_id };
        let (boot, now) = (shard.shared.token.boot, options.clock.now());
        let held = data.into_iter().map(|(partition, data)| {
            let copy = Copy::new(me, partition, boot, options.timing, data.recovered(), now);
            let transfer = Transfer::default();
            let held = Held { copy, data, transfer, logged: 0, reported: 0, blocked: None, behind_bytes: 0 };
            (partition.0, held)
        });
        Self {
            held: held.collect(),
            restless: Restless::default(),
            options,
            waiters: HashMap::new(),
            requests: 0,
            answers: Vec::new(),
            group: None,
            ticked: now,
            settlers: Vec::new(),
            outbox: Vec::new(),
            read_bytes: 0,
            stirred: true,
            failed: false,
        }
    }

    fn now(&self) -> Moment {
        self.options.clock.now()
    }

    /// Says something to another copy, together with what else this turn has to say.
    fn say(&mut self, to: Replica, partition: PartitionId, message: PeerMessage) {
        self.outbox.push(Letter { to, partition, message });
        if self.outbox.len() >= LETTERS_MAX {
            self.post();
        }
    }

    /// Lets out what is to be said.
    fn post(&mut self) {
        if !self.outbox.is_empty() {
            self.options.peers.send(std::mem::take(&mut self.outbox));
        }
    }

    /// Whether something that was logged has to be synced.
    fn await_sync(&self) -> bool {
        let mut restless = self.restless.iter().filter_map(|it| self.held.get(&it));
        restless.any(|held| held.copy.awaits_sync())
    }

    /// Whatever has changed beside what the copies said is found: time, the catalog, what was carried out.
    fn look_at_all(&mut self) {
        self.held.keys().for_each(|&partition| self.restless.note(partition));
    }

    /// Leaves alone who has nothing to be synced or shown.
    fn let_lie(&mut self) {
        let held = &self.held;
        self.restless.retain(|it| held.get(&it).is_some_and(Held::is_restless));
    }

    /// How often the copies hear that time has passed.
    fn tick(&self) -> Duration {
        (self.options.timing.heartbeat / 4).max(Duration::from_millis(5))
    }
}

impl Shard {
    /// The thread's body in a store with copies.
    pub(super) fn carry(mut self, mut copies: Copies) {
        for partition in copies.held.keys().copied().collect::<Vec<_>>() {
            self.carry_out(&mut copies, partition);
        }
        copies.post();
        self.show_positions_of(&copies);
        let mut stop = false;
        loop {
            while let Some(command) = self.drain().next_command() {
                stop |= self.obey_with_copies(&mut copies, command);
            }
            if self.turn(&mut copies) {
                continue;
            }
            if stop {
                break;
            }
            for done in copies.settlers.drain(..) {
                let _ = done.send(());
            }
            let nap = IDLE.min(copies.tick());
            let drain = self.drain();
            drain.ring.sleep(nap, || drain.has_command() || !drain.inbox.is_empty());
            self.look_again();
        }
        // Whoever still waits cannot know: the node ends.
        for (_, waiter) in copies.waiters.drain() {
            self.tell(waiter, Outcome::Unknown);
        }
        if !self.log.has_failed()
            && let Err(error) = self.log.close()
        {
            tracing::error!(shard = self.index, %error, "the log was not closed; its synced frames are safe");
        }
    }

    /// Takes what waits. False when there was nothing to do.
    fn turn(&mut self, copies: &mut Copies) -> bool {
        let inbox = self.drain().inbox.take();
        let group = self.gather();
        let due = copies.now().since(copies.ticked) >= copies.tick();
        if inbox.is_empty() && group.is_empty() && !due && !copies.stirred && !copies.await_sync() {
            return false;
        }
        if std::mem::take(&mut copies.stirred) || due {
            copies.look_at_all();
        }
        copies.read_bytes = 0;
        for it in inbox {
            self.hear(copies, it.partition.0, it.from, it.message);
        }
        self.write_group(copies, group);
        if due {
            copies.ticked = copies.now();
            for partition in copies.held.keys().copied().collect::<Vec<_>>() {
                let now = copies.now();
                if let Some(held) = copies.held.get_mut(&partition) {
                    held.copy.tick(now);
                    self.carry_out(copies, partition);
                    self.tick_transfer(copies, partition);
                }
            }
        }
        if due || copies.await_sync() {
            self.sync_copies(copies);
        }
        self.show(copies);
        self.answer(copies);
        self.close_group_or_fail(copies);
        copies.post();
        copies.let_lie();
        true
    }

    /// One sync for the entries of all copies, which then hear of it.
    fn sync_copies(&mut self, copies: &mut Copies) {
        if copies.failed {
            return;
        }
        // The others sync meanwhile.
        copies.post();
        let synced = self.close_group(copies).map_err(Error::from).and_then(|()| self.sync_log());
        if let Err(error) = synced {
            return self.fail_copies(copies, &error);
        }
        for partition in copies.restless.all() {
            let now = copies.now();
            let Some(held) = copies.held.get_mut(&partition) else { continue };
            if held.reported < held.logged {
                held.reported = held.logged;
                held.copy.synced(now, held.logged);
                self.carry_out(copies, partition);
            }
        }
        copies.post();
    }

    /// The log can no longer be trusted: every copy stops until the next start.
    fn fail_copies(&mut self, copies: &mut Copies, error: &Error) {
        if copies.failed {
            return;
        }
        copies.failed = true;
        copies.group = None;
        tracing::error!(shard = self.index, %error, "the copies of this drain thread stop until the next start");
        let reason = error.message.clone();
        self.shared.health.set(self.index, crate::store::LogState::Failed { reason }, error.code);
        for partition in copies.held.keys().copied().collect::<Vec<_>>() {
            if let Some(held) = copies.held.get_mut(&partition) {
                held.copy.log_failed();
                self.carry_out(copies, partition);
            }
        }
    }

    fn obey_with_copies(&mut self, copies: &mut Copies, command: Command) -> bool {
        match command {
            Command::Cut(answer) => {
                if let Some(cut) = self.cut_copies(copies) {
                    let _ = answer.send(cut);
                }
            }
            Command::Pause { entered, forget } => {
                if entered.send(applied_of(copies)).is_ok() {
                    while forget.recv().is_ok() {}
                }
            }
            Command::Release(covered) => {
                self.release(covered);
                let below = covered.max(LogPosition { sequence: self.first_sequence, offset: 0 });
                for held in copies.held.values_mut() {
                    held.data.frames.release(self.index as u16, below);
                    held.copy.released_below(held.data.frames.first());
                }
            }
            Command::Expire { done, .. } => {
                let message = "rows of a store with copies expire by entries of their log";
                let _ = done.send(Err(Error::new(ErrorCode::NotImplemented, message)));
            }
            Command::Forget(tables) => {
                for table in &tables {
                    self.dirty.remove(table);
                    copies.held.values_mut().for_each(|held| drop(held.data.windows.0.remove(table)));
                    self.shared.positions.lock().remove(table);
                }
            }
            Command::Copies(command) => self.obey_copies(copies, command),
            other => return self.obey(other),
        }
        false
    }

    fn obey_copies(&mut self, copies: &mut Copies, command: CopyCommand) {
        self.obey_copy_command(copies, command);
        self.close_group_or_fail(copies);
        copies.post();
    }

    fn obey_copy_command(&mut self, copies: &mut Copies, command: CopyCommand) {
        copies.stirred = true;
        match command {
            CopyCommand::Learn(placement) => {
                for partition in copies.held.keys().copied().collect::<Vec<_>>() {
                    let now = copies.now();
                    let agreed = placement.of(PartitionId(partition));
                    if let (Some(held), Some(agreed)) = (copies.held.get_mut(&partition), agreed) {
                        held.copy.learn(now, agreed);
                        self.carry_out(copies, partition);
                    }
                    self.note_placement(copies, partition, &placement);
                }
            }
            CopyCommand::Read(readers) => {
                for (partition, answer) in readers {
                    let (request, now) = (copies.next_request(), copies.now());
                    let Some(held) = copies.held.get_mut(&partition.0) else { continue };
                    copies.waiters.insert(request, Waiter::Reader { partition, answer });
                    held.copy.read(now, request);
                    self.carry_out(copies, partition.0);
                }
            }
            CopyCommand::HandOver(partition) => {
                let now = copies.now();
                if let Some(held) = copies.held.get_mut(&partition.0) {
                    held.copy.hand_over(now);
                    self.carry_out(copies, partition.0);
                }
            }
            CopyCommand::MayNotShrink(partition, epoch, version) => {
                if let Some(held) = copies.held.get_mut(&partition.0) {
                    held.copy.may_not_shrink(epoch, version);
                }
            }
            CopyCommand::Positions(raise) => self.raise_with_copies(copies, raise),
            CopyCommand::Status(partition, answer) => {
                let Some(held) = copies.held.get(&partition.0) else { return };
                let _ = answer.send(CopyStatus {
                    phase: held.copy.phase(),
                    seen: held.copy.seen(),
                    grant: held.copy.grant().cloned(),
                    end: held.copy.history().end().lsn,
                    committed: held.copy.committed(),
                    applied: Lsn(held.data.applied),
                    stopped: held.copy.stopped(),
                });
            }
            CopyCommand::Settle(done) => copies.settlers.push(done),
            CopyCommand::Transfer(command) => self.obey_transfer(copies, command),
            CopyCommand::Change(item) => self.begin_change(copies, item),
            CopyCommand::Changed(changes) => self.changed(copies, &changes),
        }
    }
}

impl Copies {
    fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }
}

fn applied_of(copies: &Copies) -> Vec<(PartitionId, Lsn)> {
    copies.held.iter().map(|(&partition, held)| (PartitionId(partition), Lsn(held.data.applied))).collect()
}

/// When rows of this turn came.
fn moment() -> Instant {
    Instant::now()
}
