//! What the measuring programs have in common: the table that they fill, and the processor time of threads by name.

#![allow(dead_code, reason = "each program uses a part of it")]

use std::path::Path;

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

/// Nanoseconds that a thread has spent on a processor; the folder is below `/proc`.
pub(crate) fn nanos_of(task: &Path) -> u64 {
    let stat = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// Nanoseconds of all live threads whose name begins so (the kernel keeps fifteen letters).
pub(crate) fn nanos_of_threads(name: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten().map(|task| task.path());
    let named = |task: &std::path::PathBuf| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.starts_with(name))
    };
    tasks.filter(named).map(|task| nanos_of(&task)).sum()
}
