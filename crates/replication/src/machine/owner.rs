//! The owner: appends, sends what each copy lacks, commits what all counted copies have synced, and answers while it
//! holds the lease.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use zepto_common::ids::{Lsn, Token};
use zepto_common::placement::{Grant, Replica};

use super::set::Proposal;
use super::{Copy, Heard, Held, MAX_UNCOMMITTED, Phase, Role, Window, planted};
use crate::effect::{Effect, Outcome, RequestId, Write};
use crate::history::{History, Position};
use crate::message::{Entry, Head, Key};
use crate::time::{Moment, Timing};

/// Frames in one message.
pub(super) const MAX_FRAMES: u64 = 64;
/// Frames on their way to one copy.
const WINDOW: u64 = 512;
/// Messages whose send time is remembered; an answer to an older one renews no lease.
const MAX_SENT: usize = 256;

/// What a write is that may have come before.
enum Repeated {
    Not,
    /// What it repeats is not committed yet: it is answered with that.
    Waits,
    Ends(Outcome),
}

/// What an owner knows while it is one.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) phase: Phase,
    /// When the phase began.
    pub(super) since: Moment,
    pub(super) token: Token,
    pub(super) sequence: u64,
    /// The frame that began this owner's time.
    pub(super) start: Lsn,
    pub(super) peers: BTreeMap<Replica, Peer>,
    pub(super) joining: BTreeSet<Replica>,
    /// Members to propose out although they live.
    pub(super) unwanted: BTreeSet<Replica>,
    pub(super) proposal: Option<Proposal>,
    /// A member is silent and the set may not shrink: nothing new is taken.
    pub(super) short: bool,
    /// From whom a longer log is fetched, and its end.
    pub(super) adopting: Option<(Replica, Position)>,
    /// The lease is to be given back once nothing waits.
    pub(super) leaving: bool,
    /// Committed, and waiting for the lease.
    answers: VecDeque<(RequestId, Outcome)>,
}

/// What an owner knows of another copy.
#[derive(Debug)]
pub(super) struct Peer {
    /// The next frame to send.
    pub(super) next: Lsn,
    /// Synced there under this token.
    pub(super) matched: Lsn,
    /// Where its log was last found to part from the owner's.
    common: Lsn,
    sent: VecDeque<(u64, Moment)>,
    /// Answers to this message and older ones are of a time before: the copy may have been forgotten since.
    not_before: u64,
    pub(super) last_sent: Option<Moment>,
    /// Send time of the newest message that was answered.
    pub(super) lease_from: Option<Moment>,
    /// When it last answered, or when it was first counted.
    pub(super) last_heard: Moment,
    /// When its matched position last grew or frames were sent again.
    progress: Moment,
    /// Its log, as it confirmed.
    pub(super) confirmed: Option<History>,
}

impl Peer {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            next: Lsn(1),
            matched: Lsn(0),
            common: Lsn(0),
            sent: VecDeque::new(),
            not_before: 0,
            last_sent: None,
            lease_from: None,
            last_heard: now,
            progress: now,
            confirmed: None,
        }
    }

    /// Of a copy that was not known before: nothing that it has said so far counts.
    pub(super) fn after(now: Moment, sequence: u64) -> Self {
        Self { not_before: sequence, ..Self::new(now) }
    }

    /// Notes an answer; false when the message is forgotten.
    fn answered(&mut self, now: Moment, sequence: u64) {
        self.last_heard = self.last_heard.max(now);
        while let Some(&(sent, at)) = self.sent.front() {
            if sent > sequence {
                break;
            }
            if sent == sequence {
                self.lease_from = self.lease_from.max(Some(at));
            }
            self.sent.pop_front();
        }
    }

    /// It has confirmed this log, which is synced there, under the owner's token.
    pub(super) fn begin(&mut self, common: Lsn, now: Moment) {
        self.matched = common;
        self.common = common;
        self.next = common.next();
        self.last_heard = now;
        self.progress = now;
    }

    /// Forgets what was answered before.
    pub(super) fn lose_lease(&mut self) {
        self.lease_from = None;
        self.sent.clear();
    }
}

