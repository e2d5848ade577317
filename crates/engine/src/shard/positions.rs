//! The positions from which feeds go on: a frame of their own, synced before they are shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use zepto_common::{Error, ErrorCode, Lsn, PartitionId, Result};

use super::Shard;
use crate::dedup::marks::Resume;
use crate::table::TableData;
use crate::wal::{CheckpointFrame, Frame, Place, SourceOffset};

/// Positions of one stream that are to be raised.
#[derive(Debug)]
pub(crate) struct Raise {
    pub(crate) table: Arc<TableData>,
    pub(crate) stream: String,
    /// The partition that keeps them, one of the thread's.
    pub(crate) home: PartitionId,
    pub(crate) positions: Resume,
    pub(crate) done: oneshot::Sender<Result<Resume>>,
}

impl Shard {
    pub(super) fn raise_positions(&mut self, raise: Raise) {
        let raised = self.log_positions(&raise);
        let _gave_up = raise.done.send(raised);
    }

    fn log_positions(&mut self, raise: &Raise) -> Result<Resume> {
        let Raise { table, stream, home, positions, .. } = raise;
        if table.is_dropped() {
            return Err(Error::new(ErrorCode::UnknownTable, "the table of a feed was dropped"));
        }
        self.ready_for_rows(Instant::now())?;
        let lsn = Lsn(self.lsns[usize::from(home.0)]).next();
        let places = vec![Place { partition: *home, lsn }];
        let frame = CheckpointFrame {
            token: self.shared.token,
            places: places.clone(),
            table: table.id,
            feed: stream.clone(),
            offsets: positions.iter().map(|(&source, &offset)| SourceOffset { source, offset }).collect(),
        };
        self.log.append(&Frame::Checkpoint(frame))?;
        self.sync_log()?;
        self.advance(&places);
        let marks = &mut self.tables.entry(table.id).or_default().window.marks;
        marks.resume_at(*home, stream, positions.iter().map(|(source, offset)| (*source, *offset)));
        let now = marks.streams().find(|(name, _)| *name == stream).map(|(_, resume)| resume.clone());
        let now = now.unwrap_or_default();
        self.shared.positions.lock().entry(table.id).or_default().insert(stream.clone(), now.clone());
        Ok(now)
    }

    /// Shows what a start has found.
    pub(crate) fn show_positions(&self) {
        let mut shown = self.shared.positions.lock();
        for (table, memory) in &self.tables {
            for (stream, resume) in memory.window.marks.streams() {
                let of: &mut BTreeMap<_, _> = shown.entry(*table).or_default();
                of.insert(stream.to_owned(), resume.clone());
            }
        }
    }
}
