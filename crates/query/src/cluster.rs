//! Statements over the rows of several nodes. The node that is asked plans as always; the leaves of the plan read each
//! partition at its owner, in this process or through [`Peers`]. Nothing here knows a wire.
//!
//! Promises: a partition's rows are read from exactly one node, which owned it from the first row to the closing
//! message ([`Reply::Done`]); an answer without that message is an error; a statement whose answer would be of this
//! node's rows only is refused.
//!
//! - [`Peers`]: the other owners; [`Holdings`]: what this node owns; [`Clustered`]: both, for [`crate::SqlService`]
//! - [`Owner`]: answers the fragments that arrive here; `pins`: what a statement sees of this node, once for all of it
//! - `attempt`: one try of one statement; `cut`: what of it the owners can answer; `leaf`, `remote`: the place of that
//!   in the logical and in the physical plan

mod attempt;
mod cut;
mod leaf;
mod owner;
mod pins;
mod remote;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch};
use async_trait::async_trait;
use futures::stream::BoxStream;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::ids::{Boot, Epoch, NodeId, PartitionId, PlacementVersion, SchemaVersion, TableId};
use zepto_common::placement::Placement;

pub(crate) use attempt::{Attempt, run as run_attempts, with_cuts};
pub(crate) use leaf::{RemotePlanner, TakeStates};
pub use owner::Owner;
pub(crate) use pins::{PinnedReads, Pins};
pub(crate) use remote::RemoteExec;

/// Grows when subtrees of equal print may mean different things in two builds: with DataFusion and with our rules.
pub const PLANS_VERSION: u32 = 1;
/// Grows when the layout of an aggregate's state changes.
pub const STATES_VERSION: u32 = 1;

/// One try of one statement, by all nodes' knowledge. Each try has a number of its own: it sees the owners anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId {
    /// The node that was asked.
    pub node: NodeId,
    /// Its start.
    pub boot: Boot,
    /// Its count of tries of statements.
    pub number: u64,
}

/// A partition that one owner must answer for, under the grant that the asker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// The partition.
    pub partition: PartitionId,
    /// Its grant.
    pub epoch: Epoch,
}

/// What one owner is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// For which statement.
    pub query: QueryId,
    /// The statement's id for people.
    pub client_query_id: String,
    /// Who asks.
    pub user: String,
    /// When the answer is of no use any more.
    pub deadline: Instant,
    /// Most bytes that the owner may hold for it.
    pub memory: u64,
    /// The placement that the pins are of.
    pub placement: PlacementVersion,
    /// Ascending by partition, not empty.
    pub pins: Vec<Pin>,
    /// What is wanted.
    pub part: Part,
}

/// What is wanted of an owner.
#[derive(Debug, Clone)]
pub enum Part {
    /// A subtree of the statement's plan.
    Fragment(Fragment),
    /// Rows of one table.
    Scan(Scan),
}

/// A subtree of the optimized plan of a statement, which the owner plans from the same text.
#[derive(Debug, Clone)]
pub struct Fragment {
    /// The statement, parameters put in.
    pub text: String,
    /// For names without one.
    pub database: String,
    /// Of the request, over them those of the statement.
    pub settings: BTreeMap<String, String>,
    /// What `now()` is in it, in nanoseconds since 1970.
    pub now: i64,
    /// The subtree's number: preorder, subqueries included.
    pub number: u32,
    /// Tells whether the owner's subtree of this number is the asker's.
    pub print: u64,
    /// What of it is wanted.
    pub want: Want,
}

/// What of a subtree is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Want {
    /// Its rows.
    Rows,
    /// Of an aggregation at its root, the states before they are finished.
    States,
}

/// Rows of one table, filtered by key and time, in query types.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The table.
    pub table: TableId,
    /// The version whose columns are meant.
    pub version: SchemaVersion,
    /// Indexes of the wanted columns in that version; may be empty, then only rows are counted.
    pub columns: Vec<usize>,
    /// The key is one of these, in the index's type.
    pub keys: Option<ArrayRef>,
    /// The tick of the time column is between these, both included.
    pub time: Option<(i64, i64)>,
    /// Rows after which no more are of use.
    pub limit: Option<usize>,
}