impl Owner {
    pub(super) fn new(phase: Phase, token: Token, now: Moment) -> Self {
        Self {
            phase,
            since: now,
            token,
            sequence: 0,
            start: Lsn(0),
            peers: BTreeMap::new(),
            joining: BTreeSet::new(),
            unwanted: BTreeSet::new(),
            proposal: None,
            short: false,
            adopting: None,
            leaving: false,
            answers: VecDeque::new(),
        }
    }

    /// The head of the next message to a copy, whose send time is noted.
    pub(super) fn head(&mut self, to: Replica, grant: &Arc<Grant>, now: Moment) -> Head {
        self.sequence += 1;
        if let Some(peer) = self.peers.get_mut(&to) {
            if peer.sent.len() == MAX_SENT {
                peer.sent.pop_front();
            }
            peer.sent.push_back((self.sequence, now));
            peer.last_sent = Some(now);
        }
        Head { token: self.token, sequence: self.sequence, grant: grant.clone() }
    }

    /// Who waited for this frame is answered when the lease allows.
    pub(super) fn committed(&mut self, held: &Held) {
        for &(request, repeated) in &held.waiters {
            let outcome = if repeated { Outcome::Duplicate } else { Outcome::Committed(held.lsn) };
            self.answers.push_back((request, outcome));
        }
    }

    /// The answers of an owner that stops being one.
    pub(super) fn give_up<P, S>(&mut self) -> Vec<Effect<P, S>> {
        self.answers.drain(..).map(|(request, _)| Effect::Answer(request, Outcome::Unknown)).collect()
    }

    pub(super) fn enter(&mut self, phase: Phase, now: Moment) {
        self.phase = phase;
        self.since = now;
    }

    /// Whether something sent to this copy has to be sent again.
    fn is_stuck(peer: &Peer, now: Moment, timing: &Timing) -> bool {
        peer.next > peer.matched.max(peer.common).next() && now.since(peer.progress) >= timing.resend
    }
}

impl<P: Clone, S> Copy<P, S> {
    pub(super) fn append_write(&mut self, write: Write<P>, window: &dyn Window) {
        if planted!(self, StaleRouting) && matches!(self.role, Role::Follower) {
            let lsn = self.history.end().lsn.next();
            let position = Position { token: self.seen, lsn };
            let payload = Some(write.payload);
            self.append_entry(Entry { position, key: write.key, content: write.content, payload });
            self.effects.push(Effect::Answer(write.request, Outcome::Committed(lsn)));
            return;
        }
        let short = self.is_short();
        let outcome = match &self.role {
            Role::Owner(owner) if write.epoch > owner.token.epoch => Some(Outcome::NotOwner(self.seen.epoch)),
            Role::Owner(owner) if owner.phase == Phase::Released => Some(Outcome::NotOwner(self.seen.epoch)),
            Role::Owner(owner) if owner.phase != Phase::Serving || owner.leaving => Some(Outcome::Busy),
            Role::Owner(_) => match self.repeated(&write, window) {
                Repeated::Not => short.then_some(Outcome::TooFewCopies),
                Repeated::Waits => return,
                Repeated::Ends(outcome) => Some(outcome),
            },
            Role::Follower | Role::Stopped => Some(Outcome::NotOwner(self.seen.epoch)),
        };
        if let Some(outcome) = outcome {
            match (&mut self.role, outcome) {
                // What was committed is acknowledged under the lease only.
                (Role::Owner(owner), Outcome::Duplicate) => {
                    owner.answers.push_back((write.request, outcome));
                }
                _ => self.effects.push(Effect::Answer(write.request, outcome)),
            }
            return;
        }
        let Some(token) = self.owner_token() else { return };
        let position = Position { token, lsn: self.history.end().lsn.next() };
        self.append_entry(Entry {
            position,
            key: write.key,
            content: write.content,
            payload: Some(write.payload),
        });
        if let Some(held) = self.held.back_mut() {
            held.waiters.push((write.request, false));
        }
    }

    /// Whether a write is a repetition; one of what is not committed yet waits for its original.
    fn repeated(&mut self, write: &Write<P>, window: &dyn Window) -> Repeated {
        let Some(key) = write.key else { return self.room() };
        if key.is_source() {
            return self.repeated_source(&key, write, window);
        }
        if let Some(content) = window.content_of(&key) {
            let same = content == write.content;
            return Repeated::Ends(if same { Outcome::Duplicate } else { Outcome::OtherContent });
        }
        let committed = self.committed;
        let held = self.keys.get(&key).and_then(|lsn| {
            let at = usize::try_from(lsn.0 - committed.0 - 1).unwrap_or(usize::MAX);
            self.held.get_mut(at)
        });
        match held {
            None => self.room(),
            Some(held) if held.content != write.content => Repeated::Ends(Outcome::OtherContent),
            Some(held) => {
                held.waiters.push((write.request, true));
                Repeated::Waits
            }
        }
    }

