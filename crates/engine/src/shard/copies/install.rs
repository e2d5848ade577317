//! Whole states at the drain thread: pinned for others, offered by owners, and put in the place of a copy.
//!
//! An owner that has no log for a copy any more offers its state with every heartbeat. The copy asks for it to be fetched;
//! when it is there, the next offer is kept back and the background thread is asked to replace the copy. That has the
//! machine judge the offer while this thread stands still, so that nothing comes between the judgement and the manifest.

use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio::sync::oneshot;
use zepto_common::limits::STATE_LOG_KEPT;
use zepto_common::placement::{Placement, Replica};
use zepto_common::{Error, ErrorCode, Lsn, PartitionId, Result, TableId, Token};
use zepto_replication::{Copy, Head, History, LogOp, Message, Moment, Phase};

use super::{Copies, Held};
use crate::background::Job;
use crate::background::replace::has_unflushed;
use crate::copies::data::limits;
use crate::copies::pinned::{Pinned, pin_tables};
use crate::copies::staged::Staged;
use crate::copies::state::CopyState;
use crate::copies::whole::{Fetched, Whole};
use crate::copies::{Leave, Payload, PeerMessage};
use crate::dedup::Window;
use crate::shard::Shard;

/// What is to take the place of a copy.
#[derive(Debug, Clone)]
pub(crate) struct Replacement {
    pub(crate) partition: PartitionId,
    /// None: nothing, the copy is to be forgotten.
    pub(crate) staged: Option<Arc<Staged>>,
}

/// A copy that was replaced, for the manifest.
#[derive(Debug)]
pub(crate) struct Replaced {
    pub(crate) partition: PartitionId,
    pub(crate) state: CopyState,
    pub(crate) windows: Vec<(TableId, Bytes)>,
}

/// What a copy has under way with whole states.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    /// Fetched, and not installed yet.
    staged: Option<Arc<Staged>>,
    /// The newest offer for it, which the machine has not seen.
    offer: Option<(Replica, Head)>,
    /// The background thread was asked.
    asked: bool,
    /// Log that is kept for copies that fetch a state.
    kept: Vec<Kept>,
    /// This node is to have no copy any more. The machine hears nothing until it is gone, or wanted again.
    leaving: Option<Leave>,
    rounds: u64,
    /// The owner does without this copy.
    released: bool,
}

/// Entries that are kept for a copy which fetches a state.
#[derive(Debug)]
struct Kept {
    to: Replica,
    /// The first one.
    from: Lsn,
    /// Lives as long as the state is read.
    reading: Weak<()>,
    /// Then the copy has so long to install it and come back.
    until: Option<Moment>,
}

fn not_ready(message: String) -> Error {
    Error::new(ErrorCode::NotReady, message)
}

impl Transfer {
    /// Entries from here on are kept for others; forgets what is over.
    pub(super) fn keeps_from(&mut self, now: Moment) -> Option<Lsn> {
        for kept in &mut self.kept {
            if kept.until.is_none() && kept.reading.strong_count() == 0 {
                kept.until = Some(now.plus(STATE_LOG_KEPT));
            }
        }
        self.kept.retain(|kept| kept.until.is_none_or(|until| now < until));
        self.kept.iter().map(|kept| kept.from).min()
    }
}

impl Held {
    /// What the machine is to hear of a message, if anything.
    fn judge(
        &mut self,
        from: Replica,
        message: PeerMessage,
    ) -> (Option<PeerMessage>, Option<(Head, History, Lsn)>) {
        if self.transfer.leaving.is_some() {
            return (None, None);
        }
        let (head, history, first) = match message {
            Message::Install { head, history, state: Whole::Offered { first } } => (head, history, first),
            // Never said by another node.
            Message::Install { .. } => return (None, None),
            other => return (Some(other), None),
        };
        if let Some(staged) = &self.transfer.staged {
            let end = staged.history.end();
            if !history.has(end) || self.copy.history().has(end) || end.lsn <= self.copy.committed() {
                self.transfer.staged = None;
            } else if head.token == self.copy.seen() {
                self.transfer.offer = Some((from, head));
                return (None, None);
            }
        }
        // What the copy says to this tells the owner what it has: it may lack less than it seems.
        let (previous, committed) = (history.end(), history.end().lsn);
        let question = Message::Replicate { head: head.clone(), previous, entries: Vec::new(), committed };
        (Some(question), Some((head, history, first)))
    }

