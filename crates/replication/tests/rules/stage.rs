//! A few copies of one partition side by side: messages wait until the test delivers them, logs are synced at once
//! unless the test holds them up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use zepto_common::ids::{BatchId, Boot, DiskId, Epoch, Lsn, NodeId, PartitionId, SetVersion, TableId};
use zepto_common::placement::{Assignment, Grant, InSyncSet, Replica};
use zepto_replication::{
    Change, Copy, Effect, Entry, Key, LogOp, Message, Moment, Outcome, Recovered, RequestId, Timing, Window,
    Write,
};

pub(crate) type Peer = Message<u64, ()>;

#[cfg(feature = "plant")]
thread_local! {
    /// The bug that the copies of this thread have.
    pub(crate) static PLANT: std::cell::Cell<Option<zepto_replication::plant::Plant>> =
        const { std::cell::Cell::new(None) };
}

fn same_boot() -> bool {
    #[cfg(feature = "plant")]
    return PLANT.get() == Some(zepto_replication::plant::Plant::SameBoot);
    #[cfg(not(feature = "plant"))]
    false
}

/// Nothing was committed long ago.
struct Empty;
impl Window for Empty {
    fn content_of(&self, _: &Key) -> Option<u64> {
        None
    }

    fn offset_of(&self, _: &Key) -> Option<u64> {
        None
    }
}

/// A copy and its log.
pub(crate) struct Side {
    pub(crate) copy: Copy<u64, ()>,
    frames: BTreeMap<u64, Entry<u64>>,
    log: Vec<LogOp<u64>>,
    /// Entries of the log that are synced.
    synced: usize,
    logged: u64,
    /// Syncs do not end while this is set.
    pub(crate) stuck: bool,
    pub(crate) applied: u64,
}

/// The table on which the copies stand.
pub(crate) struct Stage {
    pub(crate) now: Moment,
    pub(crate) sides: BTreeMap<u32, Side>,
    pub(crate) wire: VecDeque<(u32, u32, Peer)>,
    /// Links that lose everything.
    pub(crate) cut: BTreeSet<(u32, u32)>,
    pub(crate) answers: BTreeMap<u64, Outcome>,
    pub(crate) proposals: Vec<Change>,
    boots: BTreeMap<u32, u64>,
}

pub(crate) fn replica(node: u32) -> Replica {
    Replica { node: NodeId(node), disk: DiskId(u128::from(node)) }
}

pub(crate) fn grant(epoch: u64, owner: u32, version: u64, members: &[u32]) -> Grant {
    let members = members.iter().map(|it| replica(*it)).collect();
    let set = InSyncSet { version: SetVersion(version), members };
    Grant { partition: PartitionId(0), epoch: Epoch(epoch), owner: replica(owner), set }
}

pub(crate) fn agreed(grant: Grant, joining: &[u32]) -> Assignment {
    Assignment { grant, joining: joining.iter().map(|it| replica(*it)).collect(), leaving: BTreeSet::new() }
}

pub(crate) fn timing() -> Timing {
    Timing::default()
}

impl Stage {
    /// Copies with empty disks.
    pub(crate) fn new(nodes: &[u32]) -> Self {
        let mut stage = Self {
            now: Moment(1_000_000_000_000),
            sides: BTreeMap::new(),
            wire: VecDeque::new(),
            cut: BTreeSet::new(),
            answers: BTreeMap::new(),
            proposals: Vec::new(),
            boots: BTreeMap::new(),
        };
        nodes.iter().for_each(|it| stage.start(*it, Vec::new()));
        stage
    }

    fn start(&mut self, node: u32, log: Vec<LogOp<u64>>) {
        let boot = self.boots.entry(node).or_default();
        if *boot == 0 || !same_boot() {
            *boot += 1;
        }
        let (recovered, frames) = replay(&log);
        let boot = Boot(*boot);
        #[cfg_attr(not(feature = "plant"), expect(unused_mut, reason = "only a plant changes it"))]
        let mut copy = Copy::new(replica(node), PartitionId(0), boot, timing(), recovered, self.now);
        #[cfg(feature = "plant")]
        {
            copy.plant = PLANT.get();
        }
        let synced = log.len();
        let side = Side { copy, frames, log, synced, logged: 0, stuck: false, applied: 0 };
        self.sides.insert(node, side);
        self.carry_out(node);
    }

    /// Power fails at a node: it starts again on what was synced of its log.
    pub(crate) fn restart(&mut self, node: u32) {
        let mut side = self.sides.remove(&node).unwrap();
        side.log.truncate(side.synced);
        self.start(node, side.log);
    }

    pub(crate) fn copy(&mut self, node: u32) -> &mut Copy<u64, ()> {
        &mut self.sides.get_mut(&node).unwrap().copy
    }

    /// Everybody hears of a placement.
    pub(crate) fn learn(&mut self, nodes: &[u32], agreed: &Assignment) {
        for node in nodes {
            let now = self.now;
            self.copy(*node).learn(now, agreed);
            self.carry_out(*node);
        }
    }

