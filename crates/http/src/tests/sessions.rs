//! Sessions, progress in headers, and how much of an answer is held back.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::client::{get, post, request, send};
use super::doubles::{Running, Wish, start};

/// Statement, its setting `max_threads`, its database.
async fn ask(door: &Running, target: &str) -> (u16, Option<String>, String) {
    let reply = post(door.address, target, "SELECT 1").await;
    let context = door.queries.last().1;
    (reply.status, context.settings.get("max_threads").cloned(), context.database)
}

#[tokio::test]
async fn what_set_and_use_say_holds_for_later_requests_of_the_session() {
    let door = start(Wish::default()).await;
    for sql in ["SET max_threads = 7", "USE other", "SET max_execution_time = 11, join_use_nulls = 1"] {
        let reply = post(door.address, "/?session_id=s", sql).await;
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{sql}");
    }
    assert_eq!(ask(&door, "/?session_id=s").await, (200, Some("7".into()), "other".into()));
    let context = door.queries.last().1;
    assert_eq!(context.settings["join_use_nulls"], "1");
    let left = context.deadline.saturating_duration_since(std::time::Instant::now());
    assert!(left <= Duration::from_secs(11), "{left:?}");
    // The request itself goes before the session.
    assert_eq!(
        ask(&door, "/?session_id=s&max_threads=2&database=d").await,
        (200, Some("2".into()), "d".into())
    );
    // Another session and no session know nothing of it.
    assert_eq!(ask(&door, "/?session_id=t").await, (200, None, "default".into()));
    assert_eq!(ask(&door, "/").await, (200, None, "default".into()));
}

#[tokio::test]
async fn a_parameter_that_is_set_is_the_sessions_and_the_requests_own_goes_before_it() {
    let door = start(Wish::default()).await;
    assert_eq!(post(door.address, "/?session_id=s", "SET param_x = 5, max_threads = 7").await.status, 200);
    assert_eq!(ask(&door, "/?session_id=s").await.1, Some("7".into()));
    assert_eq!(door.queries.last().1.params["x"].as_deref(), Some("5"));
    ask(&door, "/?session_id=s&param_x=6").await;
    assert_eq!(door.queries.last().1.params["x"].as_deref(), Some("6"));
    ask(&door, "/?session_id=t").await;
    assert!(door.queries.last().1.params.is_empty());
}

#[tokio::test]
async fn set_without_a_session_is_taken_and_does_nothing_lasting() {
    let door = start(Wish::default()).await;
    assert_eq!(post(door.address, "/", "SET max_threads = 7").await.status, 200);
    assert_eq!(post(door.address, "/?session_id=", "SET max_threads = 7").await.status, 200);
    assert_eq!(ask(&door, "/").await, (200, None, "default".into()));
    assert_eq!(ask(&door, "/?session_id=").await, (200, None, "default".into()));
}

#[tokio::test]
async fn what_cannot_be_set_is_refused_and_not_remembered() {
    let door = start(Wish::default()).await;
    for (sql, code) in
        [("SET transform_null_in = 1", "48"), ("SET max_threads = abc", "27"), ("SET session_id = 1", "115")]
    {
        let reply = post(door.address, "/?session_id=s", sql).await;
        assert_eq!(reply.header("x-clickhouse-exception-code"), Some(code), "{sql}");
    }
    assert_eq!(ask(&door, "/?session_id=s").await, (200, None, "default".into()));
}

#[tokio::test]
async fn a_session_is_checked_closed_and_locked() {
    let door = start(Wish::default()).await;
    let reply = post(door.address, "/?session_id=s&session_check=1", "SELECT 1").await;
    assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (500, Some("372")));
    post(door.address, "/?session_id=s", "SET max_threads = 7").await;
    assert_eq!(ask(&door, "/?session_id=s&session_check=1").await.1, Some("7".into()));
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream.write_all(&request("POST", "/?session_id=s", &[], b"SELECT hang")).await.unwrap();
    while door.queries.last().0 != "SELECT hang" {
        sleep(Duration::from_millis(5)).await;
    }
    let reply = post(door.address, "/?session_id=s", "SELECT 1").await;
    assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (500, Some("373")));
    // A client that leaves gives its session back.
    drop(stream);
    while post(door.address, "/?session_id=s", "SELECT 1").await.status != 200 {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ask(&door, "/?session_id=s&close_session=1").await.1, Some("7".into()));
    assert_eq!(ask(&door, "/?session_id=s").await.1, None);
}

