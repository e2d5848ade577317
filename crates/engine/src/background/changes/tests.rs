//! Which columns a change may still read, and which it may write.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::types::ColumnType;
use zepto_common::{ColumnId, Error, SchemaVersion, TableId};

use super::{Fate, check_columns, rows_left, schema_of};
use crate::store::changes::{Condition, Update};

fn schema(version: u32, columns: &[u32]) -> TableSchema {
    let column = |id: &u32| Column {
        id: ColumnId(*id),
        name: format!("c{id}"),
        ty: ColumnType::Int64,
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    TableSchema {
        id: TableId(7),
        version: SchemaVersion(version),
        name: TableName::new("default", "t"),
        columns: columns.iter().map(column).collect(),
        key: None,
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: "MergeTree".to_owned(),
        comment: String::new(),
    }
}

/// Rule 21: it touches the same rows on every copy. Rows that lost the column would be judged by its default.
#[test]
fn a_condition_does_not_judge_rows_that_were_written_without_a_column_that_it_reads() {
    let of = schema(2, &[1, 2, 3]);
    let written_after_the_drop = schema(3, &[1, 3]);
    assert!(check_columns(&written_after_the_drop, &of, &[ColumnId(2)]).is_err());
    assert!(check_columns(&written_after_the_drop, &of, &[ColumnId(1), ColumnId(3)]).is_ok());
    // Rows from before column 3 was added have its default: every copy knows that.
    let written_before = schema(1, &[1, 2]);
    assert!(check_columns(&written_before, &of, &[ColumnId(3)]).is_ok());
}

/// Column 1 is even: columns 2 and 3 become ten times column 1. Of 4 nothing can be made.
fn update(of: &Arc<TableSchema>) -> Fate {
    let judge = |rows: &RecordBatch| {
        let ids = rows.column(0).as_primitive::<Int64Type>();
        Ok(ids.iter().map(|id| id.map(|id| id % 2 == 0)).collect())
    };
    let rewrite = |rows: &RecordBatch, met: &BooleanArray| {
        let ids = rows.column(0).as_primitive::<Int64Type>();
        if (0..rows.num_rows()).any(|row| met.value(row) && ids.value(row) == 4) {
            return Err(Error::internal("no value for 4"));
        }
        let mut columns = rows.columns().to_vec();
        for column in &mut columns[1..] {
            let old = column.as_primitive::<Int64Type>();
            let next = |row| if met.value(row) { ids.value(row) * 10 } else { old.value(row) };
            *column = Arc::new((0..rows.num_rows()).map(next).collect::<Int64Array>());
        }
        Ok(RecordBatch::try_new(rows.schema(), columns)?)
    };
    let update = Update { writes: vec![ColumnId(2), ColumnId(3)], rewrite: Arc::new(rewrite) };
    let condition = Condition { reads: vec![ColumnId(1)], judge: Arc::new(judge), update: Some(update) };
    Fate::Matching(of.clone(), condition)
}

fn rows(schema: &TableSchema, columns: &[&[i64]]) -> RecordBatch {
    let arrays = columns.iter().map(|values| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef);
    RecordBatch::try_new(schema.storage_schema(), arrays.collect()).unwrap()
}

#[test]
fn an_update_writes_the_columns_that_are_left_and_keeps_rows_that_have_no_value() {
    let of = Arc::new(schema(2, &[1, 2, 3]));
    let read = rows(&of, &[&[1, 2, 4, 6], &[0, 0, 0, 0], &[5, 5, 5, 5]]);
    let written_after_a_drop = schema(3, &[1, 3]);
    let before = rows(&written_after_a_drop, &[&[1, 2, 4, 6], &[5, 5, 5, 5]]);
    let (after, changed) =
        rows_left(&written_after_a_drop, before.clone(), &read, Some(&update(&of))).unwrap();
    assert!(changed);
    assert_eq!(after, rows(&written_after_a_drop, &[&[1, 2, 4, 6], &[5, 20, 5, 60]]));
    // Nothing is written where no row is meant.
    let (odd, odd_read) = (before.slice(0, 1), read.slice(0, 1));
    assert!(!rows_left(&written_after_a_drop, odd, &odd_read, Some(&update(&of))).unwrap().1);
}

#[test]
fn a_segment_gets_the_schema_of_an_update_whose_columns_it_does_not_have() {
    let of = Arc::new(schema(2, &[1, 2, 3]));
    let version = |own: TableSchema| schema_of(&Arc::new(own), [update(&of)].iter()).version;
    assert_eq!(version(schema(1, &[1, 2])), SchemaVersion(2), "column 3 was added");
    assert_eq!(version(schema(1, &[1, 2, 3])), SchemaVersion(1), "it keeps what was dropped since");
    assert_eq!(version(schema(3, &[1, 3])), SchemaVersion(3), "column 2 was dropped");
}
