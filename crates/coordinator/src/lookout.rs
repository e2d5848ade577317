//! The watch over the nodes: looks at the time every interval whatever else this process waits for, has silent nodes
//! asked, and notes which starts are to be declared dead.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use zepto_common::ids::{Boot, NodeId};

use crate::detector::{Detector, Order, Settings};
use crate::member::Member;
use crate::options::Options;
use crate::state::{NodeRole, NodeState, State};

/// The first bytes of an HTTP/2 connection: the preface and empty SETTINGS. Any answer shows a process that runs.
const HTTP2_HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Time since the machine started, sleep included.
pub(crate) fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// What this process has seen, for the doors, which tell it, and for the governor.
#[derive(Debug)]
pub(crate) struct Observations {
    detector: Mutex<Detector>,
    /// Starts that said that they are ready.
    ready: Mutex<BTreeSet<(NodeId, Boot)>>,
    /// Starts that were silent for too long at the last look.
    silent: Mutex<BTreeSet<(NodeId, Boot)>>,
    /// There is one more of them.
    found: Notify,
}

impl Observations {
    pub(crate) fn new(options: &Options) -> Self {
        let times = &options.times;
        let settings = Settings { interval: times.interval, suspect: times.suspect, dead: times.dead };
        Self {
            detector: Mutex::new(Detector::new(settings)),
            ready: Mutex::default(),
            silent: Mutex::default(),
            found: Notify::new(),
        }
    }

    /// A node made itself heard by authenticated traffic.
    pub(crate) fn heard(&self, node: NodeId, incarnation: Boot) {
        self.detector.lock().heard(now(), node, incarnation);
    }

    /// A start of a node says that it is ready; bounded by the nodes that are known.
    pub(crate) fn ready(&self, node: NodeId, incarnation: Boot) {
        self.ready.lock().insert((node, incarnation));
    }

    /// What this member thinks of a node.
    pub(crate) fn opinion(&self, node: NodeId) -> Option<crate::detector::Opinion> {
        self.detector.lock().opinion(now(), node)
    }

    pub(crate) fn is_ready(&self, node: NodeId, incarnation: Boot) -> bool {
        self.ready.lock().contains(&(node, incarnation))
    }

    /// Nodes heard of lately.
    pub(crate) fn heard_lately(&self) -> BTreeSet<NodeId> {
        self.detector.lock().heard_lately(now())
    }

    /// Starts that are to be declared dead.
    pub(crate) fn silent(&self) -> BTreeSet<(NodeId, Boot)> {
        self.silent.lock().clone()
    }

    /// Waits until there is one more of them.
    pub(crate) async fn found_dead(&self) {
        self.found.notified().await;
    }
}

/// The loop; it decides nothing.
pub(crate) struct Lookout {
    interval: Duration,
    member: Member,
    observations: Arc<Observations>,
    probes: JoinSet<(NodeId, Boot, bool)>,
}

impl Lookout {
    pub(crate) fn new(options: &Options, member: Member, observations: Arc<Observations>) -> Self {
        Self { interval: options.times.interval, member, observations, probes: JoinSet::new() }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.look(),
                Some(probed) = self.probes.join_next() => {
                    if let Ok((node, incarnation, answered)) = probed {
                        self.observations.detector.lock().probed(node, incarnation, answered);
                    }
                }
            }
        }
    }

    fn look(&mut self) {
        let state = self.member.state();
        let expected: Vec<_> = state
            .nodes()
            .filter(|node| node.state != NodeState::Dead)
            .map(|node| (node.id, node.incarnation, node.role == NodeRole::Storage))
            .collect();
        let orders = {
            let mut detector = self.observations.detector.lock();
            detector.expect(now(), expected);
            detector.tick(now(), self.member.leads())
        };
        self.observations.ready.lock().retain(|(node, incarnation)| {
            state.node(*node).is_some_and(|known| known.incarnation == *incarnation)
        });
        let mut silent = BTreeSet::new();
        for order in orders {
            match order {
                Order::Probe(node, incarnation) => self.probe(&state, node, incarnation),
                Order::MarkDead(node, incarnation) => {
                    silent.insert((node, incarnation));
                }
            }
        }
        let before = std::mem::replace(&mut *self.observations.silent.lock(), silent.clone());
        if !silent.is_subset(&before) {
            self.observations.found.notify_one();
        }
    }

    fn probe(&mut self, state: &State, node: NodeId, incarnation: Boot) {
        let address = state.node(node).map(|known| known.addresses.rpc.clone()).unwrap_or_default();
        let time = self.interval;
        self.probes.spawn(async move {
            let answered = tokio::time::timeout(time, answers(&address)).await.unwrap_or(false);
            (node, incarnation, answered)
        });
    }
}

/// Whether a process behind this address says anything at all; a stopped one accepts connections but says nothing.
async fn answers(address: &str) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(HTTP2_HELLO).await?;
        stream.read(&mut [0; 1]).await
    };
    matches!(asked.await, Ok(1))
}
