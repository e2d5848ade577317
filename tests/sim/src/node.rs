//! The shell around a node's copies: carries out their effects on a simulated log, as the storage node's drain threads
//! do on a real one.

use std::collections::BTreeMap;

use zepto_common::ids::{Boot, DiskId, Epoch, Lsn, NodeId, PartitionId, SetVersion};
use zepto_common::placement::{Placement, Replica};
use zepto_replication::plant::Plant;
use zepto_replication::{
    Alarm, Change, Copy, Effect, Entry, Key, LogOp, Message, Moment, Outcome, Phase, RequestId, Timing,
    Window, Write,
};

use crate::checker::Checker;
use crate::coordinator::Wanted;
use crate::disk::{Disk, Payload, Row, State, Stored};

/// Until a partition that is still here is asked again to go: twice a replicate timeout.
const ASK_AGAIN: u64 = 400 * crate::network::MS;

/// A message between nodes.
pub type Peer = Message<Payload, State>;

/// What a node does to the world.
#[derive(Debug)]
pub enum Action {
    /// Sends to a copy.
    Send(usize, Replica, Peer),
    /// Answers a client.
    Answer(RequestId, Outcome),
    /// Asks the coordinator.
    Propose(Change),
    /// Begins a sync of the log as it is.
    Sync,
}

/// One copy with what its shell keeps for it.
#[derive(Debug)]
struct Held {
    copy: Copy<Payload, State>,
    /// The frames that the log has.
    frames: BTreeMap<u64, Entry<Payload>>,
    state: State,
    keys: Keys,
    /// Entries given to the log since the start.
    logged: u64,
}

/// The deduplication window: here it keeps everything.
#[derive(Debug, Default)]
struct Keys(BTreeMap<Key, u64>);

impl Window for Keys {
    fn content_of(&self, key: &Key) -> Option<u64> {
        self.0.get(key).copied()
    }

    fn offset_of(&self, key: &Key) -> Option<u64> {
        self.0.get(key).copied()
    }
}

/// A node.
#[derive(Debug)]
pub struct Node {
    /// Its number.
    pub id: u32,
    /// Its data directory.
    pub disk_id: DiskId,
    /// Its log.
    pub disk: Disk,
    /// Whether it runs.
    pub alive: bool,
    /// This start was told to end.
    pub stopping: bool,
    /// When each partition was last asked to go.
    asked: BTreeMap<usize, u64>,
    /// Which of its starts this is; events of an earlier one are void.
    pub start: u64,
    /// It is stopped (SIGSTOP) until then.
    pub paused_until: u64,
    /// Its clock's speed in millionths.
    pub clock: u64,
    /// A sync is under way.
    pub syncing: bool,
    /// Its copies by partition; none while it does not run.
    held: Vec<Held>,
    timing: Timing,
    plant: Option<Plant>,
    /// Messages that were refused because they were too old.
    pub fenced: u64,
}

impl Node {
    /// A node with an empty disk that does not run yet.
    #[must_use]
    pub fn new(id: u32, disk_id: DiskId, timing: Timing, plant: Option<Plant>) -> Self {
        Self {
            id,
            disk_id,
            disk: Disk::default(),
            alive: false,
            stopping: false,
            asked: BTreeMap::new(),
            start: 0,
            paused_until: 0,
            clock: 1_000_000,
            syncing: false,
            held: Vec::new(),
            timing,
            plant,
            fenced: 0,
        }
    }

    /// The node with its disk.
    #[must_use]
    pub fn replica(&self) -> Replica {
        Replica { node: NodeId(self.id), disk: self.disk_id }
    }

    /// What its clock shows.
    #[must_use]
    pub fn moment(&self, now: u64) -> Moment {
        // The clocks of two nodes have nothing in common but their speed.
        let shown = u128::from(now) * u128::from(self.clock) / 1_000_000;
        Moment(shown as u64 + u64::from(self.id) * 1_000_000_000)
    }

    /// Starts on what the disk has.
    pub fn begin(&mut self, now: u64, partitions: usize, checker: &mut Checker) -> Vec<Action> {
        self.alive = true;
        self.start += 1;
        self.syncing = false;
        if self.plant != Some(Plant::SameBoot) || self.disk.boot == 0 {
            self.disk.boot += 1;
        }
        let (boot, moment, me) = (Boot(self.disk.boot), self.moment(now), self.replica());
        self.held = (0..partitions)
            .zip(self.disk.replay(partitions))
            .map(|(p, replayed)| {
                let id = PartitionId(p as u16);
                let mut copy = Copy::new(me, id, boot, self.timing, replayed.recovered, moment);
                copy.plant = self.plant;
                let mut keys = Keys::default();
                replayed.state.iter().for_each(|row| keys.note(row));
                Held { copy, frames: replayed.frames, state: replayed.state, keys, logged: 0 }
            })
            .collect();
        (0..partitions).flat_map(|p| self.carry_out(p, checker)).collect()
    }

