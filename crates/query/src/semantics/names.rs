//! Column names of expressions in ClickHouse's canonical form: `1 / 3` is `divide(1, 3)`.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, DuplicateTreatment, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, Ident, Interval, Select, SelectItem, UnaryOperator, Value,
    WindowFrameBound, WindowType,
};
use zepto_common::types::ColumnType;

use super::numbered::{Numbers, SUBQUERY};
use super::subcolumns;

/// Marks the names of columns that have been there before in the same select.
const MARK: char = '\u{1}';

/// A result column's name as clients see it.
#[must_use]
pub fn output_name(name: &str) -> &str {
    name.split(MARK).next().unwrap_or(name)
}

/// A result's schema as clients see it; None when no name is marked.
#[must_use]
pub fn output_schema(schema: &Schema) -> Option<SchemaRef> {
    if !schema.fields().iter().any(|field| field.name().contains(MARK)) {
        return None;
    }
    let plain = |field: &FieldRef| Arc::new(field.as_ref().clone().with_name(output_name(field.name())));
    Some(Arc::new(Schema::new(schema.fields().iter().map(plain).collect::<Vec<_>>())))
}

/// Gives each expression of a select's list its canonical name as an alias.
pub(super) fn name_columns(select: &mut Select) {
    let mut seen: HashSet<String> = HashSet::new();
    let mut numbers = Numbers::behind(&select.from);
    let tables = subcolumns::tables(select);
    for item in &mut select.projection {
        let numbered = numbers.of(item);
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let plain = match &*expr {
                    Expr::Identifier(name) => !super::syntax::is_float_word(&name.value),
                    other => matches!(other, Expr::CompoundIdentifier(_)),
                };
                let mut name = numbered.put_in(name_of(&subcolumns::shown(expr, tables.as_ref())));
                if let (Expr::CompoundIdentifier(parts), true) = (&*expr, seen.contains(&name)) {
                    name = joined(parts);
                }
                let fresh = seen.insert(name.clone());
                if plain && fresh && !name.contains('.') {
                    continue;
                }
                let alias = if fresh { name } else { marked(&name, &mut seen) };
                *item =
                    SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', alias) };
            }
            SelectItem::ExprWithAlias { alias, .. } if !seen.insert(alias.value.clone()) => {
                alias.value = marked(&alias.value, &mut seen);
            }
            _ => {}
        }
    }
}

fn marked(name: &str, seen: &mut HashSet<String>) -> String {
    let mut marked = name.to_owned();
    while !seen.insert(marked.clone()) {
        marked.push(MARK);
    }
    marked
}

fn joined(parts: &[Ident]) -> String {
    parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".")
}

fn list(name: &str, args: &[&Expr]) -> String {
    let args: Vec<String> = args.iter().map(|arg| name_of(arg)).collect();
    format!("{name}({})", args.join(", "))
}

fn operator(op: &BinaryOperator) -> Option<&'static str> {
    use BinaryOperator as B;
    Some(match op {
        B::Plus => "plus",
        B::Minus => "minus",
        B::Multiply => "multiply",
        B::Divide => "divide",
        B::Modulo => "modulo",
        B::StringConcat => "concat",
        B::Gt => "greater",
        B::Lt => "less",
        B::GtEq => "greaterOrEquals",
        B::LtEq => "lessOrEquals",
        B::Eq => "equals",
        B::NotEq => "notEquals",
        B::And => "and",
        B::Or => "or",
        B::Xor => "xor",
        B::Spaceship => "isNotDistinctFrom",
        B::DuckIntegerDivide | B::MyIntegerDivide => "intDiv",
        _ => return None,
    })
}

/// `a AND b AND c` is one call.
fn flattened<'a>(expr: &'a Expr, op: &BinaryOperator, out: &mut Vec<&'a Expr>) {
    match expr {
        Expr::BinaryOp { left, op: inner, right } if inner == op => {
            flattened(left, op, out);
            flattened(right, op, out);
        }
        Expr::Nested(inner) if matches!(&**inner, Expr::BinaryOp { op: inner, .. } if inner == op) => {
            flattened(inner, op, out);
        }
        other => out.push(other),
    }
}

