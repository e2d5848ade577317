//! The one place where DataFusion's errors become ClickHouse's.

use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};
use zepto_common::error::{Error, ErrorCode};

/// Our error inside DataFusion's, so that its code survives the way through a plan.
pub(crate) fn external(error: impl Into<Error>) -> DataFusionError {
    DataFusionError::External(Box::new(error.into()))
}

/// What a DataFusion error means to a client.
pub(crate) fn from_datafusion(error: DataFusionError) -> Error {
    translate(&error)
}

fn translate(error: &DataFusionError) -> Error {
    use DataFusionError as E;
    match error {
        E::External(inner) => match inner.downcast_ref::<Error>() {
            Some(error) => error.clone(),
            None => match inner.downcast_ref::<DataFusionError>() {
                Some(error) => translate(error),
                None => of_text(&inner.to_string(), ErrorCode::LogicalError),
            },
        },
        E::Context(_, inner) | E::Diagnostic(_, inner) => translate(inner),
        E::Shared(inner) => translate(inner),
        E::Collection(all) => match all.first() {
            Some(first) => translate(first),
            None => Error::internal("an empty list of errors"),
        },
        E::ArrowError(inner, _) => of_arrow(inner),
        E::SQL(inner, _) => Error::new(ErrorCode::SyntaxError, format!("Syntax error: {inner}")),
        E::SchemaError(inner, _) => of_schema(inner),
        E::NotImplemented(text) => Error::new(ErrorCode::NotImplemented, text.clone()),
        E::ResourcesExhausted(text) => {
            Error::new(ErrorCode::MemoryLimitExceeded, format!("Memory limit exceeded: {}", first_line(text)))
        }
        E::Plan(text) => of_text(text, ErrorCode::BadArguments),
        E::Execution(text) => of_text(text, ErrorCode::BadArguments),
        E::Configuration(text) => Error::new(ErrorCode::UnknownSetting, text.clone()),
        E::IoError(inner) => Error::new(ErrorCode::CannotReadAllData, inner.to_string()),
        E::Internal(text) => of_text(text, ErrorCode::LogicalError),
        other => of_text(&other.to_string(), ErrorCode::LogicalError),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn of_schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names: Vec<String> = valid_fields.iter().take(10).map(|f| f.flat_name()).collect();
            let hint = if names.is_empty() {
                String::new()
            } else {
                format!(". Columns here: {}", names.join(", "))
            };
            let name = field.flat_name();
            let message = format!("Unknown expression or function identifier `{name}`{hint}");
            Error::new(ErrorCode::UnknownIdentifier, message)
        }
        SchemaError::AmbiguousReference { field } => {
            let message = format!("JOIN: ambiguous identifier '{}'", field.flat_name());
            Error::new(ErrorCode::AmbiguousIdentifier, message)
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::new(ErrorCode::DuplicateColumn, format!("Column {name} is named twice"))
        }
    }
}

fn of_arrow(error: &ArrowError) -> Error {
    let code = match error {
        ArrowError::DivideByZero => ErrorCode::IllegalDivision,
        ArrowError::ArithmeticOverflow(text) | ArrowError::CastError(text) if is_time_overflow(text) => {
            return time_out_of_range();
        }
        ArrowError::ArithmeticOverflow(_) => ErrorCode::Decimals,
        // Texts beside dates, times and numbers; conversions that are asked for have their own faults.
        ArrowError::CastError(text) if text.contains("to value of Date32") => ErrorCode::CannotParseDate,
        ArrowError::ParseError(text) if text.contains("parsing timestamp") => ErrorCode::CannotParseDateTime,
        ArrowError::CastError(text) if text.contains("Float") => ErrorCode::CannotParseNumber,
        ArrowError::CastError(text) if text.starts_with("Cannot cast string") => ErrorCode::TypeMismatch,
        ArrowError::CastError(_) | ArrowError::ParseError(_) => ErrorCode::CannotParseText,
        ArrowError::NotYetImplemented(_) => ErrorCode::NotImplemented,
        ArrowError::MemoryError(_) => ErrorCode::MemoryLimitExceeded,
        ArrowError::ExternalError(inner) => {
            return match (inner.downcast_ref::<Error>(), inner.downcast_ref::<DataFusionError>()) {
                (Some(error), _) => error.clone(),
                (None, Some(error)) => translate(error),
                (None, None) => of_text(&inner.to_string(), ErrorCode::LogicalError),
            };
        }
        ArrowError::InvalidArgumentError(text) | ArrowError::ComputeError(text) => {
            return of_text(text, ErrorCode::BadArguments);
        }
        _ => ErrorCode::LogicalError,
    };
    Error::new(code, error.to_string())
}

