//! Types of arithmetic and comparisons, decided while a statement is planned, when the operands' types are known.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator, lit};
use sqlparser::ast::BinaryOperator;
use zepto_common::ErrorCode;
use zepto_common::types::{ColumnType, ticks_per_second, unit_of};

use super::exact::exact;
use super::nan::without_nan;
use super::numbers::{is_float, is_whole, of_literal, sum};
use super::supertypes::loses_digits;
use super::syntax::TYPED;
use crate::functions::{fault, scalar_function};

/// Plans `+ - * /`, comparisons and conditions by ClickHouse's rules.
#[derive(Debug)]
pub struct OperatorPlanner;

impl ExprPlanner for OperatorPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator as B;
        if matches!(&expr.op, B::Custom(name) if name == TYPED) {
            return Ok(PlannerResult::Planned(smallest(expr.left)));
        }
        let (Some(left), Some(right)) = (type_of(&expr.left, schema), type_of(&expr.right, schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let operator = match expr.op {
            B::Plus => Operator::Plus,
            B::Minus => Operator::Minus,
            B::Multiply => Operator::Multiply,
            B::Divide => Operator::Divide,
            B::Eq => Operator::Eq,
            B::NotEq => Operator::NotEq,
            B::Lt => Operator::Lt,
            B::LtEq => Operator::LtEq,
            B::Gt => Operator::Gt,
            B::GtEq => Operator::GtEq,
            B::And => Operator::And,
            B::Or => Operator::Or,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let expr = if is_comparison(operator) { flags_as_numbers(expr, schema) } else { expr };
        let planned = match operator {
            Operator::And | Operator::Or => Some(condition(operator, &expr, &left, &right)?),
            Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide => {
                arithmetic(operator, &expr, &left, &right)?
            }
            _ => match (left.inner(), right.inner()) {
                (ColumnType::Tuple(a), ColumnType::Tuple(b)) if a.len() == b.len() && !a.is_empty() => {
                    Some(super::tuples::comparison(operator, &expr, a.len(), schema)?)
                }
                _ => compared(operator, &expr.left, &expr.right, &left, &right),
            },
        };
        Ok(planned.map_or(PlannerResult::Original(expr), PlannerResult::Planned))
    }
}

fn is_comparison(operator: Operator) -> bool {
    use Operator as O;
    matches!(operator, O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq)
}

/// A condition beside a number is 0 or 1.
fn flags_as_numbers(mut expr: RawBinaryExpr, schema: &DFSchema) -> RawBinaryExpr {
    let flag = |side: &Expr| {
        let literal = matches!(side, Expr::Literal(..));
        !literal && side.get_type(schema).is_ok_and(|ty| ty == DataType::Boolean)
    };
    let number = |side: &Expr| side.get_type(schema).is_ok_and(|ty| ty.is_numeric());
    if flag(&expr.left) && number(&expr.right) {
        expr.left = as_arrow(expr.left, &DataType::UInt8);
    } else if flag(&expr.right) && number(&expr.left) {
        expr.right = as_arrow(expr.right, &DataType::UInt8);
    }
    expr
}

/// The type of an operand; a whole literal has the smallest type that holds it. None for what has no type of ours.
pub(super) fn type_of(expr: &Expr, schema: &DFSchema) -> Option<ColumnType> {
    if let Some(value) = whole_literal(expr) {
        return Some(of_literal(value));
    }
    if matches!(expr, Expr::Literal(ScalarValue::Boolean(_), _)) {
        return Some(ColumnType::Bool);
    }
    let field = match expr {
        // `to_field` would write the expression's name, at each layer that of all below it.
        Expr::BinaryExpr(_) => {
            Arc::new(Field::new("", expr.get_type(schema).ok()?, expr.nullable(schema).ok()?))
        }
        other => other.to_field(schema).ok()?.1,
    };
    match field.data_type() {
        DataType::Interval(_) | DataType::Duration(_) => None,
        _ => Some(ColumnType::of_field(&field)),
    }
}

pub(super) fn whole_literal(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(value), _) => *value,
        _ => None,
    }
}

/// A whole literal in its smallest type.
fn smallest(expr: Expr) -> Expr {
    match whole_literal(&expr) {
        Some(value) => as_type(expr, &of_literal(value)),
        None => expr,
    }
}

fn as_type(expr: Expr, ty: &ColumnType) -> Expr {
    as_arrow(expr, &ty.query_type())
}