fn binary_name(whole: &Expr, left: &Expr, op: &BinaryOperator, right: &Expr) -> String {
    match operator(op) {
        Some(name)
            if matches!(op, BinaryOperator::And | BinaryOperator::Or | BinaryOperator::StringConcat) =>
        {
            let mut parts = Vec::new();
            flattened(left, op, &mut parts);
            flattened(right, op, &mut parts);
            list(name, &parts)
        }
        Some(name) => list(name, &[left, right]),
        None => whole.to_string(),
    }
}

fn between_name(expr: &Expr, negated: bool, low: &Expr, high: &Expr) -> String {
    let (expr, low, high) = (name_of(expr), name_of(low), name_of(high));
    if negated {
        format!("or(less({expr}, {low}), greater({expr}, {high}))")
    } else {
        format!("and(greaterOrEquals({expr}, {low}), lessOrEquals({expr}, {high}))")
    }
}

/// The canonical name of an expression.
pub(crate) fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(parts) => parts.last().map_or_else(String::new, |part| part.value.clone()),
        Expr::Nested(inner) => name_of(inner),
        Expr::Value(value) => value_name(&value.value),
        Expr::BinaryOp { left, op, right } => binary_name(expr, left, op, right),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => match &**inner {
            Expr::Value(value) if matches!(value.value, Value::Number(..)) => format!("-{}", name_of(inner)),
            Expr::Identifier(name) if super::syntax::is_float_word(&name.value) => format!("-{}", name.value),
            other => list("negate", &[other]),
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => name_of(expr),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => list("not", &[expr]),
        Expr::IsNull(expr) => list("isNull", &[expr]),
        Expr::IsNotNull(expr) => list("isNotNull", &[expr]),
        Expr::Between { expr, negated, low, high } => between_name(expr, *negated, low, high),
        Expr::InList { expr, list, negated } => {
            let items: Vec<String> = list.iter().map(name_of).collect();
            let items = if items.len() == 1 { items.concat() } else { format!("({})", items.join(", ")) };
            format!("{}({}, {items})", if *negated { "notIn" } else { "in" }, name_of(expr))
        }
        Expr::InSubquery { expr, negated, .. } => {
            format!("{}({}, {SUBQUERY})", if *negated { "notIn" } else { "in" }, name_of(expr))
        }
        Expr::Exists { negated: true, .. } => "not(1)".to_owned(),
        Expr::Exists { .. } => "1".to_owned(),
        Expr::Subquery(_) => SUBQUERY.to_owned(),
        Expr::Like { negated, expr, pattern, .. } => {
            list(if *negated { "notLike" } else { "like" }, &[expr, pattern])
        }
        Expr::ILike { negated, expr, pattern, .. } => {
            list(if *negated { "notILike" } else { "ilike" }, &[expr, pattern])
        }
        Expr::Cast { expr, data_type, kind, .. } => {
            let name = data_type.to_string();
            let name = name.parse::<ColumnType>().map_or(name, |ty| ty.to_string());
            // `1::Int64` is read as a text, as ClickHouse does.
            match &**expr {
                Expr::Value(value)
                    if *kind == CastKind::DoubleColon && matches!(value.value, Value::Number(..)) =>
                {
                    format!("CAST('{value}', '{name}')")
                }
                other => format!("CAST({}, '{name}')", name_of(other)),
            }
        }
        Expr::TypedString(text) => {
            let function =
                if text.data_type.to_string().starts_with("DATE") { "toDate" } else { "toDateTime" };
            format!("{function}({})", value_name(&text.value.value))
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            let mut parts: Vec<&Expr> = operand.iter().map(AsRef::as_ref).collect();
            parts.extend(conditions.iter().flat_map(|when| [&when.condition, &when.result]));
            let name = if operand.is_some() { "caseWithExpression" } else { "multiIf" };
            let mut parts: Vec<String> = parts.into_iter().map(name_of).collect();
            parts.push(else_result.as_deref().map_or_else(|| "NULL".to_owned(), name_of));
            format!("{name}({})", parts.join(", "))
        }
        other => name_of_form(other),
    }
}

