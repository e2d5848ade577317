use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use zepto_common::ids::{
    ColumnId, DiskId, Epoch, NodeId, PartitionId, PlacementVersion, SchemaVersion, SetVersion, TableId,
};
use zepto_common::limits::OWNER_BYTES_TAKEN;
use zepto_common::placement::{Assignment, Grant, InSyncSet, Placement, Replica};
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::service::{RowSink, WriteReceipt, WriteRequest};
use zepto_common::{BatchId, Error, ErrorCode, Result};
use zepto_proto::handshake::Secret;

use crate::write::pool::{EdgeIdentity, OwnerPool, PoolLimits};
use crate::write::server::{OwnerIdentity, owner_server, tuned};
use crate::write::sink::{RoutedSink, SinkTimes, Tables};
use crate::write::{OwnerBatch, OwnerWrites, PartOutcome, PositionsAt, Verdict};

pub(super) const CLUSTER: &str = "lab";
pub(super) const SECRET: &str = "known to all";
/// Partitions of every placement here.
pub(super) const PARTITIONS: u16 = 8;

/// What a fake owner does with the next batch; after the list it behaves.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Stores and answers.
    Store,
    /// Says this of every part and stores nothing.
    Say(Verdict),
    /// Stores, then never answers.
    StoreAndHang,
    /// Stores, and says that nobody knows.
    StoreAndForget,
    /// Stores the first part only and says this of the others.
    StoreFirst(Verdict),
    /// Stores nothing and never answers.
    Hang,
}

/// A part as the key by which a repeat is recognised.
pub(super) type Key = (PartitionId, BatchId, u32);

#[derive(Default)]
pub(super) struct Books {
    pub(super) rows: Mutex<BTreeMap<Key, Vec<u32>>>,
    /// Keys of all batches that came, stored or not.
    pub(super) seen: Mutex<Vec<(BatchId, u32, Vec<PartitionId>)>>,
    pub(super) acts: Mutex<VecDeque<Act>>,
    /// The epoch under which it owns each of its partitions; None = it takes everything.
    pub(super) owns: Mutex<Option<BTreeMap<PartitionId, Epoch>>>,
    /// The highest epoch of what it does not own.
    pub(super) knows: Mutex<Epoch>,
    pub(super) bytes: AtomicUsize,
    /// Positions of feeds by home and stream.
    pub(super) positions: Mutex<BTreeMap<(PartitionId, String), BTreeMap<u32, u64>>>,
}

pub(super) struct Fake(pub(super) Arc<Books>);

impl Books {
    fn store(&self, batch: &OwnerBatch, part: usize) -> Verdict {
        let (partition, _, range) = batch.parts[part].clone();
        let numbers = batch.rows.column(1).as_primitive::<UInt32Type>().values();
        let own = numbers[range.start as usize..range.end as usize].to_vec();
        let key = (partition, batch.batch, batch.block);
        let mut rows = self.rows.lock();
        if let Some(known) = rows.get(&key) {
            return if *known == own {
                Verdict::Duplicate
            } else {
                Verdict::Refused(Error::new(ErrorCode::IncorrectData, "the same key with other content"))
            };
        }
        rows.insert(key, own);
        Verdict::Stored
    }

    /// All rows, sorted; doubled ones stand twice.
    pub(super) fn stored(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.rows.lock().values().flatten().copied().collect();
        all.sort_unstable();
        all
    }

    pub(super) fn plan(&self, acts: impl IntoIterator<Item = Act>) {
        self.acts.lock().extend(acts);
    }
}

#[async_trait]
impl OwnerWrites for Fake {
    async fn write(&self, batch: OwnerBatch) -> Vec<PartOutcome> {
        let books = &self.0;
        books.bytes.fetch_add(batch.payload.len(), Ordering::Relaxed);
        let partitions: Vec<_> = batch.parts.iter().map(|it| it.0).collect();
        books.seen.lock().push((batch.batch, batch.block, partitions.clone()));
        let act = books.acts.lock().pop_front().unwrap_or(Act::Store);
        let owned = |p: &PartitionId| books.owns.lock().as_ref().is_none_or(|owns| owns.contains_key(p));
        let mut outcomes = Vec::new();
        for (index, partition) in partitions.iter().enumerate() {
            let verdict = match &act {
                _ if !owned(partition) => Verdict::NotOwner(*books.knows.lock()),
                Act::Say(verdict) => verdict.clone(),
                Act::Hang => Verdict::Unknown(String::new()),
                Act::StoreFirst(verdict) if index > 0 => verdict.clone(),
                Act::StoreAndForget => {
                    books.store(&batch, index);
                    Verdict::Unknown("the log broke".to_owned())
                }
                _ => books.store(&batch, index),
            };
            outcomes.push(PartOutcome { partition: *partition, verdict });
        }
        if matches!(act, Act::StoreAndHang | Act::Hang) {
            std::future::pending::<()>().await;
        }
        outcomes
    }

    async fn positions(&self, at: PositionsAt) -> Result<BTreeMap<u32, u64>, Verdict> {
        let books = &self.0;
        if books.owns.lock().as_ref().is_some_and(|owns| !owns.contains_key(&at.home)) {
            return Err(Verdict::NotOwner(*books.knows.lock()));
        }
        let mut all = books.positions.lock();
        let of = all.entry((at.home, at.stream)).or_default();
        of.extend(at.raise);
        Ok(of.clone())
    }

    fn versions(&self) -> (PlacementVersion, u64) {
        (PlacementVersion(1), 1)
    }
}

