//! From a grant, or a restart of the owner, to the first committed frame; and giving ownership up.
//!
//! 1. Wait until nobody older can hold a lease (only under a new grant).
//! 2. Ask every member of the set: none may know a higher epoch, and the longest log among them is taken over.
//! 3. Append the frame that begins this time, under the new token, and bring the whole set to it.
//! 4. When it is committed, so is everything below it: serve.

use std::collections::BTreeSet;

use zepto_common::ids::{SetVersion, Token};
use zepto_common::placement::{Grant, Replica};

use super::owner::{Owner, Peer};
use super::set::Proposal;
use super::{Copy, Phase, Role, planted};
use crate::effect::{Change, Effect};
use crate::history::Position;
use crate::message::{Entry, Message};
use crate::time::Moment;

impl<P: Clone, S> Copy<P, S> {
    /// The owner of before starts again: under its grant, with its next boot.
    pub(super) fn resume(&mut self, now: Moment, pending: Option<(SetVersion, BTreeSet<Replica>)>) {
        let Some(grant) = self.grant.clone() else { return };
        let token = Token { epoch: grant.epoch, boot: self.boot };
        self.see(token, &grant);
        let mut owner = Owner::new(Phase::Waiting, token, now);
        owner.proposal = pending
            .filter(|(base, _)| *base >= grant.set.version)
            .map(|(base, members)| Proposal::recovered(base, members));
        self.role = Role::Owner(Box::new(owner));
        self.match_peers(now);
        self.tick(now);
    }

    /// This node has been granted the partition.
    pub(super) fn begin(&mut self, now: Moment, grant: &Grant) {
        let token = Token { epoch: grant.epoch, boot: self.boot };
        self.see(token, grant);
        self.role = Role::Owner(Box::new(Owner::new(Phase::Waiting, token, now)));
        self.match_peers(now);
        self.tick(now);
    }

    pub(super) fn confirm(&mut self, now: Moment) {
        self.follow();
        let Role::Owner(owner) = &mut self.role else { return };
        owner.enter(Phase::Confirming, now);
        for peer in owner.peers.values_mut() {
            peer.last_heard = now;
        }
        self.repeat_confirm(now);
        self.confirmed(now);
    }

    /// Asks again who has not answered.
    pub(super) fn repeat_confirm(&mut self, now: Moment) {
        let resend = self.timing.resend;
        let counted = self.counted();
        let Some(grant) = self.grant.clone() else { return };
        let Role::Owner(owner) = &mut self.role else { return };
        let silent: Vec<Replica> = counted
            .into_iter()
            .filter(|it| {
                owner.peers.get(it).is_some_and(|peer| {
                    let due = peer.last_sent.is_none_or(|at| now.since(at) >= resend);
                    due && (peer.confirmed.is_none() || owner.adopting.is_none_or(|from| from.0 != *it))
                })
            })
            .collect();
        for to in silent {
            let head = owner.head(to, &grant, now);
            self.effects.push(Effect::Send(to, Message::Confirm { head }));
        }
        let due = owner.adopting.filter(|(from, _)| {
            owner.peers.get(from).is_none_or(|peer| peer.last_sent.is_none_or(|at| now.since(at) >= resend))
        });
        if due.is_some() {
            self.fetch(now);
        }
    }

    /// Goes on when every member has confirmed: with the longest log.
    pub(super) fn confirmed(&mut self, now: Moment) {
        let counted = self.counted();
        let Role::Owner(owner) = &mut self.role else { return };
        if owner.phase != Phase::Confirming {
            return;
        }
        if owner.adopting.is_some_and(|(from, _)| !counted.contains(&from)) {
            owner.adopting = None;
        }
        let mut best: (Position, Option<Replica>) = (self.history.end(), None);
        for it in counted {
            let Some(history) = owner.peers.get(&it).and_then(|peer| peer.confirmed.as_ref()) else { return };
            if history.end() > best.0 {
                best = (history.end(), Some(it));
            }
        }
        match best {
            (_, None) => self.start(now),
            (end, Some(from)) => {
                if owner.adopting != Some((from, end)) {
                    owner.adopting = Some((from, end));
                    self.fetch(now);
                }
            }
        }
    }

