//! An edge's connections to the owners: one stream each, opened when needed and again when it broke, with a bound of
//! bytes in flight.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use zepto_common::ids::{NodeId, PlacementVersion};
use zepto_common::limits::{OWNER_ANSWER_TIME_MAX, OWNER_BYTES_IN_FLIGHT, OWNER_REQUESTS_IN_FLIGHT};
use zepto_common::metric_names::RPC_DURATION;
use zepto_proto::coordinate::Envelope;
use zepto_proto::handshake::{PROTOCOL, Secret};
use zepto_proto::write as wire;

use super::codec::{outcome_message, owner_batch};
use super::link::{Link, Lost};
use super::positions::{reply_of, request_of};
use super::{OwnerWrites, PositionsAt};

/// Bytes that one permit stands for.
const UNIT: usize = 4 << 10;
/// An owner that could not be reached is not tried again for so long.
const REST: Duration = Duration::from_millis(100);

/// Who this edge is.
#[derive(Debug, Clone)]
pub struct EdgeIdentity {
    /// The cluster.
    pub cluster_id: String,
    /// This node.
    pub node: NodeId,
    /// This start.
    pub incarnation: u64,
    /// The cluster's secret.
    pub secret: Secret,
}

impl EdgeIdentity {
    pub(crate) fn envelope(&self) -> Envelope {
        Envelope {
            protocol: PROTOCOL,
            cluster_id: self.cluster_id.clone(),
            node_id: self.node.0,
            incarnation: self.incarnation,
            placement_version: 0,
            catalog_version: 0,
        }
    }
}

/// The bounds of a pool; the defaults are those of [`zepto_common::limits`].
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Bytes of rows on their way to one owner.
    pub bytes_in_flight: usize,
    /// Sub-requests that wait to be sent to one owner.
    pub requests_waiting: usize,
    /// An owner that has not answered for so long loses its stream.
    pub answer_time: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            bytes_in_flight: OWNER_BYTES_IN_FLIGHT,
            requests_waiting: OWNER_REQUESTS_IN_FLIGHT,
            answer_time: OWNER_ANSWER_TIME_MAX,
        }
    }
}

/// All owners that this edge knows. Cheap to share.
pub struct OwnerPool {
    identity: EdgeIdentity,
    limits: PoolLimits,
    owners: Mutex<BTreeMap<NodeId, Arc<Owner>>>,
    catalog: AtomicU64,
    incarnation: AtomicU64,
    /// This node as an owner: its rows need no socket.
    local: Option<Arc<dyn OwnerWrites>>,
}

/// One of them.
pub(crate) struct Owner {
    node: NodeId,
    address: String,
    room: Arc<Semaphore>,
    units: u32,
    link: tokio::sync::Mutex<Opened>,
}

#[derive(Default)]
struct Opened {
    link: Option<Arc<Link>>,
    /// When the last try failed, and how.
    failed: Option<(Instant, Lost)>,
}

impl OwnerPool {
    /// Nobody is known yet.
    #[must_use]
    pub fn new(identity: EdgeIdentity, limits: PoolLimits) -> Self {
        let incarnation = AtomicU64::new(identity.incarnation);
        Self {
            identity,
            limits,
            owners: Mutex::default(),
            catalog: AtomicU64::new(0),
            incarnation,
            local: None,
        }
    }

    /// With this node as an owner: its own rows take the bounds of every owner, and no socket.
    #[must_use]
    pub fn with_local(self, owner: Arc<dyn OwnerWrites>) -> Self {
        Self { local: Some(owner), ..self }
    }

    /// Takes over the number of this start, for the envelopes to come.
    pub fn set_incarnation(&self, incarnation: u64) {
        self.incarnation.store(incarnation, Ordering::Relaxed);
    }

    /// Takes over where the nodes are reached, `host:port` each. A node with another address gets another stream; what
    /// waits on the old one is answered there or lost with it.
    pub fn set_addresses(&self, addresses: &BTreeMap<NodeId, String>) {
        let mut owners = self.owners.lock();
        owners.retain(|node, owner| addresses.get(node) == Some(&owner.address));
        for (node, address) in addresses {
            owners.entry(*node).or_insert_with(|| Arc::new(self.owner_at(*node, address)));
        }
    }

    /// Notes the catalog that this node acts on, for the envelopes to come.
    pub fn set_catalog_version(&self, version: u64) {
        self.catalog.store(version, Ordering::Relaxed);
    }

    /// Bytes of rows on their way, over all owners; in steps of some kilobytes.
    #[must_use]
    pub fn bytes_in_flight(&self) -> usize {
        let held = |owner: &Arc<Owner>| owner.units as usize - owner.room.available_permits();
        self.owners.lock().values().map(held).sum::<usize>() * UNIT
    }

    /// How full the fullest way to an owner is, in thousandths.
    #[must_use]
    pub fn permille_in_flight(&self) -> u16 {
        let fill = |owner: &Arc<Owner>| {
            let held = owner.units as usize - owner.room.available_permits();
            (held * 1000 / owner.units as usize) as u16
        };
        self.owners.lock().values().map(fill).max().unwrap_or(0)
    }

