//! Whole states of copies between nodes: fetched for copies here that lack more than their owner's log has, given to others,
//! and leave asked for copies that are not wanted any more.
//!
//! Promises: few states are fetched at once, each with bounded memory; one that breaks leaves nothing, and the copy asks
//! again; a copy goes only when its owner has said that it does without.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zepto_cluster::{CopyAsk, PeerLinks, StatePieces};
use zepto_common::ids::PartitionId;
use zepto_common::limits::STATES_FETCHED_MAX;
use zepto_common::metric_names::{STATE_BYTES, STATE_PIECES, STATES_FETCHED, STATES_FETCHING};
use zepto_common::placement::Replica;
use zepto_common::{Error, ErrorCode, Token};
use zepto_engine::Store;
use zepto_engine::copies::Leave;
use zepto_proto::refusal::{Refused, RefusedReason};

use super::codec;
use crate::cluster::agreed::Agreed;

/// Requests for leave that are under way at once.
const LEAVES_MAX: usize = 16;

/// What a copy here needs of its owner.
#[derive(Debug, Clone, Copy)]
pub(super) enum Errand {
    /// Its whole state.
    Fetch { partition: PartitionId, owner: Replica, token: Token },
    /// Leave to go.
    Leave { partition: PartitionId, owner: Replica, leave: Leave },
}

impl Errand {
    fn key(self) -> (bool, PartitionId) {
        match self {
            Self::Fetch { partition, .. } => (true, partition),
            Self::Leave { partition, .. } => (false, partition),
        }
    }
}

/// Does the errands until the node stops. What finds no place is dropped: its copy asks again.
pub(super) async fn run(
    agreed: Arc<Agreed>,
    links: PeerLinks,
    mut errands: mpsc::Receiver<Errand>,
    stop: CancellationToken,
) {
    let mut running = JoinSet::new();
    let mut under_way: BTreeSet<(bool, PartitionId)> = BTreeSet::new();
    // The last fault that was told of; the same one again is for debugging.
    let fault = Arc::new(Mutex::new(String::new()));
    loop {
        tokio::select! {
            errand = errands.recv() => {
                let Some(errand) = errand else { return };
                let fetches = under_way.iter().filter(|(fetch, _)| *fetch).count();
                let full = match errand {
                    Errand::Fetch { .. } => fetches >= STATES_FETCHED_MAX,
                    Errand::Leave { .. } => under_way.len() - fetches >= LEAVES_MAX,
                };
                if !full && under_way.insert(errand.key()) {
                    running.spawn(go(agreed.clone(), links.clone(), errand, fault.clone()));
                }
            }
            Some(ended) = running.join_next(), if !running.is_empty() => match ended {
                Ok(key) => drop(under_way.remove(&key)),
                Err(error) => tracing::error!(%error, "an errand for a copy ended badly"),
            },
            () = stop.cancelled() => return,
        }
        let fetches = under_way.iter().filter(|(fetch, _)| *fetch).count();
        metrics::gauge!(STATES_FETCHING).set(fetches as f64);
    }
}

async fn go(
    agreed: Arc<Agreed>,
    links: PeerLinks,
    errand: Errand,
    known: Arc<Mutex<String>>,
) -> (bool, PartitionId) {
    let done = match errand {
        Errand::Fetch { partition, owner, token } => {
            let fetched = fetch(&agreed.store, &links, partition, owner, token).await;
            let outcome = if fetched.is_ok() { "fetched" } else { "broken" };
            metrics::counter!(STATES_FETCHED, "outcome" => outcome).increment(1);
            fetched
        }
        Errand::Leave { partition, owner, leave } => match links.leave(owner, partition, leave.token).await {
            Ok(true) => agreed.store.forget_copy(partition, leave).map_err(|error| error.to_string()),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        },
    };
    if let Err(why) = done {
        let mut known = known.lock().await;
        if *known == why {
            tracing::debug!(?errand, why, "an errand for a copy failed; it is done again");
        } else {
            tracing::warn!(?errand, why, "an errand for a copy failed; it is done again");
            *known = why;
        }
    }
    errand.key()
}

async fn fetch(
    store: &Arc<Store>,
    links: &PeerLinks,
    partition: PartitionId,
    owner: Replica,
    token: Token,
) -> Result<(), String> {
    let begun = Instant::now();
    let said = |error: Error| error.to_string();
    let mut stream = links.fetch(owner, partition, token).await?;
    let mut intake = store.take_in(partition).map_err(said)?;
    let (mut pieces, mut bytes) = (0_u64, 0_u64);
    while let Some(piece) = stream.next().await? {
        let piece = codec::piece_of(Some(piece)).map_err(|refused| refused.to_string())?;
        metrics::counter!(STATE_PIECES).increment(1);
        metrics::counter!(STATE_BYTES).increment(piece.bytes() as u64);
        pieces += 1;
        bytes += piece.bytes() as u64;
        intake.take(piece).await.map_err(said)?;
    }
    let lsn = intake.finish().map_err(said)?;
    let seconds = begun.elapsed().as_secs_f64();
    tracing::info!(%partition, node = %owner.node, %lsn, pieces, bytes, seconds, "a copy's whole state was fetched");
    Ok(())
}

fn refused(error: &Error) -> Refused {
    let reason = match error.code {
        ErrorCode::NotReady => RefusedReason::NotOwner,
        _ => RefusedReason::BadMessage,
    };
    Refused::new(reason, error.message.clone())
}

/// The pieces of a partition that is owned here.
pub(super) async fn pin(store: Arc<Store>, ask: CopyAsk) -> Result<StatePieces, Refused> {
    let pinned = store.pin_copy(ask.partition, ask.token, ask.from).await.map_err(|error| refused(&error))?;
    let pieces = pinned.pieces().map(|piece| {
        let broken = |error: Error| {
            tracing::warn!(%error, "a whole state cannot be read to its end");
            Refused::new(RefusedReason::Busy, error.message)
        };
        piece.map(codec::piece_message).map_err(broken)
    });
    Ok(Box::new(pieces))
}

/// Whether the owner here does without another node's copy.
pub(super) async fn does_without(store: Arc<Store>, ask: CopyAsk) -> Result<bool, Refused> {
    store.does_without(ask.partition, ask.token, ask.from).await.map_err(|error| refused(&error))
}
