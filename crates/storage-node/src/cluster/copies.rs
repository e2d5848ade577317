//! The copies of this disk's partitions: what the drain threads say goes to the other nodes and to the coordinators, and
//! what those say comes back.
//!
//! Promises: a drain thread never waits here; what cannot be sent or asked now is dropped, because the protocol repeats
//! it; a node that stops in order gives its partitions to other members of their sets first.

mod codec;
pub(crate) mod handovers;
mod states;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zepto_cluster::replicate::Said;
use zepto_cluster::{CopyAsk, CopyIdentity, CopyListener, PeerLinks, StatePieces};
use zepto_common::catalog::Ddl;
use zepto_common::ids::{Epoch, NodeId, PartitionId, PlacementVersion, SetVersion};
use zepto_common::metric_names::{FENCED_WRITES, TWO_OWNERS};
use zepto_common::placement::Replica;
use zepto_common::{Error, ErrorCode, Token};
use zepto_engine::Store;
use zepto_engine::copies::{CopyOptions, Leave, Letter, Peers, SystemClock};
use zepto_proto::client::{ClientError, CoordinatorClient};
use zepto_proto::coordinate as wire;
use zepto_proto::refusal::Refused;
use zepto_proto::replicate::{Block, CopyMessage};
use zepto_replication::{Alarm, Change, Timing};

use super::agreed::Agreed;
use crate::config::ClusterConfig;
use states::Errand;

/// Proposals that may wait for the coordinators; more are dropped, and made again by their copies.
const PROPOSALS_MAX: usize = 8_192;
/// Errands to owners that may wait; more are dropped, and asked for again.
const ERRANDS_MAX: usize = 1_024;
/// How long a node without a store waits for the coordinators' word on how many copies a partition has.
const FACTOR_WAIT: Duration = Duration::from_secs(60);
/// Wait before it is asked again.
const PAUSE: Duration = Duration::from_millis(250);

/// Wait before it is asked again how many copies there are to be.
const FACTOR_PAUSE: Duration = Duration::from_secs(2);
/// Why the coordinators refuse to make a set smaller (`Refusal.reason`).
const BELOW_MIN_IN_SYNC: &str = "BelowMinInSync";

/// The drain threads' way out.
#[derive(Debug)]
pub(crate) struct Voice {
    /// Set once the node knows its start; nothing is said before.
    links: OnceLock<PeerLinks>,
    proposals: mpsc::Sender<Change>,
    errands: mpsc::Sender<Errand>,
}

/// What the drain threads have asked for.
pub(crate) struct Proposals {
    /// Of the coordinators.
    changes: mpsc::Receiver<Change>,
    /// Of owners.
    errands: mpsc::Receiver<Errand>,
}

impl Peers for Voice {
    fn send(&self, letters: Vec<Letter>) {
        let Some(links) = self.links.get() else { return };
        let mut said: Vec<(Replica, Vec<Said>)> = Vec::new();
        for Letter { to, partition, message } in letters {
            let message = codec::message_of(partition, message);
            match said.iter_mut().find(|(other, _)| *other == to) {
                Some((_, messages)) => messages.push(message),
                None => said.push((to, vec![message])),
            }
        }
        said.into_iter().for_each(|(to, messages)| links.send_all(to, messages));
    }

    fn propose(&self, change: Change) {
        // Full: the copy asks again after a while.
        let _asked_again = self.proposals.try_send(change);
    }

    fn wanted(&self, partition: PartitionId, owner: Replica, token: Token) {
        // Full: likewise.
        let _asked_again = self.errands.try_send(Errand::Fetch { partition, owner, token });
    }

    fn unwanted(&self, partition: PartitionId, owner: Replica, leave: Leave) {
        let _asked_again = self.errands.try_send(Errand::Leave { partition, owner, leave });
    }

    fn alarm(&self, partition: PartitionId, alarm: Alarm) {
        match alarm {
            Alarm::Fenced(_) => metrics::counter!(FENCED_WRITES).increment(1),
            Alarm::TwoOwners(epoch) => {
                metrics::counter!(TWO_OWNERS).increment(1);
                tracing::error!(%partition, %epoch, "two nodes send under one epoch");
            }
            Alarm::CutBelowCommitted { at, committed } => {
                tracing::error!(%partition, %at, %committed, "an owner asks to cut what is committed here");
            }
        }
    }
}

/// What others say to the copies here.
pub(crate) struct Ears(pub(crate) Arc<Agreed>);