    fn fetch(&mut self, now: Moment) {
        let Some(grant) = self.grant.clone() else { return };
        let Role::Owner(owner) = &mut self.role else { return };
        let Some((from, _)) = owner.adopting else { return };
        let Some(theirs) = owner.peers.get(&from).and_then(|peer| peer.confirmed.as_ref()) else { return };
        let after = self.history.common_with(theirs);
        let head = owner.head(from, &grant, now);
        self.effects.push(Effect::Send(from, Message::Fetch { head, after }));
    }

    /// Frames of the longer log have come.
    pub(super) fn adopt(&mut self, now: Moment, from: Replica, previous: Position, entries: Vec<Entry<P>>) {
        let Role::Owner(owner) = &self.role else { return };
        let wanted = owner.phase == Phase::Confirming && owner.adopting.is_some_and(|it| it.0 == from);
        if !wanted || !self.history.has(previous) || self.take_entries(previous, entries).is_none() {
            return;
        }
        let Role::Owner(owner) = &mut self.role else { return };
        if owner.adopting.is_some_and(|(_, end)| self.history.end() < end) {
            self.fetch(now);
        } else {
            owner.adopting = None;
            self.confirmed(now);
        }
    }

    /// Appends the frame that begins this owner's time.
    fn start(&mut self, now: Moment) {
        let serve = planted!(self, ServeBeforeStart);
        let history = self.history.clone();
        let Role::Owner(owner) = &mut self.role else { return };
        owner.enter(if serve { Phase::Serving } else { Phase::Starting }, now);
        owner.adopting = None;
        for peer in owner.peers.values_mut() {
            if let Some(theirs) = &peer.confirmed {
                peer.begin(history.common_with(theirs).lsn, now);
            }
        }
        let position = Position { token: owner.token, lsn: history.end().lsn.next() };
        owner.start = position.lsn;
        self.append_entry(Entry { position, key: None, content: 0, payload: None });
    }

    /// Gives ownership up to another member of the set, once nothing waits. Asked again meanwhile, it is not given more
    /// time: writers are refused no longer than for one replicate timeout.
    pub fn hand_over(&mut self, now: Moment) {
        let alone = self.counted().is_empty();
        if let Role::Owner(owner) = &mut self.role
            && owner.phase == Phase::Serving
            && !alone
            && !owner.leaving
        {
            owner.leaving = true;
            owner.since = now;
        }
        self.advance(now);
    }

    pub(super) fn leave_if_quiet(&mut self, now: Moment) {
        let Some(grant) = self.grant.clone() else { return };
        let quiet = self.held.is_empty();
        let Role::Owner(owner) = &mut self.role else { return };
        if !owner.leaving || owner.phase != Phase::Serving {
            return;
        }
        if !quiet || Self::has_answers(owner) {
            if now.since(owner.since) >= self.timing.replicate_timeout {
                owner.leaving = false;
            }
            return;
        }
        owner.leaving = false;
        owner.enter(Phase::Released, now);
        let peers: Vec<Replica> = owner.peers.keys().copied().collect();
        for to in peers {
            let head = owner.head(to, &grant, now);
            self.effects.push(Effect::Send(to, Message::Release { head }));
        }
        owner.peers.values_mut().for_each(Peer::lose_lease);
        let change = Change::HandOver { partition: self.partition, epoch: owner.token.epoch };
        self.effects.push(Effect::Propose(change));
    }

    /// Takes the lease back when nobody else was granted the partition in time.
    pub(super) fn resume_if_not_relieved(&mut self, now: Moment) {
        let patience = self.timing.replicate_timeout;
        if let Role::Owner(owner) = &mut self.role
            && now.since(owner.since) >= patience
        {
            owner.enter(Phase::Serving, now);
            for peer in owner.peers.values_mut() {
                peer.last_heard = now;
                peer.last_sent = None;
            }
        }
    }
}
