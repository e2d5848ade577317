//! Everything that exists in one history, and the events in their order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use zepto_common::ids::{Epoch, SetVersion};
use zepto_common::placement::Replica;
use zepto_replication::{Change, Phase, RequestId, Timing};

use crate::checker::Checker;
use crate::client::Writer;
use crate::coordinator::{Coordinator, Sign};
use crate::event::{Due, Event};
use crate::faults::sync_time;
use crate::network::{CLIENTS, COORDINATOR, MS, Network};
use crate::node::{Action, Node};
use crate::random::Random;
use crate::scenario::{Report, Scenario};

/// One history.
pub struct World {
    pub(crate) scenario: Scenario,
    pub(crate) now: u64,
    count: u64,
    due: BinaryHeap<Reverse<Due>>,
    pub(crate) random: Random,
    pub(crate) network: Network,
    pub(crate) nodes: Vec<Node>,
    pub(crate) coordinator: Coordinator,
    pub(crate) writers: Vec<Writer>,
    /// Which writer waits for which request.
    pub(crate) requests: BTreeMap<RequestId, usize>,
    pub(crate) next_request: u64,
    pub(crate) checker: Checker,
    pub(crate) report: Report,
    pub(crate) healed: bool,
    pub(crate) slow_until: u64,
    pub(crate) disks: u128,
    /// The last act: this node stops in order, and by this time owns nothing.
    farewell: Option<(usize, u64)>,
}

/// A tenth of the product's times: a history of seconds has what would take minutes.
fn timing() -> Timing {
    Timing {
        lease: Duration::from_millis(500),
        replicate_timeout: Duration::from_millis(200),
        heartbeat: Duration::from_millis(50),
        resend: Duration::from_millis(50),
    }
}
const DEAD_AFTER: u64 = 1000 * MS;
const TICK: u64 = 25 * MS;
/// Until a node that stops in order, while nothing else goes wrong, owns nothing.
const FAREWELL: u64 = 5000 * MS;

/// Runs the history of a seed to its end.
#[must_use]
pub fn run(seed: u64, scenario: Scenario) -> Report {
    let mut world = World::new(seed, scenario);
    world.play();
    world.report()
}

impl World {
    fn new(seed: u64, scenario: Scenario) -> Self {
        let random = Random::new(seed);
        let nodes: Vec<Node> = (0..scenario.nodes)
            .map(|id| {
                let disk = zepto_common::ids::DiskId(1 + id as u128);
                Node::new(id as u32, disk, timing(), scenario.plant)
            })
            .collect();
        let replicas: Vec<Replica> = nodes.iter().map(Node::replica).collect();
        let sizes = (scenario.factor, scenario.min_in_sync);
        let coordinator = Coordinator::new(&replicas, scenario.partitions, sizes, DEAD_AFTER);
        let writers = (0..scenario.writers * scenario.partitions).map(|id| {
            let mut writer = Writer::new(
                id as u64,
                id % scenario.partitions,
                scenario.writes,
                coordinator.placement.clone(),
            );
            writer.feed = id / scenario.partitions % 2 == 1;
            writer.new_keys = scenario.new_keys;
            writer
        });
        Self {
            writers: writers.collect(),
            checker: Checker::new(scenario.partitions),
            disks: scenario.nodes as u128 + 1,
            scenario,
            now: 0,
            count: 0,
            due: BinaryHeap::new(),
            random,
            network: Network::default(),
            nodes,
            coordinator,
            requests: BTreeMap::new(),
            next_request: 1,
            report: Report::default(),
            healed: false,
            slow_until: 0,
            farewell: None,
        }
    }

    /// Plans an event.
    pub(crate) fn at(&mut self, after: u64, event: Event) {
        self.count += 1;
        self.due.push(Reverse(Due(self.now + after, self.count, event)));
    }

    fn play(&mut self) {
        for node in 0..self.nodes.len() {
            self.at(0, Event::Start(node));
            self.at(node as u64 * MS, Event::Tick(node));
        }
        self.at(0, Event::CoordinatorTick);
        self.at(300 * MS, Event::Fault);
        self.at(MS, Event::Read);
        for writer in 0..self.writers.len() {
            self.at(MS, Event::WriterStep(writer));
        }
        let end = self.scenario.trouble + self.scenario.patience;
        while self.checker.fault.is_none() {
            let Some(Reverse(Due(at, _, event))) = self.due.pop() else { break };
            self.now = at;
            if !self.healed && self.now >= self.scenario.trouble {
                self.heal();
            }
            match self.farewell {
                None if self.healed && self.is_done() => self.begin_farewell(),
                Some((node, _)) if self.coordinator.owned_by(node) == 0 && self.is_done() => return,
                Some((node, by)) if self.now > by => {
                    let owned = self.coordinator.owned_by(node);
                    self.checker.fail(format!("node {node} stops in order and owns {owned} partitions"));
                }
                _ => {}
            }
            if self.now > end {
                let what = self.unfinished();
                self.checker.fail(format!("after healing, not done in time: {what}"));
            }
            self.happen(event);
        }
    }

