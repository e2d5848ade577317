//! Frames of windows: what an empty one gives, and numbers as distances in time.

use std::sync::Arc;

use arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::rules::{is_float, keys_with_nan_last};
use crate::functions::{fault, for_windows};

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// Changes each window function of a plan; names stay.
fn each_window(
    plan: LogicalPlan,
    change: &dyn Fn(WindowFunction, &DFSchema) -> Result<Transformed<WindowFunction>>,
) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Window(window) = &node else { return Ok(Transformed::no(node)) };
        let schema = Arc::clone(window.input.schema());
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| match expr {
                Expr::WindowFunction(function) => {
                    let changed = change(*function, &schema)?;
                    Ok(changed.update_data(|function| Expr::WindowFunction(Box::new(function))))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })
    })
}

/// An empty frame gives the zero value of a type that is not Nullable.
#[derive(Debug)]
pub(super) struct EmptyFrames;

impl AnalyzerRule for EmptyFrames {
    fn name(&self) -> &str {
        "empty_frames"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = each_window(plan, &|mut function, schema| {
            let WindowFunctionDefinition::AggregateUDF(aggregate) = &function.fun else {
                return Ok(Transformed::no(function));
            };
            let fields = function.params.args.iter().map(|arg| Ok(arg.to_field(schema)?.1));
            let fields: Vec<_> = fields.collect::<Result<_>>()?;
            match for_windows(aggregate, &aggregate.return_field(&fields)?)? {
                Some(made) => {
                    function.fun = WindowFunctionDefinition::AggregateUDF(Arc::new(made));
                    Ok(Transformed::yes(function))
                }
                None => Ok(Transformed::no(function)),
            }
        })?;
        Ok(changed.data)
    }
}

/// NaN after all numbers in the orders of windows. A RANGE with a distance has one key alone: there it stays as it is.
pub(super) fn nan_last_in_windows(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = each_window(plan, &|mut function, schema| {
        let params = &mut function.params;
        let far = |bound: &WindowFrameBound| match bound {
            WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) => !value.is_null(),
            WindowFrameBound::CurrentRow => false,
        };
        let frame = &params.window_frame;
        let by_distance =
            frame.units == WindowFrameUnits::Range && (far(&frame.start_bound) || far(&frame.end_bound));
        if by_distance || !params.order_by.iter().any(|by| is_float(&by.expr, schema)) {
            return Ok(Transformed::no(function));
        }
        params.order_by = keys_with_nan_last(std::mem::take(&mut params.order_by), schema)?;
        Ok(Transformed::yes(function))
    })?;
    Ok(changed.data)
}

/// `RANGE 60 PRECEDING` over a DateTime is 60 seconds, over a Date 60 days. DataFusion would take months.
pub(crate) fn distances_in_time(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = each_window(plan, &|mut function, schema| {
        let params = &mut function.params;
        if params.window_frame.units != WindowFrameUnits::Range {
            return Ok(Transformed::no(function));
        }
        let Some(by) = params.order_by.first() else { return Ok(Transformed::no(function)) };
        let ty = ColumnType::of_field(&by.expr.to_field(schema)?.1);
        let start = distance(&mut params.window_frame.start_bound, &ty)?;
        let end = distance(&mut params.window_frame.end_bound, &ty)?;
        Ok(Transformed::new_transformed(function, start || end))
    })?;
    Ok(changed.data)
}

/// Whether the bound was a number and is an interval now.
fn distance(bound: &mut WindowFrameBound, by: &ColumnType) -> Result<bool> {
    let (WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value)) = bound else {
        return Ok(false);
    };
    let ScalarValue::Utf8(Some(text)) = &value else { return Ok(false) };
    if text.parse::<f64>().is_err() {
        return Ok(false);
    }
    let whole = || {
        text.parse::<i32>().ok().filter(|number| *number >= 0).ok_or_else(|| {
            let message = format!(
                "Frame offset for 'RANGE' frame must be a nonnegative 32-bit integer, '{text}' given"
            );
            fault(ErrorCode::BadArguments, message)
        })
    };
    let interval = match by.inner() {
        ColumnType::Date => IntervalMonthDayNano::new(0, whole()?, 0),
        ColumnType::DateTime(_) => IntervalMonthDayNano::new(0, 0, i64::from(whole()?) * SECOND),
        ColumnType::DateTime64(..) => {
            let message = "A number as the distance of a RANGE frame over DateTime64 is not supported: write an \
                           INTERVAL";
            return Err(fault(ErrorCode::NotImplemented, message));
        }
        _ => return Ok(false),
    };
    *value = ScalarValue::IntervalMonthDayNano(Some(interval));
    Ok(true)
}
