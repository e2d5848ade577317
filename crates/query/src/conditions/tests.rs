//! A condition that has travelled means what it meant in its statement.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use zepto_common::ErrorCode;
use zepto_common::ids::{ColumnId, SchemaVersion, TableId};
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::types::ColumnType;

use super::{Moment, StoredCondition, conditions, stored_delete, stored_update};
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
    let moment = Moment { now, zone: String::new(), user: "u".to_owned() };
    let stored = stored_delete(text.to_owned(), moment).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reader = conditions(&SqlOptions::new(runtime.handle().clone())).unwrap();
    let schema = table();
    let condition = reader.condition(&schema, stored.as_bytes()).unwrap();
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

/// What the rows 1, 2 and 3 are after an UPDATE of `v`.
fn updated(value: &str, condition: &str) -> zepto_common::Result<Vec<Option<i64>>> {
    let moment = Moment { now: 0, zone: String::new(), user: "u".to_owned() };
    let stored = stored_update(condition.to_owned(), vec![("v".to_owned(), value.to_owned())], moment)?;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reader = conditions(&SqlOptions::new(runtime.handle().clone()))?;
    let schema = table();
    let understood = reader.condition(&schema, stored.as_bytes())?;
    let rows: Vec<Arc<dyn Array>> = vec![Arc::new(Int64Array::from(vec![1, 2, 3]))];
    let rows = RecordBatch::try_new(schema.storage_schema(), rows).unwrap();
    let update = understood.update.expect("it is an UPDATE");
    assert_eq!(update.writes, [ColumnId(1)]);
    let next = (update.rewrite)(&rows, &(understood.judge)(&rows)?)?;
    Ok(next.column(0).as_primitive::<arrow::datatypes::Int64Type>().iter().collect())
}

#[test]
fn an_update_that_has_travelled_changes_the_rows_that_meet_its_condition() {
    assert_eq!(updated("v * 10 + 1", "v != 2").unwrap(), [Some(11), Some(2), Some(31)]);
    // The other rows may have values that the expression does not take.
    assert_eq!(updated("intDiv(6, v - 1)", "v > 1").unwrap(), [Some(1), Some(6), Some(3)]);
    assert!(updated("intDiv(6, v - 1)", "v > 0").is_err());
}

/// One that took an UPDATE for a DELETE would remove the rows.
#[test]
fn a_program_that_knows_only_delete_cannot_read_an_update() {
    let moment = Moment { now: 0, zone: String::new(), user: "u".to_owned() };
    let stored = stored_update("v = 1".to_owned(), vec![("v".to_owned(), "2".to_owned())], moment).unwrap();
    assert!(serde_json::from_str::<StoredCondition>(&stored).is_err());
}

/// Logs and the coordinators have them from older versions.
#[test]
fn conditions_of_older_versions_are_read() {
    let stored = r#"{"text":"v < 2","now":0,"zone":"","user":"u"}"#;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reader = conditions(&SqlOptions::new(runtime.handle().clone())).unwrap();
    assert!(reader.condition(&table(), stored.as_bytes()).unwrap().update.is_none());
    assert_eq!(
        stored_delete("v < 2".to_owned(), Moment { now: 0, zone: String::new(), user: "u".to_owned() })
            .unwrap(),
        stored
    );
}
