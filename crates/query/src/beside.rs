//! What a result has beside its rows: the row of `WITH TOTALS`, which comes marked among them
//! ([`crate::rewrite`] makes the mark), and the least and greatest values of `extremes = 1`.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use zepto_common::service::Beside;
use zepto_common::types::ColumnType;

use crate::rewrite::{Wanted, wanted_with_totals};
use crate::semantics::numbers::zero;

/// Which rows of a result go to the client, and what is kept beside them.
pub(crate) struct Watch {
    /// Rows to skip and at most to give, one after the other: of the statement, then of its settings.
    pub(crate) windows: Vec<Wanted>,
    /// Whether the least and greatest values are wanted.
    pub(crate) extremes: bool,
    /// Where they go.
    pub(crate) beside: Arc<Beside>,
}

/// Takes the totals out of a result; None for a statement without any.
pub(crate) fn totals_of(input: &SendableRecordBatchStream) -> Option<Wanted> {
    input.schema().fields().last().and_then(|field| wanted_with_totals(field.name()))
}

/// The rows that are left.
pub(crate) fn watched(input: SendableRecordBatchStream, watch: Watch) -> SendableRecordBatchStream {
    let marked = totals_of(&input).is_some();
    let columns: Vec<usize> = (0..input.schema().fields().len() - usize::from(marked)).collect();
    let schema = match input.schema().project(&columns) {
        Ok(schema) => Arc::new(schema),
        // The places are those of the schema's own columns.
        Err(_) => input.schema(),
    };
    let rows = Rows { extremes: watch.extremes.then(|| Extremes::new(&schema)), marked, columns, watch };
    let steps = stream::unfold(Some((input, rows)), |state| async move {
        let (mut input, mut rows) = state?;
        let batch = match input.next().await {
            Some(batch) => batch.and_then(|batch| rows.take(&batch)),
            None => return rows.end().err().map(|error| (Err(error), None)),
        };
        let go_on = batch.is_ok();
        Some((batch, go_on.then_some((input, rows))))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, steps))
}

struct Rows {
    marked: bool,
    columns: Vec<usize>,
    extremes: Option<Extremes>,
    watch: Watch,
}

impl Rows {
    fn take(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut rows = batch.project(&self.columns)?;
        if self.marked {
            let marks = cast(batch.column(self.columns.len()), &DataType::Int32)?;
            let totals: BooleanArray =
                marks.as_primitive::<Int32Type>().iter().map(|mark| Some(mark == Some(1))).collect();
            if totals.true_count() > 0 {
                let first = filter_record_batch(&rows, &totals)?.slice(0, 1);
                let _one_row_of_totals = self.watch.beside.totals.set(first);
                rows = filter_record_batch(&rows, &arrow::compute::not(&totals)?)?;
            }
        }
        for (skipped, most) in &mut self.watch.windows {
            let skip = (*skipped).min(rows.num_rows());
            *skipped -= skip;
            let left = rows.num_rows() - skip;
            let kept = most.map_or(left, |most| most.min(left));
            *most = most.map(|most| most - kept);
            rows = rows.slice(skip, kept);
        }
        if let Some(extremes) = &mut self.extremes {
            extremes.take(&rows)?;
        }
        Ok(rows)
    }

    fn end(&mut self) -> Result<()> {
        if let Some(extremes) = self.extremes.take().filter(|extremes| extremes.any) {
            let _set_once = self.watch.beside.extremes.set(extremes.rows()?);
        }
        Ok(())
    }
}

/// The least and greatest value of each column so far.
struct Extremes {
    schema: SchemaRef,
    /// Whether there was a row.
    any: bool,
    found: Vec<Option<(ScalarValue, ScalarValue)>>,
}

impl Extremes {
    fn new(schema: &SchemaRef) -> Self {
        Self { schema: Arc::clone(schema), any: false, found: vec![None; schema.fields().len()] }
    }

    fn take(&mut self, rows: &RecordBatch) -> Result<()> {
        self.any |= rows.num_rows() > 0;
        for (at, column) in rows.columns().iter().enumerate() {
            if !is_ordered(&ColumnType::of_field(self.schema.field(at))) {
                continue;
            }
            let sorted = |descending| -> Result<Option<ScalarValue>> {
                let options = arrow::compute::SortOptions { descending, nulls_first: false };
                let values = arrow::compute::sort_limit(column, Some(options), Some(1))?;
                match values.is_empty() || values.is_null(0) {
                    true => Ok(None),
                    false => ScalarValue::try_from_array(&values, 0).map(Some),
                }
            };
            let (Some(least), Some(most)) = (sorted(false)?, sorted(true)?) else { continue };
            self.found[at] = Some(match self.found[at].take() {
                None => (least, most),
                Some((old_least, old_most)) => (
                    if least < old_least { least } else { old_least },
                    if most > old_most { most } else { old_most },
                ),
            });
        }
        Ok(())
    }

    /// Two rows: the least values, the greatest values. A column without any has its type's zero value.
    fn rows(self) -> Result<RecordBatch> {
        let columns: Result<Vec<_>> = self
            .schema
            .fields()
            .iter()
            .zip(self.found)
            .map(|(field, found)| {
                let ty = ColumnType::of_field(field);
                let array = match found {
                    Some((least, most)) => ScalarValue::iter_to_array([least, most])?,
                    None if ty.is_nullable() => arrow::array::new_null_array(field.data_type(), 2),
                    None => zero(&ty)?.to_array_of_size(2)?,
                };
                Ok(if array.data_type() == field.data_type() {
                    array
                } else {
                    cast(&array, field.data_type())?
                })
            })
            .collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns?)?)
    }
}

fn is_ordered(ty: &ColumnType) -> bool {
    !matches!(
        ty.inner(),
        ColumnType::Array(_) | ColumnType::Map(..) | ColumnType::Tuple(_) | ColumnType::Nothing
    )
}