    /// All is well; a node that owns something is told to end.
    fn begin_farewell(&mut self) {
        let node = self.coordinator.placement.partitions[0].grant.owner.node.0 as usize;
        self.nodes[node].stopping = true;
        self.farewell = Some((node, self.now + FAREWELL));
    }

    fn heal(&mut self) {
        self.healed = true;
        self.network.heal();
        self.coordinator.away = false;
        self.slow_until = 0;
        for node in 0..self.nodes.len() {
            self.nodes[node].paused_until = 0;
            if self.nodes[node].stopping {
                self.nodes[node].crash(&mut self.random);
            }
            if !self.nodes[node].alive {
                self.start(node);
            }
        }
    }

    /// Everything is written, and every partition is served by one owner whose set is full.
    fn is_done(&self) -> bool {
        self.writers.iter().all(Writer::finished)
            && (0..self.scenario.partitions).all(|p| {
                let it = &self.coordinator.placement.partitions[p].grant;
                let owner = it.owner.node.0 as usize;
                let want = self.nodes[owner].positions(p);
                self.nodes[owner].phase(p) == Some(Phase::Serving)
                    && it.set.members.len() >= self.scenario.factor
                    && want.0 == want.1
                    && it.set.members.iter().all(|it| self.nodes[it.node.0 as usize].positions(p) == want)
            })
    }

    fn unfinished(&self) -> String {
        let writers: Vec<String> = self
            .writers
            .iter()
            .filter(|it| !it.finished())
            .map(|it| format!("writer {} of partition {} at {}", it.id, it.partition, it.done))
            .collect();
        let partitions: Vec<String> = (0..self.scenario.partitions)
            .map(|p| {
                let phases: Vec<_> = self.nodes.iter().map(|it| (it.phase(p), it.positions(p))).collect();
                format!("{:?} {phases:?}", self.coordinator.placement.partitions[p])
            })
            .collect();
        format!("{writers:?}; {partitions:#?}")
    }

    /// Whether a node takes events now.
    pub(crate) fn running(&self, node: usize) -> bool {
        self.nodes[node].alive && self.nodes[node].paused_until <= self.now
    }

