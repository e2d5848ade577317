//! A condition that has travelled means what it meant in its statement.

use std::sync::Arc;

use arrow::array::{Array, Int64Array, RecordBatch};
use zepto_common::ErrorCode;
use zepto_common::ids::{ColumnId, SchemaVersion, TableId};
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::types::ColumnType;

use super::{StoredCondition, conditions};
use crate::options::SqlOptions;

fn table() -> Arc<TableSchema> {
    let column = |id: u32, name: &str, ty: ColumnType| Column {
        id: ColumnId(id),
        name: name.to_owned(),
        ty,
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    Arc::new(TableSchema {
        id: TableId(7),
        version: SchemaVersion(1),
        name: TableName::new("default", "t"),
        columns: vec![column(1, "v", ColumnType::Int64)],
        key: None,
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: "MergeTree".to_owned(),
        comment: String::new(),
    })
}

fn met(text: &str, now: i64, values: &[i64]) -> Vec<bool> {
    let stored = StoredCondition { text: text.to_owned(), now, zone: String::new(), user: "u".to_owned() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reader = conditions(&SqlOptions::new(runtime.handle().clone())).unwrap();
    let schema = table();
    let condition = reader.condition(&schema, &serde_json::to_vec(&stored).unwrap()).unwrap();
    let rows: Vec<Arc<dyn Array>> = vec![Arc::new(Int64Array::from(values.to_vec()))];
    let rows = RecordBatch::try_new(schema.storage_schema(), rows).unwrap();
    assert_eq!(condition.reads, [ColumnId(1)]);
    let found = (condition.judge)(&rows).unwrap();
    (0..found.len()).map(|row| found.value(row)).collect()
}

#[test]
fn now_in_a_condition_is_the_time_of_the_statement_whenever_it_is_read() {
    let at = |seconds: i64| seconds * 1_000_000_000;
    assert_eq!(met("v < toUnixTimestamp(now())", at(100), &[99, 100, 101]), [true, false, false]);
    assert_eq!(met("v < toUnixTimestamp(now())", at(101), &[99, 100, 101]), [true, true, false]);
}

#[test]
fn a_condition_means_what_it_means_in_a_select() {
    assert_eq!(
        met("v % 2 = 1 OR v IN (4, 6)", 0, &[1, 2, 3, 4, 5, 6]),
        [true, false, true, true, true, true]
    );
}

#[test]
fn bytes_that_are_no_condition_are_an_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reader = conditions(&SqlOptions::new(runtime.handle().clone())).unwrap();
    let Err(error) = reader.condition(&table(), b"v < 1") else { panic!("it is no JSON") };
    assert_eq!(error.code, ErrorCode::IncorrectData);
}
