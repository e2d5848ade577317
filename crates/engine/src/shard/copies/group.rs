//! Entries of several copies that refer to one block go into the log as one frame, with what the copies remember in
//! between.
//!
//! Promises: a copy's entries stand in the log in the order of their numbers; a group does not outlive its turn, nor a
//! sync; until it is written down nobody is told that it is synced.

use std::sync::Arc;

use zepto_common::{Lsn, PartitionId};
use zepto_replication::LogOp;

use super::Copies;
use crate::copies::frames::LogPlace;
use crate::copies::{Block, Payload};
use crate::error::{EngineError, Result};
use crate::shard::Shard;
use crate::wal::{CopiesFrame, CopyFrame, Frame, LogPosition};

/// Entries of one group: with the largest block they still fit into a frame.
const ENTRIES_MAX: usize = 256;
/// Where an entry stands that is not written down yet.
const NOWHERE: LogPosition = LogPosition { sequence: u64::MAX, offset: u64::MAX };

/// A frame that is being put together.
#[derive(Debug)]
pub(super) struct OpenGroup {
    block: Arc<Block>,
    entries: Vec<CopyFrame>,
}

/// The block that an entry refers to.
fn block_of(op: &LogOp<Payload>) -> Option<&Arc<Block>> {
    match op {
        LogOp::Append(entry) => entry.payload.as_ref()?.part.as_ref().map(|part| &part.block),
        _ => None,
    }
}

impl OpenGroup {
    /// Whether an entry can go in beside the others.
    fn takes(&self, op: &LogOp<Payload>) -> bool {
        let fits = match (op, block_of(op)) {
            (LogOp::Committed(_), _) => true,
            (_, Some(block)) => Arc::ptr_eq(block, &self.block),
            _ => false,
        };
        fits && self.entries.len() < ENTRIES_MAX
    }
}

impl Shard {
    /// Puts an entry of a copy into the log, at the latest with the turn's end.
    pub(super) fn log_entry(
        &mut self,
        copies: &mut Copies,
        partition: u16,
        op: LogOp<Payload>,
    ) -> Result<()> {
        let Some(held) = copies.held.get(&partition) else { return Ok(()) };
        let frame = CopyFrame { partition: PartitionId(partition), number: held.data.state.number + 1, op };
        if copies.group.as_ref().is_some_and(|group| !group.takes(&frame.op)) {
            self.close_group(copies)?;
        }
        let (at, op) = match (&mut copies.group, block_of(&frame.op).cloned()) {
            (Some(group), _) => {
                let op = frame.op.clone();
                group.entries.push(frame);
                (NOWHERE, op)
            }
            (None, Some(block)) => {
                let op = frame.op.clone();
                copies.group = Some(OpenGroup { block, entries: vec![frame] });
                (NOWHERE, op)
            }
            (None, None) => {
                let frame = Frame::Copy(Box::new(frame));
                let at = self.append_frame(&frame)?;
                // Rows that are no part of a block come back as they were: copying them is dear.
                let Frame::Copy(logged) = frame else { return Ok(()) };
                (at, logged.op)
            }
        };
        let Some(held) = copies.held.get_mut(&partition) else { return Ok(()) };
        let bytes = match &op {
            LogOp::Append(entry) => entry.payload.as_ref().map_or(0, Payload::bytes),
            _ => 0,
        };
        held.data.log(op, LogPlace { thread: self.index as u16, at }).map_err(EngineError::Internal)?;
        held.logged += 1;
        copies.restless.note(partition);
        if held.blocked.is_some() {
            held.behind_bytes += bytes;
        }
        Ok(())
    }

    /// Writes the open group down, and notes where its entries stand.
    pub(super) fn close_group(&mut self, copies: &mut Copies) -> Result<()> {
        let Some(OpenGroup { block, entries }) = copies.group.take() else { return Ok(()) };
        let lsns: Vec<(u16, Option<Lsn>)> = entries
            .iter()
            .map(|entry| match &entry.op {
                LogOp::Append(it) => (entry.partition.0, Some(it.position.lsn)),
                _ => (entry.partition.0, None),
            })
            .collect();
        let at = self.append_frame(&Frame::Copies(Box::new(CopiesFrame { block, entries })))?;
        let place = LogPlace { thread: self.index as u16, at };
        for (partition, lsn) in lsns {
            if let (Some(held), Some(lsn)) = (copies.held.get_mut(&partition), lsn) {
                held.data.frames.set_place(lsn, place);
            }
        }
        Ok(())
    }

    pub(super) fn close_group_or_fail(&mut self, copies: &mut Copies) {
        if let Err(error) = self.close_group(copies) {
            self.fail_copies(copies, &error.into());
        }
    }

    fn append_frame(&mut self, frame: &Frame) -> Result<LogPosition> {
        match self.log.append_at(frame) {
            Err(EngineError::TooLarge { .. }) if self.log.waiting_bytes() > 0 => {
                self.log.sync()?;
                self.log.append_at(frame)
            }
            appended => appended,
        }
    }
}