pub(super) fn as_arrow(expr: Expr, ty: &DataType) -> Expr {
    if let Expr::Literal(value, _) = &expr
        && let Ok(value) = value.cast_to(ty)
    {
        return Expr::Literal(value, None);
    }
    Expr::Cast(Cast::new(Box::new(expr), ty.clone()))
}

/// Casts only where the type differs.
fn fitted(expr: &Expr, from: &ColumnType, to: &ColumnType) -> Result<Expr> {
    Ok(match (from.inner(), to) {
        _ if whole_literal(expr).is_some() => as_type(expr.clone(), to),
        (from, to) if from == to => expr.clone(),
        // A cast refuses what does not fit; numbers wrap.
        (ColumnType::UInt64, ColumnType::Int64) => function("toInt64", vec![expr.clone()])?,
        _ => as_type(expr.clone(), to),
    })
}

pub(super) fn binary(left: Expr, operator: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))
}

pub(super) fn function(name: &str, args: Vec<Expr>) -> Result<Expr> {
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(scalar_function(name)?, args)))
}

/// Whether the expression is a Boolean by its form.
pub(crate) fn is_condition(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(binary) => {
            use Operator as O;
            matches!(binary.op, O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq | O::And | O::Or)
        }
        Expr::InList(_)
        | Expr::InSubquery(_)
        | Expr::Exists(_)
        | Expr::Between(_)
        | Expr::Like(_)
        | Expr::Not(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_) => true,
        Expr::ScalarFunction(call) => call.func.name() == "__truth",
        _ => false,
    }
}

fn condition(
    operator: Operator,
    expr: &RawBinaryExpr,
    left: &ColumnType,
    right: &ColumnType,
) -> Result<Expr> {
    for ty in [left, right] {
        if matches!(ty.inner(), ColumnType::String | ColumnType::Symbol) {
            let message = format!("Illegal type {ty} of an argument of a condition");
            return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
        }
    }
    let boolean = |side: &Expr, ty: &ColumnType| match side {
        Expr::Literal(ScalarValue::Boolean(_) | ScalarValue::Null, _) => Ok(side.clone()),
        // In a long chain every further layer would be part of the name of each above it.
        side if is_condition(side) => Ok(side.clone()),
        // A Boolean without a name of its own counts as UInt8, so the cast is left out by the function itself.
        _ if ty.is_number() => function("__truth", vec![side.clone()]),
        _ => Ok(side.clone()),
    };
    Ok(binary(boolean(&expr.left, left)?, operator, boolean(&expr.right, right)?))
}

fn is_time(ty: &ColumnType) -> bool {
    ty.inner().is_time() || *ty.inner() == ColumnType::Date
}

fn arithmetic(
    operator: Operator,
    expr: &RawBinaryExpr,
    left: &ColumnType,
    right: &ColumnType,
) -> Result<Option<Expr>> {
    if is_time(left) || is_time(right) {
        return time_arithmetic(operator, expr, left, right);
    }
    let number = |ty: &ColumnType| ty.is_number() || *ty.inner() == ColumnType::Bool;
    if !number(left) || !number(right) {
        return refuse_unless_null(operator, left, right);
    }
    let decimal = |ty: &ColumnType| matches!(ty.inner(), ColumnType::Decimal(..));
    let wanted = if is_float(left) || is_float(right) {
        ColumnType::Float64
    } else if decimal(left) || decimal(right) {
        let name = match operator {
            Operator::Plus => "__decimal_plus",
            Operator::Minus => "__decimal_minus",
            Operator::Multiply => "__decimal_multiply",
            _ => "__decimal_divide",
        };
        return Ok(Some(function(name, vec![expr.left.clone(), expr.right.clone()])?));
    } else if operator == Operator::Divide {
        ColumnType::Float64
    } else {
        sum(left, right, operator == Operator::Minus)
    };
    Ok(Some(binary(fitted(&expr.left, left, &wanted)?, operator, fitted(&expr.right, right, &wanted)?)))
}

/// What has no sum is refused; with NULL the result is NULL.
fn refuse_unless_null(operator: Operator, left: &ColumnType, right: &ColumnType) -> Result<Option<Expr>> {
    let null = |ty: &ColumnType| *ty.inner() == ColumnType::Nothing;
    if null(left) || null(right) {
        return Ok(None);
    }
    let name = match operator {
        Operator::Plus => "plus",
        Operator::Minus => "minus",
        Operator::Multiply => "multiply",
        _ => "divide",
    };
    let message = format!("Illegal types {left} and {right} of arguments of function {name}");
    Err(fault(ErrorCode::IllegalTypeOfArgument, message))
}

