use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use zepto_common::auth::{Authenticator, append_key, create_key};
use zepto_common::service::Role;

use super::client::{PATIENCE, Reply, get, over, send};
use super::doubles::{Running, Wish, start};

struct Keys {
    admin: String,
    writer: String,
    reader: String,
    metrics: String,
    path: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

async fn guarded() -> (Running, Keys) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let make = |name: &str, role| {
        let (text, record) = create_key(name, role).unwrap();
        append_key(&path, &record).unwrap();
        text
    };
    let keys = Keys {
        admin: make("root", Role::Admin),
        writer: make("loader", Role::Writer),
        reader: make("grafana", Role::Reader),
        metrics: make("prometheus", Role::Metrics),
        path: path.clone(),
        _dir: dir,
    };
    let auth = Authenticator::from_file(&path).unwrap();
    (start(Wish { auth, protect_metrics: true, ..Wish::default() }).await, keys)
}

async fn with(door: &Running, key: &str, method: &str, target: &str, body: &str) -> Reply {
    let bearer = format!("Bearer {key}");
    send(door.address, method, target, &[("Authorization", &bearer)], body.as_bytes()).await
}

#[tokio::test]
async fn without_a_key_only_the_probes_answer() {
    let (door, _keys) = guarded().await;
    for path in ["/", "/ping", "/health", "/ready", "/replicas_status"] {
        assert_eq!(get(door.address, path).await.status, 200, "{path}");
    }
    for (method, path) in [
        ("GET", "/?query=SELECT%201"),
        ("POST", "/"),
        ("GET", "/metrics"),
        ("GET", "/stats"),
        ("GET", "/whoami"),
        ("GET", "/admin/queries"),
        ("DELETE", "/admin/queries/x"),
        ("GET", "/admin/keys"),
        ("POST", "/admin/keys?name=a&role=admin"),
        ("DELETE", "/admin/keys/x"),
        ("GET", "/admin/settings"),
        ("GET", "/admin/version"),
        ("POST", "/admin/snapshot"),
        ("GET", "/admin/snapshots"),
        ("DELETE", "/admin/nodes/1"),
        ("GET", "/admin/rebalance/status"),
        ("GET", "/admin/rebalance/history"),
        ("POST", "/admin/rebalance/start"),
        ("POST", "/admin/rebalance/pause"),
        ("POST", "/admin/rebalance/resume"),
        ("POST", "/admin/rebalance/cancel"),
        ("POST", "/insert/arrow?table=t"),
    ] {
        let reply = send(door.address, method, path, &[], b"SELECT 1").await;
        assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (401, Some("194")), "{path}");
        assert!(reply.header("www-authenticate").is_some());
    }
    let wrong = with(&door, "zk_wrong", "POST", "/", "SELECT 1").await;
    assert_eq!((wrong.status, wrong.header("x-clickhouse-exception-code")), (403, Some("516")));
    let default = [("Authorization", "Basic ZGVmYXVsdDo=")];
    let reply = send(door.address, "POST", "/", &default, b"SELECT 1").await;
    assert_eq!(reply.header("x-clickhouse-exception-code"), Some("516"));
    assert!(door.queries.contexts.lock().is_empty());
}

#[tokio::test]
async fn every_way_of_bringing_a_key_is_taken() {
    let (door, keys) = guarded().await;
    let basic = format!("Basic {}", STANDARD.encode(format!("grafana:{}", keys.reader)));
    let bearer = format!("Bearer {}", keys.reader);
    let url = format!("/?user=grafana&password={}", keys.reader);
    for (target, headers) in [
        ("/", vec![("Authorization", basic.as_str())]),
        ("/", vec![("Authorization", bearer.as_str())]),
        ("/", vec![("X-ClickHouse-User", "grafana"), ("X-ClickHouse-Key", keys.reader.as_str())]),
        (url.as_str(), vec![]),
    ] {
        let reply = send(door.address, "POST", target, &headers, b"SELECT 1").await;
        assert_eq!(reply.status, 200, "{headers:?}: {}", reply.text());
        assert_eq!(door.queries.last().1.user, "grafana");
    }
}

#[tokio::test]
async fn a_role_may_do_what_it_says_and_no_more() {
    let (door, keys) = guarded().await;
    let ddl = "CREATE TABLE x (a Int8) ENGINE = MergeTree ORDER BY a";
    let insert = "INSERT INTO t VALUES ('a', 1)";
    for (key, select, insert_ok, ddl_ok, stats, admin) in [
        (&keys.admin, 200, 200, 200, 200, 200),
        (&keys.writer, 200, 200, 403, 403, 403),
        (&keys.reader, 200, 403, 403, 403, 403),
        (&keys.metrics, 403, 403, 403, 200, 403),
    ] {
        assert_eq!(with(&door, key, "POST", "/", "SELECT 1").await.status, select);
        assert_eq!(with(&door, key, "POST", "/", insert).await.status, insert_ok);
        assert_eq!(with(&door, key, "POST", "/", ddl).await.status, ddl_ok);
        assert_eq!(with(&door, key, "POST", "/", "DROP TABLE t").await.status, ddl_ok);
        assert_eq!(with(&door, key, "POST", "/", "INSERT INTO t SELECT * FROM t").await.status, insert_ok);
        assert_eq!(with(&door, key, "GET", "/stats", "").await.status, stats);
        assert_eq!(with(&door, key, "GET", "/metrics", "").await.status, 200);
        assert_eq!(with(&door, key, "GET", "/whoami", "").await.status, 200);
        assert_eq!(with(&door, key, "GET", "/admin/settings", "").await.status, admin);
        assert_eq!(with(&door, key, "POST", "/admin/snapshot", "").await.status, admin);
        assert_eq!(with(&door, key, "GET", "/admin/rebalance/status", "").await.status, admin);
        assert_eq!(with(&door, key, "POST", "/admin/rebalance/cancel", "").await.status, admin);
        assert_eq!(with(&door, key, "DELETE", "/admin/nodes/1", "").await.status, admin);
    }
    let refused = with(&door, &keys.reader, "POST", "/", insert).await;
    assert_eq!(refused.header("x-clickhouse-exception-code"), Some("497"));
}

