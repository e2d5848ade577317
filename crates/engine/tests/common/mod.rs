//! What the tests of the store share: tables, blocks of rows, and reading all rows back.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::expect_used, reason = "a test says what it expects")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::service::{RowSink, WriteReceipt, WriteRequest};
use zepto_common::types::ColumnType;
use zepto_common::{BatchId, ColumnId, Result, TableId};
use zepto_engine::catalog::NewTable;
use zepto_engine::{Store, StoreOptions};

/// One row of the test tables: key, time, number, id.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) time: i64,
    pub(crate) price: f64,
    pub(crate) id: i64,
}

pub(crate) fn row(key: &str, time: i64, id: i64) -> Row {
    Row { key: key.to_owned(), time, price: id as f64 / 4.0, id }
}

pub(crate) fn column(name: &str, ty: ColumnType) -> Column {
    Column {
        id: ColumnId(0),
        name: name.to_owned(),
        ty,
        default: ColumnDefault::Zero,
        comment: String::new(),
    }
}

/// symbol SYMBOL, time DateTime64(9), price Float64, id Int64.
pub(crate) fn trades(name: &str) -> NewTable {
    NewTable {
        name: TableName::new("default", name),
        columns: vec![
            column("symbol", ColumnType::Symbol),
            column("time", ColumnType::DateTime64(9, None)),
            column("price", ColumnType::Float64),
            column("id", ColumnType::Int64),
        ],
        key: Some("symbol".to_owned()),
        time: Some("time".to_owned()),
        order_by: vec!["symbol".to_owned(), "time".to_owned()],
        ttl_seconds: None,
        engine: "MergeTree".to_owned(),
        comment: String::new(),
    }
}

/// The rows in storage types; columns that the four do not fill are zero.
pub(crate) fn batch(schema: &TableSchema, rows: &[Row]) -> RecordBatch {
    let storage = schema.storage_schema();
    let columns = schema.columns.iter().zip(storage.fields()).map(|(column, field)| -> ArrayRef {
        let array: ArrayRef = match column.name.as_str() {
            "symbol" => Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.key))),
            "time" => Arc::new(TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.time))),
            "price" => Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.price))),
            "id" => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id))),
            _ => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id * 10))),
        };
        cast(&array, field.data_type()).expect("the test's columns can be cast")
    });
    RecordBatch::try_new(storage.clone(), columns.collect()).expect("the rows fit the schema")
}

pub(crate) fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub(crate) fn request(schema: &Arc<TableSchema>, token: Option<&str>, rows: &[Row]) -> WriteRequest {
    WriteRequest {
        table: schema.clone(),
        batch: token.map(BatchId::from_token),
        block: 0,
        repeatable: true,
        rows: batch(schema, rows),
    }
}

pub(crate) async fn write(
    store: &Store,
    schema: &Arc<TableSchema>,
    token: Option<&str>,
    rows: &[Row],
) -> Result<WriteReceipt> {
    store.write(request(schema, token, rows), deadline()).await
}

/// All rows that are not expired, sorted by id.
pub(crate) fn read(store: &Store, table: TableId) -> Vec<Row> {
    let snapshot = store.snapshot(table).expect("the table exists");
    let schema = snapshot.schema.clone();
    let index = |name: &str| schema.index_of(name).expect("a column of the test table");
    let projection = [index("symbol"), index("time"), index("price"), index("id")];
    let mut rows = Vec::new();
    for part in &snapshot.parts {
        for scanned in part.scan(&schema, &projection, std::slice::from_ref(&(0..part.rows())), 8192) {
            let scanned = scanned.expect("the part can be read");
            let keys = cast(scanned.column(0), &DataType::Utf8).expect("text");
            let times = cast(scanned.column(1), &DataType::Int64).expect("ticks");
            let (keys, times) = (keys.as_string::<i32>(), times.as_primitive::<Int64Type>());
            let prices = scanned.column(2).as_primitive::<Float64Type>();
            let ids = scanned.column(3).as_primitive::<Int64Type>();
            for i in 0..scanned.num_rows() {
                if snapshot.cutoff.is_none_or(|cutoff| times.value(i) >= cutoff) {
                    rows.push(Row {
                        key: keys.value(i).to_owned(),
                        time: times.value(i),
                        price: prices.value(i),
                        id: ids.value(i),
                    });
                }
            }
        }
    }
    rows.sort_by_key(|row| (row.id, row.time));
    rows
}

pub(crate) fn ids(store: &Store, table: TableId) -> Vec<i64> {
    read(store, table).into_iter().map(|row| row.id).collect()
}

/// Options without work in the background but what is asked for.
pub(crate) fn quiet(mut options: StoreOptions) -> StoreOptions {
    options.seal.tick = Duration::from_secs(3600);
    options.drain_threads = 2;
    options
}
