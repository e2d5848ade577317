//! An ingest node between a real coordinator and a storage node that is played: its owner side keeps rows, its HTTP side
//! repeats what it was asked.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use metrics_exporter_prometheus::PrometheusBuilder;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use zepto_cluster::{OwnerBatch, OwnerIdentity, OwnerWrites, PartOutcome, Verdict, owner_server};
use zepto_common::catalog::{Ddl, NewTable};
use zepto_common::ids::{ColumnId, NodeId, PlacementVersion};
use zepto_common::schema::{Column, ColumnDefault, TableName};
use zepto_coordinator::server::Listeners;
use zepto_coordinator::{Coordinator, Times};
use zepto_ingest_node::{IngestNode, Options};
use zepto_proto::client::{CoordinatorClient, Deadlines, Identity};
use zepto_proto::coordinate as wire;
use zepto_proto::handshake::Secret;

const PATIENCE: Duration = Duration::from_secs(60);

fn options(coordinator: &str) -> Options {
    Options {
        node: NodeId(100_000),
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        http_port: 0,
        coordinators: vec![coordinator.to_owned()],
        cluster_id: "lab".to_owned(),
        secret: Secret::new("s"),
        api_keys_file: None,
        protect_metrics: false,
        heartbeat: Duration::from_millis(100),
        feeds: Vec::new(),
    }
}

