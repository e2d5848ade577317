//! What of the logs is in segments: one file for the whole node, replaced atomically, the single commit point of
//! checkpoints, compactions, rewrites, truncations and TTL drops. docs/formats/manifest.md has it to the byte.
//!
//! For each partition it names one applied lsn: every frame at or below it is in the segments listed here, and
//! the deduplication windows kept here are those at that lsn. A table may have a *floor*: its rows at or below
//! these lsns are in its segments (or were dropped on purpose) although the node-wide lsn is lower.

mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use zepto_common::{Boot, Lsn, PartitionId, Result, SchemaVersion, TableId};

use crate::copies::state::CopyState;
use crate::dedup::{Window, WindowLimits};

/// One segment file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentEntry {
    /// Its number, which is its file's name; never reused, growing with age of creation.
    pub(crate) id: u64,
    /// The drain thread whose rows it held when it was written.
    pub(crate) shard: u16,
    /// The schema version that it was written with.
    pub(crate) schema: SchemaVersion,
    /// Rows in it.
    pub(crate) rows: u64,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// The number of the oldest segment whose rows it has, where that is another: of equal times the row in the
    /// segment of lower age came first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) age: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(age: &u64) -> bool {
    *age == 0
}

impl SegmentEntry {
    /// Of a segment with this age.
    pub(crate) fn aged(self, age: u64) -> Self {
        Self { age: if age == self.id { 0 } else { age }, ..self }
    }

    /// Orders segments by when their rows came.
    pub(crate) fn age(&self) -> u64 {
        if self.age == 0 { self.id } else { self.age }
    }
}

/// What is known of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableManifest {
    /// Its segments.
    pub(crate) segments: Vec<SegmentEntry>,
    /// Per partition, the lsn up to which its rows in the logs are void; empty when no partition has one.
    #[serde(default)]
    pub(crate) floor: Vec<u64>,
    /// Per partition, the lsn up to which tokens in the logs are forgotten, as TRUNCATE does; empty when none are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) token_floor: Vec<u64>,
    /// Rows whose time is below this are expired (ticks of the time column).
    #[serde(default)]
    pub(crate) cutoff: Option<i64>,
    /// Truncations and rewrites so far.
    #[serde(default)]
    pub(crate) incarnation: u64,
    /// What the materialized views that follow this table have counted of the rows in its segments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) views: BTreeMap<TableId, ViewManifest>,
}

/// The partial states of one materialized view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ViewManifest {
    /// Segments of states.
    pub(crate) segments: Vec<SegmentEntry>,
    /// Why the view stopped, if it did: its states lack rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) broken: Option<String>,
}

impl TableManifest {
    /// Its segments of rows and of states.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &SegmentEntry> {
        self.segments.iter().chain(self.views.values().flat_map(|view| &view.segments))
    }

    /// The lsn up to which this table's rows of a partition are void in the logs.
    pub(crate) fn floor_of(&self, partition: PartitionId) -> Lsn {
        Lsn(self.floor.get(usize::from(partition.0)).copied().unwrap_or(0))
    }

    /// The lsn up to which this table's tokens of a partition are forgotten.
    pub(crate) fn token_floor_of(&self, partition: PartitionId) -> Lsn {
        Lsn(self.token_floor.get(usize::from(partition.0)).copied().unwrap_or(0))
    }
}

/// The contents of the file `MANIFEST`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Replacements so far.
    pub(crate) version: u64,
    /// Partitions of the data directory.
    pub(crate) partitions: u16,
    /// Drain threads at the last replacement.
    pub(crate) drain_threads: u16,
    /// The first start with this number: logs of earlier ones cut blocks in another way.
    #[serde(default)]
    pub(crate) threads_since: Boot,
    /// Ages from which on blocks were cut by another number of drain threads than before, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) recut: Vec<u64>,
    /// The start that wrote it.
    pub(crate) boot: Boot,
    /// The next segment's number.
    pub(crate) next_segment: u64,
    /// Applied lsn per partition.
    pub(crate) applied: Vec<u64>,
    /// By table.
    pub(crate) tables: BTreeMap<TableId, TableManifest>,
    /// What the copies remember, by partition; None in a store that stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) copies: Option<Vec<CopyState>>,
    /// Encoded deduplication windows: one per table and drain thread that has one; with copies, per partition.
    #[serde(skip)]
    pub(crate) windows: BTreeMap<(TableId, u16), Bytes>,
}