/// The canonical name of an expression that has a syntax of its own in SQL.
fn name_of_form(expr: &Expr) -> String {
    match expr {
        Expr::Interval(interval) => interval_name(interval),
        Expr::Tuple(items) => bracketed('(', items, ')'),
        Expr::Array(array) => array_name(&array.elem),
        Expr::Function(function) => function_name(function),
        Expr::Lambda(lambda) => {
            let params: Vec<&str> = lambda.params.iter().map(|param| param.name.value.as_str()).collect();
            format!("lambda(tuple({}), {})", params.join(", "), name_of(&lambda.body))
        }
        Expr::Extract { field, expr, .. } => match super::syntax::part(field) {
            Ok((name, Some(mode))) => format!("{name}({}, {mode})", name_of(expr)),
            Ok((name, None)) => list(name, &[expr]),
            Err(_) => expr.to_string(),
        },
        Expr::IsDistinctFrom(left, right) => list("isDistinctFrom", &[left, right]),
        Expr::IsNotDistinctFrom(left, right) => list("isNotDistinctFrom", &[left, right]),
        Expr::RLike { expr, pattern, .. } => list("match", &[expr, pattern]),
        Expr::Ceil { expr, field } => rounding("ceil", expr, field),
        Expr::Floor { expr, field } => rounding("floor", expr, field),
        Expr::Position { expr, r#in } => list("position", &[r#in, expr]),
        Expr::Substring { expr, substring_from, substring_for, shorthand, .. } => {
            let mut parts: Vec<&Expr> = vec![expr];
            parts.extend(substring_from.as_deref());
            parts.extend(substring_for.as_deref());
            list(if *shorthand { "substr" } else { "substring" }, &parts)
        }
        Expr::Trim { expr, trim_where, trim_what, trim_characters } => {
            let side = trim_where.map_or_else(|| "Both".to_owned(), |side| capital(&side.to_string()));
            let side = side.replace("Leading", "Left").replace("Trailing", "Right");
            let mut parts: Vec<&Expr> = vec![expr];
            parts.extend(trim_what.as_deref());
            parts.extend(trim_characters.iter().flatten());
            list(&format!("trim{side}"), &parts)
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            access_chain.iter().fold(name_of(root), |name, access| {
                format!("arrayElement({name}, {})", access.to_string().trim_matches(['[', ']', '.']))
            })
        }
        other => other.to_string(),
    }
}

fn rounding(name: &str, expr: &Expr, field: &CeilFloorKind) -> String {
    match field {
        CeilFloorKind::Scale(scale) => format!("{name}({}, {})", name_of(expr), value_name(&scale.value)),
        CeilFloorKind::DateTimeField(_) => format!("{name}({})", name_of(expr)),
    }
}

fn bracketed(open: char, items: &[Expr], close: char) -> String {
    let items: Vec<String> = items.iter().map(name_of).collect();
    format!("{open}{}{close}", items.join(", "))
}

/// Whole numbers beside floats are floats: `[1, 2.5]` is `[1., 2.5]`.
fn array_name(items: &[Expr]) -> String {
    let constant = |expr: &Expr| match expr {
        Expr::Value(value) => matches!(&value.value, Value::Number(..) | Value::Null),
        Expr::Identifier(name) => super::syntax::is_float_word(&name.value),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
            Expr::Value(value) => matches!(&value.value, Value::Number(..)),
            Expr::Identifier(name) => super::syntax::is_float_word(&name.value),
            _ => false,
        },
        _ => false,
    };
    let names: Vec<String> = items.iter().map(name_of).collect();
    let is_whole = |name: &String| name.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
    let is_float = |name: &String| !is_whole(name) && name != "NULL";
    match items.iter().all(constant) && names.iter().any(is_float) {
        true => {
            let float = |name: String| if is_whole(&name) { name + "." } else { name };
            format!("[{}]", names.into_iter().map(float).collect::<Vec<_>>().join(", "))
        }
        false => bracketed('[', items, ']'),
    }
}

fn capital(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    let mut chars = lower.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

fn interval_name(interval: &Interval) -> String {
    match crate::functions::interval_parts(interval) {
        Ok((count, unit)) => {
            format!("toInterval{}({})", capital(unit.trim_end_matches('s')), name_of(&count))
        }
        Err(_) => interval.to_string(),
    }
}

/// A number as ClickHouse writes it: floats without needless digits but with their point.
fn number_name(digits: &str) -> String {
    let float = digits.contains(['.', 'e', 'E']);
    match digits.parse::<f64>() {
        Ok(value) if float => {
            let mut text = String::new();
            let _ = crate::functions::write_float(&mut text, value);
            if text.contains(['.', 'e']) { text } else { text + "." }
        }
        // What no whole type holds is a float.
        Ok(value) if digits.parse::<u64>().is_err() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            number_name(&format!("{value:e}"))
        }
        _ => digits.replace('_', ""),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            other => out.push(other),
        }
    }
    out
}