impl CopyListener for Ears {
    fn hear(&self, from: Replica, messages: Vec<CopyMessage>, blocks: Vec<Block>) -> Result<u64, Refused> {
        let mut heard = codec::HeardBlocks::new(blocks);
        let messages = messages.into_iter().map(|it| codec::peer_message_of(it, &mut heard));
        Ok(self.0.store.deliver(from, messages.collect::<Result<_, _>>()?))
    }

    fn pin(&self, ask: CopyAsk) -> BoxFuture<'static, Result<StatePieces, Refused>> {
        Box::pin(states::pin(self.0.store.clone(), ask))
    }

    fn does_without(&self, ask: CopyAsk) -> BoxFuture<'static, Result<bool, Refused>> {
        Box::pin(states::does_without(self.0.store.clone(), ask))
    }

    fn versions(&self) -> (PlacementVersion, u64) {
        (self.0.placement_version(), self.0.store.catalog().version())
    }
}

/// How this node's store carries copies, with the drain threads' way out and what they will have asked.
pub(crate) fn options(node: NodeId, config: &ClusterConfig) -> (CopyOptions, Arc<Voice>, Proposals) {
    let (proposals, changes) = mpsc::channel(PROPOSALS_MAX);
    let (errands_in, errands) = mpsc::channel(ERRANDS_MAX);
    let voice = Arc::new(Voice { links: OnceLock::new(), proposals, errands: errands_in });
    let lease = Duration::from_millis(config.lease_ms);
    let timing = Timing {
        lease,
        replicate_timeout: Duration::from_millis(config.replicate_timeout_ms),
        heartbeat: lease / 10,
        resend: lease / 10,
    };
    let options = CopyOptions { node, timing, clock: Arc::new(SystemClock), peers: voice.clone() };
    (options, voice, Proposals { changes, errands })
}

/// From now on what the copies say goes out, and what is agreed on comes in.
pub(crate) fn start(
    (voice, proposals): (Arc<Voice>, Proposals),
    identity: CopyIdentity,
    agreed: &Arc<Agreed>,
    runtime: &Runtime,
    stop: &CancellationToken,
    tasks: &mut Vec<JoinHandle<()>>,
) -> PeerLinks {
    let links = PeerLinks::new(identity, runtime.handle().clone());
    // Once per node.
    let _first = voice.links.set(links.clone());
    tasks.push(runtime.spawn(expect_copies(agreed.clone(), stop.clone())));
    tasks.push(runtime.spawn(learn(agreed.clone(), stop.clone())));
    tasks.push(runtime.spawn(handovers::obey(agreed.clone(), stop.clone())));
    tasks.push(runtime.spawn(propose(agreed.clone(), proposals.changes, stop.clone())));
    tasks.push(runtime.spawn(states::run(agreed.clone(), links.clone(), proposals.errands, stop.clone())));
    links
}