    fn owner_at(&self, node: NodeId, address: &str) -> Owner {
        let units = (self.limits.bytes_in_flight / UNIT).clamp(1, 1 << 20) as u32;
        Owner {
            node,
            address: address.to_owned(),
            room: Arc::new(Semaphore::new(units as usize)),
            units,
            link: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn owner(&self, node: NodeId) -> Option<Arc<Owner>> {
        self.owners.lock().get(&node).cloned()
    }

    /// Sends a sub-request and waits for its answer until `until` at most.
    pub(crate) async fn ask(
        &self,
        owner: &Owner,
        placement: PlacementVersion,
        mut request: wire::SubRequest,
        permit: OwnedSemaphorePermit,
        until: Instant,
    ) -> Result<wire::SubReply, Lost> {
        if let Some(local) = self.local.as_ref().filter(|_| owner.node == self.identity.node) {
            return write_here(local.as_ref(), owner.node, placement, request, permit, until).await;
        }
        let link = self.link(owner, until).await?;
        let patience = Instant::now() + self.limits.answer_time;
        let wait = until.min(patience).saturating_duration_since(Instant::now());
        request.wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        let envelope = self.envelope(placement);
        let begun = Instant::now();
        let answered = tokio::time::timeout_at(until.min(patience), async {
            link.send(envelope, request, permit).await.await
        });
        let answered = answered.await;
        let took = metrics::histogram!(RPC_DURATION, "method" => "write", "peer" => owner.node.to_string());
        took.record(begun.elapsed().as_secs_f64());
        match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Lost::Unanswered("the stream has ended".to_owned())),
            Err(_) => {
                // A stream that does not answer in time may be dead; the writer's own haste proves nothing.
                if Instant::now() >= patience {
                    link.cut();
                }
                Err(Lost::Unanswered(format!("node {} did not answer in time", owner.node)))
            }
        }
    }
}

impl OwnerPool {
    async fn link(&self, owner: &Owner, until: Instant) -> Result<Arc<Link>, Lost> {
        match tokio::time::timeout_at(until, owner.link(&self.identity, self.limits.requests_waiting)).await {
            Ok(link) => link,
            Err(_) => Err(Lost::NotSent("the time is over".to_owned())),
        }
    }

    /// Who this edge is.
    pub(crate) fn identity(&self) -> &EdgeIdentity {
        &self.identity
    }

    /// Where the other owners are.
    pub(crate) fn others(&self) -> Vec<(NodeId, String)> {
        let owners = self.owners.lock();
        let others = owners.iter().filter(|(node, _)| **node != self.identity.node);
        others.map(|(node, owner)| (*node, owner.address.clone())).collect()
    }

    pub(crate) fn envelope(&self, placement: PlacementVersion) -> Envelope {
        Envelope {
            placement_version: placement.0,
            catalog_version: self.catalog.load(Ordering::Relaxed),
            incarnation: self.incarnation.load(Ordering::Relaxed),
            ..self.identity.envelope()
        }
    }

    /// Asks the owner of a stream's home for its positions, or to raise them, until `until` at most.
    pub(crate) async fn positions(
        &self,
        owner: &Owner,
        at: PositionsAt,
        until: Instant,
    ) -> Result<wire::PositionsReply, Lost> {
        let until = until.min(Instant::now() + self.limits.answer_time);
        let late = |_| Lost::Unanswered(format!("node {} did not answer in time", owner.node));
        if let Some(local) = self.local.as_ref().filter(|_| owner.node == self.identity.node) {
            let home = at.home;
            let told = tokio::time::timeout_at(until, local.positions(at)).await.map_err(late)?;
            return Ok(reply_of(home, told, self.envelope(PlacementVersion::default())));
        }
        let link = self.link(owner, until).await?;
        let wait = until.saturating_duration_since(Instant::now());
        let request = request_of(at, self.envelope(PlacementVersion::default()), owner.node, wait);
        tokio::time::timeout_at(until, link.positions(request, &self.identity)).await.map_err(late)?
    }
}

/// The way of a sub-request whose owner is this node.
async fn write_here(
    local: &dyn OwnerWrites,
    me: NodeId,
    placement: PlacementVersion,
    mut request: wire::SubRequest,
    permit: OwnedSemaphorePermit,
    until: Instant,
) -> Result<wire::SubReply, Lost> {
    let wait = until.saturating_duration_since(Instant::now());
    request.wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
    let id = request.id;
    let batch = owner_batch(me, placement, request).map_err(Lost::Refused)?;
    let written = tokio::time::timeout_at(until, local.write(batch)).await;
    drop(permit);
    let outcomes = written.map_err(|_| Lost::Unanswered("this node did not store in time".to_owned()))?;
    Ok(wire::SubReply { id, parts: outcomes.iter().map(outcome_message).collect() })
}

impl Owner {
    /// Room for so many bytes; more than the whole bound takes all of it.
    pub(crate) async fn room(&self, bytes: usize, until: Instant) -> Option<OwnedSemaphorePermit> {
        let units = (bytes / UNIT + 1).min(self.units as usize) as u32;
        let permit = self.room.clone().acquire_many_owned(units);
        tokio::time::timeout_at(until, permit).await.ok()?.ok()
    }

    async fn link(&self, identity: &EdgeIdentity, waiting: usize) -> Result<Arc<Link>, Lost> {
        let mut opened = self.link.lock().await;
        if let Some(link) = opened.link.as_ref().filter(|link| !link.is_closed()) {
            return Ok(link.clone());
        }
        opened.link = None;
        if let Some((at, lost)) = &opened.failed
            && at.elapsed() < REST
        {
            return Err(lost.clone());
        }
        match Link::open(&self.address, self.node, identity, waiting).await {
            Ok(link) => {
                opened.failed = None;
                opened.link = Some(link.clone());
                Ok(link)
            }
            Err(lost) => {
                tracing::warn!(node = %self.node, address = self.address, ?lost, "an owner cannot be reached");
                opened.failed = Some((Instant::now(), lost.clone()));
                Err(lost)
            }
        }
    }
}

impl Drop for Owner {
    /// Nobody waits any more: whoever does holds the owner.
    fn drop(&mut self) {
        if let Some(link) = &self.link.get_mut().link {
            link.cut();
        }
    }
}
