//! The table that the measuring programs fill.

use zepto_common::ColumnId;
use zepto_common::schema::{Column, ColumnDefault, TableName};
use zepto_common::types::ColumnType;
use zepto_engine::catalog::NewTable;

/// Ticks of symbols.
pub(crate) fn table() -> NewTable {
    let column = |(name, ty): (&str, ColumnType)| Column {
        id: ColumnId(0),
        name: name.to_owned(),
        ty,
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    let columns = [
        ("symbol", ColumnType::Symbol),
        ("timestamp", ColumnType::DateTime64(9, None)),
        ("price", ColumnType::Float64),
        ("volume", ColumnType::Int64),
    ];
    NewTable {
        name: TableName::new("default", "ticks"),
        columns: columns.into_iter().map(column).collect(),
        key: Some("symbol".to_owned()),
        time: Some("timestamp".to_owned()),
        order_by: vec!["symbol".to_owned(), "timestamp".to_owned()],
        ttl_seconds: None,
        engine: "MergeTree".to_owned(),
        comment: String::new(),
    }
}
