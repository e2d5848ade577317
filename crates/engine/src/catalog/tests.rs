use std::path::Path;

use zepto_common::schema::{Column, ColumnDefault, TableName};
use zepto_common::types::ColumnType;
use zepto_common::{ColumnId, TableId};

use super::file::{decode, encode};
use super::{Catalog, NewTable, ViewDefinition};

fn column(name: &str, ty: ColumnType) -> Column {
    Column {
        id: ColumnId(0),
        name: name.to_owned(),
        ty,
        default: ColumnDefault::Zero,
        comment: String::new(),
    }
}

fn table(name: &str) -> NewTable {
    NewTable {
        name: TableName::new("default", name),
        columns: vec![column("k", ColumnType::Symbol), column("t", ColumnType::DateTime64(9, None))],
        key: Some("k".to_owned()),
        time: Some("t".to_owned()),
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: "MergeTree".to_owned(),
        comment: "said".to_owned(),
    }
}

fn with(names: &[&str]) -> Catalog {
    let make = |catalog: Catalog, name: &&str| catalog.with_table(table(name)).expect("a free name").0;
    names.iter().fold(Catalog::default(), make)
}

#[test]
fn a_catalog_reads_back_as_it_was_written_and_damage_is_seen() {
    let catalog = with(&["a", "b"]).with_database("lab").expect("makes");
    let view = ViewDefinition {
        name: TableName::new("lab", "v"),
        sql: "CREATE VIEW lab.v AS SELECT 1".to_owned(),
        columns: vec![column("x", ColumnType::UInt8.nullable())],
        materialized: true,
        target: Some(TableId(1)),
        source: Some(TableId(2)),
        states: None,
        reads: Vec::new(),
    };
    let catalog = catalog.with_view(view).expect("makes");
    let renamed = TableName::new("lab", "moved");
    let catalog = catalog.with_table_renamed(&TableName::new("default", "a"), &renamed).expect("renames");
    let bytes = encode(&catalog).expect("encodes");
    let read = decode(&bytes, Path::new("CATALOG")).expect("decodes");
    assert_eq!(encode(&read).expect("encodes"), bytes);
    assert_eq!(read.table(&renamed), catalog.table(&renamed));
    assert!(read.table(&TableName::new("default", "a")).is_none());
    assert_eq!(read.views().count(), 1);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let error = decode(&damaged, Path::new("/d/CATALOG")).expect_err("a changed byte is seen");
        assert!(error.message.starts_with("/d/CATALOG: byte "), "{}", error.message);
    }
}
