//! Tables that come with a request.

use arrow::array::{Int64Array, StringArray};
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::service::ExternalTable;
use zepto_common::types::ColumnType;
use zepto_common::{ColumnId, SchemaVersion, TableId};

use super::*;

fn external(name: &str, rows: &[(&str, i64)]) -> ExternalTable {
    let column = |id: u32, name: &str, ty: ColumnType| Column {
        id: ColumnId(id),
        name: name.to_owned(),
        ty,
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    let table = Arc::new(TableSchema {
        id: TableId(0),
        version: SchemaVersion(1),
        name: TableName::new("default", name),
        columns: vec![column(1, "k", ColumnType::String), column(2, "n", ColumnType::Int64)],
        key: None,
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: String::new(),
        comment: String::new(),
    });
    let keys: StringArray = rows.iter().map(|row| Some(row.0)).collect();
    let numbers: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
    let batch =
        RecordBatch::try_new(table.storage_schema(), vec![Arc::new(keys), Arc::new(numbers)]).unwrap();
    ExternalTable { table, batches: vec![batch] }
}

async fn rows_with(bench: &Bench, sql: &str, table: ExternalTable) -> Vec<String> {
    let context = RequestContext { external_tables: vec![table], ..context() };
    let (_, batches) = bench.run_as(sql, context).await.unwrap();
    batches.iter().flat_map(lines).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requests_tables_are_joined_with_those_of_the_database_and_never_remembered() {
    let bench = Bench::new();
    bench.rows("CREATE TABLE t (k String, price Float64) ENGINE = MergeTree ORDER BY k").await;
    bench.rows("INSERT INTO t VALUES ('a', 1.5), ('b', 2.5), ('c', 3.5)").await;
    let sql = "SELECT t.k, price * n AS cost FROM t JOIN ext ON t.k = ext.k ORDER BY t.k";
    for (rows, answer) in
        [(&[("a", 2), ("c", 4)][..], &["a 3.0", "c 14.0"][..]), (&[("b", 10)], &["b 25.0"]), (&[], &[])]
    {
        assert_eq!(rows_with(&bench, sql, external("ext", rows)).await, answer);
    }
    assert_eq!(bench.code(sql).await, ErrorCode::UnknownTable);
    // Its name goes before a table's, for this statement only.
    assert_eq!(rows_with(&bench, "SELECT k FROM t", external("t", &[("z", 1)])).await, ["z"]);
    assert_eq!(bench.rows("SELECT count() FROM t").await, ["3"]);
}
