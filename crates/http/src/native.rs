//! ClickHouse's native compressed blocks: what `decompress=1` sends and `compress=1` asks for.
//!
//! One block is the CityHash128 (version 1.0.2) of all that follows it, then a method byte, the size of the block
//! without the checksum, the size of the plain bytes (both u32 little-endian), and the data. The methods are LZ4
//! (without a frame), ZSTD and none. Promises: a declared size is checked before anything is allocated for it, no
//! more is allocated than what came in may become, and a wrong checksum is found before anything is decompressed.

#[cfg(test)]
pub(crate) mod tests;

use std::io::Read;

use bytes::{Buf, Bytes, BytesMut};
use zepto_common::{Error, ErrorCode, Result};

/// Bytes of the checksum.
const CHECKSUM_BYTES: usize = 16;
/// Bytes of method and sizes.
const HEAD_BYTES: usize = 9;
/// Most bytes that one block has, compressed and plain. Real clients send at most 10 MiB.
pub const BLOCK_BYTES_MAX: usize = 64 << 20;
/// Plain bytes of the blocks that are written: what ClickHouse itself cuts at.
pub const BLOCK_BYTES: usize = 1 << 20;
/// A byte of LZ4 stands for at most so many plain ones.
const LZ4_RATIO_MAX: usize = 255;
/// Largest ZSTD window of a block, as a power of two: a block is not larger than [`BLOCK_BYTES_MAX`].
const ZSTD_WINDOW_LOG_MAX: u32 = 26;

const LZ4: u8 = 0x82;
const ZSTD: u8 = 0x90;
const NONE: u8 = 0x02;

/// The checksum as it stands before a block.
fn checksum(block: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = cityhash_rs::cityhash_102_128(block);
    let mut bytes = [0; CHECKSUM_BYTES];
    bytes[..8].copy_from_slice(&((hash >> 64) as u64).to_le_bytes());
    bytes[8..].copy_from_slice(&(hash as u64).to_le_bytes());
    bytes
}

/// Appends `plain` as LZ4 blocks; nothing for no bytes.
pub fn write_blocks(plain: &[u8], out: &mut Vec<u8>) {
    for part in plain.chunks(BLOCK_BYTES) {
        let start = out.len();
        let data = start + CHECKSUM_BYTES + HEAD_BYTES;
        out.resize(data + lz4_flex::block::get_maximum_output_size(part.len()), 0);
        // The room is the most that LZ4 can need, so it does not fail; the bytes as they are would do as well.
        let (method, packed) = match lz4_flex::block::compress_into(part, &mut out[data..]) {
            Ok(packed) => (LZ4, packed),
            Err(_) => {
                out[data..data + part.len()].copy_from_slice(part);
                (NONE, part.len())
            }
        };
        out.truncate(data + packed);
        let head = &mut out[start + CHECKSUM_BYTES..data];
        head[0] = method;
        head[1..5].copy_from_slice(&((packed + HEAD_BYTES) as u32).to_le_bytes());
        head[5..9].copy_from_slice(&(part.len() as u32).to_le_bytes());
        let sum = checksum(&out[start + CHECKSUM_BYTES..]);
        out[start..start + CHECKSUM_BYTES].copy_from_slice(&sum);
    }
}

/// A body of blocks on its way to plain bytes.
#[derive(Default)]
pub struct Blocks {
    /// The block that is not whole yet.
    input: BytesMut,
    /// Plain bytes of the last block that were not given yet.
    plain: Bytes,
}

