use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::client::{get, post, send};
use super::doubles::{Wish, start};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn health_is_about_the_process_and_ready_about_its_work() {
    let door = start(Wish::default()).await;
    let health = get(door.address, "/health").await;
    assert_eq!(health.status, 200);
    let body = json(&health.text());
    assert_eq!((body["status"].as_str(), body["node_id"].as_str()), (Some("healthy"), Some("0")));
    assert_eq!((body["role"].as_str(), body["version"].as_str()), (Some("storage"), Some("0.1.0")));
    assert_eq!(get(door.address, "/ready").await.text(), "{\"status\":\"ready\"}\n");
    door.node.ready.store(false, Ordering::SeqCst);
    let ready = get(door.address, "/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(json(&ready.text()), json!({"status": "not_ready", "reasons": ["replaying the log"]}));
    assert_eq!(get(door.address, "/health").await.status, 200);
}

#[tokio::test]
async fn metrics_are_rendered_after_the_gauges_were_set() {
    let door = start(Wish::default()).await;
    let metrics = get(door.address, "/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    assert_eq!(door.node.refreshed.load(Ordering::SeqCst), 1);
    assert_eq!(json(&get(door.address, "/stats").await.text())["ticks_stored"], 7);
}

#[tokio::test]
async fn running_statements_are_listed_and_killed() {
    let door = start(Wish::default()).await;
    let address = door.address;
    let hanging = tokio::spawn(async move { post(address, "/?query_id=slow", "SELECT hang").await });
    let listed = loop {
        let listed = json(&get(address, "/admin/queries").await.text());
        if !listed["queries"].as_array().unwrap().is_empty() {
            break listed;
        }
    };
    assert_eq!(listed["queries"][0]["query_id"], "slow");
    let killed = send(address, "DELETE", "/admin/queries/slow", &[], b"").await;
    assert_eq!((killed.status, json(&killed.text())), (200, json!({"query_id": "slow", "killed": true})));
    let reply = hanging.await.unwrap();
    assert_eq!(reply.header("x-clickhouse-exception-code"), Some("394"));
    assert_eq!(send(address, "DELETE", "/admin/queries/slow", &[], b"").await.status, 404);
}

#[tokio::test]
async fn operators_see_settings_version_and_snapshots() {
    let door = start(Wish::default()).await;
    assert_eq!(json(&get(door.address, "/admin/settings").await.text())["cluster_secret"], "<redacted>");
    assert_eq!(json(&get(door.address, "/admin/version").await.text())["version"], "0.1.0");
    assert_eq!(json(&post(door.address, "/admin/snapshot?name=x", "").await.text())["name"], "x");
    assert_eq!(json(&post(door.address, "/admin/snapshot", "").await.text())["name"], "snapshot-1");
    assert_eq!(post(door.address, "/admin/snapshot?name=taken", "").await.status, 400);
    assert_eq!(json(&get(door.address, "/admin/snapshots").await.text())[0]["name"], "snapshot-1");
    assert_eq!(
        json(&get(door.address, "/whoami").await.text()),
        json!({"subject": "default", "role": "admin"})
    );
}

#[tokio::test]
async fn each_path_of_rebalancing_asks_for_its_change_and_shows_its_part() {
    let door = start(Wish::default()).await;
    let status = json(&get(door.address, "/admin/rebalance/status").await.text());
    assert_eq!(status, json!({"rebalancing": "on", "moves": [1], "handovers": [2]}));
    let history = json(&get(door.address, "/admin/rebalance/history").await.text());
    assert_eq!(history, json!({"history": [3]}));
    for (method, path, change) in [
        ("POST", "/admin/rebalance/start", "Resume"),
        ("POST", "/admin/rebalance/resume", "Resume"),
        ("POST", "/admin/rebalance/pause", "Pause"),
        ("POST", "/admin/rebalance/cancel", "Cancel"),
        ("POST", "/admin/rebalance/cancel?node=3", "Keep(3)"),
        ("DELETE", "/admin/nodes/3", "Drain(3)"),
    ] {
        let reply = send(door.address, method, path, &[], b"").await;
        assert_eq!((reply.status, json(&reply.text())), (200, json!(change)), "{method} {path}");
    }
    for (method, path, status) in [
        ("DELETE", "/admin/nodes/9", 400),
        ("DELETE", "/admin/nodes/zeptodb-2", 400),
        ("POST", "/admin/rebalance/cancel?node=x", 400),
        ("POST", "/admin/rebalance/status", 405),
        ("GET", "/admin/rebalance/pause", 405),
        ("POST", "/admin/rebalance/everything", 404),
    ] {
        assert_eq!(send(door.address, method, path, &[], b"").await.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn an_unknown_path_says_what_there_is() {
    let door = start(Wish::default()).await;
    for path in ["/nothing", "/admin", "/admin/queries/", "//", "/%00", "/ping/x"] {
        let reply = get(door.address, path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.text().starts_with("There is no handle /"), "{path}");
    }
    for (method, path) in
        [("DELETE", "/"), ("PUT", "/"), ("POST", "/ping"), ("DELETE", "/admin/queries"), ("BREW", "/")]
    {
        assert_eq!(send(door.address, method, path, &[], b"").await.status, 405, "{method} {path}");
    }
}

#[tokio::test]
async fn a_panic_in_a_handler_is_an_error_500_and_the_door_stays_open() {
    let door = start(Wish::default()).await;
    let reply = post(door.address, "/", "SELECT panic").await;
    assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (500, Some("49")));
    assert!(!reply.text().contains("planted"), "the client is not shown our insides");
    assert_eq!(get(door.address, "/ping").await.status, 200);
}
