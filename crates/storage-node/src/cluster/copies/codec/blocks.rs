//! Blocks of rows to which entries of several partitions refer.

use std::sync::Arc;

use zepto_common::ids::{SchemaVersion, TableId};
use zepto_engine::copies::{Block, Payload};
use zepto_proto::convert::bad_message;
use zepto_proto::refusal::Refused;
use zepto_proto::replicate as wire;

/// The blocks of a message that is to be said.
#[derive(Default)]
pub(super) struct Blocks(Vec<Arc<Block>>);

impl Blocks {
    /// A block's number in the message.
    pub(super) fn number(&mut self, block: &Arc<Block>) -> u32 {
        let known = self.0.iter().rposition(|it| Arc::ptr_eq(it, block));
        let number = known.unwrap_or_else(|| {
            self.0.push(block.clone());
            self.0.len() - 1
        });
        number as u32
    }

    pub(super) fn into_messages(self) -> Vec<wire::Block> {
        self.0.iter().map(|it| wire::Block { ipc: it.ipc.clone(), rows: it.rows }).collect()
    }
}

/// The blocks that came together with messages; each is read once, when an entry refers to it.
pub(crate) struct HeardBlocks(Vec<(wire::Block, Option<Arc<Block>>)>);

impl HeardBlocks {
    /// Nothing was read yet.
    pub(crate) fn new(blocks: Vec<wire::Block>) -> Self {
        Self(blocks.into_iter().map(|it| (it, None)).collect())
    }

    /// The rows of an entry.
    pub(super) fn part(&mut self, rows: &wire::Rows) -> Result<Payload, Refused> {
        let (table, schema) = (TableId(rows.table_id), SchemaVersion(rows.schema_version));
        let heard = self.0.get_mut(rows.block as usize);
        let (sent, read) = heard.ok_or_else(|| bad_message("rows of a block that did not come"))?;
        let block = match read {
            Some(block) => block.clone(),
            None => {
                let block = Arc::new(Block::new(table, schema, sent.rows, sent.ipc.clone()));
                block
                    .batch()
                    .map_err(|error| bad_message(format!("a block that cannot be read: {error}")))?;
                read.insert(block).clone()
            }
        };
        if (block.table, block.schema) != (table, schema) {
            return Err(bad_message("rows of one table in the block of another"));
        }
        if rows.first_row.checked_add(rows.rows).is_none_or(|end| end > block.rows) {
            return Err(bad_message("rows beyond those of their block"));
        }
        Ok(Payload::of_block(block, rows.first_row, rows.rows))
    }
}
