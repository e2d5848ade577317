//! Which columns a change may still read.

use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::types::ColumnType;
use zepto_common::{ColumnId, SchemaVersion, TableId};

use super::check_columns;

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
