//! Carrying out what the copies say.

use std::collections::{BTreeMap, BTreeSet};

use zepto_common::clock::wall_nanos;
use zepto_common::placement::Replica;
use zepto_common::{Lsn, PartitionId, Result};
use zepto_replication::{Effect, Entry, LogOp, Message};

use super::{Copies, applied_of, moment};
use crate::background::Job;
use crate::copies::data::Next;
use crate::copies::frames::LogPlace;
use crate::copies::shown::Shown;
use crate::copies::{Payload, Whole};
use crate::shard::apply::TableRows;
use crate::shard::{Cut, LogMeter, Shard};
use crate::wal::{Frame, LogPosition, read_frame};

/// Bytes of entries in one message, unless one entry alone has more.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Bytes that one turn reads from the logs again for copies that were away: writers wait meanwhile.
const READ_BYTES_MAX: usize = 4 << 20;
/// What it costs to read an entry again, in bytes, besides its own.
const READ_COST: usize = 4 << 10;

fn bytes_of(entry: &Entry<Payload>) -> usize {
    entry.payload.as_ref().map_or(0, Payload::bytes)
}

/// The entry with this lsn, if that is what was logged.
fn entry_of(op: LogOp<Payload>, lsn: Lsn) -> Option<Entry<Payload>> {
    match op {
        LogOp::Append(entry) if entry.position.lsn == lsn => Some(entry),
        _ => None,
    }
}

/// What another copy is sent of a payload: a part of a block goes with the block if the copy is to have all of it, else
/// its rows are cut out.
fn for_replica(payload: Payload, replica: Replica) -> Result<Payload> {
    let payload = Payload { chunk: None, ..payload };
    match &payload.part {
        Some(part) if !part.block.is_for(replica) => payload.alone(),
        _ => Ok(payload),
    }
}

impl Shard {
    /// Does what a copy wants, in its order; what is to be shown or answered waits for the end of the turn.
    pub(super) fn carry_out(&mut self, copies: &mut Copies, partition: u16) {
        let id = PartitionId(partition);
        let Some(held) = copies.held.get_mut(&partition) else { return };
        copies.restless.note(partition);
        // Who was sent less than the copy thinks: what it says next would not follow.
        let mut short = BTreeSet::new();
        for effect in held.copy.take_effects() {
            match effect {
                Effect::Log(op) => {
                    if let Err(error) = self.log_entry(copies, partition, op) {
                        return self.fail_copies(copies, &error.into());
                    }
                }
                Effect::Send(to, message) => copies.say(to, id, message),
                Effect::SendFrames { to, head, previous, frames, committed } => {
                    if short.contains(&to) {
                        continue;
                    }
                    if let Some(entries) = self.entries(copies, partition, to, frames) {
                        let last = Lsn(frames.0.0 + entries.len() as u64 - 1);
                        if last < frames.1
                            && let Some(held) = copies.held.get_mut(&partition)
                        {
                            held.copy.sent_only(to, last);
                            short.insert(to);
                        }
                        let message = Message::Replicate { head, previous, entries, committed };
                        copies.say(to, id, message);
                    }
                }
                Effect::SendTail { to, token, sequence, previous, frames } => {
                    if let Some(entries) = self.entries(copies, partition, to, frames) {
                        let message = Message::Tail { token, sequence, previous, entries };
                        copies.say(to, id, message);
                    }
                }
                Effect::SendState { to, head, history } => {
                    // The copy fetches it, unless it finds that it lacks less than it seems.
                    tracing::debug!(partition, node = %to.node, "a copy seems to lack entries that the log has no more");
                    let first = copies.held.get(&partition).map_or(Lsn(0), |held| held.data.frames.first());
                    let offer = Message::Install { head, history, state: Whole::Offered { first } };
                    copies.say(to, id, offer);
                }
                // Whoever had it judged goes on with it.
                Effect::Install(_) => {}
                Effect::Apply(to) => {
                    if let Some(held) = copies.held.get_mut(&partition)
                        && held.data.note_keys(id, to, wall_nanos() / 1_000_000)
                    {
                        self.show_positions_of(copies);
                    }
                }
                Effect::Answer(request, outcome) => copies.answers.push((request, outcome)),
                Effect::Propose(change) => copies.options.peers.propose(change),
                Effect::Alarm(alarm) => {
                    tracing::warn!(partition, ?alarm, "a copy raises an alarm");
                    copies.options.peers.alarm(id, alarm);
                }
            }
        }
    }

    /// Entries for another node, from memory or from the log: all, or the first ones, as many as one message and this
    /// turn allow. None when one cannot be read.
    fn entries(
        &self,
        copies: &mut Copies,
        partition: u16,
        replica: Replica,
        (from, to): (Lsn, Lsn),
    ) -> Option<Vec<Entry<Payload>>> {
        let frames = &copies.held.get(&partition)?.data.frames;
        let mut entries = Vec::new();
        let mut bytes = 0;
        for lsn in from.0..=to.0 {
            let slot = frames.get(Lsn(lsn))?;
            let mut entry = match &slot.entry {
                Some(entry) => entry.clone(),
                None if copies.read_bytes >= READ_BYTES_MAX => break,
                None => {
                    let entry = self.read_entry(PartitionId(partition), Lsn(lsn), slot.place)?;
                    copies.read_bytes += READ_COST + bytes_of(&entry);
                    entry
                }
            };
            if let Some(payload) = entry.payload.take() {
                match for_replica(payload, replica) {
                    Ok(payload) => entry.payload = Some(payload),
                    Err(error) => {
                        tracing::error!(partition, %error, "rows for another copy cannot be cut out");
                        return None;
                    }
                }
            }
            bytes += bytes_of(&entry);
            if bytes > MESSAGE_BYTES_MAX && !entries.is_empty() {
                break;
            }
            entries.push(entry);
        }
        Some(entries)
    }

