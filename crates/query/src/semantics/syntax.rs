//! Expressions that ClickHouse writes or means differently, one arm each.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DateTimeField, Expr, JoinConstraint,
    JoinOperator, Query, Select, SelectItem, Subscript, TrimWhereField, TypedString, UnaryOperator, Value,
    VisitorMut,
};
use zepto_common::{Error, ErrorCode, Result};

use super::{calls, null_last};
use crate::functions::rewrites::{
    call, cases, flag, in_without_null, interval_parts, negated, number, text, truth,
};

/// The operator that marks a whole literal whose smallest type matters; see [`super::operators`].
pub(super) const TYPED: &str = "__typed";

/// Rewrites expressions from the leaves up.
pub(super) struct Expressions;

impl VisitorMut for Expressions {
    type Break = Error;

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                *expr = typed(std::mem::replace(expr, Expr::Value(Value::Null.into())));
            }
        }
        for expr in select.prewhere.iter_mut().chain(&mut select.selection).chain(&mut select.having) {
            *expr = truth(std::mem::replace(expr, Expr::Value(Value::Null.into())));
        }
        let joins = select.from.iter_mut().flat_map(|from| &mut from.joins);
        for condition in joins.filter_map(|join| condition_of(&mut join.join_operator)) {
            *condition = truth(std::mem::replace(condition, Expr::Value(Value::Null.into())));
        }
        for window in &mut select.named_window {
            if let sqlparser::ast::NamedWindowExpr::WindowSpec(spec) = &mut window.1 {
                spec.order_by.iter_mut().for_each(null_last);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let old = std::mem::replace(expr, Expr::Value(Value::Null.into()));
        match rewritten(old) {
            Ok(new) => {
                *expr = new;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The condition behind ON; a constant is one, too.
fn condition_of(operator: &mut JoinOperator) -> Option<&mut Expr> {
    use JoinOperator as J;
    match operator {
        J::Join(constraint)
        | J::Inner(constraint)
        | J::Left(constraint)
        | J::LeftOuter(constraint)
        | J::RightOuter(constraint)
        | J::FullOuter(constraint) => match constraint {
            JoinConstraint::On(condition) => Some(condition),
            _ => None,
        },
        _ => None,
    }
}

/// Marks a whole literal, so that it gets the smallest type that holds it; `true` and `false` become Bool.
pub(crate) fn typed(expr: Expr) -> Expr {
    if matches!(&expr, Expr::Value(value) if matches!(value.value, Value::Boolean(_))) {
        return call("CAST", vec![expr, text("Bool")]);
    }
    let whole = |expr: &Expr| match expr {
        Expr::Value(value) => {
            matches!(&value.value, Value::Number(digits, _) if digits.parse::<u64>().is_ok())
        }
        _ => false,
    };
    let literal = match &expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => whole(expr),
        Expr::Nested(inner) => match &**inner {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => whole(expr),
            inner => whole(inner),
        },
        other => whole(other),
    };
    if !literal {
        return expr;
    }
    Expr::BinaryOp {
        left: Box::new(expr.clone()),
        op: BinaryOperator::Custom(TYPED.to_owned()),
        right: Box::new(expr),
    }
}

fn rewritten(expr: Expr) -> Result<Expr> {
    Ok(match expr {
        Expr::Identifier(name) if name.quote_style.is_none() && is_float_word(&name.value) => {
            call("CAST", vec![text(name.value.to_ascii_lowercase()), text("Float64")])
        }
        Expr::Function(function) => return calls::rewritten(function),
        Expr::Cast { kind, expr, data_type, .. } => {
            let name = if matches!(kind, CastKind::TryCast | CastKind::SafeCast) {
                "accurateCastOrNull"
            } else {
                "CAST"
            };
            call(name, vec![*expr, text(data_type.to_string())])
        }
        Expr::TypedString(literal) => typed_string(literal),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => negated(*expr),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
            Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(truth(*expr)))) }
        }
        Expr::BinaryOp { left, op, right } => return binary(*left, op, *right),
        Expr::Ceil { expr, field } => rounded("ceil", *expr, field),
        Expr::Floor { expr, field } => rounded("floor", *expr, field),
        Expr::InList { expr, list, negated } => {
            let list = super::tuple_in::one_row(&expr, list)?;
            in_without_null(flag(*expr), list.into_iter().map(flag).collect(), negated)
        }
        Expr::Between { expr, negated, low, high } => {
            let [expr, low, high] = [expr, low, high].map(|side| Box::new(flag(*side)));
            Expr::Between { expr, negated, low, high }
        }
        Expr::InSubquery { expr, subquery, negated } => super::tuple_in::rewritten(expr, subquery, negated)?,
        Expr::Extract { field, expr, .. } => {
            let (name, mode) = part(&field)?;
            call(name, std::iter::once(*expr).chain(mode.map(|mode| typed(number(mode)))).collect())
        }
        Expr::RLike { negated: false, expr, pattern, .. } => call("match", vec![*expr, *pattern]),
        Expr::RLike { .. } => {
            return Err(Error::new(ErrorCode::SyntaxError, "Syntax error: REGEXP stands behind no NOT"));
        }
        Expr::Interval(interval) => {
            interval_parts(&interval)?;
            Expr::Interval(interval)
        }
        Expr::Position { expr, r#in } => call("position", vec![*r#in, *expr]),
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            substring(*expr, substring_from.map(|from| *from), substring_for.map(|length| *length))
        }
        Expr::Trim { expr, trim_where, trim_what, trim_characters } => {
            let name = match trim_where {
                Some(TrimWhereField::Leading) => "trimLeft",
                Some(TrimWhereField::Trailing) => "trimRight",
                _ => "trimBoth",
            };
            let what =
                trim_what.map(|what| *what).or_else(|| trim_characters.and_then(|mut list| list.pop()));
            call(name, std::iter::once(*expr).chain(what).collect())
        }
        Expr::Array(array) => call("array", array.elem.into_iter().map(typed).collect()),
        Expr::Tuple(items) => call("tuple", items.into_iter().map(typed).collect()),
        Expr::CompoundFieldAccess { root, access_chain } => return accessed(*root, access_chain),
        Expr::Case { operand, conditions, else_result, .. } => {
            case(operand.as_deref(), conditions, else_result)
        }
        other => other,
    })
}

