//! Compressed bodies. What is checked besides: however the bytes are cut, the same bytes or the same error come out.

use bytes::Bytes;
use zepto_common::{ErrorCode, Result};
use zepto_http::deflate::{Deflate, Encoding};
use zepto_http::inflate::Inflate;

use crate::target::Target;

/// Bytes that are pulled at once.
const PULL_BYTES: usize = 64 << 10;
/// Plain bytes of one input after which reading it stops: nothing new is to be seen.
const PLAIN_BYTES_MAX: usize = 4 << 20;
/// Windows and tables: those of gzip and LZ4 are small, zstd's window has at most 8 MiB, Brotli's 16 MiB.
const MEMORY: usize = 20 << 20;
/// A native block has at most 64 MiB, packed and plain.
const MEMORY_OF_BLOCKS: usize = 136 << 20;
/// Head of a native block: checksum, method, two sizes.
const CHECKSUM_BYTES: usize = 16;

pub(crate) fn all() -> Vec<Target> {
    let http = |name, encoding: Encoding| target(name, MEMORY, encoding);
    vec![
        http("gzip", Encoding::Gzip),
        http("zlib", Encoding::Deflate),
        http("zstd", Encoding::Zstd),
        http("brotli", Encoding::Brotli),
        http("lz4", Encoding::Lz4),
        target("native_blocks", MEMORY_OF_BLOCKS, Encoding::Native),
    ]
}

fn target(name: &'static str, memory: usize, encoding: Encoding) -> Target {
    let plain: [&[u8]; 4] =
        [b"", b"1\tone\n", &[7; 5_000], b"(1,'x'),(2,'y'),(3,'it was the best of times')"];
    let seeds = plain.iter().filter_map(|plain| packed(encoding, plain).ok()).collect();
    Target {
        name,
        seeds,
        words: vec![b"\x04\x22\x4D\x18", b"\x28\xB5\x2F\xFD", b"\x1F\x8B\x08\x00", b"\x82", b"\x90", b"\x02"],
        memory,
        memory_per_byte: 64,
        run: Box::new(move |choice, data| run(encoding, choice, data)),
    }
}

fn packed(encoding: Encoding, plain: &[u8]) -> Result<Vec<u8>> {
    let mut deflate = Deflate::of(encoding)?;
    let mut out = vec![1];
    out.extend(deflate.write(plain.to_vec())?);
    out.extend(deflate.finish()?);
    Ok(out)
}

#[expect(clippy::panic, reason = "a broken promise is told by a panic")]
fn run(encoding: Encoding, choice: u8, data: &[u8]) {
    let mut data = data.to_vec();
    if matches!(encoding, Encoding::Native) && choice % 2 == 1 {
        put_checksum(&mut data);
    }
    let (whole, cut) =
        (unpack(encoding, &data, data.len().max(1)), unpack(encoding, &data, data.len() / 7 + 1));
    // libzstd compares the size that a frame declares with what came out only when it sees the whole frame at once.
    let lenient = matches!(encoding, Encoding::Zstd) && whole.is_ok() != cut.is_ok();
    if whole != cut && !lenient {
        let bytes = |read: &Result<Vec<u8>, ErrorCode>| read.as_ref().map(Vec::len).map_err(|code| *code);
        panic!("at once it gives {:?} bytes, in pieces {:?}", bytes(&whole), bytes(&cut));
    }
}

fn unpack(encoding: Encoding, data: &[u8], piece: usize) -> Result<Vec<u8>, ErrorCode> {
    let read = || {
        let mut inflate = match encoding {
            Encoding::Native => Inflate::native(),
            _ => Inflate::of(encoding.name())?,
        };
        let mut out = Vec::new();
        for part in data.chunks(piece) {
            inflate.push(Bytes::copy_from_slice(part));
            while let Some(plain) = inflate.pull(PULL_BYTES)? {
                out.extend_from_slice(&plain);
                if out.len() >= PLAIN_BYTES_MAX {
                    out.truncate(PLAIN_BYTES_MAX);
                    return Ok(out);
                }
            }
        }
        inflate.finish()?;
        Ok(out)
    };
    read().map_err(|error: zepto_common::Error| error.code)
}

/// Makes the checksum of the first block right, where its size says that it is whole.
fn put_checksum(data: &mut [u8]) {
    let Some(size) = data.get(CHECKSUM_BYTES + 1..CHECKSUM_BYTES + 5) else { return };
    let size = size.iter().rev().fold(0usize, |size, byte| size << 8 | usize::from(*byte));
    let Some(block) = data.get(CHECKSUM_BYTES..CHECKSUM_BYTES.saturating_add(size)) else { return };
    let hash = cityhash_rs::cityhash_102_128(block);
    data[..8].copy_from_slice(&((hash >> 64) as u64).to_le_bytes());
    data[8..CHECKSUM_BYTES].copy_from_slice(&(hash as u64).to_le_bytes());
}