    /// Whether the log of an owner that begins with `first` is not enough for this copy.
    fn lacks(&self, head: &Head, history: &History, first: Lsn) -> bool {
        let follows = self.copy.seen() == head.token && self.copy.phase().is_none() && !self.copy.stopped();
        follows
            && self.transfer.staged.is_none()
            && self.copy.history().common_with(history).lsn.next() < first
            && self.copy.committed() < history.end().lsn
    }

    /// Takes the place of the copy for the log's part: the entry that tells of it is in the group.
    fn set_windows(&mut self, windows: &[(TableId, Bytes)]) -> Result<()> {
        self.data.windows.0.clear();
        for (table, bytes) in windows {
            self.data.windows.0.insert(*table, Window::decode(bytes.clone(), limits())?);
        }
        Ok(())
    }
}

impl Shard {
    /// Has the machine hear a message, or keeps it back.
    pub(super) fn hear(&mut self, copies: &mut Copies, partition: u16, from: Replica, message: PeerMessage) {
        let now = copies.now();
        let held = copies.held.get_mut(&partition).filter(|held| held.takes(&message));
        let Some(held) = held else { return };
        let (message, offered) = held.judge(from, message);
        if held.transfer.offer.is_some() && !held.transfer.asked {
            held.transfer.asked = self.shared.try_job(Job::Replace { shard: self.index });
        }
        let Some(message) = message else { return };
        held.copy.message(now, from, message);
        self.carry_out(copies, partition);
        let (Some((head, history, first)), Some(held)) = (offered, copies.held.get(&partition)) else {
            return;
        };
        if held.lacks(&head, &history, first) {
            copies.options.peers.wanted(PartitionId(partition), from, head.token);
        }
    }

    pub(super) fn pin(
        &mut self,
        copies: &mut Copies,
        partition: PartitionId,
        token: Token,
        asker: Replica,
    ) -> Result<Pinned> {
        let held = copies.held.get_mut(&partition.0);
        let held = held.ok_or_else(|| Error::internal(format!("no copy of partition {partition}")))?;
        if held.copy.phase() != Some(Phase::Serving) || held.copy.seen() != token {
            let seen = held.copy.seen();
            return Err(not_ready(format!(
                "partition {partition} is not owned here under {token:?}, but {seen:?} was seen"
            )));
        }
        let applied = Lsn(held.data.applied);
        if applied != held.data.state.committed {
            return Err(not_ready(format!("partition {partition} does not show all that is committed yet")));
        }
        let mut history = held.copy.history().clone();
        history.truncate(applied);
        let windows = held.data.windows.0.iter().filter(|(_, window)| !window.is_empty());
        let windows = windows.map(|(&table, window)| (table, window.encode())).collect();
        let tables = pin_tables(&self.shared, partition)?;
        let reading = Arc::new(());
        held.transfer.kept.retain(|kept| kept.to != asker);
        held.transfer.kept.push(Kept {
            to: asker,
            from: applied.next(),
            reading: Arc::downgrade(&reading),
            until: None,
        });
        Ok(Pinned { partition, history, tables, windows, _kept: reading })
    }

    pub(super) fn obey_transfer(&mut self, copies: &mut Copies, command: TransferCommand) {
        match command {
            TransferCommand::Pin { partition, token, asker, answer } => {
                let _ = answer.send(self.pin(copies, partition, token, asker));
            }
            TransferCommand::Staged(staged) => {
                if let Some(held) = copies.held.get_mut(&staged.partition.0) {
                    held.transfer.staged = Some(staged);
                }
            }
            TransferCommand::DoesWithout { partition, token, copy, answer } => {
                let held = copies.held.get(&partition.0);
                // A copy that never heard of this start of the owner knows the epoch alone.
                let same = |seen: Token| seen.epoch == token.epoch && token <= seen;
                let owned = held.filter(|held| held.copy.phase().is_some() && same(held.copy.seen()));
                let _ = answer.send(match owned {
                    Some(held) => Ok(!held.copy.expects(copy)),
                    None => {
                        Err(not_ready(format!("partition {partition} is not owned here under {token:?}")))
                    }
                });
            }
            TransferCommand::Forget(partition, leave) => {
                if let Some(held) = copies.held.get_mut(&partition.0)
                    && held.transfer.leaving == Some(leave)
                {
                    held.transfer.released = true;
                    held.transfer.asked = self.shared.try_job(Job::Replace { shard: self.index });
                }
            }
            TransferCommand::Replaceable(answer) => {
                let _ = answer.send(copies.replaceable());
            }
            TransferCommand::Replace { list, answer, committed } => {
                self.replace(copies, list, &answer, &committed)
            }
        }
    }

