//! Rows that want to be appended, and how their writers are answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use zepto_common::metric_names::UNDER_REPLICATED_ACKS;
use zepto_common::{BatchId, Epoch, Error, ErrorCode, Lsn, PartitionId, Result};
use zepto_replication::{Key, Outcome, Write};

use super::feeds::{last_offset, tell_feed, trim};
use super::room::Room;
use super::{Copies, Waiter, moment};
use crate::copies::{Block, Payload, print};
use crate::dedup::Content;
use crate::shard::{Shard, Stored, WriteItem};

impl Shard {
    pub(super) fn write_group(&mut self, copies: &mut Copies, group: Vec<WriteItem>) {
        if group.is_empty() {
            return;
        }
        let ready = self.ready_for_rows(moment());
        for item in group {
            let room = Arc::new(Room::of(&self.shared, self.index, item.bytes));
            match ready.clone().and_then(|()| item.check()) {
                Ok(()) => self.write_item(copies, item, &room),
                Err(error) => {
                    drop(room);
                    item.answer(&Err(error));
                }
            }
        }
    }

    /// Has each part of an item judged and appended by its copy.
    fn write_item(&mut self, copies: &mut Copies, mut item: WriteItem, room: &Arc<Room>) {
        let of_source = known_of_source(copies, &mut item);
        let (highest, known) = match of_source {
            Ok(known) => known,
            Err(error) => return item.answer(&Err(error)),
        };
        let answers = std::mem::take(&mut item.answers);
        let payloads = payloads_of(&item);
        for (index, (answer, payload)) in answers.into_iter().zip(payloads).enumerate() {
            let Some((partition, _)) = item.chunk.parts.get(index) else { break };
            let judged = judge(copies, &item, *partition, (index, &payload), highest);
            let (key, content) = match judged {
                Ok(judged) => judged,
                Err(error) => {
                    let _gave_up = answer.send(Err(error));
                    continue;
                }
            };
            let rows = u64::from(payload.rows) + known;
            let waiter = Waiter::Writer { partition: *partition, answer, rows, known, _room: room.clone() };
            let (request, now) = (copies.next_request(), copies.now());
            copies.waiters.insert(request, waiter);
            let Some(held) = copies.held.get_mut(&partition.0) else { continue };
            let content = match &key {
                Some(key) if !key.is_source() => held.data.windows.comparable(key, content),
                _ => content.hash,
            };
            // The owner's own token fences; the edge's epoch was judged against the placement.
            let write = Write { request, epoch: Epoch(0), key, content, payload };
            held.copy.write(now, write, &held.data.windows);
            self.carry_out(copies, partition.0);
        }
    }

    /// Answers whom the copies named, after what they may see is shown.
    pub(super) fn answer(&mut self, copies: &mut Copies) {
        for (request, outcome) in std::mem::take(&mut copies.answers) {
            if copies.waits_for_change(request, outcome) {
                copies.answers.push((request, outcome));
                continue;
            }
            match copies.waiters.remove(&request) {
                Some(Waiter::Reader { partition, answer }) => {
                    // Shown less than committed: the catalog lags behind.
                    let shown = copies.held.get(&partition.0).map_or(0, |held| held.data.applied);
                    let _ = answer.send(match outcome {
                        Outcome::Readable(lsn) if shown >= lsn.0 => Ok(lsn),
                        Outcome::Readable(_) => Err(fault(Outcome::Busy)),
                        other => Err(fault(other)),
                    });
                }
                Some(Waiter::Feed(raise)) => tell_feed(copies, raise, outcome),
                Some(writer) => {
                    if let (Waiter::Writer { partition, .. }, Outcome::Committed(_)) = (&writer, outcome)
                        && copies.are_fewer(*partition, self.shared.copies_expected.load(Ordering::Relaxed))
                    {
                        metrics::counter!(UNDER_REPLICATED_ACKS).increment(1);
                    }
                    self.tell(writer, outcome);
                }
                None => {}
            }
        }
    }

    pub(super) fn tell(&self, waiter: Waiter, outcome: Outcome) {
        match waiter {
            Waiter::Writer { answer, rows, known, _room: room, .. } => {
                drop(room);
                let _ = answer.send(match outcome {
                    Outcome::Committed(_) => Ok(Stored { rows: rows - known, duplicate_rows: known }),
                    Outcome::Duplicate => Ok(Stored { rows: 0, duplicate_rows: rows }),
                    other => Err(fault(other)),
                });
            }
            Waiter::Change { answer } => {
                let _ = answer.send(match outcome {
                    Outcome::Committed(_) | Outcome::Duplicate => Ok(()),
                    other => Err(fault(other)),
                });
            }
            Waiter::Reader { answer, .. } => {
                let _: Result<(), Result<Lsn>> = answer.send(Err(fault(outcome)));
            }
            Waiter::Feed(raise) => {
                let _ = raise.done.send(Err(fault(outcome)));
            }
        }
    }
}

