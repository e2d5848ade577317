//! Functions that are another expression: templates in SQL and the few that need more than a template.

use std::collections::HashMap;
use std::ops::ControlFlow;

use parking_lot::Mutex;
use sqlparser::ast::{
    BinaryOperator, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, Interval, ObjectName, UnaryOperator, Value, VisitMut, VisitorMut,
};
use sqlparser::dialect::ClickHouseDialect;
use sqlparser::parser::Parser;
use zepto_common::{Error, ErrorCode, Result};

/// A call of a registered function; the name is kept as it is.
pub(crate) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_quote('"', name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// A call by a name that is still to be looked up.
pub(crate) fn plain_call(name: &str, args: Vec<Expr>) -> Expr {
    match call(name, args) {
        Expr::Function(mut function) => {
            function.name = ObjectName::from(vec![Ident::new(name)]);
            Expr::Function(function)
        }
        other => other,
    }
}

/// A text constant.
pub(crate) fn text(value: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.into()).into())
}

/// A number constant.
pub(crate) fn number(value: impl ToString) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).into())
}

static TEMPLATES: Mutex<Option<HashMap<&'static str, Expr>>> = Mutex::new(None);

/// The template as an expression, with the arguments in the places of `$1`, `$2` …
///
/// # Errors
/// An argument is missing.
pub(crate) fn parse_template(name: &str, template: &'static str, args: &[Expr]) -> Result<Expr> {
    let known = TEMPLATES.lock().get_or_insert_with(HashMap::new).get(template).cloned();
    let mut expr = match known {
        Some(expr) => expr,
        None => {
            // Not under the lock: a template may be made of others.
            let mut expr = Parser::new(&ClickHouseDialect {})
                .try_with_sql(template)
                .and_then(|mut parser| parser.parse_expr())
                .map_err(|error| Error::internal(format!("template of {name}: {error}")))?;
            crate::semantics::rewrite_functions(&mut expr)?;
            TEMPLATES.lock().get_or_insert_with(HashMap::new).insert(template, expr.clone());
            expr
        }
    };
    let mut filler = Filler { args, most: 0 };
    let _ = VisitMut::visit(&mut expr, &mut filler);
    if filler.most > args.len() || (filler.most < args.len()) {
        let message = format!(
            "Number of arguments for function {name} doesn't match: passed {}, should be {}",
            args.len(),
            filler.most
        );
        return Err(Error::new(ErrorCode::NumberOfArgumentsDoesntMatch, message));
    }
    Ok(expr)
}

struct Filler<'a> {
    args: &'a [Expr],
    most: usize,
}

impl VisitorMut for Filler<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
            && let Some(at) = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok())
        {
            self.most = self.most.max(at);
            if let Some(arg) = self.args.get(at.wrapping_sub(1)) {
                *expr = Expr::Nested(Box::new(arg.clone()));
            }
        }
        ControlFlow::Continue(())
    }
}

fn count(name: &str, args: &[Expr], least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&args.len()) {
        return Ok(());
    }
    let message = format!("Number of arguments for function {name} doesn't match: passed {}", args.len());
    Err(Error::new(ErrorCode::NumberOfArgumentsDoesntMatch, message))
}

/// `date_bin(width, ts[, origin])`.
pub(crate) fn bin(mut args: Vec<Expr>) -> Result<Expr> {
    count("date_bin", &args, 2, 3)?;
    args.swap(0, 1);
    Ok(call("__date_bin", args))
}

/// `date_trunc(unit, ts[, zone])`.
pub(crate) fn truncate(mut args: Vec<Expr>) -> Result<Expr> {
    count("date_trunc", &args, 2, 3)?;
    args.swap(0, 1);
    Ok(call("__date_trunc", args))
}

/// DataFusion's clock: one moment per statement.
fn clock() -> Expr {
    call("current_timestamp", vec![])
}

/// `now([zone])`.
pub(crate) fn now(args: Vec<Expr>) -> Result<Expr> {
    count("now", &args, 0, 1)?;
    Ok(call("toDateTime", std::iter::once(in_utc(clock())).chain(args).collect()))
}