    /// Delivers what is on the wire, and what follows from it.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            let Some((from, to, message)) = self.wire.pop_front() else { return };
            self.deliver(from, to, message);
        }
        panic!("the copies never come to rest");
    }

    pub(crate) fn deliver(&mut self, from: u32, to: u32, message: Peer) {
        if !self.cut.contains(&(from, to)) && self.sides.contains_key(&to) {
            let now = self.now;
            self.copy(to).message(now, replica(from), message);
            self.carry_out(to);
        }
    }

    /// Lets time pass in steps of a heartbeat, with everything delivered.
    pub(crate) fn pass(&mut self, time: Duration) {
        let step = Duration::from_millis(100);
        let mut left = time;
        while left > Duration::ZERO {
            self.now = self.now.plus(step.min(left));
            left = left.saturating_sub(step);
            let nodes: Vec<u32> = self.sides.keys().copied().collect();
            for node in nodes {
                let now = self.now;
                self.copy(node).tick(now);
                self.carry_out(node);
            }
            self.settle();
        }
    }

    pub(crate) fn write(&mut self, node: u32, request: u64) {
        self.write_as(node, request, request, request, Epoch(0));
    }

    pub(crate) fn write_as(&mut self, node: u32, request: u64, batch: u64, content: u64, epoch: Epoch) {
        let key =
            Key { table: TableId(1), batch: BatchId::Producer { producer: 1, sequence: batch }, block: 0 };
        let write = Write { request: RequestId(request), epoch, key: Some(key), content, payload: batch };
        let now = self.now;
        self.copy(node).write(now, write, &Empty);
        self.carry_out(node);
    }

    /// What a reader is told now.
    pub(crate) fn read(&mut self, node: u32) -> Outcome {
        let now = self.now;
        self.copy(node).read(now, RequestId(u64::MAX));
        self.carry_out(node);
        self.answers.remove(&u64::MAX).unwrap()
    }

    pub(crate) fn hand_over(&mut self, node: u32) {
        let now = self.now;
        self.copy(node).hand_over(now);
        self.carry_out(node);
    }

    /// Ends the syncs of a node that was stuck.
    pub(crate) fn unstick(&mut self, node: u32) {
        self.sides.get_mut(&node).unwrap().stuck = false;
        self.carry_out(node);
    }

    /// Has an owner served for a while, with this set.
    pub(crate) fn serving(nodes: &[u32], owner: u32, members: &[u32]) -> Self {
        let mut stage = Self::new(nodes);
        stage.learn(nodes, &agreed(grant(1, owner, 1, members), &[]));
        stage.pass(Duration::from_millis(300));
        assert!(matches!(stage.read(owner), Outcome::Readable(_)));
        stage
    }

    fn carry_out(&mut self, node: u32) {
        loop {
            let side = self.sides.get_mut(&node).unwrap();
            let effects = side.copy.take_effects();
            if effects.is_empty() && (side.stuck || side.logged == 0) {
                return;
            }
            let quiet = effects.is_empty();
            for effect in effects {
                self.one(node, effect);
            }
            let now = self.now;
            let side = self.sides.get_mut(&node).unwrap();
            if !side.stuck {
                let logged = side.logged;
                side.synced = side.log.len();
                side.copy.synced(now, logged);
            }
            if quiet {
                let rest = side.copy.take_effects();
                let none = rest.is_empty();
                rest.into_iter().for_each(|effect| self.one(node, effect));
                if none {
                    return;
                }
            }
        }
    }

    fn one(&mut self, node: u32, effect: Effect<u64, ()>) {
        let side = self.sides.get_mut(&node).unwrap();
        match effect {
            Effect::Log(op) => {
                side.logged += 1;
                note(&mut side.frames, &op);
                side.log.push(op);
            }
            Effect::Send(to, message) => self.wire.push_back((node, to.node.0, message)),
            Effect::SendFrames { to, head, previous, frames, committed } => {
                let entries = side.entries(frames);
                self.wire.push_back((
                    node,
                    to.node.0,
                    Message::Replicate { head, previous, entries, committed },
                ));
            }
            Effect::SendTail { to, token, sequence, previous, frames } => {
                let entries = side.entries(frames);
                self.wire.push_back((node, to.node.0, Message::Tail { token, sequence, previous, entries }));
            }
            Effect::SendState { to, head, history } => {
                self.wire.push_back((node, to.node.0, Message::Install { head, history, state: () }));
            }
            Effect::Install(()) => {}
            Effect::Apply(to) => side.applied = to.0,
            Effect::Answer(request, outcome) => {
                self.answers.insert(request.0, outcome);
            }
            Effect::Propose(change) => self.proposals.push(change),
            Effect::Alarm(_) => {}
        }
    }
}

impl Side {
    fn entries(&self, (from, to): (Lsn, Lsn)) -> Vec<Entry<u64>> {
        if from > to { Vec::new() } else { self.frames.range(from.0..=to.0).map(|it| it.1.clone()).collect() }
    }
}

fn note(frames: &mut BTreeMap<u64, Entry<u64>>, op: &LogOp<u64>) {
    match op {
        LogOp::Append(entry) => {
            frames.insert(entry.position.lsn.0, entry.clone());
        }
        LogOp::Truncate(to) => {
            frames.split_off(&(to.0 + 1));
        }
        _ => {}
    }
}

fn replay(log: &[LogOp<u64>]) -> (Recovered, BTreeMap<u64, Entry<u64>>) {
    let (mut it, mut frames) = (Recovered::default(), BTreeMap::new());
    for op in log {
        note(&mut frames, op);
        match op {
            LogOp::Append(entry) => {
                it.history.append(entry.position.token);
            }
            LogOp::Truncate(to) => it.history.truncate(*to),
            LogOp::Seen(token, grant) => (it.seen, it.grant) = (*token, Some(grant.clone())),
            LogOp::Followed(epoch) => it.followed = *epoch,
            LogOp::Pending(base, members) => it.pending = Some((*base, members.clone())),
            LogOp::Committed(lsn) => it.committed = *lsn,
            LogOp::Installed(history) => it.history = history.clone(),
        }
    }
    it.uncommitted = frames.range(it.committed.0 + 1..).map(|(_, it)| (it.key, it.content)).collect();
    (it, frames)
}
