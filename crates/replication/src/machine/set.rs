//! The in-sync set as its owner sees it. What is counted is never less than what the coordinator may have agreed on:
//! a new member from the moment that its addition is proposed, an old one until its removal was read.

use std::collections::BTreeSet;
use std::sync::Arc;

use zepto_common::ids::{Boot, Epoch, SetVersion, Token};
use zepto_common::placement::{Assignment, Replica};

use super::owner::{Owner, Peer};
use super::{Copy, Phase, Role, planted};
use crate::effect::{Change, Effect, LogOp};
use crate::time::Moment;

/// A copy may lack so many frames when it is taken into the set.
const MAX_LAG: u64 = 16;

/// A change that the coordinator was asked for, or is about to be.
#[derive(Debug)]
pub(super) struct Proposal {
    /// The version that it builds on. Whatever is agreed next decides all proposals of this base.
    base: SetVersion,
    /// What the coordinator is asked for.
    members: BTreeSet<Replica>,
    /// Everybody whose addition was ever asked for on this base.
    counted: BTreeSet<Replica>,
    sent: Option<Moment>,
}

impl Proposal {
    /// One that an earlier start of this node may have sent.
    pub(super) fn recovered(base: SetVersion, members: BTreeSet<Replica>) -> Self {
        Self { base, counted: members.clone(), members, sent: None }
    }
}

impl<P: Clone, S> Copy<P, S> {
    /// Everybody but this node whose sync a commit needs and whose answers the lease needs.
    pub(super) fn counted(&self) -> BTreeSet<Replica> {
        let mut all = self.grant.as_ref().map(|grant| grant.set.members.clone()).unwrap_or_default();
        if let Role::Owner(owner) = &self.role
            && let Some(proposal) = &owner.proposal
        {
            if planted!(self, CountLessBeforeAgreed) {
                all.retain(|it| proposal.members.contains(it));
            }
            if !planted!(self, CountMoreAfterAgreed) {
                all.extend(proposal.counted.iter().copied());
            }
        }
        all.remove(&self.me);
        all
    }

    /// Takes in what the coordinator has agreed on.
    pub fn learn(&mut self, now: Moment, agreed: &Assignment) {
        let grant = &agreed.grant;
        if self.stopped() || grant.epoch < self.seen.epoch {
            return;
        }
        if grant.epoch > self.seen.epoch {
            if grant.owner == self.me {
                self.begin(now, grant);
            } else {
                self.see(Token { epoch: grant.epoch, boot: Boot(0) }, grant);
            }
        } else if self.grant.as_ref().is_some_and(|mine| mine.owner == grant.owner)
            && self.grant.as_ref().is_some_and(|mine| mine.set.version < grant.set.version)
        {
            self.grant = Some(Arc::new(grant.clone()));
            self.log(LogOp::Seen(self.seen, grant.clone()));
            if let Role::Owner(owner) = &mut self.role
                && owner.proposal.as_ref().is_some_and(|it| it.base < grant.set.version)
            {
                owner.proposal = None;
                owner.short = false;
            }
        }
        if let Role::Owner(owner) = &mut self.role {
            owner.joining.clone_from(&agreed.joining);
            owner.unwanted.clone_from(&agreed.leaving);
            self.match_peers(now);
            self.confirmed(now);
        }
        self.advance(now);
    }

    /// Knows exactly those copies that are counted or on their way in.
    pub(super) fn match_peers(&mut self, now: Moment) {
        let mut wanted = self.counted();
        let end = self.history.end().lsn;
        let me = self.me;
        let Role::Owner(owner) = &mut self.role else { return };
        wanted.extend(owner.joining.iter().copied().filter(|it| *it != me));
        owner.peers.retain(|it, _| wanted.contains(it));
        let sequence = owner.sequence;
        for it in wanted {
            owner.peers.entry(it).or_insert_with(|| {
                let mut peer = Peer::after(now, sequence);
                peer.next = end.next();
                peer
            });
        }
    }

    /// The coordinator will not make the set of this version smaller: while a member is silent nothing new is taken, as
    /// nothing of it could be acknowledged.
    pub fn may_not_shrink(&mut self, epoch: Epoch, version: SetVersion) {
        let same = self.grant.as_ref().is_some_and(|grant| grant.set.version == version);
        if let Role::Owner(owner) = &mut self.role
            && same
            && owner.token.epoch == epoch
            && owner.proposal.is_some()
        {
            owner.short = true;
        }
    }

