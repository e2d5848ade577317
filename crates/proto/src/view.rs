//! What the watch stream has told so far: placement, nodes, catalog, sweeps, keys. Pure: messages in, changes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zepto_common::catalog::Catalog;
use zepto_common::ids::{PartitionId, PlacementVersion};
use zepto_common::placement::{Assignment, Placement, Replica};

use crate::convert::{bad_message, replica_of};
use crate::coordinate::{Node, Sweep, WatchReply};
use crate::refusal::Refused;

/// Everything that the coordinators have told. Cheap to clone but for the placement.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Position of this view; 0 = nothing was told yet.
    pub revision: u64,
    /// Who holds which partition.
    pub placement: Placement,
    /// Owners that are asked to hand over, and to whom.
    pub hand_over_to: BTreeMap<PartitionId, Replica>,
    /// Partitions whose owner before gave them up: followers need not wait for its lease.
    pub released: BTreeSet<PartitionId>,
    /// All nodes, by id.
    pub nodes: BTreeMap<u32, Node>,
    /// The catalog.
    pub catalog: Arc<Catalog>,
    /// TRUNCATE and DROP under way.
    pub sweeps: Vec<Sweep>,
    /// API keys as lines of a key file; None = nothing was told yet.
    pub keys: Option<Arc<Vec<String>>>,
}

/// Which parts of a view a message changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Partitions with another assignment.
    pub partitions: BTreeSet<PartitionId>,
    /// The nodes.
    pub nodes: bool,
    /// The catalog.
    pub catalog: bool,
    /// The sweeps.
    pub sweeps: bool,
    /// The keys.
    pub keys: bool,
}

impl View {
    /// Takes in one message.
    ///
    /// # Errors
    /// `BadMessage`; the view may then be half of each: open the stream anew.
    pub fn take(&mut self, reply: WatchReply) -> Result<Changes, Refused> {
        let mut changes = Changes::default();
        if reply.idle {
            return Ok(changes);
        }
        for message in &reply.assignments {
            let assignment = Assignment::try_from(message)?;
            let partition = assignment.grant.partition;
            let wanted = message.hand_over_to.as_ref().map(|to| replica_of(Some(to))).transpose()?;
            match wanted {
                Some(to) => self.hand_over_to.insert(partition, to),
                None => self.hand_over_to.remove(&partition),
            };
            if message.released {
                self.released.insert(partition);
            } else {
                self.released.remove(&partition);
            }
            self.put(assignment)?;
            changes.partitions.insert(partition);
        }
        if let Some(envelope) = &reply.envelope {
            self.placement.version = PlacementVersion(envelope.placement_version);
        }
        if reply.has_nodes {
            self.nodes = reply.nodes.into_iter().map(|node| (node.node_id, node)).collect();
            changes.nodes = true;
        }
        if !reply.catalog.is_empty() {
            self.catalog = Arc::new(catalog_of(&reply.catalog)?);
            changes.catalog = true;
        }
        if reply.has_sweeps {
            self.sweeps = reply.sweeps;
            self.sweeps.extend(reply.deletes);
            self.sweeps.sort_by_key(|sweep| sweep.version);
            changes.sweeps = true;
        }
        if reply.has_keys {
            self.keys = Some(Arc::new(reply.keys));
            changes.keys = true;
        }
        self.revision = reply.revision;
        Ok(changes)
    }

    /// Assignments come in ascending order; a new one is the next.
    fn put(&mut self, assignment: Assignment) -> Result<(), Refused> {
        let index = usize::from(assignment.grant.partition.0);
        let partitions = &mut self.placement.partitions;
        match index.cmp(&partitions.len()) {
            std::cmp::Ordering::Less => partitions[index] = assignment,
            std::cmp::Ordering::Equal => partitions.push(assignment),
            std::cmp::Ordering::Greater => {
                return Err(bad_message(format!("partition {index} without those below")));
            }
        }
        Ok(())
    }
}

/// The catalog in a message.
///
/// # Errors
/// `BadMessage`.
pub fn catalog_of(json: &[u8]) -> Result<Catalog, Refused> {
    serde_json::from_slice(json)
        .map_err(|error| bad_message(format!("a catalog that cannot be read: {error}")))
}