    /// Puts what is listed in the place of copies, and stands still until the manifest says so too.
    fn replace(
        &mut self,
        copies: &mut Copies,
        list: Vec<Replacement>,
        answer: &SyncSender<Result<Vec<Replaced>>>,
        committed: &Receiver<()>,
    ) {
        let refused = list.iter().find_map(|it| self.refuses(copies, it));
        if let Some(why) = refused {
            let _ = answer.send(Err(not_ready(why)));
            return;
        }
        let replaced: Result<Vec<Replaced>> = list.into_iter().map(|it| self.put(copies, it)).collect();
        if let Ok(replaced) = &replaced {
            self.show_positions_anew(copies, replaced.iter().map(|it| it.partition).collect());
        }
        let told = match replaced {
            Ok(replaced) => {
                answer.send(Ok(replaced)).map_err(|_| Error::internal("nobody waits for replaced copies"))
            }
            Err(error) => Err(error),
        };
        let told = told.and_then(|()| {
            committed.recv().map_err(|_| Error::internal("replaced copies are not in the manifest"))
        });
        if let Err(error) = told {
            self.fail_copies(copies, &error);
        }
    }

    /// Why a copy may not be replaced now.
    fn refuses(&self, copies: &Copies, it: &Replacement) -> Option<String> {
        let partition = it.partition;
        let now = copies.now();
        let Some(held) = copies.held.get(&partition.0).filter(|held| !held.copy.stopped() && !copies.failed)
        else {
            return Some(format!("the copy of partition {partition} has stopped"));
        };
        let only = [partition];
        if self.shared.tables.load().values().any(|table| has_unflushed(table, self.index, &only)) {
            return Some(format!("partition {partition} has got new rows"));
        }
        let may = match (&it.staged, &held.transfer.offer) {
            (Some(staged), Some((from, head))) => held.copy.would_install(now, *from, head, &staged.history),
            (Some(_), None) => false,
            (None, _) => held.transfer.may_go(&held.copy),
        };
        (!may).then(|| format!("the copy of partition {partition} is not to be replaced any more"))
    }

    fn put(&mut self, copies: &mut Copies, it: Replacement) -> Result<Replaced> {
        let Replacement { partition, staged } = it;
        let gone = || Error::internal(format!("no copy of partition {partition}"));
        let windows = match staged {
            Some(staged) => {
                let now = copies.now();
                let held = copies.held.get_mut(&partition.0).ok_or_else(gone)?;
                let (from, head) = held.transfer.offer.take().ok_or_else(gone)?;
                let (history, state) = (staged.history.clone(), Whole::Fetched(Fetched(staged.clone())));
                held.copy.message(now, from, Message::Install { head, history, state });
                self.carry_out(copies, partition.0);
                let held = copies.held.get_mut(&partition.0).ok_or_else(gone)?;
                held.transfer = Transfer { rounds: held.transfer.rounds, ..Transfer::default() };
                if held.data.state.history != staged.history || copies.failed {
                    return Err(Error::internal(format!("the state of partition {partition} was not taken")));
                }
                tracing::info!(%partition, lsn = %staged.history.end().lsn, "a copy's whole state is installed");
                staged.windows.clone()
            }
            None => {
                self.forget(copies, partition)?;
                Vec::new()
            }
        };
        let held = copies.held.get_mut(&partition.0).ok_or_else(gone)?;
        held.set_windows(&windows)?;
        held.begins_anew(&self.shared, partition);
        Ok(Replaced { partition, state: held.data.state.clone(), windows })
    }

