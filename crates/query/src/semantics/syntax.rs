//! Expressions that ClickHouse writes or means differently, one arm each.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DateTimeField, Expr, Query, Select,
    SelectItem, Subscript, TrimWhereField, TypedString, UnaryOperator, Value, VisitorMut,
};
use zepto_common::{Error, ErrorCode, Result};

use super::{calls, null_last};
use crate::functions::rewrites::{call, flag, in_without_null, interval_parts, negated, text, truth};

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
                *expr = one_case(new);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
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
            let list = super::tuple_in::one_row(&expr, list);
            in_without_null(flag(*expr), list.into_iter().map(flag).collect(), negated)
        }
        Expr::Between { expr, negated, low, high } => {
            let [expr, low, high] = [expr, low, high].map(|side| Box::new(flag(*side)));
            Expr::Between { expr, negated, low, high }
        }
        Expr::InSubquery { expr, subquery, negated } => super::tuple_in::rewritten(expr, subquery, negated)?,
        Expr::Extract { field, expr, .. } => call(part(&field)?, vec![*expr]),
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
        Expr::Case { case_token, end_token, mut operand, mut conditions, else_result } => {
            if conditions.iter().any(|when| !is_value(&when.condition))
                && let Some(operand) = operand.take()
            {
                for when in &mut conditions {
                    let value = std::mem::replace(&mut when.condition, Expr::Value(Value::Null.into()));
                    when.condition = same(&operand, value);
                }
            }
            for when in &mut conditions {
                let condition = std::mem::replace(&mut when.condition, Expr::Value(Value::Null.into()));
                when.condition = if operand.is_some() { condition } else { truth(condition) };
                when.result =
                    typed(flag(std::mem::replace(&mut when.result, Expr::Value(Value::Null.into()))));
            }
            let else_result = else_result.map(|expr| Box::new(typed(flag(*expr))));
            Expr::Case { case_token, end_token, operand, conditions, else_result }
        }
        other => other,
    })
}

/// A chain of ELSE as one CASE: nested, each level would be planned twice.
fn one_case(expr: Expr) -> Expr {
    match expr {
        Expr::Case { case_token, end_token, operand: None, mut conditions, else_result: Some(rest) } => {
            let (more, else_result) = branches(rest);
            conditions.extend(more);
            Expr::Case { case_token, end_token, operand: None, conditions, else_result }
        }
        other => other,
    }
}

/// The branches of a CASE without operand, and its ELSE; anything else is the ELSE itself.
fn branches(expr: Box<Expr>) -> (Vec<CaseWhen>, Option<Box<Expr>>) {
    match *expr {
        Expr::Case { operand: None, conditions, else_result, .. } => (conditions, else_result),
        Expr::Nested(inner) if matches!(&*inner, Expr::Case { operand: None, .. }) => branches(inner),
        other => (Vec::new(), Some(Box::new(other))),
    }
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

/// The test of a CASE with an operand: NULL is the same as NULL.
fn same(operand: &Expr, value: Expr) -> Expr {
    let nested = |expr: Expr| Expr::Nested(Box::new(expr));
    let is_null = |expr: Expr| Expr::IsNull(Box::new(nested(expr)));
    if matches!(&value, Expr::Value(null) if null.value == Value::Null) {
        return is_null(operand.clone());
    }
    let both = |left: Expr, op: BinaryOperator, right: Expr| {
        nested(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) })
    };
    let equal = both(nested(operand.clone()), BinaryOperator::Eq, nested(value.clone()));
    let nulls = both(is_null(operand.clone()), BinaryOperator::And, is_null(value));
    both(equal, BinaryOperator::Or, nulls)
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
                calls::push_argument(&mut function, right);
                Expr::Function(function)
            }
            left => call("concat", vec![left, right]),
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

fn part(field: &DateTimeField) -> Result<&'static str> {
    Ok(match field.to_string().to_ascii_uppercase().trim_end_matches('S') {
        "YEAR" => "toYear",
        "QUARTER" => "toQuarter",
        "MONTH" => "toMonth",
        "WEEK" => "toISOWeek",
        "DAY" => "toDayOfMonth",
        "DOW" | "DAYOFWEEK" => "toDayOfWeek",
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
    })
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