/// Whether the cluster keeps more than one copy of a partition.
///
/// # Errors
/// `NotReady` when no coordinator could say it in time.
pub(crate) async fn cluster_has_copies(client: &CoordinatorClient) -> Result<bool, Error> {
    let asked = async {
        loop {
            let why = match factor(client).await {
                Ok(factor) => return factor > 1,
                Err(why) => why,
            };
            tracing::warn!(why, "how many copies the cluster keeps is not known yet");
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(FACTOR_WAIT, asked).await.map_err(|_| {
        let message = "no coordinator says how many copies the cluster keeps, which a fresh data directory is made for: \
                       start the coordinators first (cluster.coordinators)";
        Error::new(ErrorCode::NotReady, message)
    })
}

async fn factor(client: &CoordinatorClient) -> Result<u64, String> {
    let reply = client.status(wire::StatusRequest { envelope: None }).await;
    let reply = reply.map_err(|error| error.to_string())?;
    let status: serde_json::Value =
        serde_json::from_slice(&reply.status).map_err(|error| error.to_string())?;
    status["replication_factor"].as_u64().ok_or_else(|| "the cluster is not founded yet".to_owned())
}

/// Tells the store how many copies there are to be, once a coordinator says so: it is fixed for a cluster.
async fn expect_copies(agreed: Arc<Agreed>, stop: CancellationToken) {
    loop {
        let asked = async {
            match factor(&agreed.client).await {
                Ok(factor) => return Some(factor),
                Err(_) => tokio::time::sleep(FACTOR_PAUSE).await,
            }
            None
        };
        tokio::select! {
            told = asked => if let Some(factor) = told {
                return agreed.store.expect_copies(usize::try_from(factor).unwrap_or(usize::MAX));
            },
            () = stop.cancelled() => return,
        }
    }
}

/// Tells the store what is agreed on, until the node stops.
async fn learn(agreed: Arc<Agreed>, stop: CancellationToken) {
    let mut placement = agreed.placement();
    placement.mark_changed();
    let mut owed = false;
    loop {
        tokio::select! {
            changed = placement.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(PAUSE), if owed => {}
            () = stop.cancelled() => return,
        }
        let newest = placement.borrow_and_update().clone();
        owed = match agreed.store.learn(&newest) {
            Ok(()) => false,
            Err(error) => {
                tracing::warn!(%error, "the copies have not heard of the newest placement");
                true
            }
        };
    }
}

/// Asks the coordinators what the copies want, until the node stops. The answers come as placements.
async fn propose(agreed: Arc<Agreed>, mut proposals: mpsc::Receiver<Change>, stop: CancellationToken) {
    let mut waiting = Vec::new();
    loop {
        waiting.clear();
        tokio::select! {
            taken = proposals.recv_many(&mut waiting, PROPOSALS_MAX) => if taken == 0 { return },
            () = stop.cancelled() => return,
        }
        let asked = ask(&agreed, &waiting);
        tokio::select! {
            () = asked => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn ask(agreed: &Agreed, waiting: &[Change]) {
    let me = wire::Replica::from(agreed.me.replica());
    // Of one partition the newest is meant.
    let (mut sets, mut handovers) = (BTreeMap::new(), BTreeMap::new());
    for change in waiting {
        match change {
            Change::Set { partition, epoch, version, members } => {
                let members = members.iter().map(|it| (*it).into()).collect();
                let change = wire::SetChange {
                    partition: partition.0.into(),
                    epoch: epoch.0,
                    set_version: version.0,
                    members,
                };
                sets.insert(*partition, change);
            }
            Change::HandOver { partition, epoch } => {
                let handover = wire::Handover { partition: partition.0.into(), epoch: epoch.0, to: None };
                handovers.insert(*partition, handover);
            }
        }
    }
    if !sets.is_empty() {
        let changes = sets.into_values().collect();
        let request = wire::ProposeSetsRequest { envelope: None, proposer: Some(me.clone()), changes };
        let asked = request.changes.clone();
        let reply = agreed.client.propose_sets(request).await;
        if let Ok(reply) = &reply {
            hold_sets(agreed, &asked, reply);
        }
        told("a change of in-sync sets", reply);
    }
    if !handovers.is_empty() {
        let handovers = handovers.into_values().collect();
        let request = wire::HandoverRequest { envelope: None, from: Some(me), handovers };
        told("a handover", agreed.client.hand_over(request).await);
    }
}

/// Tells the copies whose sets may not become smaller: their owners refuse writers meanwhile.
fn hold_sets(agreed: &Agreed, asked: &[wire::SetChange], reply: &wire::PartitionsReply) {
    let held = |outcome: &wire::PartitionOutcome| {
        outcome.refusal.as_ref().is_some_and(|it| it.reason == BELOW_MIN_IN_SYNC)
    };
    for change in asked {
        let mut outcomes = reply.outcomes.iter().filter(|it| it.partition == change.partition);
        let (Ok(partition), true) = (u16::try_from(change.partition), outcomes.any(held)) else { continue };
        let (epoch, version) = (Epoch(change.epoch), SetVersion(change.set_version));
        if let Err(error) = agreed.store.may_not_shrink(PartitionId(partition), epoch, version) {
            tracing::warn!(partition, %error, "a copy has not heard that its set may not become smaller");
        }
    }
}

fn told(what: &str, reply: Result<wire::PartitionsReply, ClientError>) {
    match reply {
        Ok(reply) => {
            let refusals = reply.outcomes.iter().filter_map(|it| it.refusal.as_ref()).chain(&reply.refusal);
            for refusal in refusals {
                tracing::debug!(what, reason = refusal.reason, message = refusal.message, "refused");
            }
        }
        // The copy asks again; what was agreed all the same comes with the placement.
        Err(error) => tracing::warn!(what, %error, "the coordinators were not asked"),
    }
}

/// What a statement cannot do while other nodes have copies of the rows too.
///
/// # Errors
/// `NotImplemented`, with what to do instead.
pub(crate) fn refuse_change(store: &Store, change: &Ddl) -> Result<(), Error> {
    if !store.has_copies() {
        return Ok(());
    }
    let what = match change {
        Ddl::CreateView { view, .. } if view.materialized => "a materialized view",
        _ => return Ok(()),
    };
    let message = format!("{what} is not there yet in a cluster that keeps more than one copy of its rows");
    Err(Error::new(ErrorCode::NotImplemented, message))
}
