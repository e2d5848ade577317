//! States as rows of a table: group columns, then the state columns of each aggregate, with the names `g1…`, `s1…`
//! and what they are in the comment. Bytes are stored as hexadecimal text, because a String column holds UTF-8.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Result as DfResult, exec_err};
use datafusion::physical_expr::expressions::{CastExpr, Column as ColumnExpr};
use datafusion::physical_plan::PhysicalExpr;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::types::ColumnType;
use zepto_common::{ColumnId, SchemaVersion, TableId};
use zepto_engine::store::ViewDefinition;

/// Refuses states of types that no column can hold and give back unchanged.
///
/// # Errors
/// `NotImplemented`.
pub(super) fn check_types(states: &Schema) -> Result<()> {
    for field in states.fields() {
        if !can_be_stored(field.data_type()) {
            let message =
                format!("A materialized view cannot keep {} of type {}", field.name(), field.data_type());
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
    }
    Ok(())
}

fn can_be_stored(ty: &DataType) -> bool {
    match ty {
        DataType::Dictionary(_, value) => matches!(**value, DataType::Utf8 | DataType::Utf8View),
        DataType::Boolean
        | DataType::Binary
        | DataType::Utf8
        | DataType::Utf8View
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Date32
        | DataType::Timestamp(..)
        | DataType::FixedSizeBinary(16) => true,
        ty => ty.is_integer(),
    }
}

/// The schema that states are stored with: sorted by the source's key if the view groups by it, and by the first
/// time that it groups by. The first `groups` columns are the groups.
pub(super) fn table_of(
    view: &ViewDefinition,
    states: &Schema,
    source: &TableSchema,
    groups: usize,
) -> Result<TableSchema> {
    let groups = groups.min(states.fields().len());
    let columns: Vec<Column> = states
        .fields()
        .iter()
        .enumerate()
        .map(|(i, field)| Column {
            id: ColumnId(i as u32 + 1),
            name: if i < groups { format!("g{}", i + 1) } else { format!("s{}", i + 1 - groups) },
            ty: stored_type(field),
            default: ColumnDefault::Zero,
            comment: field.name().clone(),
        })
        .collect();
    let key_name = source.key_index().map(|key| source.columns[key].name.as_str());
    let plain_name = |column: &&Column| column.comment.rsplit('.').next() == key_name && key_name.is_some();
    let key = columns[..groups].iter().find(plain_name).map(|column| column.id);
    let time = columns[..groups].iter().find(|column| column.ty.is_time() && !column.ty.is_nullable());
    Ok(TableSchema {
        id: view.target.unwrap_or(TableId(0)),
        version: SchemaVersion(1),
        name: TableName::new(&view.name.database, format!("{} (states)", view.name.table)),
        key,
        time: time.map(|column| column.id),
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: "MergeTree".to_owned(),
        comment: String::new(),
        columns,
    })
}

fn stored_type(field: &Field) -> ColumnType {
    let plain = match field.data_type() {
        DataType::Binary => ColumnType::String,
        _ => ColumnType::of_field(field).inner().clone(),
    };
    match field.is_nullable() {
        true => plain.nullable(),
        false => plain,
    }
}

/// Refuses stored states that another version of the program computed in another form.
///
/// # Errors
/// `CorruptedData`, with what to do.
pub(super) fn check_same(view: &ViewDefinition, now: &TableSchema) -> Result<()> {
    let forms = |schema: &TableSchema| -> Vec<(String, String)> {
        schema.columns.iter().map(|column| (column.comment.clone(), column.ty.to_string())).collect()
    };
    match &view.states {
        Some(stored) if forms(stored) == forms(now) => Ok(()),
        _ => {
            let message = format!(
                "{} was kept in another form by another version: drop it and create it again with POPULATE",
                view.name
            );
            Err(Error::new(ErrorCode::CorruptedData, message))
        }
    }
}

/// States as the plans give them, in the form of storage.
///
/// # Errors
/// A value that does not fit its column.
pub(super) fn to_storage(batch: &RecordBatch, table: &TableSchema) -> Result<RecordBatch> {
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Binary => Arc::new(hex_of(column.as_binary::<i32>())) as ArrayRef,
            _ => column.clone(),
        })
        .collect();
    crate::provider::to_storage(&columns, batch.num_rows(), table)
}

fn hex_of(bytes: &BinaryArray) -> StringArray {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.iter().map(|value| value.map(hex)).collect()
}

fn bytes_of(hex: &StringArray) -> DfResult<BinaryArray> {
    let parse = |text: &str| -> Option<Vec<u8>> {
        let pairs = text.as_bytes().chunks(2);
        pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
    };
    let mut out = arrow::array::BinaryBuilder::new();
    for value in hex {
        match value.map(parse) {
            None => out.append_null(),
            Some(Some(bytes)) => out.append_value(bytes),
            Some(None) => return exec_err!("a stored state has bytes that are no hexadecimal text"),
        }
    }
    Ok(out.finish())
}

/// Expressions that give the stored columns back as the plans want them.
pub(super) fn projection(stored: &SchemaRef, states: &SchemaRef) -> Vec<(Arc<dyn PhysicalExpr>, String)> {
    let columns = stored.fields().iter().zip(states.fields()).enumerate();
    columns
        .map(|(i, (from, to))| {
            let column: Arc<dyn PhysicalExpr> = Arc::new(ColumnExpr::new(from.name(), i));
            let expr: Arc<dyn PhysicalExpr> = match (from.data_type() == to.data_type(), to.data_type()) {
                (true, _) => column,
                (false, DataType::Binary) => Arc::new(FromHex(column)),
                (false, ty) => Arc::new(CastExpr::new(column, ty.clone(), None)),
            };
            (expr, to.name().clone())
        })
        .collect()
}

/// Hexadecimal text to bytes.
#[derive(Debug, Eq)]
struct FromHex(Arc<dyn PhysicalExpr>);

impl PartialEq for FromHex {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Hash for FromHex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl std::fmt::Display for FromHex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "from_hex({})", self.0)
    }
}

impl PhysicalExpr for FromHex {
    fn data_type(&self, _: &Schema) -> DfResult<DataType> {
        Ok(DataType::Binary)
    }

    fn nullable(&self, _: &Schema) -> DfResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DfResult<datafusion::logical_expr::ColumnarValue> {
        let text = cast(&self.0.evaluate(batch)?.into_array(batch.num_rows())?, &DataType::Utf8)?;
        let bytes: ArrayRef = Arc::new(bytes_of(text.as_string::<i32>())?);
        Ok(datafusion::logical_expr::ColumnarValue::Array(bytes))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> DfResult<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(child) => Ok(Arc::new(Self(child))),
            None => Ok(self),
        }
    }

    fn fmt_sql(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}
