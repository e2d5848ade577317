//! The rows of a backup: table by table and node by node, each partition from the one snapshot that gives it.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, PartitionId, Result, TableId};
use zepto_engine::catalog::Catalog;
use zepto_engine::copies::{TableSum, plain};
use zepto_engine::disk::RealDisk;
use zepto_engine::saved::Saved;
use zepto_engine::segment::Segment;
use zepto_engine::{Part, Selection};

use crate::document::{Backup, NodePart, StoredFile};
use crate::repository::Repository;

/// What a backup says of itself.
#[derive(Debug)]
pub struct Contents {
    nodes: Vec<(NodePart, Saved)>,
    newest: usize,
}

/// A segment that has rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRows {
    /// Its file.
    pub file: StoredFile,
    /// The partitions of which its rows are wanted.
    pub partitions: Vec<PartitionId>,
    /// Rows of every partition.
    pub rows: u64,
    /// Rows with a raw tick of the time column below this are expired.
    pub cutoff: Option<i64>,
}

impl Contents {
    /// Reads the catalogs and manifests of a backup.
    ///
    /// # Errors
    /// The store's; `CorruptedData`.
    pub async fn read(repository: &Repository, backup: &Backup) -> Result<Self> {
        let mut nodes = Vec::with_capacity(backup.nodes.len());
        for node in &backup.nodes {
            let (catalog, manifest) =
                (repository.get(&node.catalog).await?, repository.get(&node.manifest).await?);
            let from = format!("{}/{}: node {}", repository.root(), backup.name, node.node);
            let saved = Saved::decode(&catalog, &manifest, Path::new(&from))?;
            if saved.partitions() != backup.partitions {
                let message =
                    format!("{from}: it has {} partitions, not {}", saved.partitions(), backup.partitions);
                return Err(Error::new(ErrorCode::CorruptedData, message));
            }
            nodes.push((node.clone(), saved));
        }
        let newest = nodes.iter().enumerate().max_by_key(|(_, (_, saved))| saved.catalog().version());
        let newest = newest.map(|(index, _)| index);
        let newest = newest.ok_or_else(|| Error::new(ErrorCode::CorruptedData, "a backup without a node"))?;
        Ok(Self { nodes, newest })
    }

    /// Databases, tables and views: those of the node that knew most.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        self.nodes[self.newest].1.catalog()
    }

    /// The segments with rows of a table; those of one node with the oldest rows first, so that of equal times the row that
    /// came first is read first.
    ///
    /// # Errors
    /// `CorruptedData` for a segment that the backup does not have.
    pub fn rows_of(&self, table: TableId) -> Result<Vec<TableRows>> {
        let mut all = Vec::new();
        for (node, saved) in &self.nodes {
            if node.partitions.is_empty() {
                continue;
            }
            for segment in saved.segments(table) {
                let file = node.segments.get(&segment.path).filter(|file| file.bytes == segment.bytes);
                let file = file.ok_or_else(|| {
                    let message =
                        format!("node {}: {} is missing or has another length", node.node, segment.path);
                    Error::new(ErrorCode::CorruptedData, message)
                })?;
                all.push(TableRows {
                    file: file.clone(),
                    partitions: node.partitions.iter().map(|it| PartitionId(*it)).collect(),
                    rows: segment.rows,
                    cutoff: saved.cutoff(table),
                });
            }
        }
        Ok(all)
    }
}

/// A segment's file, verified block by block. `rows`: what its manifest says that it has.
///
/// # Errors
/// `CorruptedData` with file and offset; also when it has another number of rows.
pub fn open(path: &Path, rows: Option<u64>) -> Result<Arc<Segment>> {
    let segment = Segment::open(&RealDisk, path)?;
    segment.check()?;
    let found = segment.rows() as u64;
    if let Some(rows) = rows.filter(|rows| *rows != found) {
        let message = format!("{}: it has {found} rows, the manifest says {rows}", path.display());
        return Err(Error::new(ErrorCode::CorruptedData, message));
    }
    Ok(Arc::new(segment))
}

/// Partitions of the data directory of which these are the files `CATALOG` and `MANIFEST`.
///
/// # Errors
/// `CorruptedData`.
pub fn partitions_of(catalog: &[u8], manifest: &[u8], from: &Path) -> Result<u16> {
    Ok(Saved::decode(catalog, manifest, from)?.partitions())
}

/// How many rows of a segment are wanted, expired ones among them.
#[must_use]
pub fn count(segment: &Arc<Segment>, wanted: &TableRows) -> u64 {
    wanted_ranges(segment, wanted).iter().map(|range| range.len() as u64).sum()
}

/// The rows of the wanted partitions.
fn wanted_ranges(segment: &Arc<Segment>, wanted: &TableRows) -> Vec<Range<usize>> {
    let stretches = segment.index().partition_rows();
    let ranges = stretches.filter(|(partition, _)| wanted.partitions.binary_search(partition).is_ok());
    ranges.map(|(_, range)| range).collect()
}

/// The wanted rows of a segment in the columns of `schema`, as batches of at most `batch_rows`, without dictionaries.
pub fn batches(
    segment: &Arc<Segment>,
    wanted: &TableRows,
    schema: &Arc<TableSchema>,
    batch_rows: usize,
) -> impl Iterator<Item = Result<RecordBatch>> {
    let part = Part::Segment(segment.clone());
    let ranges = wanted_ranges(segment, wanted);
    let live = wanted.cutoff.map(|cutoff| {
        let time = Some((cutoff, i64::MAX));
        part.select(&Selection { time, ..Selection::default() })
    });
    let ranges = match live {
        Some(live) => intersection(&ranges, &live),
        None => ranges,
    };
    let columns: Vec<usize> = (0..schema.columns.len()).collect();
    part.scan(schema, &columns, &ranges, batch_rows).map(|batch| plain(&batch?))
}

/// What lies in both; both ascend and are disjoint.
fn intersection(one: &[Range<usize>], other: &[Range<usize>]) -> Vec<Range<usize>> {
    let (mut i, mut j, mut both) = (0, 0, Vec::new());
    while let (Some(a), Some(b)) = (one.get(i), other.get(j)) {
        let range = a.start.max(b.start)..a.end.min(b.end);
        if !range.is_empty() {
            both.push(range);
        }
        if a.end <= b.end { i += 1 } else { j += 1 }
    }
    both
}

/// The logical sum of rows: the same for the same rows in any order.
#[must_use]
pub fn sum_of(table: TableId) -> TableSum {
    TableSum::of(table)
}

#[cfg(test)]
mod tests {
    use super::{Range, intersection};

    #[test]
    fn ranges_meet_where_both_are() {
        assert_eq!(intersection(&[0..5, 8..12], &[3..9, 11..20]), [3..5, 8..9, 11..12]);
        let none: [Range<usize>; 0] = [];
        assert_eq!(intersection(&[0..2, 3..5], &[2..3, 5..9]), none);
        assert_eq!(intersection(&none, &[0..1, 2..3]), none);
    }
}
