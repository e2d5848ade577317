//! Merging sorted parts into one run.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use zepto_common::Result;
use zepto_common::schema::TableSchema;

use super::layout::{self, SortedKeys};
use super::{Run, build, columns, keys::KeyBytes};
use crate::part::Part;
use crate::part::evolve::Evolution;

/// How to merge.
#[derive(Debug, Clone, Copy, Default)]
pub struct MergeOptions {
    /// Rows with a smaller tick are left out (tables with a time column).
    pub cutoff: Option<i64>,
}

impl Run {
    /// One run of the rows of all parts; rows that tie in (partition, key, time) stay in the order of `parts`.
    /// Cold segments are loaded.
    ///
    /// # Errors
    /// As [`Run::build`]; what loading a segment says.
    pub fn merge(schema: &Arc<TableSchema>, parts: &[Part]) -> Result<Self> {
        Self::merge_with(schema, parts, MergeOptions::default())
    }

    /// As [`Run::merge`], with options.
    ///
    /// # Errors
    /// As [`Run::merge`].
    pub fn merge_with(schema: &Arc<TableSchema>, parts: &[Part], options: MergeOptions) -> Result<Self> {
        let runs: Result<Vec<Arc<Self>>> = parts.iter().map(|part| sorted(schema, part)).collect();
        let runs = runs?;
        columns::check_rows(runs.iter().map(|run| run.rows()).sum())?;
        let mut base = 0u32;
        let mut inputs = Vec::with_capacity(runs.len());
        for run in &runs {
            inputs.push(keys_of(run, base)?);
            base += run.rows() as u32;
        }
        let evolutions: Result<Vec<Evolution>> =
            runs.iter().map(|run| Evolution::new(run.schema(), schema)).collect();
        let evolutions = evolutions?;
        let evolved: Result<Vec<Vec<Option<ArrayRef>>>> =
            runs.iter().zip(&evolutions).map(|(run, evolution)| evolution.run_columns(run)).collect();
        let evolved = evolved?;
        let pieces = |column: usize| evolved.iter().filter_map(|columns| columns[column].clone()).collect();
        build::finish(schema, layout::of_sorted(&inputs), &pieces, options.cutoff)
    }
}

fn sorted(schema: &Arc<TableSchema>, part: &Part) -> Result<Arc<Run>> {
    match part {
        Part::Chunk(chunk) => Ok(Arc::new(Run::build(schema, std::slice::from_ref(chunk))?)),
        Part::Run(run) => Ok(Arc::clone(run)),
        Part::Segment(segment) => segment.load(),
    }
}

fn keys_of(run: &Run, base: u32) -> Result<SortedKeys> {
    let index = run.index();
    let mut partitions = vec![0u16; index.slots()];
    for (partition, slots) in &index.partitions {
        partitions[slots.start as usize..slots.end as usize].fill(partition.0);
    }
    let bytes = index.keys.as_ref().map(KeyBytes::new).transpose()?;
    let rows: Vec<Range<u32>> = index.offsets.windows(2).map(|pair| base + pair[0]..base + pair[1]).collect();
    Ok(SortedKeys { partitions, bytes, rows })
}