/// Status and text of an answer.
async fn ask(node: &IngestNode, path: &str, body: Option<&str>) -> (u16, String) {
    let (url, body) = (format!("http://{}{path}", node.http_address()), body.map(str::to_owned));
    let work = move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let answer = match body {
            Some(body) => agent.post(&url).header("x-clickhouse-user", "default").send(body),
            None => agent.get(&url).call(),
        };
        let mut answer = answer.unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn start(coordinator: &str) -> IngestNode {
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    IngestNode::start(options(coordinator), metrics).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_placement_the_node_lives_and_is_not_ready() {
    let node = start("127.0.0.1:1").await;
    assert_eq!(ask(&node, "/health", None).await.0, 200);
    let (status, text) = ask(&node, "/ready", None).await;
    assert_eq!(status, 503);
    assert!(text.contains("no placement is known") && text.contains("no catalog is known"), "{text}");
    let (status, text) = ask(&node, "/", Some("SELECT 1")).await;
    assert_eq!(status, 503, "{text}");
    assert_eq!(ask(&node, "/admin/version", None).await.0, 200);
    node.stop().await.unwrap();
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<u64>>);

#[async_trait]
impl OwnerWrites for Kept {
    async fn write(&self, batch: OwnerBatch) -> Vec<PartOutcome> {
        *self.0.lock() += batch.rows.num_rows() as u64;
        let stored =
            |(partition, ..): &(_, _, _)| PartOutcome { partition: *partition, verdict: Verdict::Stored };
        batch.parts.iter().map(stored).collect()
    }

    fn versions(&self) -> (PlacementVersion, u64) {
        (PlacementVersion(1), 1)
    }
}

/// Plays storage node 0; answers to its name until the runtime ends.
async fn storage(client: &CoordinatorClient, kept: Kept) {
    let rpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = wire::Addresses {
        http: http.local_addr().unwrap().to_string(),
        rpc: rpc.local_addr().unwrap().to_string(),
        ..Default::default()
    };
    let identity = OwnerIdentity {
        cluster_id: "lab".to_owned(),
        node: NodeId(0),
        incarnation: 1,
        secret: Secret::new("s"),
    };
    let incoming = tonic::transport::server::TcpIncoming::from(rpc);
    let server = tonic::transport::Server::builder().add_service(owner_server(kept, identity));
    tokio::spawn(server.serve_with_incoming(incoming));
    let echo = async |request: Request| {
        let uri = request.uri().clone();
        let user = format!("{:?}", request.headers().get("x-clickhouse-user"));
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        format!("{uri} {user} {}", String::from_utf8_lossy(&body))
    };
    let router = Router::new().fallback(echo);
    tokio::spawn(async move { axum::serve(http, router).await });
    let request = wire::RegisterRequest {
        role: wire::Role::Storage.into(),
        disk_id: vec![1; 16],
        addresses: Some(addresses),
        ..Default::default()
    };
    assert_eq!(client.register(request).await.unwrap().refusal, None);
    let client = client.clone();
    tokio::spawn(async move {
        loop {
            client.keep_alive(true, false).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

fn ddl() -> wire::DdlRequest {
    let column = |name: &str, ty: &str| Column {
        id: ColumnId(0),
        name: name.to_owned(),
        ty: ty.parse().unwrap(),
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    let table = NewTable {
        name: TableName::new("default", "t"),
        columns: vec![column("k", "String"), column("v", "Int64")],
        key: Some("k".to_owned()),
        time: None,
        order_by: vec!["k".to_owned()],
        ttl_seconds: None,
        engine: String::new(),
        comment: String::new(),
    };
    let statement = serde_json::to_vec(&Ddl::CreateTable { table, if_not_exists: false }).unwrap();
    wire::DdlRequest { envelope: None, request_id: vec![7; 16], statement }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_go_to_the_owners_and_statements_to_a_storage_node() {
    let dir = tempfile::tempdir().unwrap();
    let coordinator = zepto_coordinator::Options {
        cluster_id: "lab".to_owned(),
        secret: Secret::new("s"),
        partitions: 16,
        times: Times { settle: Duration::from_millis(200), ..Times::default() },
        ..zepto_coordinator::Options::alone(dir.path().to_owned())
    };
    let listeners = Listeners::bind(&coordinator).await.unwrap();
    let coordinator = Coordinator::start(coordinator, listeners).await.unwrap();
    let address = coordinator.rpc_address().to_string();
    let identity =
        Identity { cluster_id: "lab".to_owned(), node_id: 0, incarnation: 1, secret: Secret::new("s") };
    let deadlines = Deadlines { call: PATIENCE, ..Deadlines::default() };
    let client = CoordinatorClient::new(std::slice::from_ref(&address), identity, deadlines).unwrap();
    let kept = Kept::default();
    storage(&client, kept.clone()).await;
    let node = start(&address).await;
    let begun = Instant::now();
    while ask(&node, "/ready", None).await.0 != 200 {
        let why = ask(&node, "/ready", None).await.1;
        assert!(begun.elapsed() < PATIENCE, "{why}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let insert = "INSERT INTO t FORMAT TSV\na\t1\nb\t2\nc\t3\n";
    let (status, text) = ask(&node, "/", Some(insert)).await;
    assert_eq!(status, 404, "{text}");
    let made = client.ddl(ddl()).await.unwrap();
    assert_eq!((made.refusal, made.error_code), (None, 0));
    let (status, text) = ask(&node, "/", Some(insert)).await;
    assert_eq!((status, *kept.0.lock()), (200, 3), "a table is known as soon as it is made: {text}");

    let (status, text) = ask(&node, "/?query=SELECT&max_threads=1&query_id=x", Some("count() FROM t")).await;
    assert_eq!(
        (status, text.as_str()),
        (200, "/?max_threads=1&query_id=x Some(\"default\") SELECT\ncount() FROM t")
    );
    let (status, text) = ask(&node, "/?query=SELECT%201&query_id=y", None).await;
    assert_eq!((status, text.as_str()), (200, "/?query=SELECT%201&query_id=y None "));
    let (status, text) = ask(&node, "/", Some("CREATE TABLE u (k String) ORDER BY k")).await;
    assert!(status == 200 && text.contains("CREATE TABLE u"), "{text}");
    let (_, text) = ask(&node, "/stats", None).await;
    assert!(text.contains("\"rows_stored\":3"), "{text}");
    node.stop().await.unwrap();
    coordinator.stop().await;
}
