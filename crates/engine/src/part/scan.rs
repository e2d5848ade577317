//! Batches out of row ranges. One range gives zero-copy slices; several small ones are gathered into one batch.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use zepto_common::schema::TableSchema;
use zepto_common::{Error, Result};

use super::evolve::{Evolution, Origin};
use super::{Batches, Part};
use crate::run::{RunIndex, columns};

pub(super) fn batches(
    part: &Part,
    target: &Arc<TableSchema>,
    projection: &[usize],
    ranges: &[Range<usize>],
    batch_rows: usize,
) -> Batches {
    let made = Output::new(part.schema(), target, projection).and_then(|output| {
        check_ranges(ranges, part.rows())?;
        let groups = Groups::new(ranges, batch_rows.max(1));
        Ok::<Batches, Error>(match part {
            Part::Chunk(chunk) => {
                let columns = chunk.rows.columns().iter().cloned().map(Some).collect();
                Box::new(MemoryScan { columns, index: None, output, groups })
            }
            Part::Run(run) => Box::new(MemoryScan {
                columns: run.columns().to_vec(),
                index: Some(Arc::clone(run.index())),
                output,
                groups,
            }),
            Part::Segment(segment) => match segment.hot() {
                Some(run) => Box::new(MemoryScan {
                    columns: run.columns().to_vec(),
                    index: Some(Arc::clone(run.index())),
                    output,
                    groups,
                }),
                None => segment.scan(output, groups),
            },
        })
    });
    made.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
}

fn check_ranges(ranges: &[Range<usize>], rows: usize) -> Result<()> {
    let ascending = ranges.windows(2).all(|pair| pair[0].end <= pair[1].start);
    let inside = ranges.iter().all(|range| range.start <= range.end && range.end <= rows);
    if ascending && inside {
        Ok(())
    } else {
        Err(Error::internal(format!("row ranges do not fit {rows} rows")))
    }
}

/// What the batches of a scan look like and where their columns come from.
pub(crate) struct Output {
    evolution: Evolution,
    schema: SchemaRef,
    /// The source's key column and its storage type.
    key: Option<(usize, DataType)>,
}

impl Output {
    fn new(source: &TableSchema, target: &TableSchema, projection: &[usize]) -> Result<Self> {
        let evolution = Evolution::project(source, target, projection)?;
        let fields: Vec<_> = projection
            .iter()
            .filter_map(|&i| target.columns.get(i))
            .map(|column| column.ty.storage_field(&column.name))
            .collect();
        let key = source.key_index().map(|key| (key, source.columns[key].ty.storage_type()));
        Ok(Self { evolution, schema: Arc::new(Schema::new(fields)), key })
    }

    /// Source columns that must be read, ascending; with `without_key`, the key comes from an index.
    pub(crate) fn needed(&self, without_key: bool) -> Vec<usize> {
        let key = self.key.as_ref().filter(|_| without_key).map(|(key, _)| *key);
        let mut needed: Vec<usize> = self
            .evolution
            .origins()
            .filter_map(|origin| match origin {
                Origin::Column(from) if Some(*from) != key => Some(*from),
                _ => None,
            })
            .collect();
        needed.sort_unstable();
        needed.dedup();
        needed
    }

    /// A batch of these rows of the source. `stored` gives a source column that is stored per row.
    pub(crate) fn batch(
        &self,
        group: &[Range<usize>],
        index: Option<&RunIndex>,
        stored: impl Fn(usize) -> Result<ArrayRef>,
    ) -> Result<RecordBatch> {
        let rows = group.iter().map(ExactSizeIterator::len).sum();
        let columns = self.evolution.apply(rows, |from| match (&self.key, index) {
            (Some((key, ty)), Some(index)) if *key == from => key_column(index, group, ty),
            _ => stored(from),
        })?;
        columns::batch(Arc::clone(&self.schema), columns, rows)
    }
}