/// An owner's process.
pub(super) struct Node {
    pub(super) books: Arc<Books>,
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Node {
    pub(super) async fn start(id: u32) -> Self {
        Self::start_as(id, CLUSTER, SECRET).await
    }

    pub(super) async fn start_as(id: u32, cluster: &str, secret: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let books = Arc::new(Books::default());
        let task = Self::serve(listener, id, cluster, secret, books.clone());
        Self { books, address, task }
    }

    fn serve(
        listener: TcpListener,
        id: u32,
        cluster: &str,
        secret: &str,
        books: Arc<Books>,
    ) -> JoinHandle<()> {
        let identity = OwnerIdentity {
            cluster_id: cluster.to_owned(),
            node: NodeId(id),
            incarnation: 1,
            secret: Secret::new(secret),
        };
        let service = owner_server(Fake(books), identity, OWNER_BYTES_TAKEN);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        tokio::spawn(async move {
            let server = tuned(Server::builder()).add_service(service);
            let _ended = server.serve_with_incoming(incoming).await;
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A way to an owner that can be cut: the owner goes on, what it answers is lost.
pub(super) struct Wire {
    pub(super) address: SocketAddr,
    cut: watch::Sender<u32>,
}

impl Wire {
    pub(super) async fn to(owner: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, cuts) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut edge, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut owner) = tokio::net::TcpStream::connect(owner).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut edge, &mut owner) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { address, cut }
    }

    pub(super) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

struct NoTables;

#[async_trait]
impl Tables for NoTables {
    async fn table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        Err(Error::new(ErrorCode::UnknownTable, name.to_string()))
    }

    async fn newest_table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        self.table(name).await
    }
}

/// An edge with its placement.
pub(super) struct Edge {
    pub(super) sink: Arc<RoutedSink>,
    pub(super) pool: Arc<OwnerPool>,
    pub(super) placement: watch::Sender<Arc<Placement>>,
}

pub(super) fn edge_identity(cluster: &str, secret: &str) -> EdgeIdentity {
    EdgeIdentity {
        cluster_id: cluster.to_owned(),
        node: NodeId(99_999),
        incarnation: 1,
        secret: Secret::new(secret),
    }
}

impl Edge {
    pub(super) fn new(addresses: &[(u32, SocketAddr)], placement: Placement) -> Self {
        let limits = PoolLimits {
            bytes_in_flight: 1 << 20,
            answer_time: Duration::from_secs(10),
            ..PoolLimits::default()
        };
        let times = SinkTimes { room: Duration::from_millis(200), whole: Duration::from_secs(10) };
        Self::with(addresses, placement, limits, times, edge_identity(CLUSTER, SECRET))
    }

    pub(super) fn with(
        addresses: &[(u32, SocketAddr)],
        placement: Placement,
        limits: PoolLimits,
        times: SinkTimes,
        identity: EdgeIdentity,
    ) -> Self {
        let pool = Arc::new(OwnerPool::new(identity, limits));
        pool.set_addresses(&addresses.iter().map(|(id, at)| (NodeId(*id), at.to_string())).collect());
        let (placement, told) = watch::channel(Arc::new(placement));
        let sink = Arc::new(RoutedSink::new(Arc::new(NoTables), pool.clone(), told, times));
        Self { sink, pool, placement }
    }

    /// Node 1, which owns everything and listens nowhere.
    pub(super) fn of_owner(books: Arc<Books>) -> Self {
        let identity = EdgeIdentity { node: NodeId(1), ..edge_identity(CLUSTER, SECRET) };
        let pool = OwnerPool::new(identity, PoolLimits::default()).with_local(Arc::new(Fake(books)));
        pool.set_addresses(&[(NodeId(1), "127.0.0.1:1".to_owned())].into());
        let (pool, times) = (Arc::new(pool), SinkTimes::default());
        let (placement, told) = watch::channel(Arc::new(placement(1, 1, &[1])));
        let sink = Arc::new(RoutedSink::new(Arc::new(NoTables), pool.clone(), told, times));
        Self { sink, pool, placement }
    }

    pub(super) async fn write(&self, request: WriteRequest) -> Result<WriteReceipt> {
        self.sink.write(request, Instant::now() + Duration::from_secs(20)).await
    }
}

/// Partition `p` belongs to `owners[p % owners.len()]`, all under this epoch.
pub(super) fn placement(version: u64, epoch: u64, owners: &[u32]) -> Placement {
    let replica = |node| Replica { node: NodeId(node), disk: DiskId(u128::from(node)) };
    let assignment = |p: u16| {
        let owner = replica(owners[usize::from(p) % owners.len()]);
        let set = InSyncSet { version: SetVersion(1), members: [owner].into() };
        Assignment {
            grant: Grant { partition: PartitionId(p), epoch: Epoch(epoch), owner, set },
            joining: BTreeSet::new(),
            leaving: BTreeSet::new(),
        }
    };
    Placement { version: PlacementVersion(version), partitions: (0..PARTITIONS).map(assignment).collect() }
}

fn schema() -> Arc<TableSchema> {
    let column = |id, name: &str, ty: &str| Column {
        id: ColumnId(id),
        name: name.to_owned(),
        ty: ty.parse().unwrap(),
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    Arc::new(TableSchema {
        id: TableId(7),
        version: SchemaVersion(3),
        name: TableName::new("default", "t"),
        columns: vec![column(0, "key", "String"), column(1, "number", "UInt32")],
        key: Some(ColumnId(0)),
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: String::new(),
        comment: String::new(),
    })
}

/// Rows `0..count` under as many keys, in all partitions if there are enough.
pub(super) fn request(count: u32, token: Option<&str>) -> WriteRequest {
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|it| format!("k{it}"))));
    let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..count));
    let table = schema();
    let rows = RecordBatch::try_new(table.storage_schema(), vec![keys, numbers]).unwrap();
    WriteRequest { table, batch: token.map(BatchId::from_token), block: 0, repeatable: true, rows }
}

pub(super) async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
