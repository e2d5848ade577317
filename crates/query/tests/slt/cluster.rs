//! Several nodes in one process: each a store and a service of its own, rows where the placement says, fragments
//! handed over as they are. What a wire does to them is tested with real processes.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use zepto_common::catalog::Ddl;
use zepto_common::error::{Error, Result};
use zepto_common::ids::{
    BatchId, Boot, DiskId, Epoch, NodeId, PartitionId, PlacementVersion, SetVersion, TableId,
};
use zepto_common::partition::{group_rows, partition_of_block, partitions_of};
use zepto_common::placement::{Assignment, Grant, InSyncSet, Placement, Replica};
use zepto_common::schema::{TableName, TableSchema};
use zepto_common::service::{
    CatalogChanges, ClusterNodes, NodeStatus, RowSink, RunningQuery, StatementsElsewhere, StatementsMeant,
    WriteReceipt, WriteRequest,
};
use zepto_engine::store::{Store, StoreOptions};
use zepto_query::cluster::{Clustered, Fault, Holdings, Owner, Peers, QueryId, Replies, Reply, Request};
use zepto_query::{ClusterSide, SqlOptions, SqlService};

use crate::database::LOG_FILE_BYTES;

/// Partitions of every store.
pub(crate) const PARTITIONS: u16 = 8;

/// What is done to an answer between two nodes.
pub(crate) type Tamper = Box<dyn Fn(NodeId, &Request, Replies) -> Replies + Send + Sync>;

/// What all nodes know, and what a test does to them.
#[derive(Default)]
pub(crate) struct World {
    placement: Mutex<Arc<Placement>>,
    stores: OnceLock<Vec<Arc<Store>>>,
    owners: OnceLock<Vec<Owner>>,
    tokens: AtomicU64,
    /// Stores that have the rows of a partition: the owner's and those of the nodes after it.
    copies: usize,
    /// Fragments that went from one node to another.
    pub(crate) fragments: AtomicUsize,
    /// Rows that did.
    pub(crate) shipped: Arc<AtomicUsize>,
    /// Between the nodes.
    pub(crate) tamper: Mutex<Option<Tamper>>,
    /// Changes of the catalog that a node has not been told of.
    untold: Mutex<Vec<(usize, Ddl)>>,
    /// From now on only the node that is told of a change has it before it asks.
    pub(crate) late: AtomicBool,
}

/// One node's view of the others.
struct Link {
    world: Arc<World>,
    me: NodeId,
}

/// A node.
pub(crate) struct Node {
    pub(crate) store: Arc<Store>,
    pub(crate) service: SqlService,
    _dir: tempfile::TempDir,
}

/// All of them.
pub(crate) struct Cluster {
    pub(crate) world: Arc<World>,
    pub(crate) nodes: Vec<Node>,
}

impl World {
    /// The placement of this moment.
    pub(crate) fn placement(&self) -> Arc<Placement> {
        self.placement.lock().clone()
    }

    /// Grants a partition to a node under a new epoch. Its rows stay where they are.
    pub(crate) fn grant(&self, partition: u16, node: u32) {
        let mut placement = self.placement.lock();
        let mut next = Placement::clone(&placement);
        next.version.0 += 1;
        let grant = &mut next.partitions[usize::from(partition)].grant;
        grant.epoch.0 += 1;
        grant.owner.node = NodeId(node);
        *placement = Arc::new(next);
    }

    fn stores(&self) -> &[Arc<Store>] {
        self.stores.get().expect("the nodes are made")
    }

    /// Statements with pins, of all nodes.
    pub(crate) fn pinned(&self) -> usize {
        self.owners.get().expect("the nodes are made").iter().map(Owner::pinned).sum()
    }
}

fn first_placement(nodes: u32) -> Placement {
    let partitions = (0..PARTITIONS).map(|partition| {
        // Not in turn: a node's partitions are not a pattern of their numbers.
        let node = NodeId((u32::from(partition) * 5 + 1) / 3 % nodes);
        let owner = Replica { node, disk: DiskId(u128::from(node.0) + 1) };
        let set = InSyncSet { version: SetVersion(1), members: [owner].into() };
        let grant = Grant { partition: PartitionId(partition), epoch: Epoch(1), owner, set };
        Assignment { grant, joining: [].into(), leaving: [].into() }
    });
    Placement { version: PlacementVersion(1), partitions: partitions.collect() }
}

#[async_trait]
impl Peers for Link {
    fn placement(&self) -> Arc<Placement> {
        self.world.placement()
    }

    fn run(self: Arc<Self>, node: NodeId, request: Request) -> Replies {
        let owners = self.world.owners.get().expect("the nodes are made");
        let Some(owner) = owners.get(node.0 as usize) else {
            return stream::iter([Err(Fault::Lost("there is no such node".to_owned()))]).boxed();
        };
        self.world.fragments.fetch_add(1, Ordering::Relaxed);
        let shipped = self.world.shipped.clone();
        let replies = owner.run(request.clone()).inspect(move |reply| {
            if let Ok(Reply::Batch(rows)) = reply {
                shipped.fetch_add(rows.num_rows(), Ordering::Relaxed);
            }
        });
        match &*self.world.tamper.lock() {
            Some(tamper) => tamper(node, &request, replies.boxed()),
            None => replies.boxed(),
        }
    }

    fn end(&self, query: QueryId, nodes: &[NodeId]) {
        let owners = self.world.owners.get().expect("the nodes are made");
        nodes.iter().for_each(|node| owners[node.0 as usize].end(query));
    }

