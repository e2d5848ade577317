//! Window functions: `ema`, and those that are an aggregate over a frame of rows.

mod frames;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use datafusion::physical_expr::expressions::Literal;
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    CaseWhen, Expr, Function, Ident, NullTreatment, ObjectName, Value, WindowFrame, WindowFrameBound,
    WindowFrameUnits, WindowSpec, WindowType,
};
use zepto_common::{Error, ErrorCode};

use super::rewrites::{call, number};
use super::scalar::{Scalar, check_count, fault};
use super::{Plan, Row, row};
use crate::semantics::numbers::zero_of;

/// `ema(x, n)`: weight 2 / (n + 1) for n from 1 on, n itself below 1.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Ema {
    signature: Signature,
}

impl WindowUDFImpl for Ema {
    fn name(&self) -> &str {
        "ema"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        check_count("ema", types.len(), (2, 2))?;
        Ok(vec![DataType::Float64, DataType::Float64])
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = args.input_fields().first().is_some_and(|field| field.is_nullable());
        Ok(Arc::new(Field::new(args.name(), DataType::Float64, nullable)))
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        let bad = || {
            fault(ErrorCode::BadArguments, "The second argument of ema must be a constant greater than zero")
        };
        let literal =
            args.input_exprs().get(1).and_then(|expr| expr.downcast_ref::<Literal>()).ok_or_else(bad)?;
        match literal.value().cast_to(&DataType::Float64)? {
            ScalarValue::Float64(Some(n)) if n >= 1.0 => Ok(Box::new(EmaRows { weight: 2.0 / (n + 1.0) })),
            ScalarValue::Float64(Some(n)) if n > 0.0 => Ok(Box::new(EmaRows { weight: n })),
            _ => Err(bad()),
        }
    }
}

#[derive(Debug)]
struct EmaRows {
    weight: f64,
}

impl PartitionEvaluator for EmaRows {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let values = cast(&values[0], &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        let mut mean: Option<f64> = None;
        let means: Float64Array = (0..rows)
            .map(|row| {
                if values.is_valid(row) {
                    let value = values.value(row);
                    mean = Some(mean.map_or(value, |mean| mean + self.weight * (value - mean)));
                }
                mean
            })
            .collect();
        Ok(Arc::new(means))
    }
}

fn spec(function: &Function) -> zepto_common::Result<WindowSpec> {
    match &function.over {
        Some(WindowType::WindowSpec(spec)) => Ok(spec.clone()),
        Some(WindowType::NamedWindow(name)) => Ok(WindowSpec {
            window_name: Some(name.clone()),
            partition_by: vec![],
            order_by: vec![],
            window_frame: None,
        }),
        None => {
            let message = format!("Function {} needs OVER (… ORDER BY …)", function.name);
            Err(Error::new(ErrorCode::BadArguments, message))
        }
    }
}

/// The call `name(args)` over the function's window, with this frame.
fn over(
    function: &Function,
    name: &str,
    args: Vec<Expr>,
    preceding: Option<Option<Expr>>,
) -> zepto_common::Result<Expr> {
    let mut spec = spec(function)?;
    if let Some(preceding) = preceding {
        spec.window_frame = Some(WindowFrame {
            units: WindowFrameUnits::Rows,
            start_bound: WindowFrameBound::Preceding(preceding.map(Box::new)),
            end_bound: Some(WindowFrameBound::CurrentRow),
        });
    }
    let Expr::Function(mut made) = call(name, args) else {
        return Err(Error::internal("a call is a function"));
    };
    made.over = Some(WindowType::WindowSpec(spec));
    Ok(Expr::Function(made))
}

fn pair(function: &Function, args: Vec<Expr>) -> zepto_common::Result<(Expr, Expr)> {
    match <[Expr; 2]>::try_from(args) {
        Ok([value, count]) => Ok((value, count)),
        Err(args) => {
            let message = format!("Function {} takes 2 arguments, not {}", function.name, args.len());
            Err(Error::new(ErrorCode::NumberOfArgumentsDoesntMatch, message))
        }
    }
}

fn one(function: &Function, args: Vec<Expr>) -> zepto_common::Result<Expr> {
    let count = args.len();
    let mut args = args.into_iter();
    match (args.next(), args.next()) {
        (Some(value), None) => Ok(value),
        _ => {
            let message = format!("Function {} takes 1 argument, not {count}", function.name);
            Err(Error::new(ErrorCode::NumberOfArgumentsDoesntMatch, message))
        }
    }
}

/// An aggregate over the last n rows.
fn rolling(function: &Function, args: Vec<Expr>, aggregate: &str) -> zepto_common::Result<Expr> {
    let (value, count) = pair(function, args)?;
    let rows = match &count {
        Expr::Value(count) => match &count.value {
            Value::Number(digits, _) => digits.parse::<u64>().ok().filter(|rows| *rows > 0),
            _ => None,
        },
        _ => None,
    };
    let Some(rows) = rows else {
        let message = format!("The second argument of {} must be a constant number of rows", function.name);
        return Err(Error::new(ErrorCode::BadArguments, message));
    };
    over(function, aggregate, vec![value], Some(Some(number(rows - 1))))
}