fn time_arithmetic(
    operator: Operator,
    expr: &RawBinaryExpr,
    left: &ColumnType,
    right: &ColumnType,
) -> Result<Option<Expr>> {
    let unit = |ty: &ColumnType| lit(if *ty.inner() == ColumnType::Date { "day" } else { "second" });
    let (a, b) = (expr.left.clone(), expr.right.clone());
    Ok(match operator {
        Operator::Plus if is_time(left) && is_whole(right) => {
            Some(function("__add_interval", vec![a, b, unit(left)])?)
        }
        Operator::Plus if is_time(right) && is_whole(left) => {
            Some(function("__add_interval", vec![b, a, unit(right)])?)
        }
        Operator::Minus if is_time(left) && is_whole(right) => {
            let back = function("negate", vec![as_arrow(b, &DataType::Int64)])?;
            Some(function("__add_interval", vec![a, back, unit(left)])?)
        }
        Operator::Minus if is_time(left) && is_time(right) => {
            Some(function("__time_difference", vec![a, b])?)
        }
        _ => refuse_unless_null(operator, left, right)?,
    })
}

/// `left operator right` by ClickHouse's rules; None leaves it to DataFusion.
pub(super) fn compared(
    operator: Operator,
    left: &Expr,
    right: &Expr,
    left_type: &ColumnType,
    right_type: &ColumnType,
) -> Option<Expr> {
    let expr = Sides { left, right };
    if loses_digits(left, left_type, right_type) || loses_digits(right, right_type, left_type) {
        let double = |side: &Expr| as_arrow(side.clone(), &DataType::Float64);
        return Some(binary(double(left), operator, double(right)));
    }
    let planned = exact(operator, &expr, left_type, right_type)
        .or_else(|| comparison(operator, &expr, left_type, right_type));
    if !is_float(left_type) && !is_float(right_type) {
        return planned;
    }
    let planned = planned.unwrap_or_else(|| binary(left.clone(), operator, right.clone()));
    Some(without_nan(operator, planned, (left, left_type), (right, right_type)))
}

/// The operands of a comparison.
pub(super) struct Sides<'a> {
    pub(super) left: &'a Expr,
    pub(super) right: &'a Expr,
}

fn comparison(operator: Operator, expr: &Sides<'_>, left: &ColumnType, right: &ColumnType) -> Option<Expr> {
    let text_literal = |side: &Expr| match side {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    };
    // A text constant is read as the other side's number.
    if (left.is_number() || *left.inner() == ColumnType::Bool)
        && let Some(text) = text_literal(expr.right)
    {
        return Some(binary(expr.left.clone(), operator, read(&text, left)?));
    }
    if (right.is_number() || *right.inner() == ColumnType::Bool)
        && let Some(text) = text_literal(expr.left)
    {
        return Some(binary(read(&text, right)?, operator, expr.right.clone()));
    }
    let stored_as_bool = |side: &ColumnType| matches!(side.inner(), ColumnType::Bool | ColumnType::UInt8);
    // Two Bools compare as numbers: `ok = true` would be put as `ok`, which is a Bool and no UInt8.
    if left.inner() == right.inner() && *left.inner() == ColumnType::Bool {
        let whole = |side: &Expr| as_arrow(side.clone(), &DataType::UInt8);
        return Some(binary(whole(expr.left), operator, whole(expr.right)));
    }
    // A condition is a UInt8 by name and a Boolean by form.
    if stored_as_bool(left) && stored_as_bool(right) && left.inner() != right.inner() {
        let whole = |side: &Expr| as_arrow(side.clone(), &DataType::UInt8);
        return Some(binary(whole(expr.left), operator, whole(expr.right)));
    }
    let (bool_left, bool_right) = (*left.inner() == ColumnType::Bool, *right.inner() == ColumnType::Bool);
    if bool_left != bool_right && left.is_number() != right.is_number() {
        let whole = |side: &Expr, is_bool: bool| {
            if is_bool { as_arrow(side.clone(), &DataType::UInt8) } else { side.clone() }
        };
        return Some(binary(whole(expr.left, bool_left), operator, whole(expr.right, bool_right)));
    }
    times(operator, expr, left, right)
}

/// A text as a constant of a type; None leaves the comparison to DataFusion.
fn read(text: &str, ty: &ColumnType) -> Option<Expr> {
    let value = ScalarValue::from(text).cast_to(&ty.query_type()).ok().filter(|value| !value.is_null())?;
    Some(Expr::Literal(value, None))
}

