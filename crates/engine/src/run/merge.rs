//! Merging sorted parts into one run.

use std::sync::Arc;

use arrow::array::ArrayRef;
use zepto_common::Result;
use zepto_common::schema::TableSchema;

use super::gather::Sources;
use super::keys::KeyBytes;
use super::layout::{self, SortedKeys};
use super::{Run, build, columns};
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
        let rows = runs.iter().map(|run| run.rows()).sum();
        columns::check_rows(rows)?;
        let columns: Result<Vec<Vec<Option<ArrayRef>>>> =
            runs.iter().map(|run| Evolution::new(run.schema(), schema)?.run_columns(run)).collect();
        let sources = Sources::new(columns?, runs.iter().map(|run| run.rows()));
        let inputs: Result<Vec<SortedKeys<'_>>> = runs.iter().map(|run| keys_of(run)).collect();
        let inputs = inputs?;
        build::finish(schema, layout::of_sorted(&inputs, rows), &sources, options.cutoff)
    }
}

fn sorted(schema: &Arc<TableSchema>, part: &Part) -> Result<Arc<Run>> {
    match part {
        Part::Chunk(chunk) => Ok(Arc::new(Run::build(schema, std::slice::from_ref(chunk))?)),
        Part::Run(run) => Ok(Arc::clone(run)),
        Part::Segment(segment) => segment.load(),
    }
}

fn keys_of(run: &Run) -> Result<SortedKeys<'_>> {
    let index = run.index();
    let bytes = index.keys.as_ref().map(KeyBytes::new).transpose()?;
    Ok(SortedKeys { partitions: &index.partitions, offsets: &index.offsets, bytes })
}
