//! What a node makes of the heartbeats that it hears. Suspicion is an opinion of one observer: it raises alarms and
//! never changes who may be read or written. Dead is what the coordinator has decided; it comes from there.
//!
//! Pure: time comes in as readings of a clock that only grows and counts suspended time.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use zepto_common::ids::NodeId;

use crate::heartbeat::Heartbeat;

/// How a node stands, seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Heard, and not yet registered by the coordinator.
    Joining,
    /// Heard lately.
    Active,
    /// Silent for the suspect time and at least as many missed heartbeats.
    Suspect,
    /// Declared dead by the coordinator, in this incarnation.
    Dead,
    /// Says that it goes.
    Leaving,
}

/// The times of the detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats.
    pub interval: Duration,
    /// Silence after which a node is suspected.
    pub suspect: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { interval: Duration::from_millis(1000), suspect: Duration::from_millis(3000) }
    }
}

/// Heartbeats that must be missing before a node is suspected, however short the times are set.
const MISSES: u32 = 3;
/// Nodes that are remembered; beyond it a new one is not taken up.
pub const MAX_MEMBERS: usize = 4096;

/// One node, as last heard.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its last heartbeat.
    pub said: Heartbeat,
    /// How it stands.
    pub state: State,
    /// When it was last heard.
    heard: Duration,
    registered: bool,
}

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Who.
    pub node: NodeId,
    /// From which state; None for a node that is new or has started again.
    pub from: Option<State>,
    /// To which.
    pub to: State,
}

/// Everybody that was heard.
#[derive(Debug)]
pub struct Members {
    me: NodeId,
    timing: Timing,
    members: BTreeMap<NodeId, Member>,
    last_tick: Option<Duration>,
    /// Since when nobody could be judged: the start, or the last time that this process did not run.
    watching_since: Duration,
}

impl Members {
    /// Nobody is known yet.
    #[must_use]
    pub fn new(me: NodeId, timing: Timing, now: Duration) -> Self {
        Self { me, timing, members: BTreeMap::new(), last_tick: None, watching_since: now }
    }

    /// Everybody, by number.
    pub fn all(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&Member> {
        self.members.get(&node)
    }

    /// Whether this node hears nobody although there were others: then it is this node that is cut off.
    #[must_use]
    pub fn cut_off(&self) -> bool {
        let judged = |it: &&Member| !matches!(it.state, State::Dead | State::Leaving);
        let mut others = self.members.values().filter(judged).peekable();
        others.peek().is_some() && others.all(|it| it.state == State::Suspect)
    }

    /// Takes in a heartbeat; None when it is old, this node's own, or one too many.
    pub fn heard(&mut self, now: Duration, said: Heartbeat) -> Option<Changed> {
        let node = said.node;
        if node == self.me {
            return None;
        }
        let before = self.members.get(&node);
        let newer =
            before.is_none_or(|it| (said.incarnation, said.counter) > (it.said.incarnation, it.said.counter));
        if !newer || (before.is_none() && self.members.len() >= MAX_MEMBERS) {
            return None;
        }
        let same = before.filter(|it| it.said.incarnation == said.incarnation);
        let (from, registered) = (same.map(|it| it.state), before.is_some_and(|it| it.registered));
        let to = match from {
            // Only a start or the coordinator brings back who was declared dead.
            Some(State::Dead) => State::Dead,
            _ if said.leaving => State::Leaving,
            _ if registered => State::Active,
            _ => State::Joining,
        };
        self.members.insert(node, Member { said, state: to, heard: now, registered });
        (from != Some(to)).then_some(Changed { node, from, to })
    }

    /// The coordinator says whom it has registered and whom it holds for dead, by incarnation.
    pub fn decided(&mut self, node: NodeId, incarnation: u64, dead: bool) -> Option<Changed> {
        let it = self.members.get_mut(&node).filter(|it| it.said.incarnation == incarnation)?;
        it.registered = !dead;
        let from = it.state;
        it.state = match (dead, from) {
            (true, _) => State::Dead,
            (false, State::Joining | State::Dead) => State::Active,
            (false, other) => other,
        };
        (it.state != from).then_some(Changed { node, from: Some(from), to: it.state })
    }

    /// Judges who is silent. After a pause of this process itself nobody is judged before a new suspect time has
    /// passed: what was sent meanwhile was lost here, not there.
    pub fn tick(&mut self, now: Duration) -> Vec<Changed> {
        let late =
            self.last_tick.is_some_and(|last| now.saturating_sub(last) > self.timing.interval * MISSES);
        if late {
            self.watching_since = now;
        }
        self.last_tick = Some(now);
        let limit = self.timing.suspect.max(self.timing.interval * MISSES);
        let mut changed = Vec::new();
        for (node, it) in &mut self.members {
            let silent = now.saturating_sub(it.heard.max(self.watching_since));
            if silent > limit && matches!(it.state, State::Active | State::Joining) {
                changed.push(Changed { node: *node, from: Some(it.state), to: State::Suspect });
                it.state = State::Suspect;
            }
        }
        changed
    }

    /// Forgets a node that was removed for good.
    pub fn forget(&mut self, node: NodeId) {
        self.members.remove(&node);
    }
}
