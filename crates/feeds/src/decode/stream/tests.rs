//! Messages are read one by one where several together do not say which of them is bad.

use zepto_common::schema::{Column, ColumnDefault, TableName};
use zepto_common::types::ColumnType;
use zepto_common::{ColumnId, SchemaVersion, TableId};

use super::*;

fn table() -> Arc<TableSchema> {
    let column = Column {
        id: ColumnId(1),
        name: "a".to_owned(),
        ty: ColumnType::Int64,
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    Arc::new(TableSchema {
        id: TableId(1),
        version: SchemaVersion(1),
        name: TableName::new("default", "t"),
        columns: vec![column],
        key: None,
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: "MergeTree".to_owned(),
        comment: String::new(),
    })
}

#[test]
fn messages_that_are_good_but_not_one_after_the_other_are_each_read_by_themselves() {
    // The space behind the first waits in the reader, which looks at the second only when twice as much has come.
    let space = " ".repeat(200);
    let texts =
        [format!("{{\"a\":1}}{space}"), "{\"a\":2}".to_owned(), "x".to_owned(), "{\"a\":3}".to_owned()];
    let mut faults = vec![None; texts.len()];
    let settings = FormatSettings::default();
    let read = read(Format::JsonEachRow, Cut::Lines, &table(), &settings, &mut faults, |at, out| {
        out.extend_from_slice(texts[at].as_bytes());
        Ok(())
    });
    let read = read.unwrap();
    assert_eq!(read.rows_of, [1, 1, 0, 1]);
    assert_eq!(read.ends(), [1, 2, 2, 3]);
    assert_eq!(faults.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true, false]);
    assert_eq!(read.whole().unwrap().num_rows(), 3);
}
