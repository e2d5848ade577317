//! Bodies of the frames of a copy.

use std::collections::BTreeSet;
use std::sync::Arc;

use zepto_common::ids::SetVersion;
use zepto_common::placement::{Grant, InSyncSet, Replica};
use zepto_common::{Boot, DiskId, Epoch, Lsn, NodeId, PartitionId, SchemaVersion, TableId, Token};
use zepto_replication::{Entry, History, Key, LogOp, Position};

use super::Kind;
use super::body::{put_u32, put_u64};
use crate::copies::{Block, Form, Payload};
use crate::wal::cursor::{Cursor, Decoded, put_batch};
use crate::wal::frame::CopyFrame;

/// Number and partition, with which each body begins.
const HEAD_BYTES: usize = 16;
/// Bytes of an entry without its rows.
const ENTRY_BYTES: usize = HEAD_BYTES + 72;
const REPLICA_BYTES: usize = 24;
const STRETCH_BYTES: usize = 24;
/// The form of an entry whose rows are in the frame's block, and the bytes of its place there.
const FORM_PART: u32 = 6;
const PART_BYTES: usize = 4;

pub(super) fn kind_of(op: &LogOp<Payload>) -> Kind {
    match op {
        LogOp::Append(_) => Kind::CopyEntry,
        LogOp::Seen(..) => Kind::CopySeen,
        LogOp::Followed(_) => Kind::CopyFollowed,
        LogOp::Pending(..) => Kind::CopyPending,
        LogOp::Committed(_) => Kind::CopyCommitted,
        LogOp::Truncate(_) => Kind::CopyCut,
        LogOp::Installed(_) => Kind::CopyInstalled,
    }
}

pub(super) fn body_bytes(frame: &CopyFrame) -> usize {
    match &frame.op {
        LogOp::Append(entry) => ENTRY_BYTES + entry.payload.as_ref().map_or(0, payload_bytes),
        LogOp::Seen(_, grant) => HEAD_BYTES + 8 + REPLICA_BYTES + members_bytes(&grant.set.members),
        LogOp::Pending(_, members) => HEAD_BYTES + members_bytes(members),
        LogOp::Followed(_) | LogOp::Committed(_) | LogOp::Truncate(_) => HEAD_BYTES + 8,
        LogOp::Installed(history) => HEAD_BYTES + 16 + history.stretches().len() * STRETCH_BYTES,
    }
}

fn payload_bytes(payload: &Payload) -> usize {
    if payload.part.is_some() { PART_BYTES } else { payload.ipc.len() }
}

fn members_bytes(members: &BTreeSet<Replica>) -> usize {
    16 + members.len() * REPLICA_BYTES
}

pub(super) fn encode(out: &mut Vec<u8>, frame: &CopyFrame) {
    put_u64(out, frame.number);
    out.extend_from_slice(&frame.partition.0.to_le_bytes());
    out.extend_from_slice(&[0; 6]);
    match &frame.op {
        LogOp::Append(entry) => put_entry(out, entry),
        LogOp::Seen(_, grant) => {
            put_u64(out, grant.epoch.0);
            put_replica(out, grant.owner);
            put_members(out, grant.set.version, &grant.set.members);
        }
        LogOp::Followed(epoch) => put_u64(out, epoch.0),
        LogOp::Pending(base, members) => put_members(out, *base, members),
        LogOp::Committed(lsn) | LogOp::Truncate(lsn) => put_u64(out, lsn.0),
        LogOp::Installed(history) => {
            put_u64(out, history.end().lsn.0);
            put_u32(out, history.stretches().len() as u32);
            put_u32(out, 0);
            for (token, from) in history.stretches() {
                put_u64(out, token.epoch.0);
                put_u64(out, token.boot.0);
                put_u64(out, from.0);
            }
        }
    }
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry<Payload>) {
    put_u64(out, entry.position.lsn.0);
    put_u64(out, entry.content);
    put_batch(out, entry.key.map(|key| key.batch));
    put_u64(out, entry.payload.as_ref().map_or(0, |rows| rows.table.0));
    put_u32(out, entry.key.map_or(0, |key| key.block));
    put_u32(out, entry.payload.as_ref().map_or(0, |rows| rows.schema.0));
    put_u32(out, entry.payload.as_ref().map_or(0, |rows| rows.rows));
    let form = |it: &Payload| if it.part.is_some() { FORM_PART } else { it.form as u32 };
    put_u32(out, entry.payload.as_ref().map_or(0, form));
    put_u32(out, entry.payload.as_ref().map_or(0, payload_bytes) as u32);
    put_u32(out, 0);
    match &entry.payload {
        Some(Payload { part: Some(part), .. }) => put_u32(out, part.first),
        Some(rows) => out.extend_from_slice(&rows.ipc),
        None => {}
    }
}

