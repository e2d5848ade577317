//! One window function over the rows of one key.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, SlidingAggregateWindowExpr, WindowExpr};
use zepto_engine::series::{moving_extremes, moving_float_extremes, moving_sums, moving_whole_sums};

/// What is computed of the last rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Count,
    Sum,
    Mean,
    Extreme { greatest: bool },
}

/// A window function.
#[derive(Debug, Clone)]
pub(super) struct Window {
    function: Arc<dyn WindowExpr>,
    /// Set where a loop of our own may do it: of how many rows.
    moving: Option<(Kind, usize)>,
    ty: DataType,
}

impl Window {
    /// The function, with the type that it gives.
    pub(super) fn new(function: Arc<dyn WindowExpr>, ty: DataType) -> Self {
        let moving = moving_of(&function);
        Self { function, moving, ty }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.function.name()
    }

    /// Its values over the rows of one key.
    ///
    /// # Errors
    /// The function's own.
    pub(super) fn over(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        if let Some((kind, count)) = self.moving
            && let Some(values) = self.moved(kind, count, rows)?
        {
            return Ok(values);
        }
        self.function.evaluate(rows)
    }

    /// The values by a loop of our own; None for arguments that it does not take.
    fn moved(&self, kind: Kind, count: usize, rows: &RecordBatch) -> Result<Option<ArrayRef>> {
        let arguments = self.function.evaluate_args(rows)?;
        let [values] = arguments.as_slice() else { return Ok(None) };
        if values.null_count() > 0 {
            return Ok(None);
        }
        let counts = (1..=values.len()).map(|at| at.min(count) as u64);
        let moved: ArrayRef = match (kind, values.data_type()) {
            (Kind::Count, _) => Arc::new(UInt64Array::from_iter_values(counts)),
            (Kind::Sum, DataType::Float64) => Arc::new(Float64Array::from(moving_sums(
                values.as_primitive::<Float64Type>().values(),
                count,
            ))),
            (Kind::Mean, DataType::Float64) => {
                let mut sums = moving_sums(values.as_primitive::<Float64Type>().values(), count);
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum /= count as f64);
                Arc::new(Float64Array::from(sums))
            }
            (Kind::Sum, DataType::Int64) => {
                let sums = moving_whole_sums(values.as_primitive::<Int64Type>().values(), count);
                let fit: Option<Vec<i64>> = sums.into_iter().map(|sum| i64::try_from(sum).ok()).collect();
                // One that does not fit is refused by the function itself.
                let Some(fit) = fit else { return Ok(None) };
                Arc::new(Int64Array::from(fit))
            }
            (Kind::Extreme { greatest }, DataType::Float64) => {
                let values = values.as_primitive::<Float64Type>().values();
                Arc::new(Float64Array::from(moving_float_extremes(values, count, greatest)))
            }
            (Kind::Extreme { greatest }, DataType::Int64) => {
                let values = values.as_primitive::<Int64Type>().values();
                Arc::new(Int64Array::from(moving_extremes(values, count, greatest)))
            }
            _ => return Ok(None),
        };
        Ok(Some(if *moved.data_type() == self.ty { moved } else { cast(&moved, &self.ty)? }))
    }
}

/// The aggregate of the last rows that a function is.
fn moving_of(function: &Arc<dyn WindowExpr>) -> Option<(Kind, usize)> {
    let any = function.as_any();
    let aggregate = match any.downcast_ref::<SlidingAggregateWindowExpr>() {
        Some(sliding) => sliding.get_aggregate_expr(),
        None => any.downcast_ref::<PlainAggregateWindowExpr>()?.get_aggregate_expr(),
    };
    let frame = function.get_window_frame();
    let ends_here = matches!(frame.end_bound, WindowFrameBound::CurrentRow);
    if frame.units != WindowFrameUnits::Rows
        || !ends_here
        || aggregate.is_distinct()
        || aggregate.ignore_nulls()
    {
        return None;
    }
    let rows = match &frame.start_bound {
        WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows))) => {
            usize::try_from(*rows).ok()?.checked_add(1)?
        }
        WindowFrameBound::Preceding(value) if value.is_null() => usize::MAX,
        WindowFrameBound::CurrentRow => 1,
        _ => return None,
    };
    // DataFusion tells of a FILTER clause in this form alone; where a text looks like one, the function itself is used.
    if format!("{function:?}").contains("filter: Some(") {
        return None;
    }
    let kind = match aggregate.fun().name() {
        "count" => Kind::Count,
        "sum" => Kind::Sum,
        "avg" => Kind::Mean,
        "min" => Kind::Extreme { greatest: false },
        "max" => Kind::Extreme { greatest: true },
        _ => return None,
    };
    Some((kind, rows))
}
