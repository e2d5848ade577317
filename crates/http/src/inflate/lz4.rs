//! LZ4 frames (format 1.6): one or several, skippable ones between them, blocks independent or linked.
//!
//! A block has at most 4 MiB by the format, and is decoded when it is whole; all checksums are verified.

use bytes::{Buf, Bytes, BytesMut};
use xxhash_rust::xxh32::{Xxh32, xxh32};
use zepto_common::Result;

use super::broken;

const MAGIC: u32 = 0x184D_2204;
/// The last four bits are free.
const SKIPPABLE_MAGIC: u32 = 0x184D_2A50;
/// Plain bytes that a linked block may refer back to.
const WINDOW_BYTES: usize = 64 << 10;
/// The bit of a block's size that says it is not compressed.
const STORED: u32 = 1 << 31;

/// Bits of the flags.
const INDEPENDENT: u8 = 1 << 5;
const BLOCK_SUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_SUM: u8 = 1 << 2;
const RESERVED: u8 = 1 << 1;
const DICTIONARY: u8 = 1;

/// What the next bytes are.
enum Stage {
    Magic,
    /// Flags and block size; with the content's size when that is there, and the checksum of these.
    Descriptor,
    Skip(u32),
    SkipSize,
    BlockSize,
    /// Bytes of data and whether they are stored as they are.
    Block(usize, bool),
    ContentSum,
}

/// What a frame says about itself.
struct Frame {
    flags: u8,
    block_bytes: usize,
    content_bytes: Option<u64>,
    given: u64,
    sum: Xxh32,
    window: Vec<u8>,
}

/// A body of frames.
pub(super) struct Frames {
    stage: Stage,
    input: BytesMut,
    frame: Option<Frame>,
    plain: Bytes,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { stage: Stage::Magic, input: BytesMut::new(), frame: None, plain: Bytes::new() }
    }

    /// Whether a frame has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Magic) || !self.input.is_empty()
    }

    /// At most `most` plain bytes; none when `pending` is used up.
    pub(super) fn pull(&mut self, pending: &mut Bytes, most: usize) -> Result<Bytes> {
        while self.plain.is_empty() && !pending.is_empty() {
            if let Stage::Skip(left) = self.stage {
                let skipped = pending.len().min(left as usize);
                pending.advance(skipped);
                let left = left - skipped as u32;
                self.stage = if left == 0 { Stage::Magic } else { Stage::Skip(left) };
                continue;
            }
            let wanted = self.wanted();
            let take = wanted.saturating_sub(self.input.len()).min(pending.len());
            self.input.extend_from_slice(&pending[..take]);
            pending.advance(take);
            // A descriptor says in its first byte how long it is, so it may want more now.
            if self.input.len() >= self.wanted() {
                let item = std::mem::take(&mut self.input);
                self.stage = self.step(&item)?;
            }
        }
        Ok(self.plain.split_to(self.plain.len().min(most)))
    }

    /// Bytes of the item that comes next.
    fn wanted(&self) -> usize {
        match self.stage {
            Stage::Descriptor => match self.input.first() {
                Some(flags) if flags & CONTENT_SIZE != 0 => 11,
                _ => 3,
            },
            Stage::Block(length, _) => length + if self.has(BLOCK_SUMS) { 4 } else { 0 },
            _ => 4,
        }
    }

    fn has(&self, flag: u8) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.flags & flag != 0)
    }

    /// Takes an item that is whole.
    fn step(&mut self, item: &[u8]) -> Result<Stage> {
        match self.stage {
            Stage::Magic => match number(item) {
                MAGIC => Ok(Stage::Descriptor),
                magic if magic & !0xF == SKIPPABLE_MAGIC => Ok(Stage::SkipSize),
                _ => Err(broken("not an LZ4 frame")),
            },
            Stage::SkipSize => Ok(if number(item) == 0 { Stage::Magic } else { Stage::Skip(number(item)) }),
            Stage::Skip(left) => Ok(Stage::Skip(left)),
            Stage::Descriptor => {
                self.frame = Some(Frame::read(item)?);
                Ok(Stage::BlockSize)
            }
            Stage::BlockSize => self.block_size(number(item)),
            Stage::Block(length, stored) => self.block(&item[..length], &item[length..], stored),
            Stage::ContentSum => match self.frame.take() {
                Some(frame) if frame.sum.digest() == number(item) => Ok(Stage::Magic),
                _ => Err(broken("the checksum of an LZ4 frame does not match")),
            },
        }
    }

    fn block_size(&mut self, size: u32) -> Result<Stage> {
        let length = (size & !STORED) as usize;
        let Some(frame) = &self.frame else { return Err(broken("an LZ4 block without a frame")) };
        if size == 0 {
            if frame.content_bytes.is_some_and(|bytes| bytes != frame.given) {
                return Err(broken("an LZ4 frame is not as long as it says"));
            }
            let has_sum = frame.flags & CONTENT_SUM != 0;
            if !has_sum {
                self.frame = None;
            }
            return Ok(if has_sum { Stage::ContentSum } else { Stage::Magic });
        }
        if length == 0 || length > frame.block_bytes {
            return Err(broken("an LZ4 block is larger than its frame allows"));
        }
        Ok(Stage::Block(length, size & STORED != 0))
    }

    fn block(&mut self, data: &[u8], sum: &[u8], stored: bool) -> Result<Stage> {
        let Some(frame) = &mut self.frame else { return Err(broken("an LZ4 block without a frame")) };
        if !sum.is_empty() && xxh32(data, 0) != number(sum) {
            return Err(broken("the checksum of an LZ4 block does not match"));
        }
        self.plain = Bytes::from(frame.decode(data, stored)?);
        Ok(Stage::BlockSize)
    }
}