impl Copies {
    /// Whether the partition's in-sync set has fewer copies than there are to be.
    fn are_fewer(&self, partition: PartitionId, expected: usize) -> bool {
        let grant = self.held.get(&partition.0).and_then(|held| held.copy.grant());
        grant.is_some_and(|grant| grant.set.members.len() < expected)
    }
}

impl WriteItem {
    fn check(&self) -> Result<()> {
        if self.table.is_dropped() {
            let message = format!("Table {} was dropped", self.chunk.schema.name);
            return Err(Error::new(ErrorCode::UnknownTable, message));
        }
        Ok(())
    }
}

/// Of an item with rows of a source: its highest offset, and how many rows were left out because they are known.
fn known_of_source(copies: &Copies, item: &mut WriteItem) -> Result<(u64, u64)> {
    let Some(BatchId::Source(source)) = item.batch else { return Ok((0, 0)) };
    let [(partition, _)] = item.chunk.parts.as_slice() else {
        return Err(Error::internal("a block of a source has rows of several partitions"));
    };
    let window = copies.held.get(&partition.0).and_then(|held| held.data.windows.0.get(&item.table.id));
    window.map_or(Ok(()), |window| window.marks.check_room(source))?;
    Ok((last_offset(item)?, trim(copies, item)?))
}

/// The payload of each part: a block of one partition has its rows itself, several refer to the one block.
fn payloads_of(item: &WriteItem) -> Vec<Payload> {
    let (table, version) = (item.table.id, item.chunk.schema.version);
    if item.chunk.parts.len() == 1 {
        let rows = item.row_count() as u32;
        let payload = Payload::new(table, version, rows, item.payload.clone());
        return vec![Payload { chunk: Some(item.chunk.clone()), ..payload }];
    }
    let (rows, ipc) = (item.chunk.rows.clone(), item.payload.clone());
    let block = Arc::new(Block::of_batch((table, version), rows, ipc, item.followers.clone()));
    let parts = item.chunk.parts.iter();
    parts.map(|(_, range)| Payload::of_block(block.clone(), range.start, range.end - range.start)).collect()
}

/// Key and print of a part of an item.
fn judge(
    copies: &Copies,
    item: &WriteItem,
    partition: PartitionId,
    (index, payload): (usize, &Payload),
    highest_offset: u64,
) -> Result<(Option<Key>, Content)> {
    let held = copies.held.get(&partition.0);
    let held = held.ok_or_else(|| Error::internal(format!("no copy of partition {partition}")))?;
    let key = item.batch.map(|batch| Key { table: item.table.id, batch, block: item.block });
    let hash = match key {
        Some(key) if key.is_source() => highest_offset,
        Some(_) if item.repeatable => {
            let print = item.prints.get(index).copied();
            print.ok_or_else(|| Error::internal("a part of a block has no print"))?
        }
        _ => print::of_count(payload.rows as usize),
    };
    if key.is_some_and(|key| held.data.windows.is_too_old(&key)) {
        let message =
            "the batch is older than what is remembered: whether it was stored is not known any more";
        return Err(Error::new(ErrorCode::IncorrectData, message));
    }
    let content = Content { schema: item.chunk.schema.version, bytes: payload.bytes() as u32, hash };
    Ok((key, content))
}

/// Why a request ended without its rows.
pub(super) fn fault(outcome: Outcome) -> Error {
    match outcome {
        Outcome::OtherContent => Error::new(
            ErrorCode::IncorrectData,
            "the same batch came before with other rows: nothing of it was stored",
        ),
        Outcome::NotOwner(epoch) => Error::new(
            ErrorCode::NotReady,
            format!("this node does not own the partition (epoch {epoch}): nothing was stored"),
        ),
        Outcome::Busy => Error::new(ErrorCode::NotReady, "the owner is not ready yet: nothing was stored"),
        Outcome::TooFewCopies => Error::new(
            ErrorCode::TooFewLiveReplicas,
            "a copy is silent and cluster.minInSync allows no fewer: nothing was stored, try again",
        ),
        Outcome::Unknown | Outcome::Committed(_) | Outcome::Duplicate | Outcome::Readable(_) => Error::new(
            ErrorCode::UnknownStatusOfInsert,
            "the rows may be stored or not: ownership moved before an answer; repeat with the same token",
        ),
    }
}
