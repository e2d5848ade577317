//! Compresses an answer as it is written, in the encoding that the client likes best of those we have.

#[cfg(test)]
mod tests;

use std::io::{Error as IoError, Write};

use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use zepto_common::{Error, Result};

use crate::native;

/// zstd's level: the fastest of the regular ones.
const ZSTD_LEVEL: i32 = 1;
/// Brotli's quality: about as fast as the others.
const BROTLI_QUALITY: u32 = 2;
/// Brotli's window, as a power of two: 512 KiB, so that an answer costs little memory.
const BROTLI_WINDOW_BITS: u32 = 19;
/// Bytes that brotli gathers before it looks at them.
const BROTLI_BUFFER_BYTES: usize = 16 << 10;

/// How an answer's bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, what HTTP calls deflate.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// An LZ4 frame.
    Lz4,
    /// RFC 8878.
    Zstd,
    /// ClickHouse's native blocks, `compress=1`: no encoding of HTTP, and for errors too.
    Native,
}

impl Encoding {
    /// What a client may name, from the one that ClickHouse likes least.
    const OFFERS: &[(&str, Self)] = &[
        ("deflate", Self::Deflate),
        ("x-gzip", Self::Gzip),
        ("gzip", Self::Gzip),
        ("lz4", Self::Lz4),
        ("br", Self::Brotli),
        ("zstd", Self::Zstd),
    ];

    /// The choice for an `Accept-Encoding`: the highest `q`; of several with that, ClickHouse's order: zstd, br,
    /// lz4, gzip, deflate.
    #[must_use]
    pub fn choose(accept: Option<&str>) -> Self {
        let mut best = ((0.0, 0), Self::Identity);
        for offer in accept.unwrap_or_default().split(',') {
            let mut parts = offer.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let known = Self::OFFERS.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
            let Some(rank) = known else { continue };
            let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            let quality = quality.map_or(Ok(1.0), str::parse::<f32>).unwrap_or(0.0);
            if quality > 0.0 && (quality, rank) >= best.0 {
                best = ((quality, rank), Self::OFFERS[rank].1);
            }
        }
        best.1
    }

    /// The value of `Content-Encoding`; None for no header.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity | Self::Native => None,
            Self::Gzip => Some("gzip"),
            Self::Deflate => Some("deflate"),
            Self::Brotli => Some("br"),
            Self::Lz4 => Some("lz4"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// The compressor of one answer.
pub enum Deflate {
    /// Passes bytes on.
    Identity,
    /// gzip.
    Gzip(Box<GzEncoder<Vec<u8>>>),
    /// zlib.
    Deflate(Box<ZlibEncoder<Vec<u8>>>),
    /// Brotli.
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    /// LZ4.
    Lz4(Box<FrameEncoder<Vec<u8>>>),
    /// zstd.
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    /// Native blocks.
    Native,
}

impl Deflate {
    /// A fresh stream.
    ///
    /// # Errors
    /// zstd's, when it finds no memory.
    pub fn of(encoding: Encoding) -> Result<Self> {
        let out = Vec::new();
        Ok(match encoding {
            Encoding::Identity => Self::Identity,
            Encoding::Gzip => Self::Gzip(Box::new(GzEncoder::new(out, Compression::fast()))),
            Encoding::Deflate => Self::Deflate(Box::new(ZlibEncoder::new(out, Compression::fast()))),
            Encoding::Brotli => {
                let (quality, window) = (BROTLI_QUALITY, BROTLI_WINDOW_BITS);
                Self::Brotli(Box::new(CompressorWriter::new(out, BROTLI_BUFFER_BYTES, quality, window)))
            }
            Encoding::Lz4 => {
                let info =
                    FrameInfo::new().block_size(BlockSize::Max256KB).block_mode(BlockMode::Independent);
                Self::Lz4(Box::new(FrameEncoder::with_frame_info(info.content_checksum(true), out)))
            }
            Encoding::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL).map_err(fault)?;
                Self::Zstd(Box::new(encoder))
            }
            Encoding::Native => Self::Native,
        })
    }

    /// Compresses `plain`; the bytes that come out decompress to all that was written so far.
    ///
    /// # Errors
    /// The compressor's.
    pub fn write(&mut self, plain: Vec<u8>) -> Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(plain),
            Self::Gzip(encoder) => {
                through(&mut **encoder, &plain).map(|()| std::mem::take(encoder.get_mut()))
            }
            Self::Deflate(encoder) => {
                through(&mut **encoder, &plain).map(|()| std::mem::take(encoder.get_mut()))
            }
            Self::Brotli(encoder) => {
                through(&mut **encoder, &plain).map(|()| std::mem::take(encoder.get_mut()))
            }
            Self::Lz4(encoder) => through(&mut **encoder, &plain).map(|()| std::mem::take(encoder.get_mut())),
            Self::Zstd(encoder) => {
                through(&mut **encoder, &plain).map(|()| std::mem::take(encoder.get_mut()))
            }
            Self::Native => {
                let mut out = Vec::new();
                native::write_blocks(&plain, &mut out);
                Ok(out)
            }
        }
    }

    /// Ends the stream: the last bytes.
    ///
    /// # Errors
    /// The compressor's.
    pub fn finish(self) -> Result<Vec<u8>> {
        match self {
            Self::Identity | Self::Native => Ok(Vec::new()),
            Self::Gzip(encoder) => encoder.finish().map_err(fault),
            Self::Deflate(encoder) => encoder.finish().map_err(fault),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Lz4(encoder) => encoder.finish().map_err(|error| fault(IoError::other(error))),
            Self::Zstd(encoder) => encoder.finish().map_err(fault),
        }
    }
}

fn through(encoder: &mut impl Write, plain: &[u8]) -> Result<()> {
    encoder.write_all(plain).and_then(|()| encoder.flush()).map_err(fault)
}

fn fault(error: IoError) -> Error {
    Error::internal(format!("compressing the answer: {error}"))
}