    fn read_entry(&self, partition: PartitionId, lsn: Lsn, place: LogPlace) -> Option<Entry<Payload>> {
        let shared = &self.shared;
        let dir = shared.options.data_dir.join("wal");
        let read = read_frame(shared.disk(), &dir, (shared.disk_id, place.thread), place.at);
        match read {
            Ok(Frame::Copy(frame)) => entry_of(frame.op, lsn),
            Ok(Frame::Copies(frames)) => {
                let mut of_copy = frames.entries.into_iter().filter(|it| it.partition == partition);
                of_copy.find_map(|it| entry_of(it.op, lsn))
            }
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(%error, "an entry for another copy cannot be read");
                None
            }
        }
    }

    /// Publishes what is committed: one pointer swap per table.
    pub(super) fn show(&mut self, copies: &mut Copies) {
        let (mut shown, mut asks) = (Shown::default(), false);
        for partition in copies.restless.iter() {
            let Some(held) = copies.held.get_mut(&partition) else { continue };
            if held.data.applied >= held.data.state.committed.0 {
                continue;
            }
            let mut floor = 0;
            loop {
                match held.data.next_rows(&self.shared, PartitionId(partition)) {
                    Ok(Some(Next::Rows(table, rows))) => {
                        shown.add((self.index, PartitionId(partition)), &mut floor, table, rows);
                    }
                    Ok(Some(Next::Nothing)) => {}
                    Ok(Some(Next::Change(change))) => {
                        asks |= held.wait_for(&self.shared, change);
                        break;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(partition, %error, "a committed entry cannot be shown");
                        break;
                    }
                }
            }
            held.no_longer_waits(&self.shared, PartitionId(partition));
        }
        if asks {
            // If the queue is full the next look at everything finds it.
            self.shared.try_job(Job::Changes);
        }
        let mut rows = BTreeMap::new();
        for (_, table, chunk) in shown.into_chunks() {
            let entry = rows.entry(table.id).or_insert_with(|| TableRows { table, chunks: Vec::new() });
            entry.chunks.push(chunk);
        }
        if !rows.is_empty() {
            self.apply(rows, moment());
        }
    }

    /// Closes every memtable; all that is logged is synced, so that the memory of the copies is that of the log.
    pub(super) fn cut_copies(&mut self, copies: &mut Copies) -> Option<Cut> {
        copies.look_at_all();
        self.sync_copies(copies);
        // What the sync has let out may have been logged: it is not covered, and not lost.
        while !copies.failed && (self.log.waiting_bytes() > 0 || copies.group.is_some()) {
            self.sync_copies(copies);
        }
        self.show(copies);
        self.answer(copies);
        if copies.failed {
            return None;
        }
        for table in self.dirty.values() {
            let id = self.shared.next_sealed_id();
            table.cells().shards[self.index].update(&self.shared.memory, |cell| cell.seal(id));
        }
        self.dirty.clear();
        self.logged = LogMeter::new(0);
        let (position, covers_old) = self.needed(copies);
        let windows = copies.held.iter().flat_map(|(&partition, held)| {
            let windows = held.data.windows.0.iter().filter(|(_, window)| !window.is_empty());
            windows.map(move |(&table, window)| (table, partition, window.encode()))
        });
        Some(Cut {
            applied: applied_of(copies),
            position,
            sealed_below: self.shared.next_sealed_id(),
            windows: windows.collect(),
            copies: copies.held.iter().map(|(&p, held)| (PartitionId(p), held.data.state.clone())).collect(),
            covers_old,
        })
    }

    /// Where the first frame of this start's log stands that is not applied, or is kept for copies that were away; and
    /// whether all of earlier starts are applied.
    fn needed(&self, copies: &mut Copies) -> (LogPosition, bool) {
        let seal = &self.shared.options.seal;
        let keep = seal.log_bytes.div_ceil(seal.log_file_bytes.max(1));
        let mut position = self.log.position();
        position = LogPosition { sequence: position.sequence.saturating_sub(keep), offset: 0 };
        let mut covers_old = true;
        let now = copies.now();
        for held in copies.held.values_mut() {
            let kept = held.transfer.keeps_from(now).and_then(|from| held.data.frames.get(from));
            let kept = kept.map(|slot| slot.place);
            for place in held.data.frames.first_needed().into_iter().chain(kept) {
                let mine =
                    usize::from(place.thread) == self.index && place.at.sequence >= self.first_sequence;
                covers_old &= mine;
                position = position.min(place.at);
            }
        }
        (position, covers_old)
    }
}
