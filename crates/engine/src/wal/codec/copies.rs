//! Body of the frame that has entries of several copies with the one block that has their rows.

use std::sync::Arc;

use zepto_common::{Boot, Epoch, SchemaVersion, TableId, Token};

use super::body::{put_u32, put_u64};
use super::{Kind, copy};
use crate::copies::Block;
use crate::wal::cursor::{Cursor, Decoded};
use crate::wal::frame::CopiesFrame;

/// The block without its rows, and the number of entries.
const HEAD_BYTES: usize = 24;
/// Kind and token, with which each entry begins.
const ENTRY_HEAD_BYTES: usize = 24;

pub(super) fn body_bytes(frame: &CopiesFrame) -> usize {
    let entries = frame.entries.iter().map(|entry| ENTRY_HEAD_BYTES + copy::body_bytes(entry));
    HEAD_BYTES + frame.block.ipc.len() + entries.sum::<usize>()
}

pub(super) fn encode(out: &mut Vec<u8>, frame: &CopiesFrame) {
    let block = &frame.block;
    put_u64(out, block.table.0);
    put_u32(out, block.schema.0);
    put_u32(out, block.rows);
    put_u32(out, block.ipc.len() as u32);
    put_u32(out, frame.entries.len() as u32);
    out.extend_from_slice(&block.ipc);
    for entry in &frame.entries {
        out.push(copy::kind_of(&entry.op) as u8);
        out.extend_from_slice(&[0; 7]);
        let token = entry.token();
        put_u64(out, token.epoch.0);
        put_u64(out, token.boot.0);
        copy::encode(out, entry);
    }
}

pub(super) fn decode(cursor: &mut Cursor) -> Decoded<CopiesFrame> {
    let (table, schema) = (TableId(cursor.u64()?), SchemaVersion(cursor.u32()?));
    let (rows, length, count) = (cursor.u32()?, cursor.u32()? as usize, cursor.u32()?);
    let block = Arc::new(Block::new(table, schema, rows, cursor.take(length)?));
    let mut entries = Vec::new();
    for _ in 0..count {
        let kind = Kind::of_number(cursor.u8()?).ok_or("an entry of unknown kind")?;
        cursor.zeros(7)?;
        let token = Token { epoch: Epoch(cursor.u64()?), boot: Boot(cursor.u64()?) };
        entries.push(copy::decode(kind, token, Some(&block), cursor)?);
    }
    Ok(CopiesFrame { block, entries })
}
