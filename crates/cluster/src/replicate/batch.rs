//! What goes out as one message of a stream: words that waited, and each block that they refer to once.

use zepto_proto::replicate as wire;

use super::{Said, bytes_of, parts_of};

/// Bytes that go out together, unless one message alone has more.
pub(super) const BATCH_BYTES: usize = 4 << 20;

/// Messages with their blocks.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) messages: Vec<wire::CopyMessage>,
    pub(super) blocks: Vec<wire::Block>,
    bytes: usize,
}

/// Whether two blocks are the same rows in memory, not only equal ones.
pub(super) fn is_same(one: &wire::Block, other: &wire::Block) -> bool {
    one.rows == other.rows && one.ipc.len() == other.ipc.len() && one.ipc.as_ptr() == other.ipc.as_ptr()
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether there is room for a message: for one always.
    pub(super) fn has_room(&self, said: &Said) -> bool {
        self.is_empty() || self.bytes + self.bytes_with(said) <= BATCH_BYTES
    }

    fn bytes_with(&self, said: &Said) -> usize {
        let fresh = said.blocks.iter().filter(|block| self.find(block).is_none());
        bytes_of(&said.message) + fresh.map(|block| block.ipc.len()).sum::<usize>()
    }

    /// Takes a message.
    pub(super) fn take(&mut self, said: Said) {
        self.bytes += self.bytes_with(&said);
        let Said { mut message, blocks } = said;
        let mut numbers = Vec::with_capacity(blocks.len());
        for block in blocks {
            numbers.push(self.find(&block).unwrap_or(self.blocks.len()));
            if numbers.last() == Some(&self.blocks.len()) {
                self.blocks.push(block);
            }
        }
        for rows in parts_of(&mut message) {
            if let Some(number) = numbers.get(rows.block as usize) {
                rows.block = *number as u32;
            }
        }
        self.messages.push(message);
    }

    /// The number of a block that is in it; the newest are the likely ones.
    fn find(&self, block: &wire::Block) -> Option<usize> {
        self.blocks.iter().rposition(|known| is_same(known, block))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use wire::copy_message::Says;

    use super::*;
    use crate::replicate::FORM_PART;

    fn said(blocks: &[&Bytes]) -> Said {
        let part = |number: usize| {
            let rows = wire::Rows { form: FORM_PART, block: number as u32, rows: 1, ..Default::default() };
            wire::Entry { rows: Some(rows), ..Default::default() }
        };
        let entries = (0..blocks.len()).map(part).collect();
        let says = Some(Says::Append(wire::Append { entries, ..Default::default() }));
        let blocks = blocks.iter().map(|ipc| wire::Block { ipc: (*ipc).clone(), rows: 9 }).collect();
        Said { message: wire::CopyMessage { partition: 0, says }, blocks }
    }

    fn numbers(batch: &mut Batch) -> Vec<Vec<u32>> {
        let of = |message: &mut wire::CopyMessage| parts_of(message).map(|rows| rows.block).collect();
        batch.messages.iter_mut().map(of).collect()
    }

    #[test]
    fn a_block_that_messages_share_goes_out_once_and_each_finds_it() {
        let (one, other) = (Bytes::from(vec![1; 10]), Bytes::from(vec![2; 10]));
        let mut batch = Batch::default();
        for it in [said(&[&one]), said(&[]), said(&[&other, &one]), said(&[&other])] {
            batch.take(it);
        }
        assert_eq!(batch.blocks.iter().map(|it| it.ipc[0]).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(numbers(&mut batch), [vec![0], vec![], vec![1, 0], vec![1]]);
        // Equal bytes elsewhere are another block.
        batch.take(said(&[&Bytes::from(vec![1; 10])]));
        assert_eq!(batch.blocks.len(), 3);
    }

    #[test]
    fn blocks_count_once_and_what_is_too_much_waits() {
        let large = Bytes::from(vec![0; BATCH_BYTES - 10_000]);
        let mut batch = Batch::default();
        for _ in 0..4 {
            assert!(batch.has_room(&said(&[&large])));
            batch.take(said(&[&large]));
        }
        assert!(!batch.has_room(&said(&[&Bytes::from(vec![0; 20_000])])));
        assert!(Batch::default().has_room(&said(&[&Bytes::from(vec![0; BATCH_BYTES * 2])])));
    }
}
