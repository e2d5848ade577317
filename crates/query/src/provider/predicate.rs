//! What filters say about the key and the time column.

use std::collections::HashSet;
use std::ops::Range;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DataFusionError, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};
use zepto_common::PartitionId;
use zepto_common::schema::TableSchema;
use zepto_engine::{Part, Selection};

/// The keys and the ticks that can satisfy all filters.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    keys: Option<Vec<ScalarValue>>,
    time: Option<(i64, i64)>,
    /// Ascending.
    partitions: Option<Vec<PartitionId>>,
}

/// Keys and ticks, both ends included.
pub(super) type Bounds = (Option<ArrayRef>, Option<(i64, i64)>);

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
    let tick = tick_value(cutoff, field.data_type()).ok()?;
    Some(Expr::Column(Column::new_unqualified(field.name())).gt_eq(lit(tick)))
}

/// A tick as a value of the time column's type.
fn tick_value(tick: i64, ty: &DataType) -> Result<ScalarValue> {
    ScalarValue::Int64(Some(tick)).cast_to(ty)
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

    /// What has been told as [`Self::bounds`].
    pub(super) fn of(keys: Option<&ArrayRef>, time: Option<(i64, i64)>) -> Result<Self> {
        let values = |keys: &ArrayRef| -> Result<Vec<ScalarValue>> {
            (0..keys.len()).map(|at| ScalarValue::try_from_array(keys, at)).collect()
        };
        Ok(Self { keys: keys.map(values).transpose()?, time, partitions: None })
    }

    /// The keys, in the index's type, and the ticks: all that filters say here.
    pub(super) fn bounds(&self) -> Result<Bounds> {
        let keys = match &self.keys {
            // No type is known, and none is needed.
            Some(keys) if keys.is_empty() => Some(arrow::array::new_empty_array(&DataType::Null)),
            Some(keys) => Some(ScalarValue::iter_to_array(keys.iter().cloned())?),
            None => None,
        };
        Ok((keys, self.time))
    }

    /// The same as filters over the table's columns.
    pub(super) fn filters(&self, table: &TableSchema, schema: &Schema) -> Result<Vec<Expr>> {
        let mut filters = Vec::new();
        if let Some(keys) = &self.keys {
            let Some(index) = table.key_index() else { return plan_err!("the table has no key") };
            let field = schema.field(index);
            let literal = |key: &ScalarValue| Ok(lit(key.cast_to(field.data_type())?));
            let list: Result<Vec<Expr>> = keys.iter().map(literal).collect();
            filters.push(Expr::Column(Column::new_unqualified(field.name())).in_list(list?, false));
        }
        if let Some((low, high)) = self.time {
            let Some(index) = table.time_index() else { return plan_err!("the table has no time") };
            let field = schema.field(index);
            let column = || Expr::Column(Column::new_unqualified(field.name()));
            let tick = |tick: i64| Ok::<_, DataFusionError>(lit(tick_value(tick, field.data_type())?));
            filters.push(column().gt_eq(tick(low)?).and(column().lt_eq(tick(high)?)));
        }
        Ok(filters)
    }

    /// Wants rows of these partitions (ascending) only.
    pub(super) fn only(self, partitions: Vec<PartitionId>) -> Self {
        Self { partitions: Some(partitions), ..self }
    }

    /// The rows of a part that lie in wanted partitions, ascending and disjoint.
    pub(super) fn rows_of(&self, part: &Part) -> Vec<Range<usize>> {
        let Some(wanted) = &self.partitions else { return std::iter::once(0..part.rows()).collect() };
        let mut rows: Vec<Range<usize>> = Vec::new();
        for (partition, range) in part.partition_rows() {
            if wanted.binary_search(&partition).is_err() || range.is_empty() {
                continue;
            }
            match rows.last_mut().filter(|last| last.end == range.start) {
                Some(last) => last.end = range.end,
                None => rows.push(range),
            }
        }
        rows
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

    /// Whether no key and no tick is excluded.
    pub(super) fn is_all(&self) -> bool {
        self.keys.is_none() && self.time.is_none()
    }

    /// Whether one key alone is wanted.
    pub(super) fn is_one_key(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.len() == 1)
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
        Selection { keys, partitions: self.partitions.clone(), time: self.time }
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
        // What comparisons and lists of a Bool become.
        Expr::Column(column) => truth(column, true, table, schema),
        Expr::Not(inner) => match &**inner {
            Expr::Column(column) => truth(column, false, table, schema),
            _ => None,
        },
        _ => None,
    }
}

/// A key that is a Bool, and has this value.
fn truth(column: &Column, value: bool, table: &TableSchema, schema: &Schema) -> Option<Bound> {
    let key = key_type(column, table, schema)?;
    (key == DataType::Boolean).then(|| Bound::Keys(vec![ScalarValue::Boolean(Some(value))]))
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