/// `lag` and `lead`: what is not there is the type's zero value, as in ClickHouse, or the third argument.
fn shifted(function: &Function, args: Vec<Expr>, name: &str) -> zepto_common::Result<Expr> {
    let Some(value) = args.first().cloned() else { return one(function, args) };
    let mut spec = spec(function)?;
    spec.window_frame = None;
    let over_all = Function { over: Some(WindowType::WindowSpec(spec)), ..function.clone() };
    let mut args = args.into_iter();
    let plain: Vec<Expr> = args.by_ref().take(2).collect();
    let offset: Vec<Expr> = plain.iter().skip(1).cloned().collect();
    let moved = over(&over_all, name, plain, None)?;
    let Some(default) = args.next() else { return Ok(call("__or_zero", vec![moved, value])) };
    // The default may be any expression; a row that is there is known by a constant's being there.
    let there = over(&over_all, name, std::iter::once(number(1)).chain(offset).collect(), None)?;
    let missing = CaseWhen { condition: Expr::IsNull(Box::new(there)), result: default };
    Ok(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![missing],
        else_result: Some(Box::new(call("__or_zero", vec![moved, value]))),
    })
}

/// `first_value` and its like: not Nullable unless the argument is.
fn of_frame(function: &Function, args: Vec<Expr>, name: &str) -> zepto_common::Result<Expr> {
    let Some(value) = args.first().cloned() else { return one(function, args) };
    let Expr::Function(mut made) = call(name, args) else {
        return Err(Error::internal("a call is a function"));
    };
    made.over.clone_from(&function.over);
    made.filter.clone_from(&function.filter);
    made.null_treatment = function.null_treatment;
    if name != "nth_value" {
        // As aggregates these are `any` and `anyLast`, which leave NULLs out.
        made.null_treatment = made.null_treatment.or(Some(NullTreatment::IgnoreNulls));
    }
    if function.over.is_none() || (function.filter.is_some() && name != "nth_value") {
        // Without a window it is an aggregate, and so it is in one that leaves rows out.
        made.null_treatment = None;
        made.name = ObjectName::from(vec![Ident::with_quote(
            '"',
            if name == "last_value" { "anyLast" } else { "any" },
        )]);
        return Ok(Expr::Function(made));
    }
    Ok(call("__or_zero", vec![Expr::Function(made), value]))
}

fn previous(function: &Function, value: &Expr) -> zepto_common::Result<Expr> {
    over(function, "lag", vec![value.clone()], None)
}

fn binary(left: Expr, op: sqlparser::ast::BinaryOperator, right: Expr) -> Expr {
    let sum = Expr::BinaryOp { left: Box::new(Expr::Nested(Box::new(left))), op, right: Box::new(right) };
    Expr::Nested(Box::new(sum))
}

fn delta(function: &Function, args: Vec<Expr>) -> zepto_common::Result<Expr> {
    let value = one(function, args)?;
    let before = previous(function, &value)?;
    Ok(binary(value, sqlparser::ast::BinaryOperator::Minus, before))
}

fn ratio(function: &Function, args: Vec<Expr>) -> zepto_common::Result<Expr> {
    let value = one(function, args)?;
    let before = previous(function, &value)?;
    Ok(binary(value, sqlparser::ast::BinaryOperator::Divide, before))
}

fn fills(function: &Function, args: Vec<Expr>) -> zepto_common::Result<Expr> {
    let value = one(function, args)?;
    let Expr::Function(mut made) = over(function, "last_value", vec![value], Some(None))? else {
        return Err(Error::internal("a call is a function"));
    };
    made.null_treatment = Some(NullTreatment::IgnoreNulls);
    Ok(Expr::Function(made))
}

/// `__or_zero(x, like)`: NULLs of x are zero values unless `like` is Nullable.
fn or_zero(call: &super::scalar::Call<'_>) -> Result<ArrayRef> {
    let array = call.array(0)?;
    if call.ty.is_nullable() || array.null_count() == 0 {
        return Ok(array);
    }
    let zeros = zero_of(array.data_type())?.to_array_of_size(array.len())?;
    Ok(arrow::compute::kernels::zip::zip(&arrow::compute::is_null(&array)?, &zeros, &array)?)
}