/// `fromUnixTimestamp(n[, format[, zone]])`.
pub(crate) fn from_unix_timestamp(mut args: Vec<Expr>) -> Result<Expr> {
    count("fromUnixTimestamp", &args, 1, 3)?;
    let rest = args.split_off(1);
    let moment = call("__from_unix", args);
    match rest.is_empty() {
        true => Ok(moment),
        false => Ok(call("formatDateTime", std::iter::once(moment).chain(rest).collect())),
    }
}

/// The clock's zone is written `+00:00`; ours has no name.
fn in_utc(expr: Expr) -> Expr {
    call("fromUnixTimestamp64Nano", vec![call("toUnixTimestamp64Nano", vec![expr])])
}

/// `now64([digits[, zone]])`.
pub(crate) fn now64(mut args: Vec<Expr>) -> Result<Expr> {
    count("now64", &args, 0, 2)?;
    if args.is_empty() {
        args.push(number(3));
    }
    Ok(call("toDateTime64", std::iter::once(in_utc(clock())).chain(args).collect()))
}

/// A condition of any type as a Boolean; what is one by its syntax is left alone.
pub(crate) fn truth(expr: Expr) -> Expr {
    match expr {
        Expr::Nested(inner) => Expr::Nested(Box::new(truth(*inner))),
        test if is_condition(&test) => test,
        value => call("__truth", vec![value]),
    }
}

/// A condition as the number that ClickHouse has for it, where it stands beside other values.
pub(crate) fn flag(expr: Expr) -> Expr {
    let bare = match &expr {
        Expr::Nested(inner) => inner.as_ref(),
        other => other,
    };
    let test = match bare {
        Expr::Value(_) => false,
        Expr::Function(function) => {
            let name = function.name.to_string();
            super::find(name.trim_matches('"')).is_some_and(|row| row.is_test())
        }
        other => is_condition(other),
    };
    if test { call("toUInt8", vec![expr]) } else { expr }
}

fn is_condition(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryOp { op, .. } => is_test(op),
        Expr::UnaryOp { op, .. } => *op == UnaryOperator::Not,
        Expr::Value(value) => matches!(value.value, Value::Boolean(_)),
        Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::IsTrue(_) | Expr::IsNotTrue(_) | Expr::IsFalse(_) => {
            true
        }
        Expr::IsNotFalse(_) | Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => true,
        Expr::InList { .. } | Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::Between { .. } => true,
        Expr::Like { .. } | Expr::ILike { .. } | Expr::SimilarTo { .. } | Expr::RLike { .. } => true,
        Expr::AnyOp { .. } | Expr::AllOp { .. } => true,
        _ => false,
    }
}

fn is_test(op: &BinaryOperator) -> bool {
    use BinaryOperator as B;
    matches!(op, B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq | B::And | B::Or)
}

/// `if(condition, then, else)`.
pub(crate) fn choice(args: Vec<Expr>) -> Result<Expr> {
    count("if", &args, 3, 3)?;
    multi_if(args)
}

/// `multiIf(condition, then, …, else)`.
pub(crate) fn multi_if(args: Vec<Expr>) -> Result<Expr> {
    if args.len() < 3 || args.len().is_multiple_of(2) {
        return count("multiIf", &args, usize::MAX, usize::MAX).map(|()| number(0));
    }
    let last = args.len() - 1;
    let side = |(at, arg): (usize, Expr)| if at < last && at % 2 == 0 { truth(arg) } else { flag(arg) };
    Ok(cases(args.into_iter().enumerate().map(side).collect()))
}

/// The name of the function that stands for CASE until the plan is there: unlike DataFusion's CASE, it has the type of all
/// its values from the start.
pub(crate) const CASES: &str = "__case";

/// CASE from conditions, each with its value behind it, and the ELSE. A CASE in ELSE is a part of it: nested, each level
/// would be planned twice.
pub(crate) fn cases(mut args: Vec<Expr>) -> Expr {
    let bare = |expr: Expr| match expr {
        Expr::Nested(inner) => *inner,
        other => other,
    };
    match args.pop() {
        Some(Expr::Function(rest)) if is_cases(&rest) => args.extend(items(rest)),
        Some(Expr::Nested(inner)) if matches!(&*inner, Expr::Function(rest) if is_cases(rest)) => {
            if let Expr::Function(rest) = bare(*inner) {
                args.extend(items(rest));
            }
        }
        last => args.extend(last),
    }
    call(CASES, args)
}

