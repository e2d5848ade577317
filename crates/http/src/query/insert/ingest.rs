//! From raw body bytes to blocks of rows, in steps of bounded work; no sockets, no clock.

use arrow::array::RecordBatch;
use bytes::Bytes;
use zepto_common::Result;
use zepto_common::limits::HTTP_CHUNK_BYTES;
use zepto_formats::Decoder;

use crate::inflate::Inflate;

/// Plain bytes that one step decodes at most.
const STEP_BYTES: usize = 1 << 20;
/// Plain bytes up to which a step is done at once instead of on a worker thread.
const TRIFLE_BYTES: usize = 32 << 10;
/// The same for compressed bytes, which may become many.
const TRIFLE_COMPRESSED_BYTES: usize = 2 << 10;

/// A body on its way to blocks.
pub(super) struct Ingest {
    inflate: Inflate,
    /// None once it has finished.
    decoder: Option<Box<dyn Decoder>>,
    /// Plain bytes that came with the statement.
    first: Bytes,
    /// Raw bytes that wait.
    waiting: usize,
    ended: bool,
}

/// What one step gave.
#[derive(Default)]
pub(super) struct Step {
    /// Blocks that are complete, in order.
    pub(super) blocks: Vec<RecordBatch>,
    /// More input is needed before the next step.
    pub(super) hungry: bool,
    /// The input is at its end and all blocks have been given.
    pub(super) finished: bool,
}

impl Ingest {
    /// `first` is plain text already read; with `ended` there is nothing behind it.
    pub(super) fn new(inflate: Inflate, decoder: Box<dyn Decoder>, first: Bytes, ended: bool) -> Self {
        Self { inflate, decoder: Some(decoder), first, waiting: 0, ended }
    }

    /// Whether the next step is too little work for another thread.
    pub(super) fn is_trifle(&self) -> bool {
        let most = if self.inflate.is_identity() { TRIFLE_BYTES } else { TRIFLE_COMPRESSED_BYTES };
        self.waiting <= most && self.first.len() <= TRIFLE_BYTES
    }

    /// The next raw bytes after a hungry step; None at the end of the body.
    pub(super) fn feed(&mut self, raw: Option<Bytes>) {
        match raw {
            Some(raw) => {
                self.waiting = raw.len();
                self.inflate.push(raw);
            }
            None => self.ended = true,
        }
    }

    /// Decodes some of what waits.
    ///
    /// # Errors
    /// The decompressor's and the decoder's; nothing comes after one.
    pub(super) fn step(&mut self) -> Result<Step> {
        let mut step = Step::default();
        let Some(decoder) = &mut self.decoder else {
            step.finished = true;
            return Ok(step);
        };
        let mut budget = STEP_BYTES;
        while budget > 0 {
            let plain = match self.first.len() {
                0 => self.inflate.pull(HTTP_CHUNK_BYTES)?,
                length => Some(self.first.split_to(length.min(HTTP_CHUNK_BYTES))),
            };
            let Some(plain) = plain else {
                self.waiting = 0;
                step.hungry = !self.ended;
                break;
            };
            decoder.push(&plain, &mut step.blocks)?;
            budget = budget.saturating_sub(plain.len());
        }
        if self.ended && budget > 0 {
            self.inflate.finish()?;
            if let Some(decoder) = self.decoder.take() {
                decoder.finish(&mut step.blocks)?;
            }
            step.finished = true;
        }
        Ok(step)
    }
}
