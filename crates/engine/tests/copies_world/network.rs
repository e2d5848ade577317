//! Messages between the stores: lost, repeated, late.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use zepto_common::PartitionId;
use zepto_common::Token;
use zepto_common::placement::Replica;
use zepto_engine::copies::{Leave, Letter, PeerMessage, Peers};
use zepto_replication::{Alarm, Change};

use super::{NODES, Random};

/// To whom, of which partition, from whom, what.
pub(crate) type Posted = (usize, PartitionId, Replica, PeerMessage);

#[derive(Debug, Default)]
struct State {
    replicas: Vec<Option<Replica>>,
    letters: Vec<(usize, Posted)>,
    proposals: Vec<(usize, Change)>,
    cut_off: BTreeSet<usize>,
    alarms: Vec<(usize, PartitionId, Alarm)>,
    wanted: BTreeSet<(usize, PartitionId, Replica, Token)>,
    unwanted: Vec<(usize, PartitionId, Replica, Leave)>,
}

#[derive(Debug)]
pub(crate) struct Network {
    state: Mutex<State>,
    lossy: std::sync::atomic::AtomicBool,
}

/// One node's way into it.
#[derive(Debug)]
struct Way {
    node: usize,
    network: Arc<Network>,
}

impl Peers for Way {
    fn send(&self, letters: Vec<Letter>) {
        let mut state = self.network.state.lock();
        let Some(from) = state.replicas[self.node] else { return };
        for Letter { to, partition, message } in letters {
            if state.replicas[to.node.0 as usize].is_none_or(|there| there == to) {
                state.letters.push((self.node, (to.node.0 as usize, partition, from, message)));
            }
        }
    }

    fn propose(&self, change: Change) {
        self.network.state.lock().proposals.push((self.node, change));
    }

    fn wanted(&self, partition: PartitionId, owner: Replica, token: Token) {
        self.network.state.lock().wanted.insert((self.node, partition, owner, token));
    }

    fn unwanted(&self, partition: PartitionId, owner: Replica, leave: Leave) {
        self.network.state.lock().unwanted.push((self.node, partition, owner, leave));
    }

    fn alarm(&self, partition: PartitionId, alarm: Alarm) {
        // Raised on a drain thread: the test looks at it between two steps.
        if !matches!(alarm, Alarm::Fenced(_)) {
            self.network.state.lock().alarms.push((self.node, partition, alarm));
        }
    }
}

impl Network {
    pub(crate) fn new(lossy: bool) -> Self {
        let state = State { replicas: vec![None; NODES], ..State::default() };
        Self { state: Mutex::new(state), lossy: lossy.into() }
    }

    pub(crate) fn of(self: &Arc<Self>, node: usize) -> Arc<dyn Peers> {
        Arc::new(Way { node, network: self.clone() })
    }

    pub(crate) fn know(&self, node: usize, replica: Replica) {
        self.state.lock().replicas[node] = Some(replica);
    }

    /// What a node that is gone would still say.
    pub(crate) fn silence(&self, node: usize) {
        let mut state = self.state.lock();
        state.replicas[node] = None;
        state.proposals.retain(|it| it.0 != node);
        state.wanted.retain(|it| it.0 != node);
        state.unwanted.retain(|it| it.0 != node);
    }

    /// What was said to a disk that is lost.
    pub(crate) fn lose(&self, node: usize) {
        self.state.lock().letters.retain(|it| it.1.0 != node);
    }

    pub(crate) fn wanted(&self) -> BTreeSet<(usize, PartitionId, Replica, Token)> {
        std::mem::take(&mut self.state.lock().wanted)
    }

    pub(crate) fn unwanted(&self) -> Vec<(usize, PartitionId, Replica, Leave)> {
        std::mem::take(&mut self.state.lock().unwanted)
    }

    pub(crate) fn cut_off(&self, node: usize, cut: bool) {
        let mut state = self.state.lock();
        if cut {
            state.cut_off.insert(node)
        } else {
            state.cut_off.remove(&node)
        };
    }

    pub(crate) fn is_cut_off(&self, node: usize) -> bool {
        self.state.lock().cut_off.contains(&node)
    }

    pub(crate) fn heal(&self) {
        self.lossy.store(false, std::sync::atomic::Ordering::SeqCst);
    }

    pub(crate) fn proposals(&self) -> Vec<(usize, Change)> {
        std::mem::take(&mut self.state.lock().proposals)
    }

    /// What arrives in this step.
    pub(crate) fn due(&self, random: &mut Random) -> Vec<Posted> {
        let mut state = self.state.lock();
        assert!(state.alarms.is_empty(), "{:?}", state.alarms);
        let lossy = self.lossy.load(std::sync::atomic::Ordering::SeqCst);
        let (mut due, mut late) = (Vec::new(), Vec::new());
        for (from, letter) in std::mem::take(&mut state.letters) {
            if state.cut_off.contains(&from)
                || state.cut_off.contains(&letter.0)
                || (lossy && random.chance(4))
            {
                continue;
            }
            if lossy && random.chance(20) {
                late.push((from, letter));
                continue;
            }
            if lossy && random.chance(4) {
                late.push((from, letter.clone()));
            }
            due.push(letter);
        }
        state.letters = late;
        if lossy {
            for at in (1..due.len()).rev() {
                if random.chance(20) {
                    due.swap(at, random.below(at));
                }
            }
        }
        due
    }
}
