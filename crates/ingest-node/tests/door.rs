//! An ingest node between a real coordinator and a storage node that is played: its owner side keeps rows, its HTTP side
//! repeats what it was asked.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use futures::StreamExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use zepto_cluster::{OwnerBatch, OwnerIdentity, OwnerWrites, PartOutcome, Verdict, owner_server};
use zepto_common::catalog::{Ddl, NewTable};
use zepto_common::ids::{ColumnId, NodeId, PlacementVersion};
use zepto_common::limits::OWNER_BYTES_TAKEN;
use zepto_common::schema::{Column, ColumnDefault, TableName};
use zepto_coordinator::server::Listeners;
use zepto_coordinator::{Coordinator, Times};
use zepto_ingest_node::{Config, IngestNode};
use zepto_proto::client::{Condition, CoordinatorClient, Deadlines, Identity};
use zepto_proto::coordinate as wire;
use zepto_proto::handshake::{PROTOCOL, Secret};
use zepto_proto::refusal::{Refused, RefusedReason};
use zepto_proto::tier::tier_client::TierClient;
use zepto_proto::tier::{LookReply, LookRequest};
use zepto_proto::write::write_client::WriteClient;

const PATIENCE: Duration = Duration::from_secs(60);

/// The file with the cluster's secret, for as long as the test runs.
fn secret_file() -> std::path::PathBuf {
    static FILE: std::sync::OnceLock<tempfile::NamedTempFile> = std::sync::OnceLock::new();
    let made = FILE.get_or_init(|| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s").unwrap();
        file
    });
    made.path().to_owned()
}

