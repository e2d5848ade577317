use super::client::{escape, get, post, send};
use super::doubles::{Wish, start};
use std::time::Duration;

#[tokio::test]
async fn a_statement_comes_by_url_by_body_or_by_both() {
    let door = start(Wish::default()).await;
    for (method, target, body) in [
        ("GET", "/?query=SELECT%201", ""),
        ("POST", "/?query=SELECT+1", ""),
        ("POST", "/", "SELECT 1"),
        ("POST", "/", "  SELECT 1 \n"),
        ("POST", "/?query=SELECT", "1"),
    ] {
        let reply = send(door.address, method, target, &[], body.as_bytes()).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "1\n"), "{method} {target} {body}");
    }
    assert_eq!(door.queries.contexts.lock()[4].0, "SELECT\n1");
}

#[tokio::test]
async fn an_answer_carries_clickhouses_headers() {
    let door = start(Wish::default()).await;
    let reply = send(door.address, "POST", "/?query_id=mine", &[("X-Request-Id", "r1")], b"SELECT 1").await;
    for (name, value) in [
        ("x-clickhouse-query-id", "mine"),
        ("x-clickhouse-format", "TabSeparated"),
        ("x-clickhouse-timezone", "UTC"),
        ("x-clickhouse-server-display-name", "test-node"),
        ("x-request-id", "r1"),
        ("content-type", "text/tab-separated-values; charset=UTF-8"),
        ("content-length", "2"),
        ("keep-alive", "timeout=1"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    assert_eq!(reply.header("x-clickhouse-exception-tag").unwrap().len(), 16);
    assert_eq!(reply.summary("read_rows"), "1");
    assert_eq!(reply.summary("result_rows"), "1");
    assert_eq!(reply.summary("written_rows"), "0");
    let fresh = post(door.address, "/?query_id=", "SELECT 1").await;
    let id = fresh.header("x-clickhouse-query-id").unwrap();
    assert!(id.starts_with("q_") && id.len() == 34, "{id}");
    assert_eq!(door.queries.last().1.query_id, id);
}

#[tokio::test]
async fn the_format_is_the_clauses_then_the_urls_then_the_headers() {
    let door = start(Wish::default()).await;
    let header = [("X-ClickHouse-Format", "CSVWithNames")];
    for (target, sql, format) in [
        ("/?default_format=JSON", "SELECT 1 FORMAT JSONEachRow", "JSONEachRow"),
        ("/?default_format=JSON", "SELECT 1", "JSON"),
        ("/", "SELECT 1", "CSVWithNames"),
        ("/?default_format=TSV", "SELECT 1", "TabSeparated"),
    ] {
        let reply = send(door.address, "POST", target, &header, sql.as_bytes()).await;
        assert_eq!(reply.header("x-clickhouse-format"), Some(format), "{target} {sql}");
    }
    let unknown = post(door.address, "/?default_format=Nonsense", "SELECT 1").await;
    assert_eq!((unknown.status, unknown.header("x-clickhouse-exception-code")), (404, Some("73")));
}

#[tokio::test]
async fn an_error_before_the_first_byte_has_its_status_code_and_text() {
    let door = start(Wish::default()).await;
    let reply = post(door.address, "/", "fail: Table default.x does not exist").await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.header("x-clickhouse-exception-code"), Some("60"));
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=UTF-8"));
    let text = "Code: 60. DB::Exception: Table default.x does not exist. (UNKNOWN_TABLE) (version 0.1.0)\n";
    assert_eq!(reply.text(), text);
    // An error in the midst of a small result comes before anything was sent.
    let reply = post(door.address, "/", "SELECT batches 3 ROWS 10 THEN fail").await;
    assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (500, Some("241")));
    assert!(!reply.text().contains("\n1\n"));
}

#[tokio::test]
async fn an_error_after_the_first_byte_is_told_inside_and_the_connection_is_dropped() {
    let door = start(Wish::default()).await;
    let reply = post(door.address, "/", "SELECT batches 40 ROWS 10000 THEN fail").await;
    assert_eq!(reply.status, 200);
    assert!(!reply.complete, "the answer must not look whole");
    let tag = reply.header("x-clickhouse-exception-tag").unwrap().to_owned();
    let text = reply.text();
    let block = text.split_once("\r\n__exception__\r\n").expect("an exception block").1;
    let error = "Code: 241. DB::Exception: planted fault. (MEMORY_LIMIT_EXCEEDED) (version 0.1.0)\n";
    assert_eq!(block, format!("{tag}\r\n{error}{} {tag}\r\n__exception__\r\n", error.len()));
}