impl Blocks {
    /// Whether a block has begun and not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.input.is_empty()
    }

    /// At most `most` plain bytes; none when `pending` is used up.
    ///
    /// # Errors
    /// `ChecksumDoesntMatch`, `TooLargeSizeCompressed`, `UnknownCodec`, `CannotDecompress`.
    pub fn pull(&mut self, pending: &mut Bytes, most: usize) -> Result<Bytes> {
        while self.plain.is_empty() && !pending.is_empty() {
            let wanted = self.wanted()?;
            let take = (wanted - self.input.len()).min(pending.len());
            self.input.extend_from_slice(&pending[..take]);
            pending.advance(take);
            if self.input.len() == self.wanted()? && self.input.len() > CHECKSUM_BYTES + HEAD_BYTES {
                self.plain = Bytes::from(open_block(&self.input)?);
                // Not kept: one large block would hold its room until the body ends.
                self.input = BytesMut::new();
            }
        }
        Ok(self.plain.split_to(self.plain.len().min(most)))
    }

    /// Bytes up to the next that decides: the head's end, then the block's.
    fn wanted(&self) -> Result<usize> {
        match self.input.get(CHECKSUM_BYTES..CHECKSUM_BYTES + HEAD_BYTES) {
            Some(head) => Ok(CHECKSUM_BYTES + Head::read(head)?.packed),
            None => Ok(CHECKSUM_BYTES + HEAD_BYTES),
        }
    }
}

/// Method and sizes of a block, checked.
struct Head {
    method: u8,
    /// Without the checksum, with this head.
    packed: usize,
    plain: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Self> {
        let size = |at: usize| {
            bytes[at..at + 4].iter().rev().fold(0usize, |size, byte| size << 8 | usize::from(*byte))
        };
        let head = Self { method: bytes[0], packed: size(1), plain: size(5) };
        if ![LZ4, ZSTD, NONE].contains(&head.method) {
            let text = format!("Unknown codec family code: {}", head.method);
            return Err(Error::new(ErrorCode::UnknownCodec, text));
        }
        if head.packed <= HEAD_BYTES || head.packed > BLOCK_BYTES_MAX {
            return Err(too_large("compressed", head.packed));
        }
        let data = head.packed - HEAD_BYTES;
        let possible = match head.method {
            LZ4 => head.plain / LZ4_RATIO_MAX <= data,
            NONE => head.plain == data,
            _ => true,
        };
        if head.plain == 0 || head.plain > BLOCK_BYTES_MAX || !possible {
            return Err(too_large("plain", head.plain));
        }
        Ok(head)
    }
}

/// The plain bytes of a block that is whole.
fn open_block(block: &[u8]) -> Result<Vec<u8>> {
    let (sum, rest) = block.split_at(CHECKSUM_BYTES);
    if checksum(rest) != *sum {
        let text =
            format!("Checksum doesn't match: corrupted data. Size of compressed block: {}", rest.len());
        return Err(Error::new(ErrorCode::ChecksumDoesntMatch, text));
    }
    let head = Head::read(rest)?;
    let data = &rest[HEAD_BYTES..];
    let plain = match head.method {
        LZ4 => {
            let mut plain = vec![0; head.plain];
            let length = lz4_flex::block::decompress_into(data, &mut plain).map_err(broken)?;
            plain.truncate(length);
            plain
        }
        ZSTD => unzstd(data, head.plain)?,
        _ => data.to_vec(),
    };
    if plain.len() != head.plain {
        return Err(broken(format!("the block says {} bytes and has {}", head.plain, plain.len())));
    }
    Ok(plain)
}

/// Grows with what comes out, so that a few bytes that claim to be many cost nothing.
fn unzstd(data: &[u8], most: usize) -> Result<Vec<u8>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(data).map_err(broken)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
    let mut plain = Vec::new();
    decoder.take(most as u64 + 1).read_to_end(&mut plain).map_err(broken)?;
    Ok(plain)
}

fn broken(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::CannotDecompress, format!("Cannot decompress a native block: {what}"))
}

fn too_large(what: &str, size: usize) -> Error {
    let text = format!("A native block of {size} {what} bytes cannot be; most likely the data is corrupted");
    Error::new(ErrorCode::TooLargeSizeCompressed, text)
}
