//! Brotli, with the window of RFC 7932 (at most 16 MiB) and no larger one. The window grows with the data.

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use bytes::{Buf, Bytes};
use zepto_common::Result;

use super::broken;

/// One stream.
pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    begun: bool,
    ended: bool,
}

impl Brotli {
    pub(super) fn new() -> Self {
        let memory = StandardAlloc::default;
        Self { state: BrotliState::new_strict(memory(), memory(), memory()), begun: false, ended: false }
    }

    /// Whether the stream has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.begun && !self.ended
    }

    /// At most `most` plain bytes; none when more input is needed.
    pub(super) fn pull(&mut self, pending: &mut Bytes, most: usize) -> Result<Bytes> {
        if self.ended {
            return if pending.is_empty() {
                Ok(Bytes::new())
            } else {
                Err(broken("bytes follow the end of the brotli stream"))
            };
        }
        self.begun |= !pending.is_empty();
        let mut out = vec![0; most.min(pending.len().saturating_mul(4).max(4_096))];
        let (mut left, mut used, mut room, mut made, mut total) = (pending.len(), 0, out.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut used,
            pending,
            &mut room,
            &mut made,
            &mut out,
            &mut total,
            &mut self.state,
        );
        pending.advance(used);
        match result {
            BrotliResult::ResultFailure => return Err(broken("not a brotli stream")),
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        out.truncate(made);
        Ok(Bytes::from(out))
    }
}