    async fn newer_than(&self, version: PlacementVersion, until: Instant) {
        while self.world.placement().version <= version && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[async_trait]
impl Holdings for Link {
    fn epoch(&self, partition: PartitionId) -> Option<Epoch> {
        let placement = self.world.placement();
        let grant = &placement.of(partition)?.grant;
        (grant.owner.node == self.me).then_some(grant.epoch)
    }

    fn placement(&self) -> PlacementVersion {
        self.world.placement().version
    }

    async fn confirm(&self, _: &[PartitionId]) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl CatalogChanges for Link {
    async fn change(&self, change: Ddl) -> Result<()> {
        // As with coordinators, it is made upon all that were made before.
        self.catch_up(0).await;
        let late = self.world.late.load(Ordering::Relaxed);
        for (node, store) in self.world.stores().iter().enumerate() {
            if !late || node == self.me.0 as usize {
                store.change(change.clone()).await?;
            } else {
                self.world.untold.lock().push((node, change.clone()));
            }
        }
        Ok(())
    }

    async fn catch_up(&self, known: u64) -> bool {
        let me = self.me.0 as usize;
        let store = &self.world.stores()[me];
        let missing: Vec<_> = self.world.untold.lock().extract_if(.., |(node, _)| *node == me).collect();
        for (_, change) in missing {
            store.change(change).await.expect("it was made elsewhere");
        }
        store.catalog().version() > known
    }
}

impl ClusterNodes for Link {
    fn nodes(&self) -> Vec<NodeStatus> {
        Vec::new()
    }
}

#[async_trait]
impl StatementsElsewhere for Link {
    async fn running(&self) -> Vec<RunningQuery> {
        self.others().flat_map(|(_, owner)| owner.statements()).collect()
    }

    async fn stop(&self, meant: &StatementsMeant) -> Vec<RunningQuery> {
        self.others().flat_map(|(_, owner)| owner.stop(meant)).collect()
    }
}

impl Link {
    fn others(&self) -> impl Iterator<Item = (usize, &Owner)> {
        let owners = self.world.owners.get().expect("the nodes are made");
        owners.iter().enumerate().filter(|(id, _)| *id != self.me.0 as usize)
    }
}

/// As edges do: each partition's rows to its owner, a block of a table without a key to one partition.
#[async_trait]
impl RowSink for Link {
    async fn table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        self.world.stores()[0].table(name).await
    }

    async fn write(&self, request: WriteRequest, deadline: Instant) -> Result<WriteReceipt> {
        let rows = request.rows.num_rows();
        let token = u128::from(self.world.tokens.fetch_add(1, Ordering::Relaxed)) | 1 << 100;
        let partition_of_row = match request.table.key_index() {
            Some(key) => partitions_of(request.rows.column(key), PARTITIONS)?,
            None => {
                let TableId(table) = request.table.id;
                vec![partition_of_block(table, token, request.block, PARTITIONS).0; rows]
            }
        };
        let placement = self.world.placement();
        let owner = |partition: PartitionId| -> usize {
            placement.of(partition).map_or(0, |it| it.grant.owner.node.0 as usize)
        };
        let stores = self.world.stores();
        let mut receipt = WriteReceipt::default();
        for group in group_rows(&request.rows, &partition_of_row, PARTITIONS, stores.len(), owner)? {
            receipt.rows += group.rows.num_rows() as u64;
            for copy in 0..self.world.copies {
                let part = WriteRequest {
                    table: request.table.clone(),
                    // The store finds a key's partition itself; a block's without a key it knows by the batch.
                    batch: request.table.key_index().is_none().then_some(BatchId::Token(token)),
                    block: request.block,
                    repeatable: request.repeatable,
                    rows: group.rows.clone(),
                };
                stores[(group.group + copy) % stores.len()].write(part, deadline).await?;
            }
        }
        // Rows are found in files as well as in memory.
        stores[token as usize % stores.len()].checkpoint().await?;
        Ok(receipt)
    }
}

impl Cluster {
    /// Empty nodes; each row will be in the stores of `copies` of them.
    ///
    /// # Errors
    /// Those of stores and services.
    pub(crate) fn new(count: u32, copies: usize) -> Result<Self> {
        Self::with(count, copies, |_| {})
    }

    /// The same with other options.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn with(count: u32, copies: usize, change: impl Fn(&mut SqlOptions)) -> Result<Self> {
        let world = Arc::new(World { copies, ..World::default() });
        *world.placement.lock() = Arc::new(first_placement(count));
        let mut nodes = Vec::new();
        for id in 0..count {
            let dir = tempfile::tempdir().map_err(|error| Error::internal(error.to_string()))?;
            let mut options = StoreOptions::new(dir.path());
            options.seal.log_file_bytes = LOG_FILE_BYTES;
            options.partitions = Some(PARTITIONS);
            let store = Store::open(options)?;
            let link = Arc::new(Link { world: world.clone(), me: NodeId(id) });
            let side = ClusterSide {
                changes: link.clone(),
                rows: link.clone(),
                nodes: link.clone(),
                statements: link.clone(),
            };
            let reads =
                Clustered { node: NodeId(id), boot: Boot(1), peers: link.clone(), holdings: link.clone() };
            let mut options = SqlOptions::new(tokio::runtime::Handle::current());
            change(&mut options);
            let service = SqlService::distributed(store.clone(), options, side, reads)?;
            nodes.push(Node { store, service, _dir: dir });
        }
        let owners = nodes.iter().map(|node| node.service.owner().expect("it is one of several")).collect();
        world.owners.set(owners).expect("set once");
        world.stores.set(nodes.iter().map(|node| node.store.clone()).collect()).expect("set once");
        Ok(Self { world, nodes })
    }

    /// Where rows come in.
    pub(crate) fn sink(&self) -> Arc<dyn RowSink> {
        Arc::new(Link { world: self.world.clone(), me: NodeId(0) })
    }
}