    /// Asks for members out that are silent, and for copies in that have caught up; one for the other where the set may
    /// not become smaller.
    pub(super) fn propose_changes(&mut self, now: Moment) {
        self.forget_shortness(now);
        let Role::Owner(owner) = &self.role else { return };
        if !matches!(owner.phase, Phase::Confirming | Phase::Starting | Phase::Serving) {
            return;
        }
        let Some(grant) = &self.grant else { return };
        let alive = |it: &Replica| self.answers(owner, it, now);
        let wanted = |it: &Replica| *it == self.me || !owner.unwanted.contains(it);
        let members = grant.set.members.iter().copied().filter(|it| alive(it) && wanted(it));
        let mut members: BTreeSet<Replica> = members.collect();
        let base = grant.set.version;
        let newcomer = match &owner.proposal {
            // One that was asked for stays asked for while it answers and is to come in.
            Some(proposal) => {
                let mut added = proposal.members.difference(&grant.set.members).copied();
                added.find(|it| alive(it) && owner.joining.contains(it))
            }
            None if members.len() == grant.set.members.len() => self.caught_up(now),
            None => None,
        };
        members.extend(newcomer.or_else(|| owner.short.then(|| self.caught_up(now)).flatten()));
        match &owner.proposal {
            None if members == grant.set.members => {}
            None => self.propose(now, base, members),
            Some(proposal) => {
                let due = proposal.sent.is_none_or(|at| now.since(at) >= self.timing.resend);
                let only_removal = proposal.counted.is_subset(&grant.set.members);
                if members == grant.set.members && only_removal {
                    self.withdraw();
                } else if due {
                    self.propose(now, base, members);
                }
            }
        }
    }

    /// Whether writers are told that too few copies can take their rows.
    #[must_use]
    pub fn is_short(&self) -> bool {
        matches!(&self.role, Role::Owner(owner) if owner.short)
    }

    /// Every member answers again.
    fn forget_shortness(&mut self, now: Moment) {
        let Role::Owner(owner) = &self.role else { return };
        let members = self.grant.as_ref().map(|grant| &grant.set.members);
        let whole =
            owner.short && members.is_some_and(|all| all.iter().all(|it| self.answers(owner, it, now)));
        if let (true, Role::Owner(owner)) = (whole, &mut self.role) {
            owner.short = false;
        }
    }

    /// Whether this copy, or this node itself, has answered of late.
    fn answers(&self, owner: &Owner, copy: &Replica, now: Moment) -> bool {
        let peer = || owner.peers.get(copy);
        *copy == self.me
            || peer().is_some_and(|peer| now.since(peer.last_heard) < self.timing.replicate_timeout)
    }

    /// A copy on its way in that has nearly all frames, and all committed ones.
    fn caught_up(&self, now: Moment) -> Option<Replica> {
        let Role::Owner(owner) = &self.role else { return None };
        let grant = self.grant.as_ref()?;
        if owner.phase != Phase::Serving {
            return None;
        }
        let end = self.history.end().lsn;
        owner.joining.iter().copied().find(|it| {
            !grant.set.members.contains(it)
                && owner.peers.get(it).is_some_and(|peer| {
                    peer.matched >= self.committed
                        && peer.matched >= owner.start
                        && end.0 - peer.matched.0 <= MAX_LAG
                        && peer.lease_from.is_some_and(|from| now.since(from) < self.timing.replicate_timeout)
                })
        })
    }

    /// Nobody was to be added and everybody answers again: what was asked for may still be agreed, and is then read.
    fn withdraw(&mut self) {
        if let Role::Owner(owner) = &mut self.role {
            owner.proposal = None;
        }
    }

    fn propose(&mut self, now: Moment, base: SetVersion, members: BTreeSet<Replica>) {
        let (partition, me) = (self.partition, self.me);
        let Role::Owner(owner) = &mut self.role else { return };
        let before = owner.proposal.take().map(|it| it.counted).unwrap_or_default();
        let counted: BTreeSet<Replica> = before.union(&members).copied().collect();
        let grown =
            counted != before && self.grant.as_ref().is_some_and(|it| !counted.is_subset(&it.set.members));
        let epoch = owner.token.epoch;
        owner.proposal =
            Some(Proposal { base, members: members.clone(), counted: counted.clone(), sent: Some(now) });
        if grown {
            self.log(LogOp::Pending(base, counted));
        }
        debug_assert!(members.contains(&me));
        let change = Effect::Propose(Change::Set { partition, epoch, version: base, members });
        self.gate(now, change);
    }
}