fn is_cases(function: &Function) -> bool {
    function.name.to_string().trim_matches('"') == CASES
}

fn chain(args: Vec<Expr>, op: BinaryOperator) -> Result<Expr> {
    count("and", &args, 2, usize::MAX)?;
    let mut args = args.into_iter().map(truth);
    let first = args.next().unwrap_or_else(|| number(1));
    let joined = args.fold(first, |left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    });
    Ok(Expr::Nested(Box::new(joined)))
}

/// `and(a, b, …)`.
pub(crate) fn all_of(args: Vec<Expr>) -> Result<Expr> {
    chain(args, BinaryOperator::And)
}

/// `or(a, b, …)`.
pub(crate) fn one_of(args: Vec<Expr>) -> Result<Expr> {
    chain(args, BinaryOperator::Or)
}

fn items(function: Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = function.args else { return Vec::new() };
    let exprs = list.args.into_iter().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    exprs.collect()
}

/// `expr IN (list)`. A NULL among the constants is passed over, as ClickHouse does.
pub(crate) fn in_without_null(expr: Expr, list: Vec<Expr>, negated: bool) -> Expr {
    let is_null = |item: &Expr| matches!(item, Expr::Value(value) if value.value == Value::Null);
    if !list.is_empty() && list.iter().all(is_null) {
        // Nothing is in it, and of NULL it is not known.
        return call("__beside", vec![expr, crate::semantics::typed(number(u8::from(negated)))]);
    }
    let list = list.into_iter().filter(|item| !is_null(item)).collect();
    Expr::InList { expr: Box::new(expr), list, negated }
}

fn membership(mut args: Vec<Expr>, negated: bool) -> Result<Expr> {
    count("in", &args, 2, 2)?;
    let (list, expr) = (args.pop(), args.pop());
    let list = match list {
        Some(Expr::Tuple(list)) => list,
        // Tuples were made calls before their parents were looked at.
        Some(Expr::Function(function)) if function.name.to_string() == "\"tuple\"" => items(function),
        Some(Expr::Nested(inner)) => vec![*inner],
        Some(other) => vec![other],
        None => vec![],
    };
    Ok(in_without_null(expr.unwrap_or_else(|| number(0)), list, negated))
}

/// `in(x, (a, b))`.
pub(crate) fn in_list(args: Vec<Expr>) -> Result<Expr> {
    membership(args, false)
}

/// `notIn(x, (a, b))`.
pub(crate) fn not_in_list(args: Vec<Expr>) -> Result<Expr> {
    membership(args, true)
}

/// The count and unit of an interval: `INTERVAL 5 MINUTE`, `INTERVAL '5 minutes'`, `INTERVAL '5' MINUTE`.
///
/// # Errors
/// An interval of several units.
pub(crate) fn interval_parts(interval: &Interval) -> Result<(Expr, String)> {
    let unsupported = || Error::new(ErrorCode::SyntaxError, format!("Cannot understand {interval}"));
    let value = match &*interval.value {
        Expr::Nested(inner) => (**inner).clone(),
        other => other.clone(),
    };
    let spoken = match &value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    match (&interval.leading_field, spoken) {
        (Some(unit), Some(text)) => Ok((number(text.trim()), unit_name(unit))),
        (Some(unit), None) => Ok((value, unit_name(unit))),
        (None, Some(text)) => {
            let (count, unit) = text.trim().split_once(' ').ok_or_else(unsupported)?;
            if unit.trim().contains(' ') || count.parse::<i64>().is_err() {
                return Err(unsupported());
            }
            Ok((number(count), unit.trim().to_ascii_lowercase()))
        }
        (None, None) => Err(unsupported()),
    }
}

fn unit_name(unit: &DateTimeField) -> String {
    unit.to_string().to_ascii_lowercase()
}

/// An interval as a text like `5 minute`, for functions that take a width.
pub(crate) fn interval_text(interval: &Interval) -> Result<Expr> {
    let (count, unit) = interval_parts(interval)?;
    Ok(text(format!("{count} {unit}")))
}

