//! Every setting that ClickHouse has, by its own table, and what is done with those that nothing here obeys: a value
//! that is the default has nothing to change, a setting that can never change an answer is taken, any other value is
//! refused. So no client is turned away for what it sends in vain, and no answer is another than the one asked for.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::harmless;
use super::kinds::Kind;
use crate::{Error, ErrorCode, Result};

/// Written by `tests/goldens/generate.py`: name, type, default, the name that it is another of; lines with `!` have a
/// type that is a choice, ClickHouse's code for another word, and the words.
const TABLE: &str = include_str!("clickhouse.tsv");

/// Settings that ClickHouse still takes and that do nothing there either.
const OBSOLETE: &str = "Obsolete";

#[derive(Debug)]
struct Row {
    kind: &'static str,
    default: String,
    other_of: &'static str,
}

static ROWS: LazyLock<BTreeMap<&'static str, Row>> = LazyLock::new(|| {
    let rows = lines().filter(|[name, ..]| !name.starts_with('!'));
    rows.map(|[name, kind, default, other_of]| {
        let default = default.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\");
        (name, Row { kind, default, other_of })
    })
    .collect()
});

/// The words of each type that is a choice, with commas between them.
static CHOICES: LazyLock<BTreeMap<&'static str, &'static str>> = LazyLock::new(|| {
    lines().filter_map(|[name, _, words, _]| Some((name.strip_prefix('!')?, words))).collect()
});

fn lines() -> impl Iterator<Item = [&'static str; 4]> {
    TABLE.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut cells = line.split('\t');
        std::array::from_fn(|_| cells.next().unwrap_or(""))
    })
}

/// What a setting of ClickHouse's is that is not in the lists of this database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Taken with any value that it can have.
    Taken,
    /// Taken with its default.
    Default,
}

/// What is done with a setting that is not in the lists of this database; none if ClickHouse has none of this name.
#[must_use]
pub fn rest(name: &str) -> Option<Rest> {
    let row = ROWS.get(name)?;
    if super::is_known(row.other_of) {
        return Some(Rest::Taken);
    }
    let name = if row.other_of.is_empty() { name } else { row.other_of };
    let taken = row.kind == OBSOLETE || harmless::is(name);
    Some(if taken { Rest::Taken } else { Rest::Default })
}

/// Whether ClickHouse has a setting of this name.
pub(super) fn has(name: &str) -> bool {
    ROWS.contains_key(name)
}

/// Refuses what the setting cannot be, and what it would change an answer with; `what` names both in the message.
pub(super) fn check(name: &str, value: &str, what: &str) -> Result<()> {
    let Some(row) = ROWS.get(name) else { return Ok(()) };
    if super::is_known(row.other_of) {
        return super::check(row.other_of, value);
    }
    kind_of(row).check(value, what)?;
    if rest(name) == Some(Rest::Taken) || is_default(row, value) || harmless::is_wide_enough(name, value) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::NotImplemented, format!("Cannot use {what}: it is not supported")))
}

fn kind_of(row: &Row) -> Kind {
    match row.kind {
        "Bool" => Kind::Bool,
        "BoolAuto" => Kind::BoolOrAuto,
        "UInt64" | "NonZeroUInt64" | "Milliseconds" => Kind::Unsigned,
        "Int64" | "Int32" => Kind::Signed,
        "UInt64Auto" => Kind::UnsignedOrAuto,
        "MaxThreads" => Kind::Threads,
        "Float" | "Double" | "Seconds" => Kind::Float,
        "FloatAuto" => Kind::FloatOrAuto,
        "Char" => Kind::Char,
        // Several words at once, for an engine that is not here.
        "MySQLDataTypesSupport" => Kind::Text,
        kind => CHOICES.get(kind).map_or(Kind::Text, |words| Kind::Choice(words, code_of(kind))),
    }
}

/// ClickHouse's code for a word that a type does not have.
fn code_of(kind: &str) -> ErrorCode {
    match kind {
        "OverflowMode" | "OverflowModeGroupBy" => ErrorCode::UnknownOverflowMode,
        "SetOperationMode" => ErrorCode::UnknownUnion,
        "JoinAlgorithm" | "JoinStrictness" => ErrorCode::UnknownJoin,
        "LoadBalancing" => ErrorCode::UnknownLoadBalancing,
        "TotalsMode" => ErrorCode::UnknownTotalsMode,
        "DistributedProductMode" => ErrorCode::UnknownDistributedProductMode,
        _ => ErrorCode::BadArguments,
    }
}

/// Whether a value is the default, perhaps in other letters: `true` for `1`, `1Ki` for `1024`, `0.50` for `0.5`.
fn is_default(row: &Row, value: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    match kind_of(row) {
        Kind::Bool | Kind::BoolOrAuto => {
            let word = |text: &str| match text.to_ascii_lowercase().as_str() {
                "true" => "1".to_owned(),
                "false" => "0".to_owned(),
                other => other.to_owned(),
            };
            word(value) == word(&row.default)
        }
        Kind::Float | Kind::FloatOrAuto => value == row.default || number(value) == number(&row.default),
        Kind::Unsigned | Kind::Signed | Kind::UnsignedOrAuto => {
            let same = super::size(value).is_some() && super::size(value) == super::size(&row.default);
            same || value == row.default
        }
        _ => value == row.default,
    }
}

#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    ROWS.iter().map(|(name, row)| (*name, row.default.as_str(), row.other_of))
}
