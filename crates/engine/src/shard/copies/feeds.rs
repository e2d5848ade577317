//! Rows of feeds in a store with copies: what a partition has of a source is left out before the rows are appended, by
//! the offsets of all frames that its log has, committed or not; and the positions from which feeds go on.
//!
//! An entry has the highest offset of its rows as its content, so that every copy knows it without reading them.

use std::collections::{BTreeMap, BTreeSet};

use zepto_common::source::home_of_stream;
use zepto_common::{BatchId, Epoch, Error, PartitionId, Result};
use zepto_replication::{Key, Outcome, Window as _, Write};

use super::writes::fault;
use super::{Copies, Waiter, moment};
use crate::chunk::Chunk;
use crate::copies::positions::payload_of;
use crate::dedup::marks;
use crate::shard::positions::Raise;
use crate::shard::{Shard, WriteItem};
use crate::store::write::encode_rows;

/// The highest offset of an item.
pub(super) fn last_offset(item: &WriteItem) -> Result<u64> {
    let offsets = item.offsets.as_ref().and_then(|offsets| offsets.values().last().copied());
    offsets.ok_or_else(|| Error::internal("rows of a source without offsets"))
}

/// Leaves out the rows of a feed that its partition has, unless it has all of them: then the item is a repetition as it
/// is. Gives how many were left out.
pub(super) fn trim(copies: &Copies, item: &mut WriteItem) -> Result<u64> {
    let (Some(batch @ BatchId::Source(_)), Some(offsets)) = (item.batch, &item.offsets) else { return Ok(0) };
    let [(partition, _)] = item.chunk.parts.as_slice() else { return Ok(0) };
    let Some(held) = copies.held.get(&partition.0) else { return Ok(0) };
    let key = Key { table: item.table.id, batch, block: item.block };
    let Some(highest) = held.data.windows.offset_of(&key).max(held.copy.pending_offset(&key)) else {
        return Ok(0);
    };
    let all = item.chunk.rows.num_rows();
    let of_rows = marks::slice(offsets, 0, all as u32);
    let known = of_rows.partition_point(|offset| *offset <= highest);
    if known == 0 || known == all {
        return Ok(0);
    }
    let left = (all - known) as u32;
    let rows = zepto_common::partition::in_one_form(&item.chunk.rows.slice(known, left as usize))?;
    item.payload = encode_rows(&rows)?;
    item.offsets = Some(offsets.slice(known, left as usize));
    item.chunk = Chunk::new(item.chunk.schema.clone(), rows, vec![(*partition, 0..left)])?;
    Ok(known as u64)
}

impl Shard {
    /// Has positions of a feed agreed on by all copies of their home partition; without any, has them told under the
    /// lease.
    pub(super) fn raise_with_copies(&mut self, copies: &mut Copies, raise: Raise) {
        let (request, now) = (copies.next_request(), copies.now());
        let partition = raise.home.0;
        if let Err(error) = self.ready_for_rows(moment()) {
            let _gave_up = raise.done.send(Err(error));
            return;
        }
        let Some(held) = copies.held.get_mut(&partition) else { return };
        if raise.positions.is_empty() {
            held.copy.read(now, request);
        } else {
            let payload = payload_of(raise.table.id, &raise.stream, &raise.positions);
            let write = Write { request, epoch: Epoch(0), key: None, content: 0, payload };
            held.copy.write(now, write, &held.data.windows);
        }
        copies.waiters.insert(request, Waiter::Feed(raise));
        self.carry_out(copies, partition);
    }

    /// Shows what copies have that took the place of others, and what the others had no more.
    pub(super) fn show_positions_anew(&self, copies: &Copies, replaced: BTreeSet<PartitionId>) {
        for (table, streams) in self.shared.positions.lock().iter_mut() {
            let home = |stream: &str| home_of_stream(*table, stream, self.shared.partitions);
            streams.retain(|stream, _| !replaced.contains(&home(stream)));
        }
        self.show_positions_of(copies);
    }

    /// Shows the positions that the copies here have.
    pub(super) fn show_positions_of(&self, copies: &Copies) {
        let mut shown = self.shared.positions.lock();
        for held in copies.held.values() {
            for (table, window) in &held.data.windows.0 {
                for (stream, resume) in window.marks.streams() {
                    let of: &mut BTreeMap<_, _> = shown.entry(*table).or_default();
                    of.insert(stream.to_owned(), resume.clone());
                }
            }
        }
    }
}

/// Tells a feed its positions, which are committed by now.
pub(super) fn tell_feed(copies: &Copies, raise: Raise, outcome: Outcome) {
    let told = match outcome {
        Outcome::Committed(_) | Outcome::Readable(_) => {
            let window =
                copies.held.get(&raise.home.0).and_then(|held| held.data.windows.0.get(&raise.table.id));
            let streams = window.map(|window| window.marks.streams());
            let found = streams.and_then(|mut all| all.find(|(stream, _)| *stream == raise.stream));
            Ok(found.map(|(_, resume)| resume.clone()).unwrap_or_default())
        }
        other => Err(fault(other)),
    };
    let _gave_up = raise.done.send(told);
}