    /// For a stopped process events wait; for a dead one they are lost.
    fn held_up(&mut self, node: usize, event: Event) -> Option<Event> {
        let it = &self.nodes[node];
        if it.alive && it.paused_until > self.now {
            let wait = it.paused_until - self.now;
            self.at(wait, event);
            return None;
        }
        it.alive.then_some(event)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick(node) => self.tick(node),
            Event::Message { to, .. } => {
                if let Some(event) = self.held_up(to.node.0 as usize, event) {
                    self.deliver(event);
                }
            }
            Event::SyncEnds { node, .. }
            | Event::Write { node, .. }
            | Event::ReadArrives { node, .. }
            | Event::Show { node, .. } => {
                if let Some(event) = self.held_up(node, event) {
                    self.deliver(event);
                }
            }
            Event::Learn(node, ..) | Event::HeldSet { node, .. } => {
                if let Some(event) = self.held_up(node, event) {
                    self.deliver(event);
                }
            }
            Event::CoordinatorTick => self.coordinator_tick(),
            Event::Heartbeat(replica, sign) => {
                if !self.coordinator.away {
                    self.coordinator.heard(self.now, replica, sign);
                }
            }
            Event::Proposal(change) => {
                if !self.coordinator.away {
                    let small = !self.coordinator.propose(&change, &mut self.random);
                    if let (true, Change::Set { partition, epoch, version, .. }) = (small, &change) {
                        self.hold_set(usize::from(partition.0), *epoch, *version);
                    }
                    self.publish();
                }
            }
            Event::WriterStep(writer) => self.writer_step(writer),
            Event::WriterGivesUp(writer, request) => {
                if self.writers[writer].waiting == Some(request) {
                    self.writers[writer].waiting = None;
                    self.writer_step(writer);
                }
            }
            Event::Answered(request, outcome) => self.answered(request, outcome),
            Event::Read => self.read(),
            Event::Fault => self.next_fault(),
            Event::Isolate(node, long) => self.isolated(node, long),
            Event::Start(node) => self.start(node),
            Event::Ends { node, start, long } => self.ends(node, start, long),
            Event::Mend(from, to) => self.network.mend(from, to),
            Event::Calm => {
                (self.network.loss, self.network.doubled, self.network.late) = (0, 0, 0);
            }
            Event::CoordinatorBack => self.coordinator.away = false,
        }
    }

    fn deliver(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Message { to, partition, from, message } => {
                let node = to.node.0 as usize;
                if self.nodes[node].replica() == to {
                    let actions = self.nodes[node].message(now, partition, from, message, &mut self.checker);
                    self.act(node, actions);
                }
            }
            Event::SyncEnds { node, start, length, counts } if self.nodes[node].start == start => {
                let actions = self.nodes[node].synced(now, length, &counts, &mut self.checker);
                self.act(node, actions);
                if self.nodes[node].disk.len() > length {
                    self.act(node, vec![Action::Sync]);
                }
            }
            Event::Learn(node, placement, wanted) => {
                let actions = self.nodes[node].learn(now, &placement, &mut self.checker);
                self.act(node, actions);
                let actions = self.nodes[node].obey(now, &placement, &wanted, &mut self.checker);
                self.act(node, actions);
            }
            Event::HeldSet { node, partition, epoch, version } => {
                self.nodes[node].may_not_shrink(partition, epoch, version);
            }
            Event::Write { node, partition, write } => {
                let actions = self.nodes[node].write(now, partition, write, &mut self.checker);
                self.act(node, actions);
            }
            Event::ReadArrives { node, partition, mark } => {
                if let Some((view, pinned)) = self.nodes[node].pin(partition) {
                    let start = self.nodes[node].start;
                    let work = self.random.range(0, 60 * MS);
                    self.at(work, Event::Show { node, start, partition, mark, view, pinned });
                }
            }
            Event::Show { node, start, partition, mark, view, pinned }
                if self.nodes[node].start == start && self.nodes[node].may_show(now, partition, pinned) =>
            {
                self.report.reads += 1;
                self.checker.read(node as u32, partition, mark, &view);
            }
            _ => {}
        }
    }

    /// Starts a node that does not run.
    fn start(&mut self, node: usize) {
        if self.nodes[node].alive {
            return;
        }
        let actions = self.nodes[node].begin(self.now, self.scenario.partitions, &mut self.checker);
        self.act(node, actions);
    }

    fn tick(&mut self, node: usize) {
        self.at(TICK, Event::Tick(node));
        if !self.running(node) {
            return;
        }
        let actions = self.nodes[node].tick(self.now, &mut self.checker);
        self.act(node, actions);
        let actions = self.nodes[node].give_up_all(self.now, &mut self.checker);
        self.act(node, actions);
        if self.random.chance(30) {
            let replica = self.nodes[node].replica();
            let sign = Sign { start: self.nodes[node].start, stopping: self.nodes[node].stopping };
            for delay in self.network.delays(&mut self.random, node as u32, COORDINATOR) {
                self.at(delay, Event::Heartbeat(replica, sign));
            }
        }
    }

    /// A start that was told to end has ended.
    fn ends(&mut self, node: usize, start: u64, long: u64) {
        if self.nodes[node].alive && self.nodes[node].start == start && !self.healed {
            self.nodes[node].crash(&mut self.random);
            self.at(long, Event::Start(node));
        }
    }

    fn coordinator_tick(&mut self) {
        self.at(4 * TICK, Event::CoordinatorTick);
        if !self.coordinator.away {
            self.coordinator.tick(self.now);
            // Balance does not wait until a node has gone.
            if self.farewell.is_some() && self.random.chance(20) {
                self.coordinator.ask_some(&mut self.random);
            }
            self.publish();
        }
    }

    /// Answers an owner whose set would become too small.
    fn hold_set(&mut self, partition: usize, epoch: Epoch, version: SetVersion) {
        self.report.held_sets += 1;
        let owner = self.coordinator.placement.partitions[partition].grant.owner.node.0;
        let node = owner as usize;
        for delay in self.network.delays(&mut self.random, COORDINATOR, owner) {
            self.at(delay, Event::HeldSet { node, partition, epoch, version });
        }
    }

    fn publish(&mut self) {
        for node in 0..self.nodes.len() {
            for delay in self.network.delays(&mut self.random, COORDINATOR, node as u32) {
                let (placement, wanted) =
                    (self.coordinator.placement.clone(), self.coordinator.wanted.clone());
                self.at(delay, Event::Learn(node, placement, wanted));
            }
        }
    }

    /// Carries a node's actions into the world.
    pub(crate) fn act(&mut self, node: usize, actions: Vec<Action>) {
        let me = node as u32;
        for action in actions {
            match action {
                Action::Send(partition, to, message) => {
                    let from = self.nodes[node].replica();
                    for delay in self.network.delays(&mut self.random, me, to.node.0) {
                        self.at(delay, Event::Message { to, partition, from, message: message.clone() });
                    }
                }
                Action::Answer(request, outcome) => {
                    for delay in self.network.delays(&mut self.random, me, CLIENTS) {
                        self.at(delay, Event::Answered(request, outcome));
                    }
                }
                Action::Propose(change) => {
                    for delay in self.network.delays(&mut self.random, me, COORDINATOR) {
                        self.at(delay, Event::Proposal(change.clone()));
                    }
                }
                Action::Sync => {
                    let it = &mut self.nodes[node];
                    if !it.syncing {
                        it.syncing = true;
                        let (start, length, counts) = (it.start, it.disk.len(), it.counts());
                        let delay = sync_time(&mut self.random, self.now < self.slow_until);
                        self.at(delay, Event::SyncEnds { node, start, length, counts });
                    }
                }
            }
        }
    }

    fn report(mut self) -> Report {
        let (committed, acknowledged) = self.checker.totals();
        self.report.fault = self.checker.fault.map(|what| format!("at {} ms: {what}", self.now / MS));
        self.report.committed = committed;
        self.report.acknowledged = acknowledged;
        self.report.failovers = self.coordinator.failovers;
        self.report.fenced = self.nodes.iter().map(|it| it.fenced).sum();
        self.report
    }
}
