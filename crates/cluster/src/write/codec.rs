//! Between messages and this crate's types. What comes from outside is checked here, once.

use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use zepto_common::ids::{Epoch, NodeId, PartitionId, PlacementVersion, SchemaVersion, TableId};
use zepto_common::{Error, ErrorCode, Result};
use zepto_proto::convert::{bad_message, batch_of, partition_of};
use zepto_proto::refusal::Refused;
use zepto_proto::write as wire;
use zepto_proto::write::Reason;

use super::{OwnerBatch, PartOutcome, Verdict};

/// Bytes of a stream for its schema and a column without rows, about.
const STREAM_BYTES: usize = 4 << 10;

/// Rows as one self-describing Arrow IPC stream.
pub(crate) fn encode_rows(rows: &RecordBatch) -> Result<Bytes> {
    let mut out = Vec::with_capacity(STREAM_BYTES + rows.get_array_memory_size().min(1 << 20));
    let mut writer = StreamWriter::try_new(&mut out, &rows.schema())?;
    writer.write(rows)?;
    writer.finish()?;
    drop(writer);
    Ok(out.into())
}

/// The one batch in a stream; its buffers are those of `payload` where their alignment allows it.
pub(crate) fn decode_rows(payload: &Bytes) -> Result<RecordBatch, Refused> {
    let fault = |what: &dyn std::fmt::Display| bad_message(format!("rows that cannot be read: {what}"));
    let mut decoder = StreamDecoder::new();
    let mut buffer = Buffer::from(payload.clone());
    let mut rows = None;
    while let Some(batch) = decoder.decode(&mut buffer).map_err(|error| fault(&error))? {
        if rows.replace(batch).is_some() {
            return Err(fault(&"more than one batch"));
        }
    }
    decoder.finish().map_err(|error| fault(&error))?;
    rows.ok_or_else(|| fault(&"no batch"))
}

/// A sub-request as the owner takes it.
pub(crate) fn owner_batch(
    from: NodeId,
    placement: PlacementVersion,
    request: wire::SubRequest,
) -> Result<OwnerBatch, Refused> {
    let mut parts: Vec<(PartitionId, Epoch, std::ops::Range<u32>)> = Vec::with_capacity(request.parts.len());
    let mut next = 0u32;
    for part in &request.parts {
        let partition = partition_of(part.partition)?;
        let ascending = parts.last().is_none_or(|(before, ..)| *before < partition);
        let end = next.checked_add(part.rows).filter(|_| part.rows > 0 && part.first_row == next);
        let (true, Some(end)) = (ascending, end) else {
            return Err(bad_message(format!(
                "the part of partition {partition} does not follow the one before"
            )));
        };
        parts.push((partition, Epoch(part.epoch), next..end));
        next = end;
    }
    let rows = decode_rows(&request.rows)?;
    if parts.is_empty() || rows.num_rows() != next as usize {
        return Err(bad_message(format!("parts of {next} rows for {} rows", rows.num_rows())));
    }
    Ok(OwnerBatch {
        from,
        placement,
        table: TableId(request.table_id),
        schema: SchemaVersion(request.schema_version),
        batch: batch_of(request.batch)?,
        block: request.block,
        repeatable: request.repeatable,
        parts,
        rows,
        payload: request.rows,
        deadline: Instant::now() + Duration::from_millis(request.wait_ms.into()),
    })
}

/// An outcome as it travels.
pub(crate) fn outcome_message(outcome: &PartOutcome) -> wire::PartOutcome {
    let mut message = wire::PartOutcome { partition: outcome.partition.0.into(), ..Default::default() };
    let reason = match &outcome.verdict {
        Verdict::Stored => Reason::Stored,
        Verdict::Duplicate => Reason::Duplicate,
        Verdict::NotOwner(epoch) => {
            message.epoch = epoch.0;
            Reason::NotOwner
        }
        Verdict::StalePlacement(version) => {
            message.placement_version = version.0;
            Reason::StalePlacement
        }
        Verdict::UnknownSchema(version) => {
            message.schema_version = version.0;
            Reason::UnknownSchema
        }
        Verdict::Busy(after) => {
            message.retry_after_ms = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
            Reason::Busy
        }
        Verdict::Unknown(why) => {
            message.message.clone_from(why);
            Reason::UnknownOutcome
        }
        Verdict::Refused(error) => {
            message.error_code = error.code.number();
            message.message.clone_from(&error.message);
            Reason::Refused
        }
    };
    message.set_reason(reason);
    message
}

/// An outcome as it came. A reason that this build does not know is an unknown outcome.
pub(crate) fn outcome_of(message: &wire::PartOutcome) -> Result<PartOutcome, Refused> {
    let verdict = match message.reason() {
        Reason::Stored => Verdict::Stored,
        Reason::Duplicate => Verdict::Duplicate,
        Reason::NotOwner => Verdict::NotOwner(Epoch(message.epoch)),
        Reason::StalePlacement => Verdict::StalePlacement(PlacementVersion(message.placement_version)),
        Reason::UnknownSchema => Verdict::UnknownSchema(SchemaVersion(message.schema_version)),
        Reason::Busy => Verdict::Busy(Duration::from_millis(message.retry_after_ms.into())),
        Reason::UnknownOutcome => Verdict::Unknown(message.message.clone()),
        Reason::Refused => {
            let code = ErrorCode::of_number(message.error_code).unwrap_or(ErrorCode::LogicalError);
            Verdict::Refused(Error::new(code, message.message.clone()))
        }
        Reason::Unspecified => Verdict::Unknown("the owner gave a reason that is not known here".to_owned()),
    };
    Ok(PartOutcome { partition: partition_of(message.partition)?, verdict })
}
