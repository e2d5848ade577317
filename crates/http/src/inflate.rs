//! Undoes the compression of a request body, in steps of bounded size and with a bounded ratio.

mod brotli;
mod lz4;
#[cfg(test)]
mod tests;

use crate::native::Blocks;
use brotli::Brotli;
use bytes::{Buf, Bytes};
use flate2::{Decompress, FlushDecompress, Status};
use lz4::Frames;
use zepto_common::limits::{BODY_BYTES_MAX, BODY_RATIO_FREE_BYTES, BODY_RATIO_MAX};
use zepto_common::{Error, ErrorCode, Result};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// Largest zstd window that is taken, as a power of two: 8 MiB, what RFC 9659 allows for HTTP.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Window of gzip and zlib, as a power of two.
const FLATE_WINDOW_BITS: u8 = 15;

enum Kind {
    Identity,
    Gzip(Decompress),
    Zlib(Decompress),
    Zstd(Box<Decoder<'static>>),
    Brotli(Box<Brotli>),
    Lz4(Box<Frames>),
    /// ClickHouse's native blocks.
    Native(Box<Blocks>),
}

/// A body on its way out of its compression. Bytes go in by `push`, plain ones come out by `pull`.
pub struct Inflate {
    kind: Kind,
    pending: Bytes,
    /// A compressed stream (of possibly several) is begun and not ended.
    open: bool,
    taken: u64,
    given: u64,
}

impl Inflate {
    /// For the value of `Content-Encoding`.
    ///
    /// # Errors
    /// `UnknownCompressionMethod` for all but gzip, deflate (zlib), br, lz4 (frame), zstd and identity, one at a time.
    pub fn of(encoding: Option<&str>) -> Result<Self> {
        let name = encoding.unwrap_or_default().trim().to_ascii_lowercase();
        let kind = match name.as_str() {
            "" | "identity" => Kind::Identity,
            "gzip" | "x-gzip" => Kind::Gzip(Decompress::new_gzip(FLATE_WINDOW_BITS)),
            "deflate" => Kind::Zlib(Decompress::new(true)),
            "zstd" => {
                let mut decoder = Decoder::new().map_err(broken)?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(broken)?;
                Kind::Zstd(Box::new(decoder))
            }
            "br" => Kind::Brotli(Box::new(Brotli::new())),
            "lz4" => Kind::Lz4(Box::new(Frames::new())),
            other => {
                let text = format!("Content-Encoding '{}' is not supported", other.escape_debug());
                return Err(Error::new(ErrorCode::UnknownCompressionMethod, text));
            }
        };
        Ok(Self::with(kind))
    }

    /// For ClickHouse's native blocks, `decompress=1`.
    #[must_use]
    pub fn native() -> Self {
        Self::with(Kind::Native(Box::default()))
    }

    fn with(kind: Kind) -> Self {
        Self { kind, pending: Bytes::new(), open: false, taken: 0, given: 0 }
    }

    /// Whether bytes pass as they are.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        matches!(self.kind, Kind::Identity)
    }

    /// Plain bytes given so far.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Takes the next bytes of the body; what was pushed before must have been pulled.
    pub fn push(&mut self, input: Bytes) {
        debug_assert!(self.pending.is_empty(), "pull until it gives None before the next push");
        self.taken += input.len() as u64;
        self.pending = input;
    }

    /// The next plain bytes, at most `most` of them; None when more input is needed.
    ///
    /// # Errors
    /// `IncorrectData` for a broken stream, ClickHouse's codes for a native block; `QueryIsTooLarge` beyond the body's bounds.
    pub fn pull(&mut self, most: usize) -> Result<Option<Bytes>> {
        loop {
            let before = self.pending.len();
            let (plain, ended) = match &mut self.kind {
                Kind::Identity => (self.pending.split_to(before.min(most)), false),
                Kind::Zstd(decoder) => (pull_zstd(decoder, &mut self.pending, &mut self.open, most)?, false),
                Kind::Brotli(stream) => (stream.pull(&mut self.pending, most)?, false),
                Kind::Lz4(frames) => (frames.pull(&mut self.pending, most)?, false),
                Kind::Native(blocks) => (blocks.pull(&mut self.pending, most)?, false),
                Kind::Gzip(stream) | Kind::Zlib(stream) => {
                    pull_flate(stream, &mut self.pending, &mut self.open, most)?
                }
            };
            if ended {
                self.next_member()?;
            }
            self.given += plain.len() as u64;
            self.check_bounds()?;
            if !plain.is_empty() {
                return Ok(Some(plain));
            }
            if self.pending.is_empty() {
                return Ok(None);
            }
            // Nothing came out though input is left: a stream ended exactly here and another one follows.
            if !ended && self.pending.len() == before {
                return Err(broken("the decompressor makes no progress"));
            }
        }
    }