    /// The copy begins again with nothing. What it has promised stays: the tokens that it has seen and followed.
    fn forget(&mut self, copies: &mut Copies, partition: PartitionId) -> Result<()> {
        let logged = self.log_entry(copies, partition.0, LogOp::Installed(History::default()));
        logged.map_err(Error::from)?;
        let (me, options, now) = (self.me(copies), copies.options.clone(), copies.now());
        let boot = self.shared.token.boot;
        if let Some(held) = copies.held.get_mut(&partition.0) {
            held.copy = Copy::new(me, partition, boot, options.timing, held.data.recovered(), now);
            (held.logged, held.reported) = (0, 0);
            held.transfer = Transfer { rounds: held.transfer.rounds, ..Transfer::default() };
            tracing::info!(%partition, "a copy that is not wanted any more is forgotten");
        }
        Ok(())
    }

    pub(super) fn me(&self, copies: &Copies) -> Replica {
        Replica { node: copies.options.node, disk: self.shared.disk_id }
    }

    /// Notes whether this node is to have a copy.
    pub(super) fn note_placement(&mut self, copies: &mut Copies, partition: u16, placement: &Placement) {
        let me = self.me(copies);
        let Some(agreed) = placement.of(PartitionId(partition)) else { return };
        let Some(held) = copies.held.get_mut(&partition) else { return };
        let wanted = agreed.grant.owner == me
            || agreed.grant.set.members.contains(&me)
            || agreed.joining.contains(&me)
            || agreed.leaving.contains(&me);
        let stale = agreed.grant.epoch < held.copy.seen().epoch;
        let empty = held.data.state.history.end().lsn.0 == 0;
        let token = held.copy.seen();
        let transfer = &mut held.transfer;
        if wanted || stale || empty || held.copy.phase().is_some() {
            (transfer.leaving, transfer.released) = (None, false);
        } else if transfer.leaving.is_none_or(|leave| leave.token != token) {
            transfer.rounds += 1;
            (transfer.leaving, transfer.released) = (Some(Leave { token, round: transfer.rounds }), false);
        }
    }

    /// Asks owners for leave to forget copies, and lets go of states that are of no use.
    pub(super) fn tick_transfer(&mut self, copies: &mut Copies, partition: u16) {
        let Some(held) = copies.held.get_mut(&partition) else { return };
        if let Some(staged) = &held.transfer.staged
            && held.copy.history().has(staged.history.end())
        {
            held.transfer.staged = None;
            held.transfer.offer = None;
        }
        let (Some(leave), Some(grant)) = (held.transfer.leaving, held.copy.grant()) else { return };
        if held.transfer.released {
            if !held.transfer.asked {
                held.transfer.asked = self.shared.try_job(Job::Replace { shard: self.index });
            }
        } else {
            copies.options.peers.unwanted(PartitionId(partition), grant.owner, leave);
        }
    }
}

impl Transfer {
    fn may_go(&self, copy: &Copy<Payload, Whole>) -> bool {
        self.released
            && self.leaving.is_some_and(|leave| leave.token == copy.seen())
            && copy.phase().is_none()
    }
}

impl Copies {
    /// The copies that something can take the place of.
    fn replaceable(&mut self) -> Vec<Replacement> {
        let now = self.now();
        let mut list = Vec::new();
        for (&partition, held) in &mut self.held {
            let partition = PartitionId(partition);
            held.transfer.asked = false;
            if held.transfer.may_go(&held.copy) {
                list.push(Replacement { partition, staged: None });
            } else if let (Some(staged), Some((from, head))) = (&held.transfer.staged, &held.transfer.offer) {
                if held.copy.would_install(now, *from, head, &staged.history) {
                    list.push(Replacement { partition, staged: Some(staged.clone()) });
                } else {
                    // Another one will come.
                    held.transfer.offer = None;
                }
            }
        }
        list
    }
}

/// What the doors and the background thread ask for.
#[derive(Debug)]
pub(crate) enum TransferCommand {
    /// The state of a partition that is owned here.
    Pin { partition: PartitionId, token: Token, asker: Replica, answer: oneshot::Sender<Result<Pinned>> },
    /// A state was fetched.
    Staged(Arc<Staged>),
    /// Is this copy counted on?
    DoesWithout { partition: PartitionId, token: Token, copy: Replica, answer: oneshot::Sender<Result<bool>> },
    /// The owner does without the copy here.
    Forget(PartitionId, Leave),
    /// Which copies wait to be replaced?
    Replaceable(SyncSender<Vec<Replacement>>),
    /// Replace these, and stand still until `committed` says so; when it only ends, the copies stop.
    Replace { list: Vec<Replacement>, answer: SyncSender<Result<Vec<Replaced>>>, committed: Receiver<()> },
}