/// Which would lose the block that tells why, whenever the break comes together with it.
#[tokio::test]
async fn a_forwarded_answer_that_breaks_is_passed_on_to_its_last_byte() {
    let door = start(Wish { forwards: Some(b"1\n2\nthe reason"), ..Wish::default() }).await;
    for _ in 0..20 {
        let reply = post(door.address, "/", "SELECT 1").await;
        assert_eq!((reply.status, reply.complete, reply.text().as_str()), (200, false, "1\n2\nthe reason"));
    }
}

#[tokio::test]
async fn wait_end_of_query_turns_a_late_error_into_a_status() {
    let door = start(Wish::default()).await;
    let statement = "SELECT batches 40 ROWS 10000 THEN fail";
    let reply = post(door.address, "/?wait_end_of_query=1", statement).await;
    assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (500, Some("241")));
    let whole = post(door.address, "/?wait_end_of_query=1", "SELECT batches 40 ROWS 10000").await;
    assert_eq!(whole.summary("result_rows"), "400000");
    assert!(whole.complete && whole.header("content-length").is_some());
}

#[tokio::test]
async fn wait_end_of_query_streams_what_is_larger_than_its_bound() {
    let mut wish = Wish::default();
    wish.limits.result_wait_bytes = 100_000;
    let door = start(wish).await;
    let reply = post(door.address, "/?wait_end_of_query=1", "SELECT batches 40 ROWS 10000").await;
    assert!(reply.complete && reply.header("transfer-encoding") == Some("chunked"));
    assert_eq!(reply.text().lines().count(), 400_000);
}

#[tokio::test]
async fn a_large_result_is_whole_in_every_encoding() {
    let door = start(Wish::default()).await;
    let plain = post(door.address, "/", "SELECT batches 30 ROWS 20000").await;
    assert_eq!(plain.text().lines().count(), 600_000);
    for (offer, chosen) in [("gzip", "gzip"), ("lz4, zstd, gzip", "zstd")] {
        let headers = [("Accept-Encoding", offer)];
        let reply = send(door.address, "POST", "/", &headers, b"SELECT batches 30 ROWS 20000").await;
        assert_eq!(reply.header("content-encoding"), Some(chosen));
        let (packed, length) = (reply.body.len(), plain.body.len());
        assert!(reply.complete && packed * 10 < length * 7, "{chosen}: {packed} of {length}");
        let mut inflate = crate::inflate::Inflate::of(Some(chosen)).unwrap();
        inflate.push(reply.body.clone().into());
        let mut body = Vec::new();
        while let Some(part) = inflate.pull(1 << 20).unwrap() {
            body.extend_from_slice(&part);
        }
        inflate.finish().unwrap();
        assert!(body == plain.body, "{chosen}");
        let off = "/?enable_http_compression=0";
        let reply = send(door.address, "POST", off, &headers, b"SELECT batches 1 ROWS 2000").await;
        assert_eq!(reply.header("content-encoding"), None);
    }
    let small = send(door.address, "POST", "/", &[("Accept-Encoding", "gzip")], b"SELECT 1").await;
    assert_eq!((small.header("content-encoding"), small.text().as_str()), (None, "1\n"));
}

#[tokio::test]
async fn a_late_error_is_readable_in_a_compressed_answer() {
    let door = start(Wish::default()).await;
    for encoding in ["gzip", "zstd"] {
        let headers = [("Accept-Encoding", encoding)];
        let reply =
            send(door.address, "POST", "/", &headers, b"SELECT batches 90 ROWS 10000 THEN fail").await;
        assert_eq!((reply.status, reply.complete), (200, false));
        let mut inflate = crate::inflate::Inflate::of(Some(encoding)).unwrap();
        inflate.push(reply.body.into());
        let mut body = Vec::new();
        while let Some(part) = inflate.pull(1 << 20).unwrap() {
            body.extend_from_slice(&part);
        }
        assert!(String::from_utf8(body).unwrap().contains("planted fault. (MEMORY_LIMIT_EXCEEDED)"));
    }
}

