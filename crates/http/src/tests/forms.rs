//! `multipart/form-data`: statements, parameters and tables in parts.

use std::net::SocketAddr;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::client::{Reply, send};
use super::doubles::{Wish, start};

fn part(head: &str, data: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{data}\r\n")
}

async fn form(address: SocketAddr, target: &str, parts: &[String]) -> Reply {
    let body = format!("{}--b--\r\n", parts.concat());
    let headers = [("Content-Type", "multipart/form-data; boundary=b")];
    send(address, "POST", target, &headers, body.as_bytes()).await
}

#[tokio::test]
async fn the_statement_its_parameters_and_settings_come_in_parts() {
    let door = start(Wish::default()).await;
    let long = "x".repeat(300_000);
    let parts = [
        part("name=\"query\"", "SELECT params"),
        part("name=\"param_a\"", "O\\'R\\\tx"),
        part("name=\"param_long\"", &long),
        part("name=\"max_threads\"", "3"),
    ];
    let reply = form(door.address, "/?param_b=%5CN", &parts).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let (sql, context) = door.queries.last();
    assert_eq!(sql, "SELECT params");
    assert_eq!(context.params["a"].as_deref(), Some("O'R\tx"));
    assert_eq!(context.params["long"].as_deref(), Some(long.as_str()));
    assert_eq!(context.params["b"], None);
    assert_eq!(context.settings["max_threads"], "3");
    assert!(context.external_tables.is_empty());
    // The URL's part of the statement comes first.
    let reply = form(door.address, "/?query=SELECT%20", &[part("name=query", "1")]).await;
    assert_eq!((reply.status, door.queries.last().0.as_str()), (200, "SELECT 1"));
}

#[tokio::test]
async fn tables_come_in_parts_and_are_handed_to_the_query_service() {
    let door = start(Wish::default()).await;
    let target = "/?query=SELECT%201&t_structure=k+String,v+Int64&t_format=CSV";
    let parts = [
        part("name=\"t\"; filename=\"t.csv\"\r\nContent-Type: text/csv", "a,1\nb,2\n"),
        part("name=\"u_types\"", "Int64, Nullable(String)"),
        // No file, but its columns are known.
        part("name=\"u\"", "7\t\\N"),
        part("name=\"empty_structure\"", "x UInt8"),
        part("name=\"empty\"; filename=\"\"", ""),
    ];
    let reply = form(door.address, target, &parts).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let tables = door.queries.last().1.external_tables;
    let names: Vec<_> = tables.iter().map(|table| table.table.name.table.as_str()).collect();
    assert_eq!(names, ["t", "u", "empty"]);
    let rows = |at: usize| tables[at].batches.iter().map(|batch| batch.num_rows()).sum::<usize>();
    assert_eq!([rows(0), rows(1), rows(2)], [2, 1, 0]);
    assert_eq!(tables[0].batches[0].column(1).as_primitive::<Int64Type>().values(), &[1, 2]);
    assert_eq!(tables[0].batches[0].schema(), tables[0].table.storage_schema());
    assert_eq!(tables[1].table.columns[1].name, "_2");
    assert!(tables[1].batches[0].column(1).is_null(0));
}

#[tokio::test]
async fn a_large_table_comes_whole() {
    let door = start(Wish::default()).await;
    let rows: String = (0..200_000).map(|i| format!("{i}\n")).collect();
    let parts = [part("name=t; filename=f", &rows)];
    let reply = form(door.address, "/?query=SELECT%201&t_types=Int64", &parts).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let tables = door.queries.last().1.external_tables;
    let values =
        tables[0].batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec());
    assert!(values.eq(0..200_000));
}

#[tokio::test]
async fn the_rows_of_tables_have_their_bound_and_give_their_room_back() {
    let mut wish = Wish::default();
    wish.limits.insert_bytes = 1 << 20;
    let door = start(wish).await;
    let rows: String = (0..200_000).map(|i| format!("{i}\n")).collect();
    let one = [part("name=t; filename=f", &rows)];
    // More than the door's room in several blocks: refused for good, since no wait could ever help.
    let reply = form(door.address, "/?query=SELECT%201&t_types=Int64", &one).await;
    assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (413, Some("229")));
    assert!(reply.text().contains("more than 1048576 bytes of rows"), "{}", reply.text());
    let few = [part("name=t; filename=f", "1\n2\n")];
    for _ in 0..3 {
        let reply = form(door.address, "/?query=SELECT%201&t_types=Int64", &few).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}

#[tokio::test]
async fn a_form_with_a_fault_is_refused_before_the_statement_runs() {
    let door = start(Wish::default()).await;
    let file = |data: &str| part("name=t; filename=f", data);
    let many: Vec<_> = (0..65)
        .map(|i| part(&format!("name=t{i}_types"), "Int8") + &part(&format!("name=t{i}"), "1"))
        .collect();
    for (name, target, parts, code) in [
        ("no structure", "/?query=SELECT%201", vec![file("1")], 36),
        ("unknown type", "/?query=SELECT%201&t_types=X", vec![file("1")], 50),
        ("unknown format", "/?query=SELECT%201&t_types=Int8&t_format=X", vec![file("1")], 73),
        ("not a number", "/?query=SELECT%201&t_types=Int8", vec![file("x")], 72),
        ("twice", "/?query=SELECT%201&t_types=Int8", vec![file("1"), file("1")], 57),
        ("too many", "/?query=SELECT%201", many, 229),
        ("unknown setting", "/?query=SELECT%201", vec![part("name=no_such_setting", "1")], 115),
        ("no statement", "/", vec![part("name=param_a", "1")], 62),
    ] {
        let reply = form(door.address, target, &parts).await;
        let got = reply.header("x-clickhouse-exception-code").unwrap_or_default().to_owned();
        assert!(reply.status >= 400, "{name}");
        if name != "not a number" {
            assert_eq!(got, code.to_string(), "{name}: {}", reply.text());
        }
    }
    // Without a form the same names are settings that nobody knows.
    let reply = send(door.address, "POST", "/?query=SELECT%201&t_types=Int8", &[], b"").await;
    assert_eq!(reply.header("x-clickhouse-exception-code"), Some("115"));
    assert!(door.queries.contexts.lock().is_empty());
    let headers = [("Content-Type", "multipart/form-data; boundary=b")];
    let reply = send(door.address, "POST", "/insert/arrow?table=t", &headers, b"--b--").await;
    assert_eq!(reply.status, 501);
}

#[tokio::test]
async fn a_form_may_be_compressed() {
    let door = start(Wish::default()).await;
    let body = format!("{}--b--\r\n", part("name=query", "SELECT 1"));
    let headers = [("Content-Type", "multipart/form-data; boundary=b"), ("Content-Encoding", "zstd")];
    let packed = zstd::encode_all(body.as_bytes(), 1).unwrap();
    let reply = send(door.address, "POST", "/", &headers, &packed).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "1\n"));
}

#[tokio::test]
async fn fields_have_their_bound() {
    let door = start(Wish::default()).await;
    let long = "x".repeat(17 << 20);
    for parts in [
        vec![part("name=param_a", &long)],
        vec![part("name=query", "SELECT 1"), part("name=log_comment", &long)],
    ] {
        let reply = form(door.address, "/?query=SELECT%201", &parts).await;
        assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (413, Some("229")));
    }
    // The head of a part is bounded on its own.
    let reply = form(door.address, "/", &[part(&format!("name={}", "x".repeat(9_000)), "1")]).await;
    assert_eq!(reply.status, 400);
    assert!(door.queries.contexts.lock().is_empty());
}
