//! Named works: one holder at a time, under a lease; each holder has its term, and an older term is refused.
//!
//! Time is what proposals carry, and never runs backwards: a leader whose clock is behind lets leases last longer,
//! one whose clock is ahead takes them away earlier, and the term fences the old holder in either case.

use zepto_common::ids::{Boot, NodeId};

use super::State;
use super::command::{Outcome, Reason, Refusal};
use super::limits::{LEASE_MS_MAX, WORKS_MAX};
use super::record::Work;

impl State {
    pub(super) fn claim_work(
        &mut self,
        name: &str,
        claimer: (NodeId, Boot),
        lease_ms: u64,
        changed: &mut bool,
    ) -> Outcome {
        match self.claim(name, claimer, lease_ms) {
            Ok(term) => {
                *changed = true;
                Outcome::Claimed { term }
            }
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    fn claim(&mut self, name: &str, claimer: (NodeId, Boot), lease_ms: u64) -> Result<u64, Refusal> {
        let now = self.clock_ms;
        if name.is_empty() || !(1..=LEASE_MS_MAX).contains(&lease_ms) {
            let message = format!("a work has a name and a lease of 1 to {LEASE_MS_MAX} ms");
            return Err(Refusal::new(Reason::BadRequest, message));
        }
        if self.nodes.get(&claimer.0).is_none_or(|it| it.incarnation != claimer.1) {
            return Err(Refusal::new(
                Reason::StaleIncarnation,
                format!("node {} is not this start", claimer.0),
            ));
        }
        if self.works.len() >= WORKS_MAX && !self.works.contains_key(name) {
            return Err(Refusal::new(Reason::LimitReached, format!("there are {WORKS_MAX} works")));
        }
        let free = Work { holder: None, term: 0, lease_ms, renewed_ms: now };
        let work = self.works.entry(name.to_owned()).or_insert(free);
        match work.holder {
            Some(holder) if holder == claimer => {}
            Some((holder, _))
                if now < work.renewed_ms.saturating_add(work.lease_ms) && holder != claimer.0 =>
            {
                return Err(Refusal::new(Reason::Held, format!("node {holder} does {name}")));
            }
            _ => work.term += 1,
        }
        *work = Work { holder: Some(claimer), term: work.term, lease_ms, renewed_ms: now };
        Ok(work.term)
    }

    fn held(&mut self, name: &str, node: NodeId, term: u64) -> Result<&mut Work, Refusal> {
        match self.works.get_mut(name) {
            Some(work) if work.term == term && work.holder.is_some_and(|(holder, _)| holder == node) => {
                Ok(work)
            }
            Some(work) => Err(Refusal::new(Reason::Held, format!("{name} is at term {}", work.term))),
            None => Err(Refusal::new(Reason::NotFound, format!("there is no work {name}"))),
        }
    }

    pub(super) fn renew_work(&mut self, name: &str, node: NodeId, term: u64) -> Result<bool, Refusal> {
        let now = self.clock_ms;
        self.held(name, node, term)?.renewed_ms = now;
        Ok(true)
    }

    pub(super) fn release_work(&mut self, name: &str, node: NodeId, term: u64) -> Result<bool, Refusal> {
        self.held(name, node, term)?.holder = None;
        Ok(true)
    }
}
