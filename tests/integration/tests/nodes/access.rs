//! Keys and roles on a real node.

use std::io::Read;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zepto_common::auth::{append_key, create_key};
use zepto_common::service::Role;
use zepto_harness::connection::percent_encode;
use zepto_harness::{Connection, Request, node};

/// Statements, and the lowest role that may run them.
const STATEMENTS: [(&str, Role); 6] = [
    ("SELECT count() FROM t", Role::Reader),
    ("SHOW TABLES", Role::Reader),
    ("INSERT INTO t VALUES ('a', '2024-01-02 10:00:00')", Role::Writer),
    (
        "CREATE TABLE IF NOT EXISTS t2 (k String, ts DateTime64(9)) ENGINE = MergeTree ORDER BY (k, ts)",
        Role::Admin,
    ),
    ("DELETE FROM t WHERE k = 'b'", Role::Admin),
    ("KILL QUERY WHERE query_id = 'q_0'", Role::Admin),
];

#[test]
fn each_role_may_do_its_part_and_nothing_more() -> Result<()> {
    let place = crate::place()?;
    let file = place.path().join("keys");
    let mut keys = Vec::new();
    for role in [Role::Metrics, Role::Reader, Role::Writer, Role::Admin] {
        let (key, record) = create_key(&format!("the {role:?}"), role)?;
        append_key(&file, &record)?;
        keys.push((role, key));
    }
    let node = place.launch().flag("--api-keys-file").flag(&file).start()?;
    let mut connection = node.connect()?;
    let admin = &keys.last().context("four keys")?.1;
    let create =
        "CREATE TABLE t (k LowCardinality(String), ts DateTime64(9)) ENGINE = MergeTree ORDER BY (k, ts)";
    ensure!(ask(&mut connection, create, Some(admin))? == (200, None));
    for (role, key) in &keys {
        for (sql, least) in STATEMENTS {
            let (status, code) = ask(&mut connection, sql, Some(key))?;
            let allowed = role >= &least;
            ensure!(allowed == (status == 200), "{role:?} runs `{sql}`: {status} {code:?}");
            ensure!(
                allowed || (status, code) == (403, Some(497)),
                "{role:?} runs `{sql}`: {status} {code:?}"
            );
        }
    }
    for key in [None, Some("zk_wrong"), Some("")] {
        let (status, code) = ask(&mut connection, "SELECT 1", key)?;
        ensure!((401..=403).contains(&status) && code.is_some(), "{key:?}: {status} {code:?}");
    }
    for path in ["/ping", "/health", "/ready"] {
        ensure!(connection.send(&Request::get(path))?.status == 200, "{path} needs no key");
    }
    let admin_path = connection.send(&Request::get("/admin/queries"))?;
    ensure!((401..=403).contains(&admin_path.status), "/admin/queries without a key: {}", admin_path.status);
    every_way_to_send_a_key(&mut connection, admin)
}

fn ask(connection: &mut Connection, sql: &str, key: Option<&str>) -> Result<(u16, Option<u32>)> {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|value| ("Authorization", value.as_str())).collect();
    let response = connection.send(&Request::new("POST", "/", &headers, sql.as_bytes()))?;
    Ok((response.status, response.exception_code()))
}

fn every_way_to_send_a_key(connection: &mut Connection, key: &str) -> Result<()> {
    let basic = format!("Basic {}", STANDARD.encode(format!("the Admin:{key}")));
    let url = format!("/?user={}&password={}", percent_encode("the Admin"), percent_encode(key));
    let ways: [(&str, Vec<(&str, &str)>); 3] = [
        ("/", vec![("Authorization", &basic)]),
        ("/", vec![("X-ClickHouse-User", "the Admin"), ("X-ClickHouse-Key", key)]),
        (&url, vec![]),
    ];
    for (target, headers) in ways {
        let response = connection.send(&Request::new("POST", target, &headers, &b"SELECT 1"[..]))?;
        ensure!(response.status == 200, "{headers:?}: {} {}", response.status, response.text());
        let wrong: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, if *value == key { "zk_wrong" } else { *value }))
            .collect();
        if wrong != headers {
            let response = connection.send(&Request::new("POST", target, &wrong, &b"SELECT 1"[..]))?;
            ensure!(response.status == 403, "{wrong:?}: {}", response.status);
        }
    }
    Ok(())
}

#[test]
fn a_node_that_the_network_can_reach_does_not_start_without_keys() -> Result<()> {
    let place = crate::place()?;
    let mut child = Command::new(node::program_beside_this()?)
        .arg("--data-dir")
        .arg(place.path().join("data"))
        .args(["--http-port", "0", "--bind", "0.0.0.0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    child.stderr.take().context("piped")?.read_to_string(&mut said)?;
    ensure!(!child.wait()?.success(), "it started: {said}");
    ensure!(said.contains("--no-auth"), "it says what to do: {said}");
    Ok(())
}