    /// Has its partitions given up that the coordinator wants elsewhere.
    pub fn obey(
        &mut self,
        now: u64,
        placement: &Placement,
        wanted: &Wanted,
        checker: &mut Checker,
    ) -> Vec<Action> {
        let me = self.replica();
        let mine = |(p, to): &(&usize, &Replica)| **to != me && placement.partitions[**p].grant.owner == me;
        let mine: Vec<usize> = wanted.iter().filter(mine).map(|(p, _)| *p).collect();
        mine.into_iter().flat_map(|p| self.ask_to_hand_over(now, p, checker)).collect()
    }

    /// Has all its partitions given up, if it was told to end.
    pub fn give_up_all(&mut self, now: u64, checker: &mut Checker) -> Vec<Action> {
        let all = if self.stopping { self.held.len() } else { 0 };
        (0..all).flat_map(|p| self.ask_to_hand_over(now, p, checker)).collect()
    }

    /// Writers are served between two tries.
    fn ask_to_hand_over(&mut self, now: u64, p: usize, checker: &mut Checker) -> Vec<Action> {
        if self.phase(p).is_none() || self.asked.get(&p).is_some_and(|at| now - at < ASK_AGAIN) {
            return Vec::new();
        }
        self.asked.insert(p, now);
        self.hand_over(now, p, checker)
    }

    /// Power is lost, or the process is killed and the page cache with it.
    pub fn crash(&mut self, random: &mut crate::random::Random) {
        self.disk.crash(random);
        self.alive = false;
        self.stopping = false;
        self.asked.clear();
        self.held.clear();
    }

    /// The volume is empty from here on.
    pub fn wipe(&mut self, disk_id: DiskId) {
        self.disk = Disk::default();
        self.disk_id = disk_id;
    }

    /// Time passed.
    pub fn tick(&mut self, now: u64, checker: &mut Checker) -> Vec<Action> {
        let moment = self.moment(now);
        self.each(checker, |held, _| held.copy.tick(moment))
    }

    /// A sync of the log's first `length` entries has ended, of which so many were each partition's.
    pub fn synced(&mut self, now: u64, length: usize, counts: &[u64], checker: &mut Checker) -> Vec<Action> {
        self.syncing = false;
        self.disk.synced(length);
        let moment = self.moment(now);
        self.each(checker, |held, p| held.copy.synced(moment, counts[p]))
    }