    fn check_bounds(&self) -> Result<()> {
        if self.given > BODY_BYTES_MAX {
            return Err(too_large(&format!("the body has more than {BODY_BYTES_MAX} bytes")));
        }
        if self.given > BODY_RATIO_FREE_BYTES && self.given / BODY_RATIO_MAX > self.taken {
            return Err(too_large(&format!(
                "the body grows more than {BODY_RATIO_MAX}-fold by decompression"
            )));
        }
        Ok(())
    }

    /// After a stream ended: gzip allows another one behind it, zlib does not.
    fn next_member(&mut self) -> Result<()> {
        self.open = false;
        match &mut self.kind {
            Kind::Gzip(stream) => *stream = Decompress::new_gzip(FLATE_WINDOW_BITS),
            _ if self.pending.is_empty() => {}
            _ => return Err(broken("bytes follow the end of the deflate stream")),
        }
        Ok(())
    }

    /// Checks that the body did not end inside a compressed stream.
    ///
    /// # Errors
    /// `IncorrectData` if it did, `CannotReadAllData` for a native block.
    pub fn finish(&self) -> Result<()> {
        let open = match &self.kind {
            Kind::Brotli(stream) => stream.is_open(),
            Kind::Lz4(frames) => frames.is_open(),
            Kind::Native(blocks) if blocks.is_open() => {
                let text = "Cannot read all data: the last native block is cut off";
                return Err(Error::new(ErrorCode::CannotReadAllData, text));
            }
            _ => self.open,
        };
        if open { Err(broken("the compressed body is cut off")) } else { Ok(()) }
    }
}

fn pull_flate(
    stream: &mut Decompress,
    pending: &mut Bytes,
    open: &mut bool,
    most: usize,
) -> Result<(Bytes, bool)> {
    let mut out = Vec::new();
    loop {
        // The stream may hold output that fits now though no input is left.
        if pending.is_empty() && !*open {
            return Ok((Bytes::from(out), false));
        }
        out.reserve_exact(most.min(pending.len().saturating_mul(4).max(4_096)).saturating_sub(out.len()));
        let (before_in, before_out) = (stream.total_in(), out.len());
        let status = stream.decompress_vec(pending, &mut out, FlushDecompress::None);
        let status = status.map_err(|error| broken(error.to_string()))?;
        let used = (stream.total_in() - before_in) as usize;
        pending.advance(used);
        *open |= used > 0;
        match status {
            Status::StreamEnd => return Ok((Bytes::from(out), true)),
            _ if used == 0 && out.len() == before_out => return Ok((Bytes::from(out), false)),
            _ if out.len() >= most || pending.is_empty() && out.len() < out.capacity() => {
                return Ok((Bytes::from(out), false));
            }
            _ => {}
        }
    }
}

fn pull_zstd(
    decoder: &mut Decoder<'static>,
    pending: &mut Bytes,
    open: &mut bool,
    most: usize,
) -> Result<Bytes> {
    let mut out = Vec::with_capacity(most.min(pending.len().saturating_mul(4).max(4_096)));
    loop {
        if pending.is_empty() && !*open {
            return Ok(Bytes::from(out));
        }
        let start = out.len();
        if start == out.capacity() {
            out.reserve_exact(most - start);
        }
        let (used, full) = {
            let mut input = InBuffer::around(&pending[..]);
            let mut output = OutBuffer::around_pos(&mut out, start);
            let hint = decoder.run(&mut input, &mut output).map_err(broken)?;
            let (used, made) = (input.pos(), output.pos() - start);
            if used > 0 || made > 0 {
                *open = hint != 0;
            }
            (used, made)
        };
        pending.advance(used);
        if out.len() >= most || (used == 0 && full == 0) || (pending.is_empty() && out.len() < out.capacity())
        {
            return Ok(Bytes::from(out));
        }
    }
}

fn broken(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::IncorrectData, format!("Cannot decompress the body: {what}"))
}

fn too_large(what: &str) -> Error {
    Error::new(ErrorCode::QueryIsTooLarge, what)
}
