//! One node's copy of one partition: its state, and where each event goes.
//!
//! - [`follower`](self): what an owner's messages do to a copy, and who may be followed
//! - `takeover`: from a grant to the first committed frame
//! - `owner`: appending, sending, committing, answering
//! - `set`: who is counted, and changing it

mod follower;
mod owner;
mod set;
mod takeover;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use zepto_common::ids::{Boot, Epoch, Lsn, PartitionId, Token};
use zepto_common::placement::{Grant, Replica};

use crate::effect::{Alarm, Effect, LogOp, Outcome, Recovered, RequestId, Write};
use crate::history::{History, Position};
use crate::message::{Entry, Key, Message};
use crate::time::{Moment, Timing};

use owner::Owner;

/// Frames of one copy that are appended and not yet committed: beyond it writers are told to wait.
pub const MAX_UNCOMMITTED: usize = 4096;

/// Keys of committed writes, kept by the shell.
pub trait Window {
    /// The content's hash of the write that was committed under this key.
    fn content_of(&self, key: &Key) -> Option<u64>;

    /// The highest offset of this source that is committed.
    fn offset_of(&self, key: &Key) -> Option<u64>;
}

/// Where an owner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The owner before may still hold its lease.
    Waiting,
    /// Asking the set for higher epochs and longer logs.
    Confirming,
    /// The frame that begins its time is not committed yet.
    Starting,
    /// Takes writes and reads.
    Serving,
    /// Has given its lease back; another owner is to be granted.
    Released,
}

/// One node's copy of one partition. `P` is a frame's payload, `S` a copy's whole state; neither is looked into.
#[derive(Debug)]
pub struct Copy<P, S> {
    me: Replica,
    partition: PartitionId,
    boot: Boot,
    timing: Timing,
    started: Moment,
    history: History,
    /// The first frame that the log still has.
    first: Lsn,
    committed: Lsn,
    /// The frames above `committed`, without gaps.
    held: VecDeque<Held>,
    keys: BTreeMap<Key, Lsn>,
    /// Entries given to the log since the start, and how many of them are synced.
    logged: u64,
    durable: u64,
    /// What waits for the log: the entry that must be durable, the token it is said under, and the effect.
    gated: VecDeque<(u64, Token, Effect<P, S>)>,
    seen: Token,
    grant: Option<Arc<Grant>>,
    /// The highest sequence of `seen` that was followed.
    last_sequence: u64,
    last_answer: Option<Moment>,
    /// The owner under `seen` has given its lease back and was not answered since.
    released: bool,
    /// The highest epoch whose owner was answered, or under which this node began.
    followed: Epoch,
    /// The owner under `seen` is not answered before.
    active_from: Moment,
    role: Role,
    effects: Vec<Effect<P, S>>,
    /// A planted bug.
    #[cfg(feature = "plant")]
    pub plant: Option<crate::plant::Plant>,
}

/// A frame above the committed position.
#[derive(Debug)]
struct Held {
    lsn: Lsn,
    /// Which entry of the log it was.
    op: u64,
    key: Option<Key>,
    content: u64,
    /// Who waits, and whether as a repetition.
    waiters: Vec<(RequestId, bool)>,
}

#[derive(Debug)]
enum Role {
    Follower,
    Owner(Box<Owner>),
    /// The log failed or is corrupt: nothing is said any more.
    Stopped,
}

/// True when this bug is planted.
macro_rules! planted {
    ($copy:expr, $plant:ident) => {{
        #[cfg(feature = "plant")]
        {
            $copy.plant == Some($crate::plant::Plant::$plant)
        }
        #[cfg(not(feature = "plant"))]
        {
            false
        }
    }};
}
use planted;

impl<P: Clone, S> Copy<P, S> {
    /// A copy as its log has it. `boot` is higher than at every earlier start of this disk, and synced.
    #[must_use]
    pub fn new(
        me: Replica,
        partition: PartitionId,
        boot: Boot,
        timing: Timing,
        recovered: Recovered,
        now: Moment,
    ) -> Self {
        let mut copy = Self {
            me,
            partition,
            boot,
            timing,
            started: now,
            first: recovered.first,
            committed: recovered.committed,
            held: VecDeque::new(),
            keys: BTreeMap::new(),
            logged: 0,
            durable: 0,
            gated: VecDeque::new(),
            seen: recovered.seen,
            grant: recovered.grant.map(Arc::new),
            last_sequence: 0,
            last_answer: None,
            released: false,
            followed: recovered.followed,
            active_from: Moment::default(),
            role: Role::Follower,
            effects: Vec::new(),
            history: recovered.history,
            #[cfg(feature = "plant")]
            plant: None,
        };
        for (at, (key, content)) in (copy.committed.0 + 1..).zip(recovered.uncommitted) {
            copy.hold(Lsn(at), key, content);
        }
        if copy.seen.epoch > copy.followed {
            // Whom this copy answered last, and when, went with the process.
            copy.active_from = now.plus(timing.guard());
        }
        if copy.committed.0 > 0 {
            copy.effects.push(Effect::Apply(copy.committed));
        }
        if copy.grant.as_ref().is_some_and(|it| it.owner == me && it.epoch == copy.seen.epoch) {
            copy.resume(now, recovered.pending);
        }
        copy
    }