/// Part of an owner's answer. All before [`Reply::Done`] are worth nothing without it.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Rows.
    Batch(RecordBatch),
    /// The end: all rows were sent, and every pin held until now.
    Done(Totals),
}

/// What an answer has cost its owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows read.
    pub read_rows: u64,
    /// Bytes read.
    pub read_bytes: u64,
}

/// An owner's answer on its way; dropping it stops the owner's work.
pub type Replies = BoxStream<'static, Result<Reply, Fault>>;

/// Why an owner does not answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The statement's own fault.
    Statement(Error),
    /// A partition is not the owner's under the asker's grant; a placement as new as this tells more.
    Moved(PlacementVersion),
    /// The owner does not have this version of the table.
    Behind(String),
    /// The owner's plan of the statement is another one: plain scans have the same answer.
    PlansDiffer(String),
    /// No room at the owner.
    Busy(String),
    /// The owner cannot be reached, or was lost before its closing message.
    Lost(String),
}

impl Fault {
    /// Whether another try, after a newer placement or a pause, may have an answer.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Statement(_))
    }

    /// What the client is told.
    #[must_use]
    pub fn error(self, node: NodeId) -> Error {
        let text = match self {
            Self::Statement(error) => return error,
            Self::Moved(version) => format!("a partition has left node {node} (placement {version})"),
            Self::PlansDiffer(why) => format!("node {node} plans otherwise: {why}"),
            Self::Behind(why) => format!("node {node}: {why}"),
            Self::Busy(why) => format!("node {node} has no room: {why}"),
            Self::Lost(why) => format!("node {node} was lost: {why}"),
        };
        Error::new(ErrorCode::NotReady, text)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Statement(error)
    }
}

/// The other owners.
#[async_trait]
pub trait Peers: Send + Sync {
    /// The placement as this node knows it.
    fn placement(&self) -> Arc<Placement>;

    /// Asks an owner. Faults, also that it cannot be reached, come in the stream.
    fn run(self: Arc<Self>, node: NodeId, request: Request) -> Replies;

    /// The statement is over: the owners may forget its pins. Does not wait.
    fn end(&self, query: QueryId, nodes: &[NodeId]);

    /// Waits until the placement is newer than this one, at most until `until`.
    async fn newer_than(&self, version: PlacementVersion, until: Instant);
}

/// What this node owns at this moment. A node that is not sure of its lease owns nothing.
#[async_trait]
pub trait Holdings: Send + Sync {
    /// The grant under which this node owns the partition; None if it does not, or may not say so any more.
    fn epoch(&self, partition: PartitionId) -> Option<Epoch>;

    /// The placement that this node acts on.
    fn placement(&self) -> PlacementVersion;

    /// Whether this node shows every row of these partitions that was acknowledged before the call, and is the only one
    /// that could have acknowledged any.
    ///
    /// # Errors
    /// Why nobody can say so here: another node may own one of them by now, or this one has not begun.
    async fn confirm(&self, partitions: &[PartitionId]) -> Result<()>;
}

/// What a service needs to know to speak for a cluster.
#[derive(Clone)]
pub struct Clustered {
    /// This node.
    pub node: NodeId,
    /// This start.
    pub boot: Boot,
    /// The other owners.
    pub peers: Arc<dyn Peers>,
    /// What this node owns.
    pub holdings: Arc<dyn Holdings>,
}

/// Cluster mode of one service.
pub(crate) struct ClusterMode {
    pub(crate) parts: Clustered,
    pub(crate) pins: Pins,
    /// Tries of statements so far.
    count: AtomicU64,
}

impl ClusterMode {
    pub(crate) fn new(parts: Clustered) -> Self {
        Self { parts, pins: Pins::default(), count: AtomicU64::new(0) }
    }

    fn next_query(&self) -> QueryId {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        QueryId { node: self.parts.node, boot: self.parts.boot, number }
    }
}
