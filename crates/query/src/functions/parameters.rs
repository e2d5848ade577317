//! Parameters of aggregates: `quantile(0.9)(x)`.

use sqlparser::ast::{Expr, Value};
use zepto_common::{Error, ErrorCode, Result};

/// The name of a function when it has parameters: `groupArray(2)(x)` is another than `groupArray(x)`.
pub(crate) fn with_parameters(name: &str) -> &str {
    match name.to_ascii_lowercase().as_str() {
        "grouparray" => "__group_array_of",
        "groupuniqarray" => "__group_uniq_array_of",
        "groupconcat" => "__group_concat_by",
        "topk" => "__top_k_of",
        "uniqupto" => "__uniq_up_to_of",
        "topkweighted" => "__top_k_weighted_of",
        _ => name,
    }
}

/// Aggregates whose first parameter is how many values they give.
const OF_A_COUNT: [&str; 9] = [
    "grouparray",
    "groupuniqarray",
    "grouparraylast",
    "grouparraysorted",
    "grouparraysample",
    "grouparraymovingsum",
    "grouparraymovingavg",
    "topk",
    "topkweighted",
];

/// Beginnings of the other aggregates' names that have parameters.
const WITH_PARAMETERS: [&str; 9] = [
    "quantile",
    "median",
    "percentile",
    "groupconcat",
    "group_concat",
    "uniq",
    "exponential",
    "lttb",
    "largesttriangle",
];

/// Refuses parameters that an aggregate does not have, and counts below 1.
///
/// # Errors
/// `AggregateFunctionDoesntAllowParameters`, `BadArguments`, `ArgumentOutOfBound`.
pub(crate) fn check_parameters(name: &str, parameters: &[Expr]) -> Result<()> {
    let lower = name.to_ascii_lowercase();
    let stem = lower.strip_suffix("if").unwrap_or(&lower);
    let of_a_count = OF_A_COUNT.contains(&stem);
    if !of_a_count
        && super::find(&lower).is_some()
        && !WITH_PARAMETERS.iter().any(|known| lower.starts_with(known))
    {
        let message = format!("Aggregate function {name} cannot have parameters");
        return Err(Error::new(ErrorCode::AggregateFunctionDoesntAllowParameters, message));
    }
    let count = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<u64>().ok(),
            _ => None,
        },
        _ => None,
    };
    match parameters.first() {
        Some(first) if of_a_count && count(first).is_none_or(|count| count == 0) => {
            let code = if stem.starts_with("topk") {
                ErrorCode::ArgumentOutOfBound
            } else {
                ErrorCode::BadArguments
            };
            let message = format!("Parameter for aggregate function {name} should be a positive number");
            Err(Error::new(code, message))
        }
        _ => Ok(()),
    }
}
