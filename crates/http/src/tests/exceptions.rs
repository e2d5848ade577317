//! `http_write_exception_in_output_format=1`.

use serde_json::Value;

use super::client::{Reply, post};
use super::doubles::{Wish, start};

const ON: &str = "http_write_exception_in_output_format=1";
const PLANTED: &str = "Code: 241. DB::Exception: planted fault. (MEMORY_LIMIT_EXCEEDED) (version 0.1.0)";
const NO_TABLE: &str = "Code: 60. DB::Exception: no t. (UNKNOWN_TABLE) (version 0.1.0)";

fn document(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error} in {}", reply.text()))
}

#[tokio::test]
async fn an_error_without_a_result_is_a_document_with_its_status() {
    let door = start(Wish::default()).await;
    for (parameters, sql) in [
        (format!("{ON}&default_format=JSON"), "fail: no t"),
        (ON.to_owned(), "fail: no t FORMAT JSON"),
        (
            "default_format=TSV".to_owned(),
            "fail: no t SETTINGS http_write_exception_in_output_format=1 FORMAT JSON",
        ),
    ] {
        let reply = post(door.address, &format!("/?{parameters}"), sql).await;
        assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (404, Some("60")), "{sql}");
        assert_eq!(reply.header("content-type"), Some("application/json; charset=UTF-8"));
        assert_eq!(reply.header("x-clickhouse-format"), Some("JSON"));
        let text = format!(
            "{{\n\t\"meta\":\n\t[\n\n\t],\n\n\t\"data\":\n\t[\n\n\t],\n\n\t\"rows\": 0,\n\n\t\"exception\": \"{NO_TABLE}\"\n}}\n"
        );
        assert_eq!(reply.text(), text, "{sql}");
    }
    let lines = post(door.address, &format!("/?{ON}"), "fail: no t FORMAT JSONLines").await;
    assert_eq!(lines.text(), format!("{{\"exception\": \"{NO_TABLE}\"}}\n"));
}

#[tokio::test]
async fn without_the_setting_or_without_a_place_for_it_the_text_is_as_ever() {
    let door = start(Wish::default()).await;
    for target in [
        "/?default_format=JSON".to_owned(),
        format!("/?{ON}&default_format=CSV"),
        format!("/?{ON}&default_format=Nonsense"),
    ] {
        let reply = post(door.address, &target, "fail: no t").await;
        assert_eq!((reply.status, reply.text()), (404, format!("{NO_TABLE}\n")), "{target}");
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=UTF-8"));
    }
    let streamed = post(door.address, &format!("/?{ON}"), "SELECT batches 40 ROWS 10000 THEN fail").await;
    assert!(!streamed.complete && streamed.text().ends_with("__exception__\r\n"));
}

#[tokio::test]
async fn an_error_before_anything_was_sent_keeps_the_rows_and_has_its_status() {
    let door = start(Wish::default()).await;
    let sql = "SELECT batches 2 ROWS 2 THEN fail FORMAT JSONCompactEachRow";
    let reply = post(door.address, &format!("/?{ON}"), sql).await;
    assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (500, Some("241")));
    assert_eq!(reply.text(), format!("[0]\n[1]\n[2]\n[3]\n[\"{PLANTED}\"]\n"));
    // A result without a single batch begins all the same.
    let none = post(door.address, &format!("/?{ON}"), "SELECT batches 0 ROWS 1 THEN fail FORMAT JSON").await;
    assert_eq!((none.status, document(&none)["exception"].as_str()), (500, Some(PLANTED)));
    assert_eq!(document(&none)["meta"][0]["name"], "number");
}

#[tokio::test]
async fn an_error_after_the_first_byte_ends_a_document_that_is_whole_and_tells_it() {
    let door = start(Wish::default()).await;
    for sql in [
        "SELECT batches 40 ROWS 10000 THEN fail FORMAT JSON",
        "SELECT batches 40 ROWS 10000 THEN fail SETTINGS http_write_exception_in_output_format=1 FORMAT JSON",
    ] {
        let target = if sql.contains("SETTINGS") { "/".to_owned() } else { format!("/?{ON}") };
        let reply = post(door.address, &target, sql).await;
        assert!(reply.status == 200 && reply.complete, "{sql}");
        assert!(
            reply.header("x-clickhouse-exception-tag").is_some() && !reply.text().contains("__exception__")
        );
        let document = document(&reply);
        assert_eq!(document["exception"], PLANTED);
        assert_eq!(
            (document["rows"].as_u64(), document["data"].as_array().map(Vec::len)),
            (Some(400_000), Some(400_000))
        );
        assert!(document.get("statistics").is_none());
    }
}

#[tokio::test]
async fn who_waits_for_the_end_gets_no_rows_of_a_broken_result() {
    let door = start(Wish::default()).await;
    let target = format!("/?{ON}&wait_end_of_query=1");
    let reply = post(door.address, &target, "SELECT batches 40 ROWS 10000 THEN fail FORMAT JSON").await;
    assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (500, Some("241")));
    let document = document(&reply);
    assert_eq!((document["rows"].as_u64(), document["exception"].as_str()), (Some(0), Some(PLANTED)));
    assert_eq!(document["meta"][0]["type"], "UInt64");
}