/// CASE as a function of its conditions and values.
fn case(operand: Option<&Expr>, conditions: Vec<CaseWhen>, else_result: Option<Box<Expr>>) -> Expr {
    let mut args = Vec::with_capacity(conditions.len() * 2 + 1);
    for when in conditions {
        args.push(match operand {
            Some(operand) if is_value(&when.condition) => equal(operand, when.condition),
            Some(operand) => same(operand, when.condition),
            None => truth(when.condition),
        });
        args.push(typed(flag(when.result)));
    }
    args.push(else_result.map_or(Expr::Value(Value::Null.into()), |expr| typed(flag(*expr))));
    cases(args)
}

/// Only `FOR` without `FROM` begins at 1; with neither, an argument is missing.
fn substring(expr: Expr, from: Option<Expr>, length: Option<Expr>) -> Expr {
    let from = from.or_else(|| length.is_some().then(|| crate::functions::rewrites::number(1)));
    call("substring", [Some(expr), from, length].into_iter().flatten().collect())
}

/// Whether it is a constant that is not NULL.
fn is_value(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => value.value != Value::Null,
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => is_value(expr),
        Expr::Nested(inner) => is_value(inner),
        // A negative constant has been made a call already.
        Expr::Function(function) => function.name.to_string() == "\"negate\"",
        _ => false,
    }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn equal(operand: &Expr, value: Expr) -> Expr {
    let (left, right) = (Box::new(nested(operand.clone())), Box::new(nested(value)));
    nested(Expr::BinaryOp { left, op: BinaryOperator::Eq, right })
}

/// The test of a CASE with an operand: NULL is the same as NULL.
fn same(operand: &Expr, value: Expr) -> Expr {
    let is_null = |expr: Expr| Expr::IsNull(Box::new(nested(expr)));
    if matches!(&value, Expr::Value(null) if null.value == Value::Null) {
        return is_null(operand.clone());
    }
    let both = |left: Expr, op: BinaryOperator, right: Expr| {
        nested(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) })
    };
    let equals = equal(operand, value.clone());
    let nulls = both(is_null(operand.clone()), BinaryOperator::And, is_null(value));
    both(equals, BinaryOperator::Or, nulls)
}