impl Frame {
    /// From the flags to the checksum of the descriptor.
    fn read(item: &[u8]) -> Result<Self> {
        let (body, sum) = item.split_at(item.len() - 1);
        let (flags, sizes) = (body[0], body[1]);
        if (xxh32(body, 0) >> 8) as u8 != sum[0] {
            return Err(broken("the checksum of an LZ4 descriptor does not match"));
        }
        if flags >> 6 != 1 || flags & RESERVED != 0 || sizes & 0x8F != 0 {
            return Err(broken("an LZ4 frame of an unknown version"));
        }
        if flags & DICTIONARY != 0 {
            return Err(broken("an LZ4 frame with a dictionary"));
        }
        let block_bytes = match sizes >> 4 {
            code @ 4..=7 => 1 << (8 + 2 * code),
            _ => return Err(broken("an LZ4 frame of an unknown block size")),
        };
        let size = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |size, byte| size << 8 | u64::from(*byte));
        let content_bytes = (flags & CONTENT_SIZE != 0).then(|| size(&body[2..]));
        Ok(Self { flags, block_bytes, content_bytes, given: 0, sum: Xxh32::new(0), window: Vec::new() })
    }

    fn decode(&mut self, data: &[u8], stored: bool) -> Result<Vec<u8>> {
        let plain = if stored {
            data.to_vec()
        } else {
            // A byte stands for at most 255, so that a short block does not cost a long one's room.
            let mut plain = vec![0; self.block_bytes.min(data.len().saturating_mul(255))];
            let length = lz4_flex::block::decompress_into_with_dict(data, &mut plain, &self.window);
            plain.truncate(length.map_err(broken)?);
            plain
        };
        self.given += plain.len() as u64;
        if self.content_bytes.is_some_and(|bytes| self.given > bytes) {
            return Err(broken("an LZ4 frame is longer than it says"));
        }
        if self.flags & CONTENT_SUM != 0 {
            self.sum.update(&plain);
        }
        if self.flags & INDEPENDENT == 0 {
            self.window.extend_from_slice(&plain);
            let old = self.window.len().saturating_sub(WINDOW_BYTES);
            self.window.drain(..old);
        }
        Ok(plain)
    }
}

/// Four bytes as a number.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