    /// Rows of a feed are a repetition when the partition has their highest offset; whoever brings them has left out
    /// those that it knew.
    fn repeated_source(&mut self, key: &Key, write: &Write<P>, window: &dyn Window) -> Repeated {
        if window.offset_of(key).is_some_and(|offset| write.content <= offset) {
            return Repeated::Ends(Outcome::Duplicate);
        }
        if planted!(self, OnlyCommittedOffsets) {
            return self.room();
        }
        let has_it = |it: &&mut Held| it.key == Some(*key) && write.content <= it.content;
        match self.held.iter_mut().find(has_it) {
            None => self.room(),
            Some(held) => {
                held.waiters.push((write.request, true));
                Repeated::Waits
            }
        }
    }

    fn room(&self) -> Repeated {
        match self.held.len() >= MAX_UNCOMMITTED && !planted!(self, UnboundedQueue) {
            true => Repeated::Ends(Outcome::Busy),
            false => Repeated::Not,
        }
    }

    /// A copy lives, and promises nothing.
    pub(super) fn heard_waiting(&mut self, now: Moment, from: Replica, token: Token) {
        if let Role::Owner(owner) = &mut self.role
            && owner.token == token
            && let Some(peer) = owner.peers.get_mut(&from)
        {
            peer.last_heard = peer.last_heard.max(now);
        }
    }

    /// An answer from a copy.
    pub(super) fn heard(&mut self, now: Moment, from: Replica, token: Token, sequence: u64, what: Heard<P>) {
        let Role::Owner(owner) = &mut self.role else { return };
        if owner.token != token {
            return;
        }
        let Some(peer) = owner.peers.get_mut(&from).filter(|it| sequence > it.not_before) else { return };
        peer.answered(now, sequence);
        match what {
            Heard::Synced(matched) => {
                if matched > peer.matched {
                    peer.matched = matched;
                    peer.progress = now;
                }
                peer.next = peer.next.max(matched.next());
            }
            Heard::Mismatch(history) => {
                let common = self.history.common_with(&history).lsn;
                // An answer that was overtaken by a better one must not lead back.
                peer.common = common;
                peer.next = common.max(peer.matched).next();
                peer.progress = now;
            }
            Heard::Confirmed(history) => {
                peer.confirmed = Some(history);
                self.confirmed(now);
            }
            Heard::Tail(previous, entries) => self.adopt(now, from, previous, entries),
        }
    }

    /// Commits, answers and sends whatever has become possible.
    pub(super) fn advance(&mut self, now: Moment) {
        let Role::Owner(owner) = &self.role else { return };
        if matches!(owner.phase, Phase::Starting | Phase::Serving) {
            self.advance_commit(now);
            self.send_frames(now);
        }
        self.answer(now);
        self.leave_if_quiet(now);
    }

    fn advance_commit(&mut self, now: Moment) {
        let Role::Owner(owner) = &self.role else { return };
        let start = owner.start;
        let all =
            self.counted().into_iter().map(|it| owner.peers.get(&it).map_or(Lsn(0), |peer| peer.matched));
        let others = if planted!(self, CommitOnFirst) { all.max() } else { all.min() };
        let to = others.map_or(self.own_synced(), |others| others.min(self.own_synced()));
        if to < start || to <= self.committed {
            return;
        }
        self.commit(to);
        if let Role::Owner(owner) = &mut self.role
            && owner.phase == Phase::Starting
        {
            owner.enter(Phase::Serving, now);
        }
    }

    fn own_synced(&self) -> Lsn {
        if planted!(self, AnswerBeforeSync) {
            return self.history.end().lsn;
        }
        let synced = self.held.partition_point(|it| it.op <= self.durable);
        Lsn(self.committed.0 + synced as u64)
    }

