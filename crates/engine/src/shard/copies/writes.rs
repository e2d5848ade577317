//! Rows that want to be appended, and how their writers are answered.

use std::sync::atomic::Ordering;

use zepto_common::metric_names::UNDER_REPLICATED_ACKS;
use zepto_common::{BatchId, Epoch, Error, ErrorCode, Lsn, PartitionId, Result};
use zepto_replication::{Key, Outcome, Write};

use super::feeds::{last_offset, tell_feed, trim};
use super::{Copies, Waiter, moment};
use crate::copies::{Payload, print};
use crate::dedup::Content;
use crate::shard::{Shard, Stored, WriteItem};

impl Shard {
    pub(super) fn write_group(&mut self, copies: &mut Copies, group: Vec<WriteItem>) {
        if group.is_empty() {
            return;
        }
        let ready = self.ready_for_rows(moment());
        for item in group {
            if let Err(error) = ready.clone().and_then(|()| item.check()) {
                self.drain().ring.free(1, item.bytes);
                let _ = item.answer.send(Err(error));
                continue;
            }
            self.write_one(copies, item);
        }
    }

    fn write_one(&mut self, copies: &mut Copies, mut item: WriteItem) {
        let judged = judge(copies, &item).and_then(|it| Ok((it, trim(copies, &mut item)?)));
        let ((partition, key, content), known) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                self.drain().ring.free(1, item.bytes);
                let _ = item.answer.send(Err(error));
                return;
            }
        };
        let (request, now) = (copies.next_request(), copies.now());
        let rows = item.row_count();
        let (table, version) = (item.table.id, item.chunk.schema.version);
        let payload =
            Payload { chunk: Some(item.chunk), ..Payload::new(table, version, rows as u32, item.payload) };
        let waiter = Waiter::Writer {
            partition: PartitionId(partition),
            answer: item.answer,
            rows: rows + known,
            known,
            bytes: item.bytes,
        };
        copies.waiters.insert(request, waiter);
        let Some(held) = copies.held.get_mut(&partition) else { return };
        let content = match &key {
            Some(key) if !key.is_source() => held.data.windows.comparable(key, content),
            _ => content.hash,
        };
        // The owner's own token fences; the edge's epoch was judged against the placement.
        let write = Write { request, epoch: Epoch(0), key, content, payload };
        held.copy.write(now, write, &held.data.windows);
        self.carry_out(copies, partition);
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
            Waiter::Writer { answer, rows, known, bytes, .. } => {
                self.drain().ring.free(1, bytes);
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

/// An item's partition, key and print.
fn judge(copies: &Copies, item: &WriteItem) -> Result<(u16, Option<Key>, Content)> {
    let [(partition, _)] = item.chunk.parts.as_slice() else {
        return Err(Error::internal("a block for a copy has rows of several partitions"));
    };
    let held = copies.held.get(&partition.0);
    let held = held.ok_or_else(|| Error::internal(format!("no copy of partition {partition}")))?;
    let (schema, rows) = (&item.chunk.schema, &item.chunk.rows);
    let key = item.batch.map(|batch| Key { table: item.table.id, batch, block: item.block });
    let hash = match key {
        Some(Key { batch: BatchId::Source(source), .. }) => {
            let window = held.data.windows.0.get(&item.table.id);
            window.map_or(Ok(()), |window| window.marks.check_room(source))?;
            last_offset(item)?
        }
        Some(_) if item.repeatable => print::of_rows(schema, rows)?,
        _ => print::of_count(rows.num_rows()),
    };
    if key.is_some_and(|key| held.data.windows.is_too_old(&key)) {
        let message =
            "the batch is older than what is remembered: whether it was stored is not known any more";
        return Err(Error::new(ErrorCode::IncorrectData, message));
    }
    let content = Content { schema: schema.version, bytes: item.payload.len() as u32, hash };
    Ok((partition.0, key, content))
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
