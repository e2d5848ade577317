use crate::schema::{Column, ColumnDefault, TableName};
use crate::types::ColumnType;
use crate::{ColumnId, ErrorCode, TableId};

use super::{AlterOp, Catalog, ColumnPosition, Ddl, NewTable, ViewDefinition};

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
fn ids_of_tables_and_columns_are_never_reused() {
    let catalog = with(&["a", "b"]);
    let name = TableName::new("default", "b");
    assert_eq!(catalog.table(&name).expect("exists").id, TableId(2));
    let catalog = catalog.without_table(&name).expect("drops");
    let catalog = catalog.with_table(table("b")).expect("makes it again").0;
    assert_eq!(catalog.table(&name).expect("exists").id, TableId(3));
    assert!(catalog.ever_had(TableId(2)) && !catalog.ever_had(TableId(4)));
    let add = |name: &str| AlterOp::AddColumn {
        column: column(name, ColumnType::Int64),
        position: ColumnPosition::After("k".to_owned()),
        if_not_exists: true,
    };
    let catalog = catalog.with_table_altered(&name, &[add("x")]).expect("adds");
    let drop_x = AlterOp::DropColumn { name: "x".to_owned(), if_exists: false };
    let catalog = catalog.with_table_altered(&name, &[drop_x, add("x"), add("x")]).expect("again");
    let schema = catalog.table(&name).expect("exists");
    let ids: Vec<(u32, &str)> = schema.columns.iter().map(|c| (c.id.0, c.name.as_str())).collect();
    assert_eq!(ids, [(1, "k"), (4, "x"), (2, "t")]);
    assert_eq!(schema.version.0, 3);
    assert_eq!(catalog.entry(schema.id).expect("exists").versions.len(), 3);
}

#[test]
fn what_cannot_be_is_refused_with_clickhouses_code_and_changes_nothing() {
    let catalog = with(&["a"]);
    let a = TableName::new("default", "a");
    let code = |result: crate::Result<Catalog>| result.expect_err("refused").code;
    let made = |table: NewTable| catalog.with_table(table).map(|(next, _)| next);
    assert_eq!(code(made(table("a"))), ErrorCode::TableAlreadyExists);
    let elsewhere = NewTable { name: TableName::new("nowhere", "a"), ..table("a") };
    assert_eq!(code(made(elsewhere)), ErrorCode::UnknownDatabase);
    assert_eq!(code(made(NewTable { columns: vec![], ..table("b") })), ErrorCode::EmptyListOfColumnsQueried);
    let twice = vec![column("k", ColumnType::Symbol), column("k", ColumnType::Bool)];
    assert_eq!(code(made(NewTable { columns: twice, time: None, ..table("b") })), ErrorCode::DuplicateColumn);
    let no_time = NewTable { time: Some("k".to_owned()), ..table("b") };
    assert_eq!(code(made(no_time)), ErrorCode::BadArguments);
    assert_eq!(
        code(made(NewTable { key: Some("z".to_owned()), ..table("b") })),
        ErrorCode::UnknownIdentifier
    );
    assert_eq!(code(made(table(""))), ErrorCode::BadArguments);
    assert_eq!(code(catalog.without_table(&TableName::new("default", "b"))), ErrorCode::UnknownTable);
    let drop_key = AlterOp::DropColumn { name: "k".to_owned(), if_exists: false };
    assert_eq!(code(catalog.with_table_altered(&a, &[drop_key])), ErrorCode::AlterOfColumnIsForbidden);
    let rename = AlterOp::RenameColumn { from: "k".to_owned(), to: "t".to_owned(), if_exists: false };
    assert_eq!(code(catalog.with_table_altered(&a, &[rename])), ErrorCode::DuplicateColumn);
    let missing = AlterOp::DropColumn { name: "z".to_owned(), if_exists: false };
    assert_eq!(code(catalog.with_table_altered(&a, &[missing])), ErrorCode::NotFoundColumnInBlock);
    assert_eq!(code(catalog.with_database("default")), ErrorCode::DatabaseAlreadyExists);
}

