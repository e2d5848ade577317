//! Bodies of frames: the fields of each kind in their order.

use zepto_common::schema::TableSchema;
use zepto_common::{Epoch, Lsn, PartitionId, SchemaVersion, TableId, Token};

use super::{Kind, copies, copy};
use crate::wal::cursor::{Cursor, DecodeError, Decoded, put_batch, put_bytes, put_places};
use crate::wal::frame::{
    CheckpointFrame, EpochStartFrame, ForgetFrame, Frame, MutationFrame, MutationKind, ObjectAction,
    ObjectReferenceFrame, RowsFrame, RowsItem, SchemaFrame, SourceOffset, TruncateFrame, TtlCutoffFrame,
    ViewFrame,
};

const ITEM_BYTES: usize = 24;
const ROWS_FIXED_BYTES: usize = 48;

/// Bytes of a body. Rows are counted; the rest is small and encoded for it.
pub(super) fn body_bytes(frame: &Frame) -> usize {
    match frame {
        Frame::Rows(rows) => ROWS_FIXED_BYTES + rows.items.len() * ITEM_BYTES + rows.payload.len(),
        Frame::Copy(frame) => copy::body_bytes(frame),
        Frame::Copies(frame) => copies::body_bytes(frame),
        other => {
            let mut body = Vec::new();
            encode_body(&mut body, other);
            body.len()
        }
    }
}

pub(super) fn kind_of(frame: &Frame) -> Kind {
    match frame {
        Frame::Rows(_) => Kind::Rows,
        Frame::Schema(_) => Kind::Schema,
        Frame::Checkpoint(_) => Kind::Checkpoint,
        Frame::EpochStart(_) => Kind::EpochStart,
        Frame::TtlCutoff(_) => Kind::TtlCutoff,
        Frame::Truncate(_) => Kind::Truncate,
        Frame::Mutation(_) => Kind::Mutation,
        Frame::View(_) => Kind::View,
        Frame::Forget(_) => Kind::Forget,
        Frame::ObjectReference(_) => Kind::ObjectReference,
        Frame::Copy(frame) => copy::kind_of(&frame.op),
        Frame::Copies(_) => Kind::Copies,
    }
}

pub(super) fn encode_body(out: &mut Vec<u8>, frame: &Frame) {
    match frame {
        Frame::Rows(frame) => encode_rows(out, frame),
        Frame::Copy(frame) => copy::encode(out, frame),
        Frame::Copies(frame) => copies::encode(out, frame),
        Frame::Schema(frame) => {
            put_places(out, &frame.places);
            put_u64(out, frame.schema.id.0);
            put_u32(out, frame.schema.version.0);
            // A schema is strings and numbers: writing it as JSON cannot fail.
            put_bytes(out, &serde_json::to_vec(frame.schema.as_ref()).unwrap_or_default());
        }
        Frame::Checkpoint(frame) => {
            put_places(out, &frame.places);
            put_bytes(out, frame.feed.as_bytes());
            put_u32(out, frame.offsets.len() as u32);
            for offset in &frame.offsets {
                put_u32(out, offset.source);
                put_u64(out, offset.offset);
            }
            put_u64(out, frame.table.0);
        }
        Frame::EpochStart(frame) => put_places(out, &frame.places),
        Frame::TtlCutoff(frame) => {
            put_places(out, &frame.places);
            put_u64(out, frame.table.0);
            out.extend_from_slice(&frame.cutoff.to_le_bytes());
        }
        Frame::Truncate(frame) => {
            put_u64(out, frame.to.0);
            out.extend_from_slice(&frame.partition.0.to_le_bytes());
        }
        Frame::Mutation(frame) => {
            put_places(out, &frame.places);
            put_u64(out, frame.table.0);
            put_u64(out, frame.mutation);
            out.push(mutation_number(frame.kind));
            put_bytes(out, frame.predicate.as_bytes());
        }
        Frame::View(frame) => {
            put_places(out, &frame.places);
            put_u64(out, frame.source.0);
            put_u64(out, frame.view.0);
            put_bytes(out, frame.definition.as_bytes());
        }
        Frame::Forget(frame) => {
            put_u64(out, frame.epoch.0);
            out.extend_from_slice(&frame.partition.0.to_le_bytes());
        }
        Frame::ObjectReference(frame) => {
            put_places(out, &frame.places);
            put_u64(out, frame.table.0);
            put_u64(out, frame.rows);
            put_u64(out, frame.bytes);
            out.push(match frame.action {
                ObjectAction::Add => 1,
                ObjectAction::Drop => 2,
            });
            put_bytes(out, frame.object.as_bytes());
        }
    }
}

