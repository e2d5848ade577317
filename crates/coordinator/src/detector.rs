//! Who is silent, as a pure function of what this process saw: `heard`, `tick`, `probed` in, opinions and orders out.
//!
//! Promises. Dead is said only by a leader, only of a start that was silent for `dead` of this process's own unbroken
//! observation as leader, only while it hears a majority of the storage nodes, and only after a probe got no answer;
//! it names the start. A tick that comes late means that this process was not looking: every observation begins anew.
//! A node whose probe is answered but that says nothing itself for twice as long is dead too: its disk may be stuck.
//! Suspicion is an opinion: it never changes who may be read or written. Time is any monotonic clock's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zepto_common::ids::{Boot, NodeId};

/// Times of the detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How often nodes make themselves heard, and how often `tick` is called.
    pub interval: Duration,
    /// Silence after which a node is suspected; at least three intervals must be missed too.
    pub suspect: Duration,
    /// Silence after which a node is dead.
    pub dead: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            suspect: Duration::from_secs(3),
            dead: Duration::from_secs(10),
        }
    }
}

/// Missed intervals before a node is suspected.
const MISSES_BEFORE_SUSPECT: u32 = 3;
/// How late a tick may be, in intervals, before it means that this process was not looking.
const LATE_INTERVALS: u32 = 2;

/// What the detector thinks of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// Heard of lately.
    Alive,
    /// Silent for a while.
    Suspect,
    /// Silent for long; waits for a probe or for the majority.
    Silent,
}

/// What the shell is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Ask the node itself, and tell the answer to [`Detector::probed`].
    Probe(NodeId, Boot),
    /// Propose that this start of the node is dead.
    MarkDead(NodeId, Boot),
}

#[derive(Debug, Clone, Copy)]
struct Watch {
    incarnation: Boot,
    is_storage: bool,
    /// When it was last heard, or when the observation began.
    since: Duration,
    /// Whether it was heard in this observation.
    heard: bool,
    probe: Probe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    No,
    Asked,
    Answered,
    Unanswered,
}

/// The observations of one process.
#[derive(Debug)]
pub struct Detector {
    settings: Settings,
    watches: BTreeMap<NodeId, Watch>,
    last_tick: Option<Duration>,
    leads: bool,
}

impl Detector {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, watches: BTreeMap::new(), last_tick: None, leads: false }
    }

    /// The nodes that are to be watched are those (storage or not); others are forgotten.
    pub fn expect(&mut self, now: Duration, nodes: impl IntoIterator<Item = (NodeId, Boot, bool)>) {
        let mut known = BTreeSet::new();
        for (node, incarnation, is_storage) in nodes {
            known.insert(node);
            let fresh = Watch { incarnation, is_storage, since: now, heard: false, probe: Probe::No };
            let watch = self.watches.entry(node).or_insert(fresh);
            if watch.incarnation < incarnation {
                *watch = fresh;
            }
        }
        self.watches.retain(|node, _| known.contains(node));
    }

    /// A node made itself heard, by a datagram or by authenticated RPC traffic. What comes of an older start is
    /// dropped; a start that the group does not know yet is none of the detector's business.
    pub fn heard(&mut self, now: Duration, node: NodeId, incarnation: Boot) {
        if let Some(watch) = self.watches.get_mut(&node)
            && watch.incarnation == incarnation
        {
            watch.since = watch.since.max(now);
            watch.heard = true;
            watch.probe = Probe::No;
        }
    }

    /// A probe came back.
    pub fn probed(&mut self, node: NodeId, incarnation: Boot, answered: bool) {
        if let Some(watch) = self.watches.get_mut(&node)
            && watch.incarnation == incarnation
            && watch.probe == Probe::Asked
        {
            watch.probe = if answered { Probe::Answered } else { Probe::Unanswered };
        }
    }

    /// Looks at the time. Call it every interval; `leads` is whether this process leads the group.
    pub fn tick(&mut self, now: Duration, leads: bool) -> Vec<Order> {
        let late = self
            .last_tick
            .is_some_and(|last| now.saturating_sub(last) > self.settings.interval * LATE_INTERVALS);
        if late || (leads && !self.leads) {
            for watch in self.watches.values_mut() {
                *watch = Watch { since: now, heard: false, probe: Probe::No, ..*watch };
            }
        }
        (self.last_tick, self.leads) = (Some(now), leads);
        if leads { self.orders(now) } else { Vec::new() }
    }

    fn orders(&mut self, now: Duration) -> Vec<Order> {
        let hears_majority = self.hears_majority(now);
        let dead = self.settings.dead;
        let mut orders = Vec::new();
        for (&node, watch) in &mut self.watches {
            let silent = now.saturating_sub(watch.since);
            if silent < dead || !hears_majority {
                continue;
            }
            match watch.probe {
                Probe::No => {
                    watch.probe = Probe::Asked;
                    orders.push(Order::Probe(node, watch.incarnation));
                }
                Probe::Answered if silent < dead * 2 => {
                    watch.probe = Probe::Asked;
                    orders.push(Order::Probe(node, watch.incarnation));
                }
                // A probe that never comes back is one without an answer.
                Probe::Asked if silent < dead * 2 => {}
                Probe::Asked | Probe::Answered | Probe::Unanswered => {
                    orders.push(Order::MarkDead(node, watch.incarnation));
                }
            }
        }
        orders
    }

    /// Whether more than half of the storage nodes were heard within `dead`.
    fn hears_majority(&self, now: Duration) -> bool {
        let storage = || self.watches.values().filter(|watch| watch.is_storage);
        let heard = storage()
            .filter(|watch| watch.heard && now.saturating_sub(watch.since) < self.settings.dead)
            .count();
        // Of one or two storage nodes none may be left to hear: the half that is left has to do.
        match storage().count() {
            0 => true,
            count @ 1..=2 => heard * 2 >= count,
            count => heard * 2 > count,
        }
    }

    /// What to think of a node.
    #[must_use]
    pub fn opinion(&self, now: Duration, node: NodeId) -> Option<Opinion> {
        let watch = self.watches.get(&node)?;
        let silent = now.saturating_sub(watch.since);
        let suspect = self.settings.suspect.max(self.settings.interval * MISSES_BEFORE_SUSPECT);
        Some(match silent {
            silent if silent >= self.settings.dead => Opinion::Silent,
            silent if silent >= suspect => Opinion::Suspect,
            _ => Opinion::Alive,
        })
    }

    /// Nodes heard of lately.
    #[must_use]
    pub fn heard_lately(&self, now: Duration) -> BTreeSet<NodeId> {
        let lately = |watch: &Watch| watch.heard && now.saturating_sub(watch.since) < self.settings.suspect;
        self.watches.iter().filter(|(_, watch)| lately(watch)).map(|(node, _)| *node).collect()
    }
}

#[cfg(test)]
mod tests;
