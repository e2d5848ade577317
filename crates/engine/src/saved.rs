//! The catalog and manifest of a snapshot, read without a store: which segments hold which table's rows.

use std::path::Path;

use zepto_common::{Result, TableId};

use crate::catalog::{self, Catalog};
use crate::manifest::{Manifest, SegmentEntry};

/// A segment of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSegment {
    /// Its place below the snapshot's folder.
    pub path: String,
    /// Rows in it, of every partition.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// What a snapshot says of itself.
#[derive(Debug)]
pub struct Saved {
    catalog: Catalog,
    manifest: Manifest,
}

impl Saved {
    /// Reads the contents of a snapshot's `CATALOG` and `MANIFEST`; `from` names them in errors.
    ///
    /// # Errors
    /// `CorruptedData`, also for a format that a newer program wrote.
    pub fn decode(catalog: &[u8], manifest: &[u8], from: &Path) -> Result<Self> {
        Ok(Self {
            catalog: catalog::file::decode(catalog, &from.join("CATALOG"))?,
            manifest: Manifest::decode(manifest, &from.join("MANIFEST"))?,
        })
    }

    /// Databases, tables and views.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Partitions of the data directory.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        self.manifest.partitions
    }

    /// The segments of a table, those with the oldest rows first; without the states of views.
    #[must_use]
    pub fn segments(&self, table: TableId) -> Vec<SavedSegment> {
        let Some(table) = self.manifest.tables.get(&table) else { return Vec::new() };
        let mut entries: Vec<&SegmentEntry> = table.segments.iter().collect();
        entries.sort_by_key(|entry| (entry.age(), entry.id));
        let saved = |entry: &&SegmentEntry| SavedSegment {
            path: format!("segments/{:016}.parquet", entry.id),
            rows: entry.rows,
            bytes: entry.bytes,
        };
        entries.iter().map(saved).collect()
    }

    /// Rows of a table with a raw tick of the time column below this are expired.
    #[must_use]
    pub fn cutoff(&self, table: TableId) -> Option<i64> {
        self.manifest.tables.get(&table)?.cutoff
    }

    /// Whether a materialized view follows the table.
    #[must_use]
    pub fn has_views(&self, table: TableId) -> bool {
        self.manifest.tables.get(&table).is_some_and(|table| !table.views.is_empty())
    }
}