/// `toIntervalMinute(5)` and its like.
pub(crate) fn interval_call(name: &str, args: &[Expr]) -> Option<Expr> {
    let lower = name.to_ascii_lowercase();
    let unit = lower.strip_prefix("tointerval").filter(|unit| !unit.is_empty())?;
    let field = match unit {
        "second" => DateTimeField::Second,
        "minute" => DateTimeField::Minute,
        "hour" => DateTimeField::Hour,
        "day" => DateTimeField::Day,
        "week" => DateTimeField::Week(None),
        "month" => DateTimeField::Month,
        "quarter" => DateTimeField::Quarter,
        "year" => DateTimeField::Year,
        "millisecond" => DateTimeField::Millisecond,
        "microsecond" => DateTimeField::Microsecond,
        "nanosecond" => DateTimeField::Nanosecond,
        _ => return None,
    };
    Some(Expr::Interval(Interval {
        value: Box::new(args.first()?.clone()),
        leading_field: Some(field),
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    }))
}

/// `addDays(ts, n)`, `subtractMonths(ts, n)` and their like.
pub(crate) fn shift_call(name: &str, args: &[Expr]) -> Option<Expr> {
    let lower = name.to_ascii_lowercase();
    let (unit, back) = match (lower.strip_prefix("add"), lower.strip_prefix("subtract")) {
        (Some(unit), _) => (unit, false),
        (_, Some(unit)) => (unit, true),
        _ => return None,
    };
    super::bucket::Width::of_word(unit, 1).filter(|_| unit.ends_with('s') && args.len() == 2)?;
    // The least number of a type has no negative one in it.
    let unit = if back { format!("-{unit}") } else { unit.to_owned() };
    Some(call("__add_interval", vec![args[0].clone(), args[1].clone(), text(unit)]))
}

/// `dateDiff(day, a, b)`: the unit may be a bare word.
pub(crate) fn date_difference(mut args: Vec<Expr>) -> Result<Expr> {
    count("dateDiff", &args, 3, 4)?;
    if let Some(Expr::Identifier(unit)) = args.first() {
        args[0] = text(unit.value.to_ascii_lowercase());
    }
    Ok(call("__date_diff", args))
}

/// `dateAdd(day, 1, ts)`, `date_sub(ts, INTERVAL 1 DAY)` and their other names; None for other functions.
///
/// # Errors
/// An unknown unit.
pub(crate) fn date_add(name: &str, args: &[Expr]) -> Result<Option<Expr>> {
    let back = match name.to_ascii_lowercase().as_str() {
        "dateadd" | "date_add" | "timestampadd" | "timestamp_add" => false,
        "datesub" | "date_sub" | "timestampsub" | "timestamp_sub" => true,
        _ => return Ok(None),
    };
    let (time, count, unit) = match args {
        [time, Expr::Interval(interval)] | [Expr::Interval(interval), time] => {
            let (count, unit) = interval_parts(interval)?;
            (time, count, unit)
        }
        [unit, count, time] => {
            (time, count.clone(), unit.to_string().trim_matches(['\'', '"', '`']).to_ascii_lowercase())
        }
        _ => {
            let message = format!("Function {name} takes a unit, a number and a time");
            return Err(Error::new(ErrorCode::NumberOfArgumentsDoesntMatch, message));
        }
    };
    if super::bucket::Width::of_word(&unit, 1).is_none() {
        return Err(Error::new(ErrorCode::SyntaxError, format!("Unknown unit of time {unit}")));
    }
    let count = if back { negated(count) } else { count };
    Ok(Some(call("__add_interval", vec![time.clone(), count, text(unit)])))
}

/// `-x` of anything but a number constant.
pub(crate) fn negated(expr: Expr) -> Expr {
    match &expr {
        Expr::Nested(inner) if is_number(inner) => call("negate", vec![crate::semantics::typed(expr)]),
        Expr::Value(value) if matches!(value.value, Value::Number(..)) => {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(expr) }
        }
        _ => call("negate", vec![expr]),
    }
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => is_number(expr),
        _ => false,
    }
}