    /// Entries of each partition since the start.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        self.held.iter().map(|it| it.logged).collect()
    }

    /// The placement has come.
    pub fn learn(&mut self, now: u64, placement: &Placement, checker: &mut Checker) -> Vec<Action> {
        let moment = self.moment(now);
        self.each(checker, |held, p| held.copy.learn(moment, &placement.partitions[p]))
    }

    /// A set of this node's may not become smaller.
    pub fn may_not_shrink(&mut self, p: usize, epoch: Epoch, version: SetVersion) {
        if let Some(held) = self.held.get_mut(p) {
            held.copy.may_not_shrink(epoch, version);
        }
    }

    /// A message has come.
    pub fn message(
        &mut self,
        now: u64,
        p: usize,
        from: Replica,
        message: Peer,
        checker: &mut Checker,
    ) -> Vec<Action> {
        let moment = self.moment(now);
        self.held[p].copy.message(moment, from, message);
        self.carry_out(p, checker)
    }

    /// A writer asks.
    pub fn write(&mut self, now: u64, p: usize, write: Write<Payload>, checker: &mut Checker) -> Vec<Action> {
        let moment = self.moment(now);
        let held = &mut self.held[p];
        held.copy.write(moment, write, &held.keys);
        self.carry_out(p, checker)
    }

    /// A reader's view: what is applied here, and the token and start under which it is served.
    #[must_use]
    pub fn pin(&self, p: usize) -> Option<(State, zepto_common::ids::Token)> {
        let held = &self.held[p];
        (held.copy.phase() == Some(Phase::Serving)).then(|| (held.state.clone(), held.copy.seen()))
    }

    /// Whether a view that was pinned under this token may be shown.
    pub fn may_show(&mut self, now: u64, p: usize, pinned: zepto_common::ids::Token) -> bool {
        let moment = self.moment(now);
        let held = &mut self.held[p];
        held.copy.read(moment, RequestId(0));
        let effects = held.copy.take_effects();
        let readable = effects.iter().any(|it| matches!(it, Effect::Answer(_, Outcome::Readable(_))));
        readable && held.copy.seen() == pinned
    }

    /// Gives a partition up.
    pub fn hand_over(&mut self, now: u64, p: usize, checker: &mut Checker) -> Vec<Action> {
        let moment = self.moment(now);
        self.held[p].copy.hand_over(moment);
        self.carry_out(p, checker)
    }

    /// Moves what is applied into the data files; the log forgets it.
    pub fn checkpoint(&mut self, p: usize) -> Vec<Action> {
        let held = &mut self.held[p];
        let Some(last) = held.state.last() else { return Vec::new() };
        let first = last.lsn.next();
        self.disk.append(p, Stored::Checkpoint(held.state.clone()));
        held.frames = held.frames.split_off(&first.0);
        held.copy.released_below(first);
        vec![Action::Sync]
    }

    /// The positions of a copy: committed, and the log's end.
    #[must_use]
    pub fn positions(&self, p: usize) -> (Lsn, Lsn) {
        let copy = &self.held[p].copy;
        (copy.committed(), copy.history().end().lsn)
    }

    /// Where the node stands as an owner.
    #[must_use]
    pub fn phase(&self, p: usize) -> Option<Phase> {
        self.held.get(p).and_then(|it| it.copy.phase())
    }

    fn each(&mut self, checker: &mut Checker, mut f: impl FnMut(&mut Held, usize)) -> Vec<Action> {
        let mut actions = Vec::new();
        for p in 0..self.held.len() {
            f(&mut self.held[p], p);
            actions.extend(self.carry_out(p, checker));
        }
        actions
    }

    /// Does what a copy wants, in its order.
    fn carry_out(&mut self, p: usize, checker: &mut Checker) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut installed = None;
        for effect in self.held[p].copy.take_effects() {
            let held = &mut self.held[p];
            match effect {
                Effect::Log(op) => {
                    held.logged += 1;
                    actions.push(Action::Sync);
                    match op {
                        LogOp::Installed(history) => installed = Some(history),
                        op => held.store(&mut self.disk, p, op),
                    }
                }
                Effect::Install(state) => {
                    if let Some(history) = installed.take() {
                        held.install(&state);
                        state.iter().for_each(|row| checker.applied(self.id, p, row));
                        self.disk.append(p, Stored::Installed(history, state));
                    }
                }
                Effect::Apply(to) => {
                    let note = self.plant != Some(Plant::ForgetKeys) || held.copy.phase().is_some();
                    if let Err(what) = held.apply(to, note, |row| checker.applied(self.id, p, row)) {
                        checker.fail(format!("node {} partition {p}: {what}", self.id));
                    }
                }
                Effect::Answer(request, outcome) => actions.push(Action::Answer(request, outcome)),
                Effect::Propose(change) => actions.push(Action::Propose(change)),
                Effect::Alarm(Alarm::Fenced(_)) => self.fenced += 1,
                Effect::Alarm(alarm) => checker.fail(format!("node {} partition {p}: {alarm:?}", self.id)),
                Effect::Send(to, message) => actions.push(Action::Send(p, to, message)),
                Effect::SendFrames { to, head, previous, frames, committed } => {
                    let entries = held.entries(frames);
                    actions.push(Action::Send(
                        p,
                        to,
                        Message::Replicate { head, previous, entries, committed },
                    ));
                }
                Effect::SendTail { to, token, sequence, previous, frames } => {
                    let entries = held.entries(frames);
                    actions.push(Action::Send(p, to, Message::Tail { token, sequence, previous, entries }));
                }
                Effect::SendState { to, head, history } => {
                    let state = held.state.clone();
                    actions.push(Action::Send(p, to, Message::Install { head, history, state }));
                }
            }
        }
        actions
    }
}

impl Keys {
    fn note(&mut self, row: &Row) {
        if let Some((key, content, _)) = row.written {
            let known = self.0.entry(key).or_insert(content);
            *known = content.max(*known);
        }
    }
}

impl Held {
    fn store(&mut self, disk: &mut Disk, p: usize, op: LogOp<Payload>) {
        match &op {
            LogOp::Append(entry) => {
                self.frames.insert(entry.position.lsn.0, entry.clone());
            }
            LogOp::Truncate(to) => {
                self.frames.split_off(&(to.0 + 1));
            }
            _ => {}
        }
        disk.append(p, Stored::Op(op));
    }

    fn install(&mut self, state: &State) {
        self.frames.clear();
        self.keys = Keys::default();
        state.iter().for_each(|row| self.keys.note(row));
        self.state.clone_from(state);
    }

    fn apply(&mut self, to: Lsn, note: bool, mut seen: impl FnMut(&Row)) -> Result<(), String> {
        let next = self.state.last().map_or(1, |row| row.lsn.0 + 1);
        for lsn in next..=to.0 {
            let entry = self.frames.get(&lsn).ok_or(format!("is to apply {to} and lacks frame {lsn}"))?;
            let row = Row {
                lsn: entry.position.lsn,
                token: entry.position.token,
                written: entry.payload.and_then(|payload| entry.key.map(|key| (key, entry.content, payload))),
            };
            if note {
                self.keys.note(&row);
            }
            seen(&row);
            self.state.push(row);
        }
        Ok(())
    }

    fn entries(&self, (from, to): (Lsn, Lsn)) -> Vec<Entry<Payload>> {
        if from > to {
            return Vec::new();
        }
        self.frames.range(from.0..=to.0).map(|(_, entry)| entry.clone()).collect()
    }
}