fn config(coordinator: &str) -> Config {
    let mut config = Config { http_port: 0, node_id: Some(100_000), ..Config::default() };
    config.cluster.coordinators = vec![coordinator.to_owned()];
    config.cluster.id = "lab".to_owned();
    config.cluster.secret_file = Some(secret_file());
    config.cluster.heartbeat_interval_ms = 100;
    config
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

async fn start(config: Config) -> IngestNode {
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    IngestNode::start(config, metrics).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_placement_the_node_lives_and_is_not_ready() {
    let node = start(config("127.0.0.1:1")).await;
    assert_eq!(ask(&node, "/health", None).await.0, 200);
    let (status, text) = ask(&node, "/ready", None).await;
    assert_eq!(status, 503);
    assert!(text.contains("no placement is known") && text.contains("no catalog is known"), "{text}");
    let (status, text) = ask(&node, "/", Some("SELECT 1")).await;
    assert_eq!(status, 503, "{text}");
    assert_eq!(ask(&node, "/admin/version", None).await.0, 200);
    node.stop().await.unwrap();
}

/// What the node says of itself to one with this secret, of this cluster.
async fn look(node: &IngestNode, secret: &str, cluster: &str) -> Result<LookReply, Refused> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", node.cluster_addresses().0));
    let mut client = TierClient::new(endpoint.unwrap().connect_lazy());
    let envelope =
        wire::Envelope { protocol: PROTOCOL, cluster_id: cluster.to_owned(), ..wire::Envelope::default() };
    let mut request = tonic::Request::new(LookRequest { envelope: Some(envelope), metrics: true });
    Secret::new(secret).sign_request(request.metadata_mut());
    let answer = client.look(request).await;
    answer.map(tonic::Response::into_inner).map_err(|status| Refused::of(&status).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rpc_port_tells_how_the_node_is_to_those_of_the_cluster_and_takes_no_rows() {
    let node = start(config("127.0.0.1:1")).await;
    let told = look(&node, "s", "lab").await.unwrap();
    assert_eq!(told.envelope.unwrap().node_id, 100_000);
    assert!(told.not_ready.iter().any(|reason| reason == "no placement is known"), "{:?}", told.not_ready);
    assert_eq!(look(&node, "guessed", "lab").await.unwrap_err().reason, RefusedReason::WrongSecret);
    assert_eq!(look(&node, "s", "elsewhere").await.unwrap_err().reason, RefusedReason::WrongCluster);

    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", node.cluster_addresses().0));
    let mut rows = WriteClient::new(endpoint.unwrap().connect_lazy());
    let messages = futures::stream::empty::<zepto_proto::write::WriteMessage>();
    let status = rows.write(messages).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented, "{status}");
    node.stop().await.unwrap();
}

/// A file of what the node knew last, as its first start with a folder has written it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_another_cluster_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let with_folder = |cluster: &str| {
        let mut config = config("127.0.0.1:1");
        config.config.data_dir = Some(dir.path().to_owned());
        config.cluster.id = cluster.to_owned();
        config
    };
    start(with_folder("lab")).await.stop().await.unwrap();
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let error = IngestNode::start(with_folder("other"), metrics).await.err().unwrap().to_string();
    assert!(error.contains("\"lab\"") && error.contains("\"other\""), "{error}");
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

/// Begins an answer to a statement with this text and never goes on.
const HANGS: &str = "hangs";

/// Plays storage node 0; answers to its name until the runtime ends. What it registered as.
async fn storage(client: &CoordinatorClient, kept: Kept) -> wire::RegisterRequest {
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
    let server =
        tonic::transport::Server::builder().add_service(owner_server(kept, identity, OWNER_BYTES_TAKEN));
    tokio::spawn(server.serve_with_incoming(incoming));
    let echo = async |request: Request| {
        let uri = request.uri().clone();
        let user = format!("{:?}", request.headers().get("x-clickhouse-user"));
        let kind = request.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let form = kind.filter(|kind| kind.contains("form-data")).map(|kind| format!("{kind} form "));
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let text = format!("{uri} {user} {}{}", form.unwrap_or_default(), String::from_utf8_lossy(&body));
        let begun = futures::stream::iter([Ok::<_, std::convert::Infallible>(text.clone())]);
        if text.contains(HANGS) {
            Body::from_stream(begun.chain(futures::stream::pending()))
        } else {
            text.into()
        }
    };
    let router = Router::new().fallback(echo);
    tokio::spawn(async move { axum::serve(http, router).await });
    let request = wire::RegisterRequest {
        role: wire::Role::Storage.into(),
        disk_id: vec![1; 16],
        addresses: Some(addresses),
        ..Default::default()
    };
    assert_eq!(client.register(request.clone()).await.unwrap().refusal, None);
    let client = client.clone();
    tokio::spawn(async move {
        loop {
            client.keep_alive(Condition { ready: true, ..Condition::default() }).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    request
}

/// How the played storage node speaks to the coordinator in its first start, its second, ….
fn storages_client(coordinator: &str, start: u64) -> CoordinatorClient {
    let identity =
        Identity { cluster_id: "lab".to_owned(), node_id: 0, incarnation: start, secret: Secret::new("s") };
    let deadlines = Deadlines { call: PATIENCE, ..Deadlines::default() };
    CoordinatorClient::new(&[coordinator.to_owned()], identity, deadlines).unwrap()
}

/// A coordinator with a storage node that is played, and an ingest node that is ready.
struct Lab {
    node: IngestNode,
    kept: Kept,
    storage: wire::RegisterRequest,
    client: CoordinatorClient,
    coordinator: Coordinator,
    _dir: tempfile::TempDir,
}

impl Lab {
    async fn start() -> Self {
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
        let client = storages_client(&address, 1);
        let kept = Kept::default();
        let storage = storage(&client, kept.clone()).await;
        let node = start(config(&address)).await;
        let begun = Instant::now();
        while ask(&node, "/ready", None).await.0 != 200 {
            let why = ask(&node, "/ready", None).await.1;
            assert!(begun.elapsed() < PATIENCE, "{why}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { node, kept, storage, client, coordinator, _dir: dir }
    }

    async fn stop(self) {
        self.node.stop().await.unwrap();
        self.coordinator.stop().await;
    }
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

/// The text of a form may stand in the URL and in its parts, and its tables are for who runs the statement.
async fn passes_a_form_on(node: &IngestNode) {
    let part = |head: &str, text: &str| {
        format!("--edge\r\nContent-Disposition: form-data; name={head}\r\n\r\n{text}\r\n")
    };
    let large = "7\ta\n".repeat(100_000);
    let table = part("\"ids\"; filename=\"ids.tsv\"", &large);
    let form = part("\"query\"", "FROM ids") + &part("\"param_x\"", "1") + &table + "--edge--\r\n";
    let url = format!("http://{}/?query=SELECT+*&query_id=z&decompress=0", node.http_address());
    let sent = form.clone();
    let work = move || {
        let kind = "multipart/form-data; boundary=edge";
        let mut answer = ureq::post(&url).header("content-type", kind).send(sent).unwrap();
        answer.body_mut().read_to_string().unwrap()
    };
    let text = tokio::task::spawn_blocking(work).await.unwrap();
    let (head, body) = text.split_once(" form ").unwrap();
    assert_eq!(head, "/?query=SELECT+*&query_id=z None multipart/form-data; boundary=edge");
    assert!(body == form, "{} bytes of {} came", body.len(), form.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_go_to_the_owners_and_statements_to_a_storage_node() {
    let lab = Lab::start().await;
    let Lab { node, client, kept, .. } = &lab;
    let insert = "INSERT INTO t FORMAT TSV\na\t1\nb\t2\nc\t3\n";
    let (status, text) = ask(node, "/", Some(insert)).await;
    assert_eq!(status, 404, "{text}");
    let made = client.ddl(ddl()).await.unwrap();
    assert_eq!((made.refusal, made.error_code), (None, 0));
    let (status, text) = ask(node, "/", Some(insert)).await;
    assert_eq!((status, *kept.0.lock()), (200, 3), "a table is known as soon as it is made: {text}");

    let (status, text) = ask(node, "/?query=SELECT&max_threads=1&query_id=x", Some("count() FROM t")).await;
    assert_eq!(
        (status, text.as_str()),
        (200, "/?max_threads=1&query_id=x Some(\"default\") SELECT\ncount() FROM t")
    );
    let (status, text) = ask(node, "/?query=SELECT%201&query_id=y", None).await;
    assert_eq!((status, text.as_str()), (200, "/?query=SELECT%201&query_id=y None "));
    let (status, text) = ask(node, "/", Some("CREATE TABLE u (k String) ORDER BY k")).await;
    assert!(status == 200 && text.contains("CREATE TABLE u"), "{text}");
    passes_a_form_on(node).await;
    let (_, text) = ask(node, "/stats", None).await;
    assert!(text.contains("\"rows_stored\":3"), "{text}");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_breaks_off_when_its_node_is_not_the_one_that_began_it() {
    let lab = Lab::start().await;
    let url = format!("http://{}/", lab.node.http_address());
    let (tell, begun) = tokio::sync::oneshot::channel();
    let read = tokio::task::spawn_blocking(move || {
        let mut answer = ureq::post(&url).send(format!("SELECT '{HANGS}'")).unwrap();
        tell.send(answer.status().as_u16()).unwrap();
        let mut text = String::new();
        let ended = std::io::Read::read_to_string(&mut answer.body_mut().as_reader(), &mut text);
        (ended, text)
    });
    assert_eq!(begun.await.unwrap(), 200);
    // It starts again, and its old connection says nothing of that.
    let second = storages_client(&lab.coordinator.rpc_address().to_string(), 2);
    let again = second.register(lab.storage.clone()).await.unwrap();
    assert_eq!((again.refusal, again.incarnation), (None, 2));
    let (ended, text) = tokio::time::timeout(PATIENCE, read).await.expect("it waits for ever").unwrap();
    assert!(text.contains(HANGS) && ended.is_err(), "it was taken for whole: {ended:?}, {text}");
    lab.stop().await;
}