/// What the planner's texts have in them, and their codes; the first that fits counts.
const KNOWN: [(&[&str], ErrorCode); 18] = [
    (&["Scalar subquery returned more than one row"], ErrorCode::IncorrectResultOfScalarSubquery),
    (&["The subquery should only return"], ErrorCode::NumberOfColumnsDoesntMatch),
    (&["names given as column alias"], ErrorCode::NumberOfColumnsDoesntMatch),
    (&["different number of columns"], ErrorCode::UnionAllResultStructuresMismatch),
    (&["Expected LIMIT", "Expected OFFSET", "LIMIT must", "OFFSET must"], ErrorCode::InvalidLimitExpression),
    (&["unnest", "lambda defined", "isn't a common type to coerce"], ErrorCode::IllegalTypeOfArgument),
    (
        &[
            "must be in GROUP BY",
            "must appear in the GROUP BY",
            "could not be resolved from available columns",
        ],
        ErrorCode::NotAnAggregate,
    ),
    (&["failed to resolve schema"], ErrorCode::UnknownDatabase),
    (&["Overflow happened", "overflow"], ErrorCode::Decimals),
    (&["Divide by zero"], ErrorCode::IllegalDivision),
    (
        &["function arguments", "number of arguments", "expects exactly", "expected exactly", "wrong number"],
        ErrorCode::NumberOfArgumentsDoesntMatch,
    ),
    (
        &[
            "Failed to coerce arguments",
            "No function matches",
            "does not support",
            "Unsupported arg",
            "Function '",
        ],
        ErrorCode::IllegalTypeOfArgument,
    ),
    (
        &[
            "Cannot infer common argument type",
            "Cannot coerce",
            "cannot be coerced",
            "annot automatically convert",
            "Cannot cast",
            "Unsupported CAST",
            "incompatible",
        ],
        ErrorCode::TypeMismatch,
    ),
    (
        &["Aggregate functions are not allowed", "aggregate functions can not be nested", "nested"],
        ErrorCode::IllegalAggregation,
    ),
    (&["Cast error", "Parser error"], ErrorCode::CannotParseText),
    (&["regex parse error"], ErrorCode::CannotCompileRegexp),
    (&["not supported", "Unsupported", "not implemented", "not yet"], ErrorCode::NotImplemented),
    (&["Failed to allocate", "Resources exhausted"], ErrorCode::MemoryLimitExceeded),
];

/// A time that 64 bits of its type's ticks cannot hold.
pub(crate) fn time_out_of_range() -> Error {
    let message = "A time is outside the range of its type: DateTime64(9) is from 1677-09-21 to 2262-04-11";
    Error::new(ErrorCode::ValueIsOutOfRange, message)
}

/// Whether a text of Arrow's or DataFusion's tells of such a time: conversions to finer ticks multiply.
fn is_time_overflow(text: &str) -> bool {
    let finer = || {
        let factor = text.rsplit_once(" * ").map_or("", |(_, factor)| factor.trim());
        text.contains("Overflow happened on:") && matches!(factor, "1000" | "1000000" | "1000000000")
    };
    text.contains("Overflow converting") && text.contains("represented as nanoseconds")
        || text.contains("Timestamp(") && text.contains("exceeds the representable i64 range")
        || finer()
}

/// DataFusion has one variant for all faults of planning; the text tells them apart.
fn of_text(text: &str, otherwise: ErrorCode) -> Error {
    let text = text.strip_prefix("Error during planning: ").unwrap_or(text);
    if is_time_overflow(text) {
        return time_out_of_range();
    }
    if let Some(table) = unknown_table(text) {
        let message = format!("Unknown table expression identifier '{table}'");
        return Error::new(ErrorCode::UnknownTable, message);
    }
    if let Some(function) = unknown_function(text) {
        let message = format!("Function with name `{function}` does not exist");
        return Error::new(ErrorCode::UnknownFunction, message);
    }
    let code = KNOWN
        .iter()
        .find(|(needles, _)| needles.iter().any(|needle| text.contains(needle)))
        .map_or(otherwise, |(_, code)| *code);
    Error::new(code, text.to_owned())
}

/// `table 'zepto.db.name' not found` gives `db.name`.
fn unknown_table(text: &str) -> Option<&str> {
    let name = text.strip_prefix("table '")?.strip_suffix("' not found")?;
    Some(name.strip_prefix(crate::session::CATALOG).map_or(name, |rest| rest.trim_start_matches('.')))
}

/// `Invalid function 'f'.` and `table function 'f' not found` give `f`.
fn unknown_function(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("Invalid function '").or_else(|| text.strip_prefix("table function '"))?;
    rest.split('\'').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_ours_survives_the_way_through_a_plan() {
        let inner = external(Error::new(ErrorCode::TimeoutExceeded, "late"));
        let wrapped = DataFusionError::Context("while sorting".to_owned(), Box::new(inner));
        assert_eq!(from_datafusion(wrapped).code, ErrorCode::TimeoutExceeded);
    }

    #[test]
    fn texts_of_the_planner_have_codes() {
        let code = |text: &str| from_datafusion(DataFusionError::Plan(text.to_owned())).code;
        assert_eq!(code("table 'zepto.default.t' not found"), ErrorCode::UnknownTable);
        assert_eq!(code("Invalid function 'nope'.\nDid you mean 'x'?"), ErrorCode::UnknownFunction);
        let beyond = "Overflow converting 2300-01-01 to Nanosecond. The dates that can be represented as nanoseconds …";
        assert_eq!(code(beyond), ErrorCode::ValueIsOutOfRange);
        assert_eq!(code("Overflow happened on: 10382256000000 * 1000000"), ErrorCode::ValueIsOutOfRange);
        assert_eq!(code("Overflow happened on: 5 + 6"), ErrorCode::Decimals);
        assert_eq!(code("Cannot infer common argument type for comparison"), ErrorCode::TypeMismatch);
    }
}
