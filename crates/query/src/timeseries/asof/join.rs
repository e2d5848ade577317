//! The rows of one partition of both tables, joined.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use zepto_common::PartitionId;
use zepto_common::schema::TableSchema;
use zepto_engine::series::{NO_ROW, Nearest, in_order, nearest};

use crate::asof::How;
use crate::functions::{Meter, copied_rows};
use crate::timeseries::keys::{Keys, Stretch, key_column};
use crate::timeseries::load::{Loaded, Loader, Read};
use crate::timeseries::side::Side;
use crate::timeseries::unit::Unit;

/// Rows of a batch.
const BATCH_ROWS: usize = 16_384;

/// Where an output column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The key; of the right side, NULL where no row was found.
    Key { right: bool },
    /// A loaded column of the left side.
    Left(usize),
    /// A loaded column of the right side.
    Right(usize),
    /// Nobody asks for it: any values will do.
    Unused,
}

/// The join of two tables.
#[derive(Debug, Clone)]
pub(super) struct Join {
    left: Loader,
    right: Loader,
    origins: Vec<Origin>,
    which: Nearest,
    pub(super) how: How,
    pub(super) schema: SchemaRef,
    /// The tables' names.
    pub(super) tables: [String; 2],
}

/// A partition's rows of both tables.
#[derive(Debug, Clone, Default)]
pub(super) struct Both {
    pub(super) left: Unit,
    pub(super) right: Unit,
}

/// The right side's rows of a partition, one source after the other.
struct Right {
    sources: Vec<Loaded>,
    /// First row of each source.
    offsets: Vec<u32>,
    /// The columns that are given, by their places among the loaded ones.
    columns: Vec<Option<ArrayRef>>,
}

/// Rows of one left source that are given, and their right rows.
struct Matched {
    found: Vec<u32>,
    /// Ascending; neighbours are joined.
    rows: Vec<Range<usize>>,
}

impl Matched {
    /// The first stretch of rows with a match among these; empty, at their end, when there is none.
    fn next_matched(&self, among: Range<usize>) -> Range<usize> {
        let is_matched = |at: &usize| self.found[*at] != NO_ROW;
        let start = among.clone().find(is_matched).unwrap_or(among.end);
        let end = (start..among.end).find(|at| !is_matched(at)).unwrap_or(among.end);
        start..end
    }

    /// These rows are given, behind those before.
    fn give(&mut self, rows: Range<usize>) {
        match self.rows.last_mut().filter(|last| last.end == rows.start) {
            Some(last) => last.end = rows.end,
            None if rows.is_empty() => {}
            None => self.rows.push(rows),
        }
    }
}

/// A partition whose right rows are found, given batch by batch.
pub(super) struct Joined {
    left: Vec<Loaded>,
    right: Right,
    matched: Vec<Matched>,
    /// The left source whose rows come next, which stretch of it, and how many rows of that are given.
    source: usize,
    stretch: usize,
    given: usize,
    /// Bytes that it holds and does not share.
    pub(super) bytes: usize,
}

impl Joined {
    /// A left source and its next rows.
    fn take(&mut self) -> Option<(usize, Vec<Range<usize>>)> {
        loop {
            let rows = &self.matched.get(self.source)?.rows;
            let (mut group, mut room) = (Vec::new(), BATCH_ROWS);
            while room > 0
                && let Some(range) = rows.get(self.stretch)
            {
                let start = range.start + self.given;
                let count = (range.end - start).min(room);
                group.push(start..start + count);
                room -= count;
                self.given += count;
                if start + count == range.end {
                    (self.stretch, self.given) = (self.stretch + 1, 0);
                }
            }
            if !group.is_empty() {
                return Some((self.source, group));
            }
            (self.source, self.stretch, self.given) = (self.source + 1, 0, 0);
        }
    }
}

