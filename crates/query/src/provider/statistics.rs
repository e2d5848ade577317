//! Exact statistics for the optimizer, so that count, min and max of a whole table read no row.

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use zepto_common::schema::{Column, TableSchema};
use zepto_engine::Part;

/// Statistics over all rows of these parts, for the columns `output` in query form.
pub(super) fn of_whole_parts(
    parts: &[Part],
    table: &TableSchema,
    output: &[usize],
    schema: &SchemaRef,
) -> Vec<ColumnStatistics> {
    // A chunk's statistics are computed on the spot: not for more rows than a scan would be quick with.
    let loose: usize = parts.iter().filter(|part| part.index().is_none()).map(Part::rows).sum();
    output
        .iter()
        .zip(schema.fields())
        .map(|(&column, field)| match loose <= LOOSE_ROWS_MAX {
            true => of_column(parts, &table.columns[column], field.data_type()).unwrap_or_default(),
            false => ColumnStatistics::default(),
        })
        .collect()
}

/// Rows without an index up to which their statistics are computed while planning.
const LOOSE_ROWS_MAX: usize = 16_384;

/// Statistics of one column; None when some part cannot tell exactly.
fn of_column(parts: &[Part], column: &Column, ty: &DataType) -> Option<ColumnStatistics> {
    let (mut nulls, mut min, mut max) = (0u64, None::<ScalarValue>, None::<ScalarValue>);
    for part in parts {
        let rows = part.rows() as u64;
        // A part from before the column was added has its default in every row, which nobody counted.
        let stats = part.column_stats(column.id)?;
        nulls += stats.nulls;
        if stats.nulls == rows {
            continue;
        }
        if stats.nans > 0 {
            return None;
        }
        let (low, high) = (value(stats.min.as_ref()?, ty)?, value(stats.max.as_ref()?, ty)?);
        if min.as_ref().is_none_or(|min| low < *min) {
            min = Some(low);
        }
        if max.as_ref().is_none_or(|max| high > *max) {
            max = Some(high);
        }
    }
    let exact = |value: Option<ScalarValue>| value.map_or(Precision::Absent, Precision::Exact);
    Some(ColumnStatistics {
        null_count: Precision::Exact(nulls as usize),
        min_value: exact(min),
        max_value: exact(max),
        ..ColumnStatistics::default()
    })
}

fn value(array: &ArrayRef, ty: &DataType) -> Option<ScalarValue> {
    let array = if array.data_type() == ty { array.clone() } else { cast(array, ty).ok()? };
    ScalarValue::try_from_array(&array, 0).ok()
}

/// Nothing is known.
pub(crate) fn unknown(schema: &SchemaRef) -> Statistics {
    Statistics::new_unknown(schema)
}
