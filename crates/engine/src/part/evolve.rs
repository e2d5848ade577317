//! Rows of one schema version as rows of another: columns are matched by id, a missing one gets its default.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::DataType;
use zepto_common::schema::TableSchema;
use zepto_common::{Error, Result};

use super::constant;
use crate::run::Run;

/// Where a target column comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// The source's column with this index.
    Column(usize),
    /// It was added later: this one-row array, in the target's storage type.
    Constant(ArrayRef),
}

/// How to make a target schema's columns out of a source schema's.
#[derive(Debug, Clone)]
pub(crate) struct Evolution {
    steps: Vec<(Origin, DataType)>,
}

impl Evolution {
    /// All columns of `target`, in its order.
    pub(crate) fn new(source: &TableSchema, target: &TableSchema) -> Result<Self> {
        let all: Vec<usize> = (0..target.columns.len()).collect();
        Self::project(source, target, &all)
    }

    /// The columns of `target` with these indexes, in this order.
    pub(crate) fn project(source: &TableSchema, target: &TableSchema, projection: &[usize]) -> Result<Self> {
        if source.key != target.key {
            return Err(Error::internal(format!("versions of {} differ in their key", target.name)));
        }
        let steps: Result<Vec<_>> = projection
            .iter()
            .map(|&i| {
                let column = target
                    .columns
                    .get(i)
                    .ok_or_else(|| Error::internal(format!("no column {i} to project")))?;
                let origin = match source.index_of_id(column.id) {
                    Some(from) => Origin::Column(from),
                    None => Origin::Constant(constant::of_default(column)?),
                };
                Ok((origin, column.ty.storage_type()))
            })
            .collect();
        Ok(Self { steps: steps? })
    }

    /// Where each target column comes from.
    pub(crate) fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.steps.iter().map(|(origin, _)| origin)
    }

    /// The target's columns of these rows.
    pub(crate) fn columns(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
        self.apply(rows.num_rows(), |from| Ok(Arc::clone(rows.column(from))))
    }

    /// The target's columns, with the source's from `column`.
    pub(crate) fn apply(
        &self,
        rows: usize,
        column: impl Fn(usize) -> Result<ArrayRef>,
    ) -> Result<Vec<ArrayRef>> {
        let make = |(origin, ty): &(Origin, DataType)| match origin {
            Origin::Column(from) => convert(column(*from)?, ty),
            Origin::Constant(value) => repeat(value, rows),
        };
        self.steps.iter().map(make).collect()
    }

    /// The target's columns of a whole run; None for the key.
    pub(crate) fn run_columns(&self, run: &Run) -> Result<Vec<Option<ArrayRef>>> {
        let make = |(origin, ty): &(Origin, DataType)| match origin {
            Origin::Column(from) => {
                run.columns()[*from].as_ref().map(|column| convert(Arc::clone(column), ty)).transpose()
            }
            Origin::Constant(value) => repeat(value, run.rows()).map(Some),
        };
        self.steps.iter().map(make).collect()
    }
}

fn convert(column: ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    if column.data_type() == ty {
        return Ok(column);
    }
    Ok(cast_with_options(&column, ty, &CastOptions { safe: false, ..CastOptions::default() })?)
}

/// `rows` rows of this one-row array.
pub(crate) fn repeat(value: &ArrayRef, rows: usize) -> Result<ArrayRef> {
    Ok(take(value.as_ref(), &UInt32Array::from(vec![0u32; rows]), None)?)
}