fn put_replica(out: &mut Vec<u8>, replica: Replica) {
    put_u32(out, replica.node.0);
    put_u32(out, 0);
    out.extend_from_slice(&replica.disk.0.to_le_bytes());
}

fn put_members(out: &mut Vec<u8>, version: SetVersion, members: &BTreeSet<Replica>) {
    put_u64(out, version.0);
    put_u32(out, members.len() as u32);
    put_u32(out, 0);
    members.iter().for_each(|it| put_replica(out, *it));
}

/// `block`: of the frame that has the entry among others.
pub(super) fn decode(
    kind: Kind,
    token: Token,
    block: Option<&Arc<Block>>,
    cursor: &mut Cursor,
) -> Decoded<CopyFrame> {
    let number = cursor.u64()?;
    let partition = PartitionId(cursor.u16()?);
    cursor.zeros(6)?;
    let op = match kind {
        Kind::CopyEntry => LogOp::Append(take_entry(token, block, cursor)?),
        Kind::CopySeen => LogOp::Seen(token, take_grant(partition, cursor)?),
        Kind::CopyFollowed => LogOp::Followed(Epoch(cursor.u64()?)),
        Kind::CopyPending => {
            let (base, members) = take_members(cursor)?;
            LogOp::Pending(base, members)
        }
        Kind::CopyCommitted => LogOp::Committed(Lsn(cursor.u64()?)),
        Kind::CopyCut => LogOp::Truncate(Lsn(cursor.u64()?)),
        Kind::CopyInstalled => LogOp::Installed(take_history(cursor)?),
        _ => return Err("no frame of a copy".into()),
    };
    Ok(CopyFrame { partition, number, op })
}

fn take_entry(token: Token, block: Option<&Arc<Block>>, cursor: &mut Cursor) -> Decoded<Entry<Payload>> {
    let position = Position { token, lsn: Lsn(cursor.u64()?) };
    let content = cursor.u64()?;
    let batch = cursor.batch()?;
    let table = TableId(cursor.u64()?);
    let number = cursor.u32()?;
    let (schema, rows) = (SchemaVersion(cursor.u32()?), cursor.u32()?);
    let form = cursor.u32()?;
    let length = cursor.u32()? as usize;
    cursor.zeros(4)?;
    let ipc = cursor.take(length)?;
    let payload = match (form, Form::of_number(form)) {
        (FORM_PART, _) => Some(part_of(block, rows, &ipc)?),
        (0, _) if length == 0 && batch.is_none() => None,
        (_, Some(form)) => Some(Payload { form, ..Payload::new(table, schema, rows, ipc) }),
        _ => return Err("an entry of unknown form".into()),
    };
    let key = batch.map(|batch| Key { table, batch, block: number });
    Ok(Entry { position, key, content, payload })
}

/// So many rows of the frame's block from the one that `place` tells.
fn part_of(block: Option<&Arc<Block>>, rows: u32, place: &[u8]) -> Decoded<Payload> {
    let block = block.ok_or("a part of a block outside of one")?;
    let first = place.try_into().map(u32::from_le_bytes).map_err(|_| "a place of another size")?;
    if first.checked_add(rows).is_none_or(|end| end > block.rows) {
        return Err("rows beyond those of the block".into());
    }
    Ok(Payload::of_block(block.clone(), first, rows))
}

fn take_grant(partition: PartitionId, cursor: &mut Cursor) -> Decoded<Grant> {
    let epoch = Epoch(cursor.u64()?);
    let owner = take_replica(cursor)?;
    let (version, members) = take_members(cursor)?;
    Ok(Grant { partition, epoch, owner, set: InSyncSet { version, members } })
}

fn take_replica(cursor: &mut Cursor) -> Decoded<Replica> {
    let node = NodeId(cursor.u32()?);
    cursor.zeros(4)?;
    Ok(Replica { node, disk: DiskId(cursor.u128()?) })
}

fn take_members(cursor: &mut Cursor) -> Decoded<(SetVersion, BTreeSet<Replica>)> {
    let version = SetVersion(cursor.u64()?);
    let count = cursor.count(REPLICA_BYTES)?;
    cursor.zeros(4)?;
    Ok((version, (0..count).map(|_| take_replica(cursor)).collect::<Decoded<_>>()?))
}

fn take_history(cursor: &mut Cursor) -> Decoded<History> {
    let end = Lsn(cursor.u64()?);
    let count = cursor.count(STRETCH_BYTES)?;
    cursor.zeros(4)?;
    let stretch =
        |_| Ok((Token { epoch: Epoch(cursor.u64()?), boot: Boot(cursor.u64()?) }, Lsn(cursor.u64()?)));
    let stretches = (0..count).map(stretch).collect::<Decoded<Vec<_>>>()?;
    History::from_stretches(stretches, end).ok_or_else(|| "a history that is out of order".into())
}