/// Window functions.
pub(crate) const ROWS: &[Row] = &[
    row(
        "ema",
        &[],
        "ema(x, n) OVER (ORDER BY ts)",
        "Exponential moving average over n rows (weight 2 / (n + 1)); n below 1 is the weight itself.",
        Plan::Window(|| WindowUDF::from(Ema { signature: Signature::user_defined(Volatility::Immutable) })),
    ),
    row(
        "mavg",
        &[],
        "mavg(x, n) OVER (ORDER BY ts)",
        "Mean of the last n rows.",
        Plan::Framed(|function, args| rolling(function, args, "avg")),
    ),
    row(
        "msum",
        &[],
        "msum(x, n) OVER (ORDER BY ts)",
        "Sum of the last n rows.",
        Plan::Framed(|function, args| rolling(function, args, "sum")),
    ),
    row(
        "mmin",
        &[],
        "mmin(x, n) OVER (ORDER BY ts)",
        "Least of the last n rows.",
        Plan::Framed(|function, args| rolling(function, args, "min")),
    ),
    row(
        "mmax",
        &[],
        "mmax(x, n) OVER (ORDER BY ts)",
        "Greatest of the last n rows.",
        Plan::Framed(|function, args| rolling(function, args, "max")),
    ),
    row(
        "mdev",
        &[],
        "mdev(x, n) OVER (ORDER BY ts)",
        "Standard deviation of the last n rows.",
        Plan::Framed(|function, args| rolling(function, args, "stddevPop")),
    ),
    row(
        "mcount",
        &[],
        "mcount(x, n) OVER (ORDER BY ts)",
        "Values that are not NULL in the last n rows.",
        Plan::Framed(|function, args| rolling(function, args, "count")),
    ),
    row(
        "delta",
        &[],
        "delta(x) OVER (ORDER BY ts)",
        "x less the row before; NULL in the first row.",
        Plan::Framed(delta),
    ),
    row(
        "ratio",
        &[],
        "ratio(x) OVER (ORDER BY ts)",
        "x over the row before; NULL in the first row.",
        Plan::Framed(ratio),
    ),
    row(
        "fills",
        &[],
        "fills(x) OVER (ORDER BY ts)",
        "x, or the last value before it that is not NULL.",
        Plan::Framed(fills),
    ),
    row(
        "lagInFrame",
        &[],
        "lagInFrame(x[, n[, default]]) OVER (ORDER BY ts ROWS …)",
        "lag within the frame.",
        Plan::Framed(|function, args| frames::in_frame(function, args, "lag")),
    ),
    row(
        "leadInFrame",
        &[],
        "leadInFrame(x[, n[, default]]) OVER (ORDER BY ts ROWS …)",
        "lead within the frame.",
        Plan::Framed(|function, args| frames::in_frame(function, args, "lead")),
    ),
    row(
        "__zero_like",
        &[],
        "",
        "",
        Plan::Scalar(
            Scalar::pure(
                (1, 1),
                |args| Ok(args.ty(0)),
                |call| {
                    let zero = if call.ty.is_nullable() {
                        ScalarValue::try_from(&call.ty.query_type())?
                    } else {
                        zero_of(&call.ty.query_type())?
                    };
                    zero.to_array_of_size(call.rows)
                },
            )
            .own_nulls(),
        ),
    ),
    row(
        "lag",
        &[],
        "lag(x[, n[, default]]) OVER (ORDER BY ts)",
        "x of the n-th row before; the zero value where there is none.",
        Plan::Framed(|function, args| shifted(function, args, "lag")),
    ),
    row(
        "lead",
        &[],
        "lead(x[, n[, default]]) OVER (ORDER BY ts)",
        "x of the n-th row after; the zero value where there is none.",
        Plan::Framed(|function, args| shifted(function, args, "lead")),
    ),
    row(
        "__or_zero",
        &[],
        "",
        "",
        Plan::Scalar(
            Scalar::pure(
                (2, 2),
                |args| Ok(if args.ty(1).is_nullable() { args.ty(1) } else { args.base(1) }),
                or_zero,
            )
            .own_nulls(),
        ),
    ),
    row(
        "row_number",
        &[],
        "row_number() OVER (ORDER BY ts)",
        "Number of the row in its window.",
        Plan::Known,
    ),
    row("rank", &[], "rank() OVER (ORDER BY ts)", "Rank with gaps.", Plan::Known),
    row("dense_rank", &[], "dense_rank() OVER (ORDER BY ts)", "Rank without gaps.", Plan::Known),
    row("percent_rank", &[], "percent_rank() OVER (ORDER BY ts)", "Rank from 0 to 1.", Plan::Known),
    row("cume_dist", &[], "cume_dist() OVER (ORDER BY ts)", "Part of the rows up to this one.", Plan::Known),
    row("ntile", &[], "ntile(n) OVER (ORDER BY ts)", "Number of one of n equal parts.", Plan::Known),
    row(
        "first_value",
        &[],
        "first_value(x) OVER (ORDER BY ts)",
        "x of the frame's first row.",
        Plan::Framed(|function, args| of_frame(function, args, "first_value")),
    ),
    row(
        "last_value",
        &[],
        "last_value(x) OVER (ORDER BY ts)",
        "x of the frame's last row.",
        Plan::Framed(|function, args| of_frame(function, args, "last_value")),
    ),
    row(
        "nth_value",
        &[],
        "nth_value(x, n) OVER (ORDER BY ts)",
        "x of the frame's n-th row.",
        Plan::Framed(|function, args| of_frame(function, args, "nth_value")),
    ),
];