#[tokio::test]
async fn a_session_is_held_while_its_result_streams_and_free_at_its_end() {
    let door = start(Wish::default()).await;
    for _ in 0..5 {
        let reply = post(door.address, "/?session_id=s", "SELECT batches 40 ROWS 10000").await;
        assert!(reply.complete && reply.header("transfer-encoding") == Some("chunked"));
        assert_eq!(post(door.address, "/?session_id=s", "SELECT 1").await.status, 200);
    }
    let reply = post(door.address, "/?session_id=s", "INSERT INTO t VALUES ('a', 1)").await;
    assert_eq!(reply.status, 200);
    assert_eq!(post(door.address, "/?session_id=s", "fail: x").await.status, 404);
    assert_eq!(post(door.address, "/?session_id=s", "SELECT 1").await.status, 200);
}

#[tokio::test]
async fn progress_is_told_in_headers_while_there_is_nothing_to_send() {
    let door = start(Wish::default()).await;
    let target = "/?send_progress_in_http_headers=1&http_headers_progress_interval_ms=20";
    let reply = post(door.address, target, "SELECT slowly").await;
    let lines: Vec<_> = reply.headers.iter().filter(|(name, _)| name == "x-clickhouse-progress").collect();
    assert!((2..=32).contains(&lines.len()), "{} lines", lines.len());
    let last: serde_json::Value = serde_json::from_str(&lines[lines.len() - 1].1).unwrap();
    assert_eq!((last["read_rows"].as_str(), last["read_bytes"].as_str()), (Some("1"), Some("8")));
    assert!(last["elapsed_ns"].as_str().unwrap().parse::<u64>().unwrap() > 1_000_000);
    assert_eq!((reply.text().as_str(), reply.summary("result_rows").as_str()), ("1\n", "1"));
    for target in ["/", "/?send_progress_in_http_headers=1&http_headers_progress_interval_ms=120000"] {
        let reply = post(door.address, target, "SELECT slowly").await;
        assert_eq!(reply.header("x-clickhouse-progress"), None, "{target}");
    }
}

#[tokio::test]
async fn the_summary_is_complete() {
    let door = start(Wish::default()).await;
    let reply = post(door.address, "/", "SELECT slowly").await;
    for name in [
        "read_rows",
        "read_bytes",
        "written_rows",
        "written_bytes",
        "total_rows_to_read",
        "result_rows",
        "result_bytes",
        "elapsed_ns",
        "real_time_microseconds",
    ] {
        assert!(reply.summary(name).parse::<u64>().is_ok(), "{name}");
    }
    assert!(reply.summary("real_time_microseconds").parse::<u64>().unwrap() >= 300_000);
}

#[tokio::test]
async fn buffer_size_holds_so_much_back_however_long_it_takes() {
    let door = start(Wish::default()).await;
    let statement = "SELECT batches 40 ROWS 10000 THEN fail";
    for target in ["/?buffer_size=10000000", "/?http_response_buffer_size=10M", "/?http_wait_end_of_query=1"]
    {
        let reply = post(door.address, target, statement).await;
        assert_eq!(
            (reply.status, reply.header("x-clickhouse-exception-code")),
            (500, Some("241")),
            "{target}"
        );
    }
    let reply = post(door.address, "/?buffer_size=1000", statement).await;
    assert_eq!((reply.status, reply.complete), (200, false));
}

#[tokio::test]
async fn a_head_request_has_the_headers_of_a_get_and_no_body() {
    let door = start(Wish::default()).await;
    let full = get(door.address, "/?query=SELECT%201").await;
    let head = send(door.address, "HEAD", "/?query=SELECT%201", &[], b"").await;
    for name in ["content-type", "x-clickhouse-format", "content-length"] {
        assert_eq!(head.header(name), full.header(name), "{name}");
    }
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn a_result_that_still_streams_holds_its_session() {
    let door = start(Wish::default()).await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    let streaming = request("POST", "/?session_id=s", &[], b"SELECT batches 60 ROWS 10000 THEN hang");
    stream.write_all(&streaming).await.unwrap();
    let mut some = vec![0; 10_000];
    stream.read_exact(&mut some).await.unwrap();
    let reply = post(door.address, "/?session_id=s", "SELECT 1").await;
    assert_eq!(reply.header("x-clickhouse-exception-code"), Some("373"));
    assert_eq!(post(door.address, "/?session_id=t", "SELECT 1").await.status, 200);
}

#[tokio::test]
async fn settings_of_another_statement_are_not_remembered() {
    let door = start(Wish::default()).await;
    let clause = "CREATE TABLE x (a Int8) ENGINE = Memory SETTINGS max_threads = 3";
    assert_eq!(post(door.address, "/?session_id=s&max_threads=9", clause).await.status, 200);
    assert_eq!(ask(&door, "/?session_id=s").await.1, None);
}