fn value_name(value: &Value) -> String {
    match value {
        Value::Number(digits, _) => number_name(digits),
        Value::SingleQuotedString(text) => {
            format!("'{}'", escaped(text))
        }
        Value::Boolean(value) => value.to_string(),
        Value::Null => "NULL".to_owned(),
        other => other.to_string(),
    }
}

fn arguments(arguments: &FunctionArguments) -> Option<(bool, Vec<String>)> {
    let FunctionArguments::List(list) = arguments else { return None };
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let args = list.args.iter().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(name_of(expr)),
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => None,
        other => Some(other.to_string()),
    });
    Some((distinct, args.collect()))
}

/// Calls that ClickHouse writes otherwise: `tuple(1)` is `(1)`, `dateAdd(day, 1, t)` is `plus(t, toIntervalDay(1))`.
fn shaped(function: &Function, args: &[String]) -> Option<String> {
    if function.over.is_some() {
        return None;
    }
    match (function.name.to_string().to_ascii_lowercase().as_str(), args) {
        ("tuple", [_, ..]) => Some(format!("({})", args.join(", "))),
        ("array", _) => Some(format!("[{}]", args.join(", "))),
        ("ltrim", [_, ..]) => Some(format!("trimLeft({})", args.join(", "))),
        ("rtrim", [_, ..]) => Some(format!("trimRight({})", args.join(", "))),
        ("datediff" | "date_diff" | "timestampdiff" | "timestamp_diff", [unit, rest @ ..]) => {
            let unit = if unit.starts_with('\'') {
                unit.clone()
            } else {
                format!("'{}'", unit.to_ascii_lowercase())
            };
            Some(format!(
                "dateDiff({})",
                std::iter::once(unit).chain(rest.iter().cloned()).collect::<Vec<_>>().join(", ")
            ))
        }
        ("dateadd" | "date_add" | "timestampadd" | "timestamp_add", [time, interval]) => {
            Some(format!("plus({time}, {interval})"))
        }
        ("datesub" | "date_sub" | "timestampsub" | "timestamp_sub", [time, interval]) => {
            Some(format!("minus({time}, {interval})"))
        }
        ("dateadd" | "date_add" | "timestampadd" | "timestamp_add", [unit, count, time]) => {
            Some(format!("plus({time}, toInterval{}({count}))", capital(unit)))
        }
        ("datesub" | "date_sub" | "timestampsub" | "timestamp_sub", [unit, count, time]) => {
            Some(format!("minus({time}, toInterval{}({count}))", capital(unit)))
        }
        _ => None,
    }
}

fn function_name(function: &Function) -> String {
    // Once: whoever names arguments twice names what is nested deep for ever.
    let named = arguments(&function.args);
    if let Some(name) = named.as_ref().and_then(|(_, args)| shaped(function, args)) {
        return name;
    }
    let mut out = function.name.to_string().replace('"', "");
    let (distinct, mut args) = named.unwrap_or_default();
    if distinct {
        out.push_str("Distinct");
    }
    // `sum(x) FILTER (WHERE c)` is `sumIf(x, c)`.
    if let Some(filter) = &function.filter {
        out.push_str("If");
        args.push(name_of(filter));
    }
    if let Some((_, parameters)) = arguments(&function.parameters) {
        let _ = write!(out, "({})", parameters.join(", "));
    }
    let _ = write!(out, "({})", args.join(", "));
    match &function.over {
        Some(WindowType::NamedWindow(name)) => {
            let _ = write!(out, " OVER {name}");
        }
        Some(WindowType::WindowSpec(spec)) => {
            let mut spec = spec.clone();
            for order in &mut spec.order_by {
                order.options.asc = order.options.asc.or(Some(true));
            }
            if let Some(frame) = &mut spec.window_frame {
                frame.end_bound = frame.end_bound.take().or(Some(WindowFrameBound::CurrentRow));
            }
            let _ = write!(out, " OVER ({spec})");
        }
        None => {}
    }
    out
}
