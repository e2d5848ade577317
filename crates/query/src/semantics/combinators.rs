//! Combinators behind the names of aggregates: `sumIf`, `avgOrNull`, `countDistinct`.

use sqlparser::ast::{DuplicateTreatment, Expr, Function, Ident, ObjectName, Value};
use zepto_common::{Error, ErrorCode, Result};

use super::calls::{expressions, list, rewritten, set_expressions};
use crate::functions::rewrites::{self, call, truth};
use crate::functions::{self, Plan, parameters as parameters_of};

/// Combinators that are understood.
const KNOWN: [&str; 4] = ["If", "Distinct", "OrNull", "OrDefault"];

/// Combinators whose results or arguments nothing here can hold, or that nothing here computes.
const REFUSED: [&str; 8] =
    ["SimpleState", "State", "MergeState", "Merge", "ForEach", "Resample", "ArgMin", "ArgMax"];

/// Aggregates that have another answer than the zero value for no values.
const NOT_ZERO: [&str; 9] =
    ["avg", "mean", "stddev", "var", "cov", "corr", "quantile", "median", "groupbitand"];

/// Aggregates whose type does not come from their argument's being Nullable.
const NEVER_NULL: [&str; 3] = ["count", "uniq", "deltasum"];

fn stem_of<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(suffix.len()).filter(|at| *at > 0)?;
    name.get(at..)?.eq_ignore_ascii_case(suffix).then(|| &name[..at])
}

/// Whether it is an aggregate, with combinators or without.
fn is_aggregate(name: &str) -> bool {
    let row = functions::find(name);
    // The values at the ends of a frame are aggregates where there is no frame.
    row.is_some_and(|row| {
        matches!(row.plan(), Plan::Aggregate(_) | Plan::AggregateSql(_))
            || matches!(row.name(), "first_value" | "last_value")
    }) || KNOWN.iter().filter_map(|suffix| stem_of(name, suffix)).any(is_aggregate)
}

/// A name that is a row's with a combinator after it; other names are DataFusion's.
pub(super) fn combined(mut function: Function, name: &str, parameters: usize) -> Result<Expr> {
    let stem = |suffix: &str| stem_of(name, suffix).filter(|stem| is_aggregate(stem));
    if let Some(stem) = stem("If") {
        return with_condition(function, name, stem, parameters);
    }
    if let Some(stem) = stem("Distinct") {
        if let Some(list) = list(&mut function.args) {
            list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
        }
        return by_name(function, stem);
    }
    if let Some(stem) = stem("OrNull") {
        let mut args = expressions(&function);
        let lower = stem.to_ascii_lowercase();
        if NEVER_NULL.iter().any(|known| lower.starts_with(known)) && stem_of(stem, "If").is_none() {
            args.truncate(args.len() - parameters.min(args.len()));
            args.truncate(1);
            let mut counted = function.clone();
            set_expressions(&mut counted, args);
            return Ok(call("__or_null", vec![by_name(function, stem)?, by_name(counted, "count")?]));
        }
        // What stands in `countIf` is the condition.
        if let Some(first) = args.first_mut().filter(|_| !lower.starts_with("count")) {
            let value = std::mem::replace(first, Expr::Value(Value::Null.into()));
            *first = call("toNullable", vec![super::syntax::typed(value)]);
        }
        set_expressions(&mut function, args);
        return by_name(function, stem);
    }
    if let Some(stem) = stem("OrDefault") {
        let lower = stem.to_ascii_lowercase();
        if !NOT_ZERO.iter().any(|known| lower.starts_with(known)) {
            return by_name(function, stem);
        }
        let mut counted = function.clone();
        let mut args = expressions(&function);
        args.truncate(args.len() - parameters.min(args.len()));
        // The condition of `avgIfOrDefault` stays the last argument.
        let kept = if stem_of(stem, "If").is_some() { args.len().saturating_sub(1) } else { args.len() };
        args.drain(1.min(kept)..kept);
        set_expressions(&mut counted, args);
        let count = if stem_of(stem, "If").is_some() { "countIf" } else { "count" };
        return Ok(call("__or_default", vec![by_name(function, stem)?, by_name(counted, count)?]));
    }
    if let Some((suffix, _)) = REFUSED.iter().find_map(|suffix| stem(suffix).map(|stem| (suffix, stem))) {
        let message = format!("Aggregate function combinator {suffix} of {name} is not supported");
        return Err(Error::new(ErrorCode::NotImplemented, message));
    }
    Ok(Expr::Function(function))
}

fn by_name(mut function: Function, name: &str) -> Result<Expr> {
    function.name = ObjectName::from(vec![Ident::new(name)]);
    rewritten(function)
}

fn with_condition(mut function: Function, name: &str, stem: &str, parameters: usize) -> Result<Expr> {
    let mut args = expressions(&function);
    // Parameters were put after the arguments; the condition is the last that was an argument.
    let at = args.len().checked_sub(1 + parameters);
    let Some(at) = at else {
        let message = format!("Function {name} needs a condition");
        return Err(Error::new(ErrorCode::NumberOfArgumentsDoesntMatch, message));
    };
    let condition = truth(args.remove(at));
    set_expressions(&mut function, args);
    function.filter = Some(Box::new(match function.filter.take() {
        Some(filter) => rewrites::all_of(vec![*filter, condition])?,
        None => condition,
    }));
    by_name(function, if parameters > 0 { parameters_of::with_parameters(stem) } else { stem })
}
