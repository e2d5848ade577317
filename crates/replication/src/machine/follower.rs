//! A copy under an owner: whom it follows, from when on, and what the owner's frames do to its log.

use std::cmp::Ordering;
use std::sync::Arc;

use zepto_common::ids::{Lsn, Token};
use zepto_common::placement::{Grant, Replica};

use super::owner::MAX_FRAMES;
use super::{Copy, Role, planted};
use crate::effect::{Alarm, Effect, LogOp};
use crate::history::{History, Position};
use crate::message::{Entry, Head, Message};
use crate::time::Moment;

impl<P: Clone, S> Copy<P, S> {
    /// Whether a message of an owner may be followed and answered now. Fences what is older, notes what is newer.
    pub(super) fn accept(&mut self, now: Moment, from: Replica, head: &Head) -> bool {
        if head.grant.owner != from || from == self.me {
            return false;
        }
        match head.token.epoch.cmp(&self.seen.epoch) {
            Ordering::Less if !planted!(self, FollowOlderEpoch) => {
                self.effects.push(Effect::Alarm(Alarm::Fenced(head.token)));
                self.effects.push(Effect::Send(from, Message::Fenced { seen: self.seen }));
                return false;
            }
            Ordering::Less => {}
            Ordering::Equal => {
                if self.grant.as_ref().is_some_and(|grant| grant.owner != from) {
                    self.effects.push(Effect::Alarm(Alarm::TwoOwners(head.token.epoch)));
                    return false;
                }
                match head.token.boot.cmp(&self.seen.boot) {
                    Ordering::Less => return false,
                    Ordering::Equal => {}
                    Ordering::Greater => self.see(head.token, &head.grant),
                }
            }
            Ordering::Greater => self.see(head.token, &head.grant),
        }
        if head.sequence <= self.last_sequence && !planted!(self, FollowOlderEpoch) {
            return false;
        }
        self.last_sequence = head.sequence;
        if now < self.active_from && !planted!(self, NoGuard) {
            let waiting = Message::Waiting { token: head.token, sequence: head.sequence };
            self.effects.push(Effect::Send(from, waiting));
            return false;
        }
        self.released = false;
        self.follow();
        true
    }

    /// Follows nobody older from here on. Another owner is answered only when the lease of the one before has ended
    /// whatever its clock says, unless that one gave it back or is this node, which ceases here.
    pub(super) fn see(&mut self, token: Token, grant: &Grant) {
        let me = self.me;
        let other = self.grant.as_ref().is_some_and(|it| it.owner != grant.owner && it.owner != me);
        if other && !self.released {
            let from = self.last_answer.unwrap_or(self.started).plus(self.timing.guard());
            self.active_from = self.active_from.max(from);
        }
        self.step_down();
        self.released = false;
        self.last_sequence = 0;
        self.seen = token;
        self.grant = Some(Arc::new(grant.clone()));
        if !planted!(self, ForgetToken) {
            self.log(LogOp::Seen(token, grant.clone()));
        }
    }

    pub(super) fn replicated(
        &mut self,
        now: Moment,
        from: Replica,
        head: &Head,
        previous: Position,
        entries: Vec<Entry<P>>,
        committed: Lsn,
    ) {
        let (token, sequence) = (head.token, head.sequence);
        if !self.history.has(previous) && !planted!(self, NoPreviousCheck) {
            let history = self.history.clone();
            self.gate(now, Effect::Send(from, Message::Mismatch { token, sequence, history }));
            return;
        }
        let entries = if planted!(self, NoPreviousCheck) {
            let next = self.history.end().lsn.0 + 1;
            entries.into_iter().filter(|it| it.position.lsn.0 >= next).collect()
        } else {
            entries
        };
        let Some(matched) = self.take_entries(previous, entries) else { return };
        self.commit(committed.min(matched));
        self.gate(now, Effect::Send(from, Message::Synced { token, sequence, matched }));
    }

    pub(super) fn send_tail(&mut self, now: Moment, from: Replica, head: &Head, after: Position) {
        if !self.history.has(after) {
            return;
        }
        let last = self.history.end().lsn.min(Lsn(after.lsn.0 + MAX_FRAMES));
        let effect = Effect::SendTail {
            to: from,
            token: head.token,
            sequence: head.sequence,
            previous: after,
            frames: (after.lsn.next(), last),
        };
        self.gate(now, effect);
    }

    pub(super) fn owner_released(&mut self, now: Moment, from: Replica, head: &Head) {
        if head.token == self.seen && self.accept(now, from, head) {
            self.released = true;
        }
    }

    /// Whether a state at the end of `history`, under this head, would replace this copy now.
    #[must_use]
    pub fn would_install(&self, now: Moment, from: Replica, head: &Head, history: &History) -> bool {
        let of_owner = head.grant.owner == from && self.grant.as_ref().is_some_and(|it| it.owner == from);
        let followed =
            head.token == self.seen && head.sequence > self.last_sequence && now >= self.active_from;
        let lacks = history.end().lsn > self.committed && !self.history.has(history.end());
        !self.stopped() && from != self.me && of_owner && followed && lacks
    }

    pub(super) fn install(&mut self, now: Moment, from: Replica, head: &Head, history: History, state: S) {
        let (token, sequence) = (head.token, head.sequence);
        let at = history.end();
        if self.committed >= at.lsn || self.history.has(at) {
            let history = self.history.clone();
            self.gate(now, Effect::Send(from, Message::Mismatch { token, sequence, history }));
            return;
        }
        self.held.clear();
        self.keys.clear();
        self.history = history.clone();
        self.committed = at.lsn;
        self.first = at.lsn.next();
        self.log(LogOp::Installed(history));
        self.effects.push(Effect::Install(state));
        self.gate(now, Effect::Send(from, Message::Synced { token, sequence, matched: at.lsn }));
    }

    /// Stops being the owner: who waits learns that nobody knows.
    pub(super) fn step_down(&mut self) {
        let Role::Owner(mut owner) = std::mem::replace(&mut self.role, Role::Follower) else { return };
        self.effects.extend(owner.give_up());
        for held in &mut self.held {
            let waiters = std::mem::take(&mut held.waiters);
            self.effects
                .extend(waiters.iter().map(|waiter| Effect::Answer(waiter.0, crate::Outcome::Unknown)));
        }
    }
}