impl Manifest {
    /// Of an empty data directory.
    pub(crate) fn new(partitions: u16, drain_threads: u16) -> Self {
        Self {
            partitions,
            drain_threads,
            next_segment: 1,

            applied: vec![0; usize::from(partitions)],
            ..Self::default()
        }
    }

    /// What is known of a table, made when there is nothing.
    pub(crate) fn table(&mut self, id: TableId) -> &mut TableManifest {
        self.tables.entry(id).or_default()
    }

    /// A new segment's number.
    pub(crate) fn take_segment_id(&mut self) -> u64 {
        self.next_segment += 1;
        self.next_segment - 1
    }

    /// Forgets the tokens of a table that came up to these lsns, one per partition.
    ///
    /// # Errors
    /// A window that cannot be read.
    pub(crate) fn forget_tokens(&mut self, id: TableId, up_to: &[u64]) -> Result<()> {
        for ((table, _), bytes) in &mut self.windows {
            if *table == id {
                let mut window = Window::decode(bytes.clone(), WindowLimits::default())?;
                window.forget_tokens();
                *bytes = window.encode();
            }
        }
        self.table(id).token_floor = up_to.to_vec();
        Ok(())
    }

    /// Notes this start's number of drain threads.
    pub(crate) fn set_threads(&mut self, threads: u16, boot: Boot) {
        if self.drain_threads != threads {
            (self.drain_threads, self.threads_since) = (threads, boot);
        }
    }

    /// Notes that blocks are cut by another number of drain threads from now on, and forgets what no segment is older
    /// than.
    pub(crate) fn note_recut(&mut self) {
        self.recut.push(self.next_segment);
        let oldest = self.tables.values().flat_map(TableManifest::entries).map(SegmentEntry::age).min();
        self.recut.retain(|from| oldest.is_some_and(|oldest| oldest < *from));
        self.recut.dedup();
    }

    /// Ages below this are of rows that were cut by another number of drain threads.
    pub(crate) fn elders_below(&self) -> u64 {
        self.recut.last().copied().unwrap_or(0)
    }

    /// How often blocks had been cut anew when rows of this age came: only those of one number may be merged.
    pub(crate) fn cut_of(&self, age: u64) -> usize {
        self.recut.partition_point(|from| *from <= age)
    }

    /// Forgets what the catalog no longer has.
    pub(crate) fn retain_tables(&mut self, exists: impl Fn(TableId) -> bool) {
        self.tables.retain(|&id, _| exists(id));
        self.windows.retain(|&(id, _), _| exists(id));
    }

    /// Forgets the states of views that the catalog no longer has.
    pub(crate) fn retain_views(&mut self, exists: impl Fn(TableId) -> bool) {
        for table in self.tables.values_mut() {
            table.views.retain(|&id, _| exists(id));
        }
    }

    /// Drops floors that the applied lsns have overtaken.
    pub(crate) fn drop_passed_floors(&mut self) {
        for table in self.tables.values_mut() {
            if table.floor.iter().zip(&self.applied).all(|(floor, applied)| floor <= applied) {
                table.floor = Vec::new();
            }
            if table.token_floor.iter().zip(&self.applied).all(|(floor, applied)| floor <= applied) {
                table.token_floor = Vec::new();
            }
        }
    }
}

/// Path of a segment's file.
pub(crate) fn segment_path(data_dir: &Path, id: u64) -> PathBuf {
    segments_dir(data_dir).join(format!("{id:016}.parquet"))
}

/// The folder of the segments.
pub(crate) fn segments_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("segments")
}