/// Times compare as moments: a time without a zone is UTC, a number is seconds since 1970.
fn times(operator: Operator, expr: &Sides<'_>, left: &ColumnType, right: &ColumnType) -> Option<Expr> {
    let (from, to) = (zone(left), zone(right));
    match (from, to) {
        (Some(a), Some(b)) if a != b || resolution(left) != resolution(right) => {
            let moved = match a == b {
                true => expr.right.clone(),
                false => moment(expr.right.clone(), right, b.as_deref(), a.as_deref()),
            };
            by_ticks(operator, (expr.left.clone(), left), (moved, right), a.as_deref())
        }
        (Some(a), None) if is_whole(right) && left.inner().is_time() => {
            let seconds =
                as_type(as_arrow(expr.right.clone(), &DataType::Int64), &ColumnType::DateTime(None));
            let seconds = moment(seconds, &ColumnType::DateTime(None), None, a.as_deref());
            Some(binary(expr.left.clone(), operator, seconds))
        }
        (None, Some(b)) if is_whole(left) && right.inner().is_time() => {
            let seconds = as_type(as_arrow(expr.left.clone(), &DataType::Int64), &ColumnType::DateTime(None));
            let seconds = moment(seconds, &ColumnType::DateTime(None), None, b.as_deref());
            Some(binary(seconds, operator, expr.right.clone()))
        }
        _ => None,
    }
}

/// Ticks of a time type in a second.
fn resolution(ty: &ColumnType) -> i64 {
    match ty.inner() {
        ColumnType::DateTime64(digits, _) => ticks_per_second(unit_of(*digits)),
        _ => 1,
    }
}

/// Times of one zone and two resolutions, compared in the finer one. By functions: DataFusion turns a cast of one side into
/// a cast of the other, which cuts digits off a constant. The second condition says nothing new, in a form that prunes.
fn by_ticks(
    operator: Operator,
    (left, left_type): (Expr, &ColumnType),
    (right, right_type): (Expr, &ColumnType),
    zone: Option<&str>,
) -> Option<Expr> {
    let (coarse_left, coarse_right) = match resolution(left_type).cmp(&resolution(right_type)) {
        Ordering::Equal => return Some(binary(left, operator, right)),
        Ordering::Less => (true, false),
        Ordering::Greater => (false, true),
    };
    let as_type_of = |expr: &Expr, ty: &ColumnType| {
        let mut args = vec![expr.clone()];
        let name = match ty.inner() {
            ColumnType::DateTime64(digits, _) => {
                args.push(lit(i64::from(*digits)));
                "toDateTime64"
            }
            _ => "toDateTime",
        };
        args.extend(zone.map(|zone| Expr::Literal(ScalarValue::Utf8View(Some(zone.to_owned())), None)));
        function(name, args).ok()
    };
    let (fine_left, fine_right) = match coarse_left {
        true => (as_type_of(&left, right_type)?, right.clone()),
        false => (left.clone(), as_type_of(&right, left_type)?),
    };
    let exact = binary(fine_left, operator, fine_right);
    let rough = match operator {
        Operator::Gt => Operator::GtEq,
        Operator::Lt => Operator::LtEq,
        Operator::NotEq => return Some(exact),
        other => other,
    };
    let constant = |side: &Expr| side.column_refs().is_empty();
    let prunes = match (&left, &right) {
        (Expr::Column(_), right) if coarse_left && constant(right) => {
            binary(left.clone(), rough, as_type_of(right, left_type)?)
        }
        (left, Expr::Column(_)) if coarse_right && constant(left) => {
            binary(as_type_of(left, right_type)?, rough, right.clone())
        }
        _ => return Some(exact),
    };
    Some(binary(exact, Operator::And, prunes))
}

/// The zone of a time type: Some(None) has none.
fn zone(ty: &ColumnType) -> Option<Option<String>> {
    match ty.inner() {
        ColumnType::DateTime(zone) | ColumnType::DateTime64(_, zone) => {
            Some(zone.as_deref().map(str::to_owned))
        }
        _ => None,
    }
}

/// The same moments with another zone's label: Arrow reads a time without zone as local, so it passes through UTC.
fn moment(expr: Expr, ty: &ColumnType, from: Option<&str>, to: Option<&str>) -> Expr {
    let DataType::Timestamp(unit, _) = ty.query_type() else { return expr };
    let expr = match (from, to) {
        (None, Some(_)) => as_arrow(expr, &DataType::Timestamp(unit, Some("UTC".into()))),
        _ => expr,
    };
    as_arrow(expr, &DataType::Timestamp(unit, to.map(Into::into)))
}
