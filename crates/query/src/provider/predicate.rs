//! What filters say about the key and the time column.

use std::collections::HashSet;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};
use zepto_common::schema::TableSchema;
use zepto_engine::Selection;

/// The keys and the ticks that can satisfy all filters.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    keys: Option<Vec<ScalarValue>>,
    time: Option<(i64, i64)>,
}

/// What one filter says.
#[derive(Debug, PartialEq)]
enum Bound {
    /// The key is one of these.
    Keys(Vec<ScalarValue>),
    /// The tick lies between these, both included; empty when the first is larger.
    Time(i64, i64),
}

/// Whether the filter is about the key or the time alone, in a form that prunes.
pub(super) fn prunes(filter: &Expr, table: &TableSchema, schema: &Schema) -> bool {
    bound(filter, table, schema).is_some()
}

/// The filter with bare column names.
pub(crate) fn unqualified(filter: Expr) -> Expr {
    let strip = |expr: Expr| match expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))),
        other => Ok(Transformed::no(other)),
    };
    match filter.clone().transform(strip) {
        Ok(transformed) => transformed.data,
        Err(_) => filter,
    }
}

/// `time >= cutoff`; None for a table without time.
pub(super) fn not_before(cutoff: i64, table: &TableSchema, schema: &Schema) -> Option<Expr> {
    let field = schema.field(table.time_index()?);
    let tick = ScalarValue::Int64(Some(cutoff)).cast_to(field.data_type()).ok()?;
    Some(Expr::Column(Column::new_unqualified(field.name())).gt_eq(lit(tick)))
}

impl Wanted {
    /// What these filters, all of them, want.
    pub(super) fn new(filters: &[Expr], table: &TableSchema, schema: &Schema) -> Self {
        let mut wanted = Self::default();
        for filter in filters {
            match bound(filter, table, schema) {
                Some(Bound::Keys(keys)) => wanted.and_keys(keys),
                Some(Bound::Time(low, high)) => wanted.and_time(low, high),
                None => {}
            }
        }
        wanted
    }

    fn and_keys(&mut self, keys: Vec<ScalarValue>) {
        let keys: Vec<ScalarValue> = match self.keys.take() {
            None => keys,
            Some(old) => {
                let old: HashSet<ScalarValue> = old.into_iter().collect();
                keys.into_iter().filter(|key| old.contains(key)).collect()
            }
        };
        let mut seen = HashSet::new();
        self.keys = Some(keys.into_iter().filter(|key| seen.insert(key.clone())).collect());
    }

    fn and_time(&mut self, low: i64, high: i64) {
        let (old_low, old_high) = self.time.unwrap_or((i64::MIN, i64::MAX));
        self.time = Some((low.max(old_low), high.min(old_high)));
    }

    /// Wants no tick before this one.
    pub(super) fn not_before(&mut self, cutoff: Option<i64>) {
        if let Some(cutoff) = cutoff {
            self.and_time(cutoff, i64::MAX);
        }
    }

    /// Whether nothing is excluded.
    pub(super) fn is_all(&self) -> bool {
        self.keys.is_none() && self.time.is_none()
    }

    /// Whether nothing can satisfy it.
    pub(super) fn is_nothing(&self) -> bool {
        self.keys.as_ref().is_some_and(Vec::is_empty) || self.time.is_some_and(|(low, high)| low > high)
    }

    /// Whether only the time is restricted, and these ticks all lie within.
    pub(super) fn covers(&self, range: Option<(i64, i64)>) -> bool {
        match (&self.keys, self.time, range) {
            (Some(_), ..) => false,
            (None, None, _) => true,
            (None, Some((low, high)), Some((first, last))) => low <= first && last <= high,
            (None, Some(_), None) => false,
        }
    }

    /// As the engine takes it.
    pub(super) fn selection(&self) -> Selection {
        let keys: Option<ArrayRef> =
            self.keys.as_ref().and_then(|keys| ScalarValue::iter_to_array(keys.iter().cloned()).ok());
        Selection { keys, partitions: None, time: self.time }
    }
}

fn bound(filter: &Expr, table: &TableSchema, schema: &Schema) -> Option<Bound> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            match (bound(left, table, schema)?, bound(right, table, schema)?) {
                (Bound::Keys(mut keys), Bound::Keys(more)) => {
                    keys.extend(more);
                    Some(Bound::Keys(keys))
                }
                _ => None,
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
            (Expr::Column(column), Expr::Literal(value, _)) => compare(column, *op, value, table, schema),
            (Expr::Literal(value, _), Expr::Column(column)) => {
                compare(column, op.swap()?, value, table, schema)
            }
            _ => None,
        },
        Expr::InList(InList { expr, list, negated: false }) => {
            let Expr::Column(column) = &**expr else { return None };
            let key = key_type(column, table, schema)?;
            let values: Option<Vec<ScalarValue>> = list
                .iter()
                .map(|item| match item {
                    Expr::Literal(value, _) => key_value(value, &key),
                    _ => None,
                })
                .collect();
            values.map(Bound::Keys)
        }
        _ => None,
    }
}

/// The index's type of the key, if this column is it.
fn key_type(column: &Column, table: &TableSchema, schema: &Schema) -> Option<DataType> {
    let index = table.key_index()?;
    if schema.field(index).name() != &column.name {
        return None;
    }
    match table.columns[index].ty.storage_type() {
        DataType::Dictionary(_, value) => Some(*value),
        // A float key equals itself in SQL by other rules (NaN, -0) than in the index.
        DataType::Float32 | DataType::Float64 => None,
        other => Some(other),
    }
}

/// The value in the key's type; None for NULL (which equals nothing) and what does not fit the type.
fn key_value(value: &ScalarValue, key: &DataType) -> Option<ScalarValue> {
    if value.is_null() {
        return None;
    }
    let same_kind = match key {
        DataType::Utf8 => {
            matches!(value.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
        }
        other => *other == value.data_type(),
    };
    if same_kind { value.cast_to(key).ok() } else { None }
}

fn compare(
    column: &Column,
    op: Operator,
    value: &ScalarValue,
    table: &TableSchema,
    schema: &Schema,
) -> Option<Bound> {
    if op == Operator::Eq
        && let Some(key) = key_type(column, table, schema)
    {
        return key_value(value, &key).map(|key| Bound::Keys(vec![key]));
    }
    let time = schema.field(table.time_index()?);
    if time.name() != &column.name || !same_ticks(time.data_type(), &value.data_type()) {
        return None;
    }
    let tick = tick(value)?;
    match op {
        Operator::Eq => Some(Bound::Time(tick, tick)),
        Operator::GtEq => Some(Bound::Time(tick, i64::MAX)),
        Operator::LtEq => Some(Bound::Time(i64::MIN, tick)),
        Operator::Gt if tick < i64::MAX => Some(Bound::Time(tick + 1, i64::MAX)),
        Operator::Lt if tick > i64::MIN => Some(Bound::Time(i64::MIN, tick - 1)),
        _ => None,
    }
}

/// Whether two timestamp types count the same ticks from the same moment; the zone is for display.
fn same_ticks(a: &DataType, b: &DataType) -> bool {
    matches!((a, b), (DataType::Timestamp(a, _), DataType::Timestamp(b, _)) if a == b)
}

fn tick(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampSecond(tick, _)
        | ScalarValue::TimestampMillisecond(tick, _)
        | ScalarValue::TimestampMicrosecond(tick, _)
        | ScalarValue::TimestampNanosecond(tick, _) => *tick,
        _ => None,
    }
}