/// The key of each row of these ranges, in its storage type.
fn key_column(index: &RunIndex, group: &[Range<usize>], storage: &DataType) -> Result<ArrayRef> {
    let keys =
        index.keys.as_ref().ok_or_else(|| Error::internal("the index of a keyed table has no keys"))?;
    let rows: usize = group.iter().map(ExactSizeIterator::len).sum();
    let (Some(first), Some(last)) =
        (group.iter().find(|r| !r.is_empty()), group.iter().rfind(|r| !r.is_empty()))
    else {
        return Ok(arrow::array::new_empty_array(storage));
    };
    let (first, last) = (index.slot_of(first.start), index.slot_of(last.end - 1));
    let mut slots: Vec<i32> = Vec::with_capacity(rows);
    for range in group.iter().filter(|range| !range.is_empty()) {
        let (mut row, mut slot) = (range.start, index.slot_of(range.start));
        while row < range.end {
            let end = (index.offsets[slot + 1] as usize).min(range.end);
            slots.resize(slots.len() + end - row, (slot - first) as i32);
            (row, slot) = (end, slot + 1);
        }
    }
    // Only the slots in reach, so that a small batch does not drag a large dictionary along.
    let keys = keys.slice(first, last + 1 - first);
    if !matches!(storage, DataType::Dictionary(..)) {
        return Ok(take(keys.as_ref(), &Int32Array::from(slots), None)?);
    }
    let positions = match keys.nulls() {
        Some(nulls) => slots.into_iter().map(|slot| nulls.is_valid(slot as usize).then_some(slot)).collect(),
        None => Int32Array::from(slots),
    };
    Ok(Arc::new(DictionaryArray::try_new(positions, keys)?))
}

/// Cuts row ranges into groups of at most so many rows.
pub(crate) struct Groups {
    ranges: VecDeque<Range<usize>>,
    rows: usize,
}

impl Groups {
    fn new(ranges: &[Range<usize>], rows: usize) -> Self {
        Self { ranges: ranges.iter().filter(|range| !range.is_empty()).cloned().collect(), rows }
    }

    /// Rows per group.
    pub(crate) fn batch_rows(&self) -> usize {
        self.rows
    }

    /// All rows that are left, in order.
    pub(crate) fn ranges(&self) -> &VecDeque<Range<usize>> {
        &self.ranges
    }

    /// The next `rows` rows; fewer at the end.
    pub(crate) fn take(&mut self, mut rows: usize) -> Vec<Range<usize>> {
        let mut group = Vec::new();
        while rows > 0 {
            let Some(range) = self.ranges.front_mut() else { break };
            let count = range.len().min(rows);
            group.push(range.start..range.start + count);
            range.start += count;
            rows -= count;
            if range.start >= range.end {
                self.ranges.pop_front();
            }
        }
        group
    }

    /// The next group. A full slice of one range is not joined with others, so that it needs no copy.
    fn next_group(&mut self) -> Option<Vec<Range<usize>>> {
        let first = self.ranges.front()?.len();
        // Half a batch is enough: a copy would cost more than the smaller batch does.
        let rows = if first * 2 >= self.rows { first.min(self.rows) } else { self.rows };
        Some(self.take(rows))
    }
}

/// Scan of a chunk or a run.
struct MemoryScan {
    columns: Vec<Option<ArrayRef>>,
    index: Option<Arc<RunIndex>>,
    output: Output,
    groups: Groups,
}

impl Iterator for MemoryScan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.groups.next_group()?;
        let positions = match group.as_slice() {
            [_] => None,
            many => Some(UInt32Array::from_iter_values(many.iter().cloned().flatten().map(|row| row as u32))),
        };
        let batch = self.output.batch(&group, self.index.as_deref(), |from| {
            let column = self.columns[from].as_ref();
            let column = column.ok_or_else(|| Error::internal("a column of a run is missing"))?;
            Ok(match &positions {
                None => column.slice(group[0].start, group[0].len()),
                Some(positions) => take(column.as_ref(), positions, None)?,
            })
        });
        Some(batch)
    }
}