    /// Whether this owner counts on a copy, or waits for it to come in: it may not forget what it has said.
    #[must_use]
    pub fn expects(&self, copy: Replica) -> bool {
        match &self.role {
            Role::Owner(owner) => owner.peers.contains_key(&copy) || self.counted().contains(&copy),
            Role::Follower | Role::Stopped => true,
        }
    }

    /// Whether every counted copy has answered within the lease.
    pub(super) fn has_lease(&self, owner: &Owner, now: Moment) -> bool {
        planted!(self, IgnoreLease)
            || self.counted().iter().all(|it| {
                let from = owner.peers.get(it).and_then(|peer| peer.lease_from);
                from.is_some_and(|from| now.since(from) < self.timing.lease)
            })
    }

    fn answer(&mut self, now: Moment) {
        let Role::Owner(owner) = &self.role else { return };
        if owner.answers.is_empty() || owner.phase != Phase::Serving || !self.has_lease(owner, now) {
            return;
        }
        if let Role::Owner(owner) = &mut self.role {
            self.effects
                .extend(owner.answers.drain(..).map(|(request, outcome)| Effect::Answer(request, outcome)));
        }
    }

    pub(super) fn has_answers(owner: &Owner) -> bool {
        !owner.answers.is_empty()
    }

    /// Sends each copy the frames that it lacks, as far as its window is open.
    fn send_frames(&mut self, now: Moment) {
        let Role::Owner(owner) = &self.role else { return };
        let end = self.history.end().lsn;
        let behind: Vec<Replica> = owner
            .peers
            .iter()
            .filter(|(_, peer)| peer.next <= end && peer.next.0 - peer.matched.0.min(peer.next.0) <= WINDOW)
            .map(|(to, _)| *to)
            .collect();
        for to in behind {
            loop {
                let Role::Owner(owner) = &self.role else { return };
                let Some(peer) = owner.peers.get(&to) else { break };
                if peer.next > end
                    || peer.next.0 - peer.matched.0.min(peer.next.0) > WINDOW
                    || peer.next < self.first
                {
                    break;
                }
                self.send_some(now, to);
            }
        }
    }

    /// One message with the next frames for this copy, or none.
    fn send_some(&mut self, now: Moment, to: Replica) {
        let Some(grant) = self.grant.clone() else { return };
        let end = self.history.end().lsn;
        let Role::Owner(owner) = &mut self.role else { return };
        let head = owner.head(to, &grant, now);
        let Some(peer) = owner.peers.get_mut(&to) else { return };
        if peer.next < self.first {
            let mut history = self.history.clone();
            history.truncate(self.committed);
            self.effects.push(Effect::SendState { to, head, history });
            return;
        }
        let before = Lsn(peer.next.0 - 1);
        let last = end.min(Lsn(before.0 + MAX_FRAMES));
        let Some(previous) = self.history.at(before) else { return };
        let frames = (peer.next, last);
        peer.next = peer.next.max(last.next());
        self.effects.push(Effect::SendFrames { to, head, previous, frames, committed: self.committed });
    }

    /// Of the frames that were to be sent to this copy only those up to `last` were: the rest is sent with what comes
    /// next, when this copy has answered or time has passed.
    pub fn sent_only(&mut self, to: Replica, last: Lsn) {
        if let Role::Owner(owner) = &mut self.role
            && let Some(peer) = owner.peers.get_mut(&to)
        {
            peer.next = peer.next.min(last.next()).max(peer.matched.next());
        }
    }

    /// Renews leases and repeats what was not answered.
    pub(super) fn tick_owner(&mut self, now: Moment) {
        let timing = self.timing;
        let Role::Owner(owner) = &mut self.role else { return };
        match owner.phase {
            Phase::Waiting => {
                if now >= self.active_from {
                    self.confirm(now);
                }
            }
            Phase::Confirming => self.repeat_confirm(now),
            Phase::Starting | Phase::Serving => {
                let mut due = Vec::new();
                for (to, peer) in &mut owner.peers {
                    if Owner::is_stuck(peer, now, &timing) {
                        peer.next = peer.matched.max(peer.common).next();
                        peer.progress = now;
                        due.push(*to);
                    } else if peer.last_sent.is_none_or(|at| now.since(at) >= timing.heartbeat) {
                        due.push(*to);
                    }
                }
                for to in due {
                    self.send_some(now, to);
                }
            }
            Phase::Released => self.resume_if_not_relieved(now),
        }
        self.propose_changes(now);
    }
}