fn encode_rows(out: &mut Vec<u8>, frame: &RowsFrame) {
    put_u64(out, frame.table.0);
    put_u32(out, frame.schema.0);
    put_u32(out, frame.block);
    put_batch(out, frame.batch);
    put_u32(out, frame.items.len() as u32);
    put_u32(out, frame.payload.len() as u32);
    for item in &frame.items {
        put_u64(out, item.lsn.0);
        out.extend_from_slice(&item.partition.0.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        put_u32(out, item.first_row);
        put_u32(out, item.rows);
        put_u32(out, 0);
    }
    out.extend_from_slice(&frame.payload);
}

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn mutation_number(kind: MutationKind) -> u8 {
    match kind {
        MutationKind::Delete => 1,
        MutationKind::Update => 2,
        MutationKind::TruncateTable => 3,
        MutationKind::DropTable => 4,
    }
}

pub(super) fn decode_body(kind: Kind, token: Token, cursor: &mut Cursor) -> Decoded<Frame> {
    Ok(match kind {
        Kind::Seal => return Err("a seal is no frame of the log".into()),
        Kind::Rows => Frame::Rows(decode_rows(token, cursor)?),
        Kind::Schema => Frame::Schema(decode_schema(token, cursor)?),
        Kind::Checkpoint => Frame::Checkpoint(decode_checkpoint(token, cursor)?),
        Kind::EpochStart => Frame::EpochStart(EpochStartFrame { token, places: cursor.places()? }),
        Kind::TtlCutoff => Frame::TtlCutoff(TtlCutoffFrame {
            token,
            places: cursor.places()?,
            table: TableId(cursor.u64()?),
            cutoff: cursor.i64()?,
        }),
        Kind::Truncate => {
            let to = Lsn(cursor.u64()?);
            Frame::Truncate(TruncateFrame { token, to, partition: PartitionId(cursor.u16()?) })
        }
        Kind::Mutation => Frame::Mutation(decode_mutation(token, cursor)?),
        Kind::View => Frame::View(ViewFrame {
            token,
            places: cursor.places()?,
            source: TableId(cursor.u64()?),
            view: TableId(cursor.u64()?),
            definition: cursor.text()?,
        }),
        Kind::Forget => {
            let epoch = Epoch(cursor.u64()?);
            Frame::Forget(ForgetFrame { token, epoch, partition: PartitionId(cursor.u16()?) })
        }
        Kind::ObjectReference => Frame::ObjectReference(decode_object(token, cursor)?),
        Kind::CopyEntry
        | Kind::CopySeen
        | Kind::CopyFollowed
        | Kind::CopyPending
        | Kind::CopyCommitted
        | Kind::CopyCut
        | Kind::CopyInstalled => Frame::Copy(Box::new(copy::decode(kind, token, None, cursor)?)),
        Kind::Copies => Frame::Copies(Box::new(copies::decode(cursor)?)),
    })
}

fn decode_rows(token: Token, cursor: &mut Cursor) -> Decoded<RowsFrame> {
    let table = TableId(cursor.u64()?);
    let schema = SchemaVersion(cursor.u32()?);
    let block = cursor.u32()?;
    let batch = cursor.batch()?;
    let count = cursor.u32()? as usize;
    let payload_length = cursor.u32()? as usize;
    if count > cursor.remaining() / ITEM_BYTES {
        return Err("a count is larger than what follows".into());
    }
    let items = (0..count).map(|_| decode_item(cursor)).collect::<Decoded<_>>()?;
    let payload = cursor.take(payload_length)?;
    Ok(RowsFrame { table, schema, token, batch, block, items, payload })
}

fn decode_item(cursor: &mut Cursor) -> Decoded<RowsItem> {
    let lsn = Lsn(cursor.u64()?);
    let partition = PartitionId(cursor.u16()?);
    cursor.zeros(2)?;
    let first_row = cursor.u32()?;
    let rows = cursor.u32()?;
    cursor.zeros(4)?;
    Ok(RowsItem { partition, lsn, first_row, rows })
}

fn decode_schema(token: Token, cursor: &mut Cursor) -> Decoded<SchemaFrame> {
    let places = cursor.places()?;
    let (table, version) = (TableId(cursor.u64()?), SchemaVersion(cursor.u32()?));
    let schema: TableSchema = serde_json::from_slice(&cursor.bytes()?)
        .map_err(|error| DecodeError(format!("the schema: {error}")))?;
    if (schema.id, schema.version) != (table, version) {
        return Err("the schema is of another table or version".into());
    }
    Ok(SchemaFrame { token, places, schema: schema.into() })
}

fn decode_checkpoint(token: Token, cursor: &mut Cursor) -> Decoded<CheckpointFrame> {
    let places = cursor.places()?;
    let feed = cursor.text()?;
    let count = cursor.count(12)?;
    let offset = |_| Ok(SourceOffset { source: cursor.u32()?, offset: cursor.u64()? });
    let offsets = (0..count).map(offset).collect::<Decoded<_>>()?;
    // Before the table was named nothing wrote this kind but tests: no table has the number 0.
    let table = TableId(if cursor.remaining() == 0 { 0 } else { cursor.u64()? });
    Ok(CheckpointFrame { token, places, table, feed, offsets })
}

fn decode_mutation(token: Token, cursor: &mut Cursor) -> Decoded<MutationFrame> {
    let places = cursor.places()?;
    let table = TableId(cursor.u64()?);
    let mutation = cursor.u64()?;
    let kind = match cursor.u8()? {
        1 => MutationKind::Delete,
        2 => MutationKind::Update,
        3 => MutationKind::TruncateTable,
        4 => MutationKind::DropTable,
        _ => return Err("a mutation of unknown kind".into()),
    };
    Ok(MutationFrame { token, places, table, mutation, kind, predicate: cursor.text()? })
}

fn decode_object(token: Token, cursor: &mut Cursor) -> Decoded<ObjectReferenceFrame> {
    let places = cursor.places()?;
    let table = TableId(cursor.u64()?);
    let (rows, bytes) = (cursor.u64()?, cursor.u64()?);
    let action = match cursor.u8()? {
        1 => ObjectAction::Add,
        2 => ObjectAction::Drop,
        _ => return Err("an unknown action on an object".into()),
    };
    Ok(ObjectReferenceFrame { token, places, table, action, object: cursor.text()?, rows, bytes })
}