#[tokio::test]
async fn whoever_is_not_admin_is_held_to_reading_by_the_query_service_too() {
    let (door, keys) = guarded().await;
    with(&door, &keys.reader, "POST", "/", "gibberish 1").await;
    assert!(door.queries.last().1.read_only, "an unknown keyword does not get past the role");
    with(&door, &keys.writer, "POST", "/", "SELECT 1; DROP TABLE t").await;
    assert!(door.queries.last().1.read_only);
    with(&door, &keys.admin, "POST", "/", "gibberish 1").await;
    assert!(!door.queries.last().1.read_only);
}

#[tokio::test]
async fn a_key_made_while_the_door_is_open_is_taken_within_seconds() {
    let (door, keys) = guarded().await;
    let (fresh, record) = create_key("late", Role::Reader).unwrap();
    assert_eq!(with(&door, &fresh, "POST", "/", "SELECT 1").await.status, 403);
    append_key(&keys.path, &record).unwrap();
    let until = tokio::time::Instant::now() + super::client::PATIENCE;
    while with(&door, &fresh, "POST", "/", "SELECT 1").await.status != 200 {
        assert!(tokio::time::Instant::now() < until, "the new key was never taken");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_admin_makes_lists_and_revokes_keys_while_the_node_runs() {
    let (door, keys) = guarded().await;
    let made = with(&door, &keys.admin, "POST", "/admin/keys?name=new%20one&role=writer", "").await;
    assert_eq!((made.status, made.header("cache-control")), (200, Some("no-store")), "{}", made.text());
    let made: serde_json::Value = serde_json::from_str(&made.text()).unwrap();
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert_eq!(
        with(&door, key, "GET", "/whoami", "").await.text(),
        "{\"role\":\"writer\",\"subject\":\"new one\"}\n"
    );
    let listed = with(&door, &keys.admin, "GET", "/admin/keys", "").await.text();
    assert!(listed.contains(id) && listed.contains("grafana") && !listed.contains("hash"), "{listed}");
    assert!(!listed.contains(&key[12..]), "{listed}");
    for not_admin in [key, &keys.reader] {
        for (method, path) in [("GET", "/admin/keys"), ("POST", "/admin/keys?name=a&role=admin")] {
            assert_eq!(with(&door, not_admin, method, path, "").await.status, 403, "{path}");
        }
    }
    let gone = with(&door, &keys.admin, "DELETE", &format!("/admin/keys/{id}"), "").await;
    assert_eq!(gone.text(), format!("{{\"id\":\"{id}\",\"revoked\":true}}\n"));
    assert_eq!(with(&door, key, "GET", "/whoami", "").await.status, 403);
    assert_eq!(with(&door, &keys.admin, "DELETE", &format!("/admin/keys/{id}"), "").await.status, 404);
    for bad in
        ["?name=a", "?role=reader", "?name=a&role=emperor", "?name=&role=reader", "?name=a%0Ab&role=reader"]
    {
        let refused = with(&door, &keys.admin, "POST", &format!("/admin/keys{bad}"), "").await;
        assert_eq!(refused.status, 400, "{bad}: {}", refused.text());
    }
    let own = &keys.admin[3..11];
    assert_eq!(
        with(&door, &keys.admin, "DELETE", &format!("/admin/keys/{own}"), "").await.status,
        400,
        "the last admin"
    );
    assert_eq!(with(&door, &keys.admin, "PATCH", "/admin/keys", "").await.status, 405);
}

/// A client that sends its body before it reads would see a broken connection in place of the reason.
#[tokio::test]
async fn who_is_refused_while_sending_learns_why() {
    let (door, _keys) = guarded().await;
    // More than sockets hold: it can be sent only to who reads it.
    let body = vec![b' '; 6 << 20];
    for target in ["/", "/?no_such_setting=1", "/insert/arrow?table=t"] {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer zk_wrong\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        timeout(PATIENCE, stream.write_all(&body)).await.unwrap().expect("the whole body is taken");
        let reply = Reply::parse(&over(&mut stream, b"").await).unwrap();
        assert_eq!(
            (reply.status, reply.header("x-clickhouse-exception-code")),
            (403, Some("516")),
            "{target}"
        );
    }
}