#[test]
fn a_catalog_reads_back_as_it_was_written() {
    let catalog = with(&["a", "b"]).with_database("lab").expect("makes");
    let renamed = TableName::new("lab", "moved");
    let catalog = catalog.with_table_renamed(&TableName::new("default", "a"), &renamed).expect("renames");
    let json = serde_json::to_vec(&catalog).expect("encodes");
    let read: Catalog = serde_json::from_slice(&json).expect("decodes");
    assert_eq!(serde_json::to_vec(&read).expect("encodes"), json);
    assert_eq!(read.table(&renamed), catalog.table(&renamed));
    assert!(serde_json::from_slice::<Catalog>(&json[..json.len() - 1]).is_err());
}

#[test]
fn a_statement_is_one_version_or_nothing() {
    let catalog = with(&["a"]);
    let a = TableName::new("default", "a");
    let create = |if_not_exists| Ddl::CreateTable { table: table("a"), if_not_exists };
    assert_eq!(create(false).apply(&catalog).expect_err("there").code, ErrorCode::TableAlreadyExists);
    assert!(create(true).apply(&catalog).expect("forgiven").is_none());
    let truncated = Ddl::TruncateTable { name: a.clone(), if_exists: false }.apply(&catalog);
    let truncated = truncated.expect("truncates").expect("changes");
    assert_eq!((truncated.version(), truncated.table(&a)), (catalog.version() + 1, catalog.table(&a)));
    let view = ViewDefinition {
        name: TableName::new("default", "v"),
        sql: "CREATE MATERIALIZED VIEW v AS SELECT 1".to_owned(),
        columns: vec![column("x", ColumnType::UInt8)],
        materialized: true,
        target: None,
        source: Some(TableId(1)),
        states: None,
        reads: Vec::new(),
    };
    let viewed = Ddl::CreateView { view, if_not_exists: false }.apply(&catalog).expect("makes");
    let viewed = viewed.expect("changes");
    assert_eq!(viewed.version(), catalog.version() + 1);
    assert_eq!(viewed.view_by_id(TableId(2)).expect("has an id").name.table, "v");
    let shown = viewed.require(&TableName::new("default", "v")).expect_err("it has no rows of its own");
    assert_eq!(shown.code, ErrorCode::NotImplemented, "{shown}");
    let refused = Ddl::TruncateTable { name: a.clone(), if_exists: false }.apply(&viewed);
    assert_eq!(refused.expect_err("followed").code, ErrorCode::HaveDependentObjects);
    let gone = Ddl::DropTable { name: TableName::new("default", "z"), if_exists: true };
    assert!(gone.apply(&catalog).expect("forgiven").is_none());
    let text = serde_json::to_string(&create(true)).expect("encodes");
    assert_eq!(serde_json::from_str::<Ddl>(&text).expect("decodes"), create(true));
}

#[test]
fn a_dropped_database_takes_its_tables_and_views_along() {
    let catalog = with(&["a"]).with_database("lab").expect("makes");
    let inside = NewTable { name: TableName::new("lab", "a"), ..table("a") };
    let catalog = catalog.with_table(inside).expect("makes").0.without_database("lab").expect("drops");
    assert_eq!(catalog.tables().count(), 1);
    assert!(catalog.table(&TableName::new("default", "a")).is_some());
    assert_eq!(catalog.databases(), ["default"]);
}

#[test]
fn exchanged_tables_keep_their_rows_and_one_step_shows_both_changes() {
    let catalog = with(&["a", "b"]);
    let (a, b) = (TableName::new("default", "a"), TableName::new("default", "b"));
    let (id_of_a, id_of_b) = (catalog.require(&a).unwrap().id, catalog.require(&b).unwrap().id);
    let change = Ddl::ExchangeTables { one: a.clone(), other: b.clone() };
    let next = change.apply(&catalog).unwrap().unwrap();
    assert_eq!(next.version(), catalog.version() + 1);
    assert_eq!((next.require(&a).unwrap().id, next.require(&b).unwrap().id), (id_of_b, id_of_a));
    assert_eq!(next.table_by_id(id_of_a).unwrap().name, b);
    let twice = Ddl::ExchangeTables { one: a.clone(), other: a.clone() };
    assert_eq!(twice.apply(&next).unwrap_err().code, ErrorCode::BadArguments);
    let missing = Ddl::ExchangeTables { one: a, other: TableName::new("default", "c") };
    assert_eq!(missing.apply(&next).unwrap_err().code, ErrorCode::UnknownTable);
}