/// `DATE '…'` and its like.
fn typed_string(literal: TypedString) -> Expr {
    let value = Expr::Value(literal.value);
    match literal.data_type.to_string().as_str() {
        "DATE" => call("toDate", vec![value]),
        "TIMESTAMP" | "DATETIME" if value.to_string().contains('.') => {
            call("toDateTime64", vec![value, crate::functions::rewrites::number(9)])
        }
        "TIMESTAMP" | "DATETIME" => call("toDateTime", vec![value]),
        name => call("CAST", vec![value, text(name)]),
    }
}

/// `nan` and `inf` are numbers, as in ClickHouse.
pub(super) fn is_float_word(name: &str) -> bool {
    matches!(name, "nan" | "NaN" | "NAN" | "inf" | "Inf" | "INF")
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Result<Expr> {
    use BinaryOperator as B;
    Ok(match (&left, &op, &right) {
        (_, B::Plus | B::Minus, Expr::Interval(interval)) => {
            let (count, unit) = interval_parts(interval)?;
            let count = if op == B::Minus { negated(count) } else { count };
            call("__add_interval", vec![left, count, text(unit)])
        }
        (Expr::Interval(interval), B::Plus, _) => {
            let (count, unit) = interval_parts(interval)?;
            call("__add_interval", vec![right, count, text(unit)])
        }
        (_, B::Modulo, _) => call("modulo", vec![typed(left), typed(right)]),
        (_, B::DuckIntegerDivide | B::MyIntegerDivide, _) => call("intDiv", vec![typed(left), typed(right)]),
        (_, B::StringConcat, _) => match left {
            Expr::Function(mut function) if function.name.to_string() == "\"concat\"" => {
                calls::push_argument(&mut function, typed(right));
                Expr::Function(function)
            }
            left => call("concat", vec![typed(left), typed(right)]),
        },
        (_, B::And | B::Or, _) => {
            Expr::BinaryOp { left: Box::new(truth(left)), op, right: Box::new(truth(right)) }
        }
        _ => Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) },
    })
}

fn rounded(name: &str, expr: Expr, field: CeilFloorKind) -> Expr {
    match field {
        CeilFloorKind::Scale(scale) => call(name, vec![typed(expr), Expr::Value(scale)]),
        CeilFloorKind::DateTimeField(_) => call(name, vec![typed(expr)]),
    }
}

/// The function of a part of a time, and its second argument.
pub(super) fn part(field: &DateTimeField) -> Result<(&'static str, Option<u8>)> {
    let name = match field.to_string().to_ascii_uppercase().trim_end_matches('S') {
        "YEAR" => "toYear",
        "QUARTER" => "toQuarter",
        "MONTH" => "toMonth",
        "WEEK" => "toISOWeek",
        "DAY" => "toDayOfMonth",
        "DOW" => return Ok(("toDayOfWeek", Some(2))),
        "ISODOW" | "DAYOFWEEK" => "toDayOfWeek",
        "ISOYEAR" => "toISOYear",
        "DOY" | "DAYOFYEAR" => "toDayOfYear",
        "HOUR" => "toHour",
        "MINUTE" => "toMinute",
        "SECOND" => "toSecond",
        "MILLISECOND" => "toMillisecond",
        "EPOCH" => "toUnixTimestamp",
        other => {
            return Err(Error::new(
                ErrorCode::NotImplemented,
                format!("EXTRACT({other} FROM …) is not known"),
            ));
        }
    };
    Ok((name, None))
}

fn accessed(root: Expr, chain: Vec<AccessExpr>) -> Result<Expr> {
    let mut expr = root;
    let mut rest = chain.into_iter().peekable();
    while let Some(access) = rest.next() {
        expr = match access {
            AccessExpr::Subscript(Subscript::Index { index }) => call("arrayElement", vec![expr, index]),
            AccessExpr::Dot(Expr::Value(value)) => call("arrayElement", vec![expr, Expr::Value(value)]),
            other => Expr::CompoundFieldAccess {
                root: Box::new(expr),
                access_chain: std::iter::once(other).chain(rest.by_ref()).collect(),
            },
        };
    }
    Ok(expr)
}