#[tokio::test]
async fn the_query_service_is_told_the_request() {
    let door = start(Wish::default()).await;
    let target = "/?database=d&query_id=q1&max_execution_time=7&max_threads=2&param_a=x%5Cty&param_b=%5CN";
    assert_eq!(post(door.address, target, "SELECT params").await.status, 200);
    let (_, context) = door.queries.last();
    assert_eq!((context.database.as_str(), context.query_id.as_str()), ("d", "q1"));
    assert_eq!(context.settings["max_threads"], "2");
    assert_eq!(context.params["a"].as_deref(), Some("x\ty"));
    assert_eq!(context.params["b"], None);
    assert!(!context.read_only);
    let left = context.deadline.saturating_duration_since(std::time::Instant::now());
    assert!(left > Duration::from_secs(2) && left <= Duration::from_secs(7), "{left:?}");
    get(door.address, "/?query=SELECT%201").await;
    assert!(door.queries.last().1.read_only);
    post(door.address, "/?readonly=1", "SELECT 1").await;
    assert!(door.queries.last().1.read_only);
}

#[tokio::test]
async fn a_url_that_is_too_long_is_told_with_a_code() {
    let door = start(Wish::default()).await;
    for method in ["GET", "POST"] {
        let target = format!("/?query=SELECT%201&param_x={}", "x".repeat(70_000));
        let reply = send(door.address, method, &target, &[], b"").await;
        assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (414, Some("229")));
        assert!(reply.text().contains("(QUERY_IS_TOO_LARGE)"), "{}", reply.text());
    }
    let target = format!("/?query=SELECT%201&param_x={}", "x".repeat(60_000));
    assert_eq!(get(door.address, &target).await.status, 200);
}

#[tokio::test]
async fn a_get_never_changes_anything() {
    let door = start(Wish::default()).await;
    for sql in [
        "DROP TABLE t",
        "INSERT INTO t VALUES ('a', 1)",
        "/* x */ alter table t delete where 1",
        "(insert into t select 1)",
    ] {
        for method in ["GET", "HEAD"] {
            let reply = send(door.address, method, &format!("/?query={}", escape(sql)), &[], b"").await;
            assert_eq!(
                (reply.status, reply.header("x-clickhouse-exception-code")),
                (500, Some("164")),
                "{sql}"
            );
        }
        let reply = post(door.address, "/?readonly=1", sql).await;
        assert_eq!(reply.header("x-clickhouse-exception-code"), Some("164"), "{sql}");
    }
    assert_eq!(door.sink.rows(), 0);
    assert!(door.queries.contexts.lock().is_empty());
}

#[tokio::test]
async fn a_statement_without_rows_has_an_empty_answer_and_its_warnings() {
    let door = start(Wish::default()).await;
    let reply = post(door.address, "/", "CREATE TABLE WARN (a Int8) ENGINE = MergeTree ORDER BY a").await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.header("x-zepto-warning"), Some("SETTINGS were?ignored"));
    assert_eq!(reply.summary("read_rows"), "0");
}

#[tokio::test]
async fn an_empty_statement_is_a_syntax_error_and_a_get_without_one_is_ok() {
    let door = start(Wish::default()).await;
    for (target, body) in [("/", ""), ("/?query=", "  \n"), ("/", "-- nothing"), ("/", ";")] {
        let reply = post(door.address, target, body).await;
        assert_eq!(
            (reply.status, reply.header("x-clickhouse-exception-code")),
            (400, Some("62")),
            "{body:?}"
        );
    }
    for target in ["/", "/?database=x", "/ping", "/replicas_status"] {
        assert_eq!(get(door.address, target).await.text(), "Ok.\n", "{target}");
        let head = send(door.address, "HEAD", target, &[], b"").await;
        assert_eq!(head.status, 200, "{target}");
    }
}

#[tokio::test]
async fn a_browser_may_ask_first() {
    let door = start(Wish::default()).await;
    let reply = send(door.address, "OPTIONS", "/", &[("Origin", "http://x")], b"").await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, Some("*")));
    let reply = post(door.address, "/?add_http_cors_header=1", "SELECT 1").await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn native_blocks_are_of_the_revision_that_the_client_names() {
    let door = start(Wish::default()).await;
    let target = |revision: &str| format!("/?default_format=Native{revision}");
    let first = post(door.address, &target(""), "SELECT 1").await;
    assert_eq!(&first.body[..2], [1, 1], "a column, a row");
    let later = post(door.address, &target("&client_protocol_version=54405"), "SELECT 1").await;
    assert_eq!(later.body, [&[1, 0, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0], &first.body[..]].concat());
    let newest = post(door.address, &target("&client_protocol_version=54460"), "SELECT 1").await;
    assert_eq!(
        newest.body.len(),
        later.body.len() + 1,
        "a byte says that nothing is serialized in another way"
    );
    let wrong = post(door.address, &target("&client_protocol_version=new"), "SELECT 1").await;
    assert_eq!(wrong.status, 400);
}
