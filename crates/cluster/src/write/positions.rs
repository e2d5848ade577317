//! From where a feed goes on: messages to and from the owner of a stream's home partition.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use zepto_common::ids::{Epoch, NodeId, PlacementVersion, TableId};
use zepto_common::limits::{FEED_SOURCES_MAX, FEED_STREAM_BYTES_MAX};
use zepto_common::{Error, PartitionId};
use zepto_proto::convert::{bad_message, partition_of};
use zepto_proto::coordinate::Envelope;
use zepto_proto::refusal::Refused;
use zepto_proto::write as wire;

use super::codec::{outcome_message, outcome_of};
use super::{PartOutcome, PositionsAt, Verdict};

/// A request as it travels.
pub(crate) fn request_of(
    at: PositionsAt,
    envelope: Envelope,
    to: NodeId,
    wait: Duration,
) -> wire::PositionsRequest {
    let raise = at.raise.iter().map(|(&source, &offset)| wire::SourcePosition { source, offset });
    wire::PositionsRequest {
        envelope: Some(Envelope { placement_version: at.placement.0, ..envelope }),
        to_node_id: to.0,
        table_id: at.table.0,
        raise: raise.collect(),
        stream: at.stream,
        partition: at.home.0.into(),
        epoch: at.epoch.0,
        wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
    }
}

/// A request as it came.
pub(crate) fn at_of(
    placement: PlacementVersion,
    request: wire::PositionsRequest,
) -> Result<PositionsAt, Refused> {
    if request.stream.is_empty() || request.stream.len() > FEED_STREAM_BYTES_MAX {
        return Err(bad_message(format!("a stream's name of {} bytes", request.stream.len())));
    }
    if request.raise.len() > FEED_SOURCES_MAX {
        return Err(bad_message(format!("{} positions at once", request.raise.len())));
    }
    Ok(PositionsAt {
        placement,
        table: TableId(request.table_id),
        stream: request.stream,
        home: partition_of(request.partition)?,
        epoch: Epoch(request.epoch),
        raise: request.raise.iter().map(|it| (it.source, it.offset)).collect(),
        deadline: Instant::now() + Duration::from_millis(request.wait_ms.into()),
    })
}

/// An answer as it travels.
pub(crate) fn reply_of(
    home: PartitionId,
    told: Result<BTreeMap<u32, u64>, Verdict>,
    envelope: Envelope,
) -> wire::PositionsReply {
    let (verdict, positions) = match told {
        Ok(positions) => (Verdict::Stored, positions),
        Err(verdict) => (verdict, BTreeMap::new()),
    };
    let positions = positions.into_iter().map(|(source, offset)| wire::SourcePosition { source, offset });
    wire::PositionsReply {
        envelope: Some(envelope),
        outcome: Some(outcome_message(&PartOutcome { partition: home, verdict })),
        positions: positions.collect(),
    }
}

/// An answer as it came.
pub(crate) fn told_of(reply: &wire::PositionsReply) -> Result<BTreeMap<u32, u64>, Verdict> {
    let outcome = reply.outcome.as_ref().ok_or_else(|| bad_message("positions without an outcome"));
    let outcome = outcome.and_then(outcome_of);
    match outcome.map_err(|refused| Verdict::Refused(Error::internal(refused.to_string())))?.verdict {
        Verdict::Stored => Ok(reply.positions.iter().map(|it| (it.source, it.offset)).collect()),
        verdict => Err(verdict),
    }
}