impl Join {
    pub(super) fn new(
        left: &Side<'_>,
        right: &Side<'_>,
        used: &[usize],
        (which, how): (Nearest, How),
        schema: SchemaRef,
    ) -> Option<Self> {
        let width = left.columns.len();
        let is_used = |at: &usize| used.contains(at);
        let of_left: Vec<usize> = (0..width).filter(is_used).map(|at| left.columns[at]).collect();
        let all = width + right.columns.len();
        let of_right: Vec<usize> = (width..all).filter(is_used).map(|at| right.columns[at - width]).collect();
        let loaders =
            (Loader::new(left.scan.source(), &of_left)?, Loader::new(right.scan.source(), &of_right)?);
        let origin = |side: &Side<'_>, loader: &Loader, column: usize, right: bool| {
            let table: &TableSchema = side.table();
            if table.key_index() == Some(column) {
                return Some(Origin::Key { right });
            }
            let place = loader.place(table, column)?;
            Some(if right { Origin::Right(place) } else { Origin::Left(place) })
        };
        let origins: Option<Vec<Origin>> = (0..all)
            .map(|at| match at.checked_sub(width) {
                _ if !is_used(&at) => Some(Origin::Unused),
                None => origin(left, &loaders.0, left.columns[at], false),
                Some(at) => origin(right, &loaders.1, right.columns[at], true),
            })
            .collect();
        let tables = [left.table().name.to_string(), right.table().name.to_string()];
        Some(Self { left: loaders.0, right: loaders.1, origins: origins?, which, how, schema, tables })
    }

    /// About how many bytes loading a partition copies.
    pub(super) fn copied_bytes(&self, both: &Both) -> usize {
        self.left.copied_bytes(&both.left).saturating_add(self.right.copied_bytes(&both.right))
    }

    /// Finds the right row of each left row of a partition.
    pub(super) fn partition(&self, partition: PartitionId, both: &Both, read: &mut Read) -> Result<Joined> {
        let left = self.left.load(partition, &both.left, read)?;
        let right = self.right_of(self.right.load(partition, &both.right, read)?)?;
        let matched = self.matched(&left, &right)?;
        let bytes = left.iter().chain(&right.sources).map(|source| source.copied).sum::<usize>()
            + right.columns.iter().flatten().map(|column| column.get_array_memory_size()).sum::<usize>()
            + matched.iter().map(|matched| matched.found.len() * size_of::<u32>()).sum::<usize>();
        Ok(Joined { left, right, matched, source: 0, stretch: 0, given: 0, bytes })
    }

    /// The next rows of a partition; None when all are given.
    pub(super) fn next(&self, joined: &mut Joined) -> Option<Result<RecordBatch>> {
        let (source, group) = joined.take()?;
        Some(self.batch(&joined.left[source], &joined.matched[source], &joined.right, &group))
    }

    fn right_of(&self, sources: Vec<Loaded>) -> Result<Right> {
        let mut offsets = Vec::with_capacity(sources.len());
        let mut end = 0usize;
        for source in &sources {
            offsets.push(end as u32);
            end += source.ticks.len();
        }
        if end >= NO_ROW as usize {
            return internal_err!("{end} rows of one partition cannot be joined at once");
        }
        let given = |place: usize| self.origins.contains(&Origin::Right(place));
        let width = sources.first().map_or(0, |source| source.columns.len());
        let columns: Result<Vec<Option<ArrayRef>>> = (0..width)
            .map(|place| {
                if !given(place) {
                    return Ok(None);
                }
                let pieces: Vec<&dyn Array> =
                    sources.iter().map(|source| source.columns[place].as_ref()).collect();
                let whole = match pieces.as_slice() {
                    [_] => Arc::clone(&sources[0].columns[place]),
                    pieces => concat(pieces)?,
                };
                // Text as views: a right row that many left rows take is not copied for each.
                let text = matches!(whole.data_type(), DataType::Utf8);
                Ok(Some(if text { cast(&whole, &DataType::Utf8View)? } else { whole }))
            })
            .collect();
        Ok(Right { columns: columns?, sources, offsets })
    }

    /// For each left source the right rows of its rows.
    fn matched(&self, left: &[Loaded], right: &Right) -> Result<Vec<Matched>> {
        let mut matched: Vec<Matched> = left
            .iter()
            .map(|source| Matched { found: vec![NO_ROW; source.ticks.len()], rows: Vec::new() })
            .collect();
        let pairs = Keys::paired(left, &right.sources)?;
        let (mut times, mut rows) = (Vec::new(), Vec::new());
        for (of_left, of_right) in pairs {
            let stretches: Vec<(&[i64], u32)> = of_right
                .iter()
                .map(|at| {
                    let ticks = &right.sources[at.source].ticks[at.rows.clone()];
                    (ticks, right.offsets[at.source] + at.rows.start as u32)
                })
                .collect();
            match stretches.as_slice() {
                [(ticks, first)] => self.find(left, &of_left, ticks, |row| first + row, &mut matched),
                stretches => {
                    in_order(stretches, &mut times, &mut rows);
                    self.find(left, &of_left, &times, |row| rows[row as usize], &mut matched);
                }
            }
        }
        Ok(matched)
    }

    /// Finds the right rows of one key's left rows.
    fn find(
        &self,
        left: &[Loaded],
        stretches: &[Stretch],
        ticks: &[i64],
        row: impl Fn(u32) -> u32,
        matched: &mut [Matched],
    ) {
        for stretch in stretches {
            let of_source = &mut matched[stretch.source];
            let found = &mut of_source.found[stretch.rows.clone()];
            let times = &left[stretch.source].ticks[stretch.rows.clone()];
            nearest(times, ticks, self.which, found);
            for (found, time) in found.iter_mut().zip(times).filter(|(found, _)| **found != NO_ROW) {
                let near = self.how.is_near(*time, ticks[*found as usize]);
                *found = if near { row(*found) } else { NO_ROW };
            }
            let mut rest = stretch.rows.clone();
            while !rest.is_empty() {
                let rows = if self.how.outer { rest.clone() } else { of_source.next_matched(rest) };
                rest = rows.end..stretch.rows.end;
                of_source.give(rows);
            }
        }
    }

    fn batch(
        &self,
        left: &Loaded,
        matched: &Matched,
        right: &Right,
        group: &[Range<usize>],
    ) -> Result<RecordBatch> {
        let rows: usize = group.iter().map(Range::len).sum();
        let first = group.first().map_or(0, |range| range.start);
        let found: Vec<u32> = match group {
            [range] => matched.found[range.clone()].to_vec(),
            many => many.iter().flat_map(|range| &matched.found[range.clone()]).copied().collect(),
        };
        let nulls = (self.how.outer && found.contains(&NO_ROW))
            .then(|| found.iter().map(|row| *row != NO_ROW).collect::<arrow::buffer::NullBuffer>());
        let found = UInt32Array::new(found.into(), nulls);
        let picked = match group {
            [_] => None,
            many => Some(UInt32Array::from_iter_values(many.iter().cloned().flatten().map(|row| row as u32))),
        };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.origins.len());
        let mut meter = Meter::of_rows();
        for (origin, field) in self.origins.iter().zip(self.schema.fields()) {
            let column = match *origin {
                Origin::Unused => ScalarValue::new_default(field.data_type())?.to_array_of_size(rows)?,
                Origin::Left(place) => match &picked {
                    None => left.columns[place].slice(first, rows),
                    Some(picked) => take(&left.columns[place], picked, None)?,
                },
                Origin::Right(place) => match right.columns.get(place).and_then(Option::as_ref) {
                    Some(column) => {
                        meter.take(copied_rows(column, &found))?;
                        take(column, &found, None)?
                    }
                    // The other side has no row at all.
                    None => arrow::array::new_null_array(field.data_type(), rows),
                },
                Origin::Key { right: of_right } => {
                    let keys = key_column(left, group, field.data_type())?;
                    match (of_right, found.nulls()) {
                        (true, Some(_)) => {
                            let missing = arrow::compute::is_null(&found)?;
                            arrow::compute::nullif(&keys, &missing)?
                        }
                        _ => keys,
                    }
                }
            };
            columns.push(if column.data_type() == field.data_type() {
                column
            } else {
                cast(&column, field.data_type())?
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}