    /// What to do since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect<P, S>> {
        std::mem::take(&mut self.effects)
    }

    /// Everything up to here is committed.
    #[must_use]
    pub fn committed(&self) -> Lsn {
        self.committed
    }

    /// The log's tokens.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The highest token that this copy has seen.
    #[must_use]
    pub fn seen(&self) -> Token {
        self.seen
    }

    /// Where this node stands as the owner; None when it is not.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        match &self.role {
            Role::Owner(owner) => Some(owner.phase),
            Role::Follower | Role::Stopped => None,
        }
    }

    /// Whether the copy has stopped for good.
    #[must_use]
    pub fn stopped(&self) -> bool {
        matches!(self.role, Role::Stopped)
    }

    /// The set's members as this copy knows them.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        self.grant.as_deref()
    }

    /// Appends rows, unless they are a repetition.
    pub fn write(&mut self, now: Moment, write: Write<P>, window: &dyn Window) {
        self.append_write(write, window);
        self.advance(now);
    }

    /// The highest offset of a feed's source above the committed position; what is at or below it is here already.
    #[must_use]
    pub fn pending_offset(&self, key: &Key) -> Option<u64> {
        self.held.iter().filter(|it| it.key == Some(*key)).map(|it| it.content).max()
    }

    /// Answers a reader, who pinned its view before the call: `Readable` when nothing acknowledged before the call can
    /// be missing below the committed position.
    pub fn read(&mut self, now: Moment, request: RequestId) {
        let outcome = match &self.role {
            Role::Owner(owner) if owner.phase == Phase::Serving && self.has_lease(owner, now) => {
                Outcome::Readable(self.committed)
            }
            Role::Owner(_) => Outcome::Busy,
            Role::Follower | Role::Stopped => Outcome::NotOwner(self.seen.epoch),
        };
        self.effects.push(Effect::Answer(request, outcome));
    }

    /// Whether something waits for a sync of what was logged. What else is logged may wait for the next one.
    #[must_use]
    pub fn awaits_sync(&self) -> bool {
        let waits = !self.gated.is_empty() || self.held.back().is_some_and(|it| it.op > self.durable);
        waits && !self.stopped()
    }

    /// The first `ops` log entries since the start are synced.
    pub fn synced(&mut self, now: Moment, ops: u64) {
        self.durable = self.durable.max(ops);
        while let Some((op, _, _)) = self.gated.front() {
            if *op > self.durable {
                break;
            }
            if let Some((_, token, effect)) = self.gated.pop_front() {
                self.release(now, token, effect);
            }
        }
        self.advance(now);
    }

    /// The log cannot be written: who waits learns that nobody knows.
    pub fn log_failed(&mut self) {
        self.step_down();
        self.gated.clear();
        self.role = Role::Stopped;
    }

    /// A message has come.
    pub fn message(&mut self, now: Moment, from: Replica, message: Message<P, S>) {
        if self.stopped() {
            return;
        }
        match message {
            Message::Replicate { head, previous, entries, committed } => {
                if self.accept(now, from, &head) {
                    self.replicated(now, from, &head, previous, entries, committed);
                }
            }
            Message::Confirm { head } => {
                if self.accept(now, from, &head) {
                    let history = self.history.clone();
                    let answer = Message::Confirmed { token: head.token, sequence: head.sequence, history };
                    self.gate(now, Effect::Send(from, answer));
                }
            }
            Message::Fetch { head, after } => {
                if self.accept(now, from, &head) {
                    self.send_tail(now, from, &head, after);
                }
            }
            Message::Release { head } => self.owner_released(now, from, &head),
            Message::Install { head, history, state } => {
                if self.accept(now, from, &head) {
                    self.install(now, from, &head, history, state);
                }
            }
            Message::Synced { token, sequence, matched } => {
                self.heard(now, from, token, sequence, Heard::Synced(matched));
            }
            Message::Mismatch { token, sequence, history } => {
                self.heard(now, from, token, sequence, Heard::Mismatch(history));
            }
            Message::Confirmed { token, sequence, history } => {
                self.heard(now, from, token, sequence, Heard::Confirmed(history));
            }
            Message::Tail { token, sequence, previous, entries } => {
                self.heard(now, from, token, sequence, Heard::Tail(previous, entries));
            }
            Message::Waiting { token, .. } => self.heard_waiting(now, from, token),
            Message::Fenced { seen } => {
                if self.owner_token().is_some_and(|token| token.epoch < seen.epoch) {
                    self.step_down();
                }
            }
        }
        self.advance(now);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Moment) {
        self.tick_owner(now);
        self.advance(now);
    }

    /// Frames below this position are in the state and no longer in the log.
    pub fn released_below(&mut self, first: Lsn) {
        self.first = self.first.max(first);
    }

    fn log(&mut self, op: LogOp<P>) {
        self.logged += 1;
        self.effects.push(Effect::Log(op));
    }

    /// Lets an effect out when all that was logged so far is synced, and drops it when a higher token was seen by then.
    fn gate(&mut self, now: Moment, effect: Effect<P, S>) {
        if self.durable >= self.logged || planted!(self, AnswerBeforeSync) {
            self.release(now, self.seen, effect);
        } else {
            self.gated.push_back((self.logged, self.seen, effect));
        }
    }

    fn release(&mut self, now: Moment, token: Token, effect: Effect<P, S>) {
        if token != self.seen {
            return;
        }
        if !matches!(effect, Effect::Propose(_)) {
            self.last_answer = Some(now);
        }
        self.effects.push(effect);
    }

    /// From here on a restart need not wait for the lease of anybody older.
    fn follow(&mut self) {
        if self.followed < self.seen.epoch {
            self.followed = self.seen.epoch;
            self.log(LogOp::Followed(self.followed));
        }
    }

    fn owner_token(&self) -> Option<Token> {
        match &self.role {
            Role::Owner(owner) => Some(owner.token),
            Role::Follower | Role::Stopped => None,
        }
    }

    fn hold(&mut self, lsn: Lsn, key: Option<Key>, content: u64) {
        // Many frames may have the key of a source: they are found by their offsets.
        if let Some(key) = key.filter(|key| !key.is_source()) {
            self.keys.insert(key, lsn);
        }
        self.held.push_back(Held { lsn, op: self.logged, key, content, waiters: Vec::new() });
    }

    fn append_entry(&mut self, entry: Entry<P>) {
        self.history.append(entry.position.token);
        let (key, content, lsn) = (entry.key, entry.content, entry.position.lsn);
        self.log(LogOp::Append(entry));
        self.hold(lsn, key, content);
    }

    /// Adds frames that another log has, dropping what contradicts them. Returns the last position that is surely the
    /// same in both; None when the other log contradicts what is committed here.
    fn take_entries(&mut self, previous: Position, entries: Vec<Entry<P>>) -> Option<Lsn> {
        let mut matched = previous.lsn;
        for entry in entries {
            let position = entry.position;
            if !self.history.has(position) {
                if position.lsn <= self.history.end().lsn && !self.cut(Lsn(position.lsn.0 - 1)) {
                    return None;
                }
                self.append_entry(entry);
            }
            matched = position.lsn;
        }
        Some(matched)
    }

    /// Drops the frames above `to`; false, and the end of this copy, when one of them is committed.
    fn cut(&mut self, to: Lsn) -> bool {
        if to < self.committed {
            self.effects.push(Effect::Alarm(Alarm::CutBelowCommitted { at: to, committed: self.committed }));
            self.log_failed();
            return false;
        }
        while self.held.back().is_some_and(|it| it.lsn > to) {
            if let Some(held) = self.held.pop_back() {
                self.forget_key(&held);
                self.effects
                    .extend(held.waiters.iter().map(|waiter| Effect::Answer(waiter.0, Outcome::Unknown)));
            }
        }
        self.history.truncate(to);
        self.log(LogOp::Truncate(to));
        true
    }

    fn forget_key(&mut self, held: &Held) {
        if let Some(key) = held.key
            && self.keys.get(&key) == Some(&held.lsn)
        {
            self.keys.remove(&key);
        }
    }

    /// Applies what is committed up to `to`; waiters go to the owner's list of answers.
    fn commit(&mut self, to: Lsn) {
        let to = to.min(self.history.end().lsn);
        if to <= self.committed {
            return;
        }
        while self.held.front().is_some_and(|it| it.lsn <= to) {
            if let Some(held) = self.held.pop_front() {
                self.forget_key(&held);
                if let Role::Owner(owner) = &mut self.role {
                    owner.committed(&held);
                }
            }
        }
        self.committed = to;
        self.log(LogOp::Committed(to));
        self.effects.push(Effect::Apply(to));
    }
}

/// What a copy answered to an owner.
#[derive(Debug)]
enum Heard<P> {
    Synced(Lsn),
    Mismatch(History),
    Confirmed(History),
    Tail(Position, Vec<Entry<P>>),
}
