//! Which row ranges can hold wanted rows.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, make_comparator};
use arrow::compute::SortOptions;
use zepto_common::PartitionId;

use super::{Part, Selection};
use crate::chunk::Chunk;
use crate::run::{Run, RunIndex, columns, keys};

pub(super) fn ranges(part: &Part, selection: &Selection) -> Vec<Range<usize>> {
    let misses = selection.time.zip(part.time_range()).is_some_and(|(wanted, has)| !overlap(wanted, has));
    if misses || part.rows() == 0 {
        return Vec::new();
    }
    match part {
        Part::Chunk(chunk) => of_chunk(chunk, selection),
        Part::Run(run) => of_run(run, selection),
        Part::Segment(segment) => match segment.hot() {
            Some(run) => of_run(&run, selection),
            None => of_index(segment.index(), selection, &|rows, _| rows),
        },
    }
}

fn overlap(a: (i64, i64), b: (i64, i64)) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

fn wants(selection: &Selection, partition: PartitionId) -> bool {
    selection.partitions.as_ref().is_none_or(|wanted| wanted.binary_search(&partition).is_ok())
}

fn of_chunk(chunk: &Chunk, selection: &Selection) -> Vec<Range<usize>> {
    let mut found = Ranges::default();
    for (_, rows) in chunk.parts.iter().filter(|(partition, _)| wants(selection, *partition)) {
        found.push(rows.start as usize..rows.end as usize);
    }
    found.0
}

fn of_run(run: &Run, selection: &Selection) -> Vec<Range<usize>> {
    let time = run.schema().time_index().and_then(|time| run.columns()[time].as_ref());
    let ticks = time.and_then(|time| columns::ticks(time).ok());
    of_index(run.index(), selection, &|rows, (from, to)| match &ticks {
        Some(ticks) => {
            let times = &ticks[rows.clone()];
            let start = times.partition_point(|&tick| tick < from);
            let end = start + times[start..].partition_point(|&tick| tick <= to);
            rows.start + start..rows.start + end
        }
        None => rows,
    })
}

/// Narrows one slot's rows to the wanted ticks.
type Narrow<'a> = dyn Fn(Range<usize>, (i64, i64)) -> Range<usize> + 'a;

fn of_index(index: &RunIndex, selection: &Selection, narrow: &Narrow<'_>) -> Vec<Range<usize>> {
    let mut found = Ranges::default();
    let lookup = Lookup::new(index, selection.keys.as_ref());
    let mut add = |slot: usize| {
        let rows = index.slot_rows(slot);
        match (selection.time, &index.times) {
            (Some(wanted), Some((min, max))) => {
                let has = (min[slot], max[slot]);
                if wanted.0 <= has.0 && has.1 <= wanted.1 {
                    found.push(rows);
                } else if overlap(wanted, has) {
                    found.push(narrow(rows, wanted));
                }
            }
            _ => found.push(rows),
        }
    };
    for (partition, slots) in &index.partitions {
        if !wants(selection, *partition) {
            continue;
        }
        let slots = slots.start as usize..slots.end as usize;
        match &lookup {
            Lookup::All => slots.for_each(&mut add),
            Lookup::Keys { wanted, compare } => {
                wanted
                    .iter()
                    .filter_map(|&key| find(slots.clone(), |slot| compare(slot, key)))
                    .for_each(&mut add);
            }
        }
    }
    found.0
}

/// How wanted keys are found.
enum Lookup {
    /// Every slot is wanted.
    All,
    /// Wanted key numbers in key order, and the order of (slot, wanted key).
    Keys { wanted: Vec<usize>, compare: arrow::array::DynComparator },
}

impl Lookup {
    fn new(index: &RunIndex, wanted: Option<&ArrayRef>) -> Self {
        let (Some(keys), Some(wanted)) = (&index.keys, wanted) else { return Self::All };
        // Keys that cannot be compared with the index's cannot restrict it.
        let Ok(wanted) = keys::cast_to(wanted, keys.data_type()) else { return Self::All };
        let ascending = SortOptions { descending: false, nulls_first: true };
        let (Ok(among), Ok(compare)) =
            (make_comparator(&wanted, &wanted, ascending), make_comparator(keys, &wanted, ascending))
        else {
            return Self::All;
        };
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by(|&a, &b| among(a, b));
        order.dedup_by(|a, b| among(*a, *b) == Ordering::Equal);
        Self::Keys { wanted: order, compare }
    }
}

fn find(slots: Range<usize>, compare: impl Fn(usize) -> Ordering) -> Option<usize> {
    let (mut low, mut high) = (slots.start, slots.end);
    while low < high {
        let middle = low + (high - low) / 2;
        match compare(middle) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return Some(middle),
            Ordering::Greater => high = middle,
        }
    }
    None
}

/// Ascending ranges; adjacent ones are joined, empty ones dropped.
#[derive(Default)]
struct Ranges(Vec<Range<usize>>);

impl Ranges {
    fn push(&mut self, rows: Range<usize>) {
        match self.0.last_mut() {
            _ if rows.is_empty() => {}
            Some(last) if last.end == rows.start => last.end = rows.end,
            _ => self.0.push(rows),
        }
    }
}
