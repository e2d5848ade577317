//! Plain bytes of a result to what goes over the wire: compressed, and ended by an exception block if it breaks.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use zepto_common::{Error, Result};

use super::Plain;
use crate::deflate::Deflate;
use crate::door::Service;
use crate::exception::exception_block;
use crate::query::Call;
use crate::query::exceptions::Break;

/// Bytes up to which a part is compressed at once instead of on a worker thread.
const TRIFLE_BYTES: usize = 64 << 10;

/// The compressor and the way out of one answer.
pub(super) struct Tail {
    service: Arc<Service>,
    /// None while a worker has it, and after the end.
    deflate: Option<Deflate>,
    tag: String,
}

/// Where a streamed answer stands.
enum Stage {
    /// Bytes to send, then the rest of the result.
    Part(Bytes),
    /// The result goes on.
    Open,
    /// The exception block was given; the connection is to be dropped.
    Broken,
    /// Nothing is left.
    Done,
}

impl Tail {
    pub(super) fn new(call: &Call, deflate: Deflate, tag: String) -> Self {
        Self { service: call.service.clone(), deflate: Some(deflate), tag }
    }

    /// The bytes of an answer that is complete.
    pub(super) async fn compress_whole(mut self, plain: Vec<u8>) -> Result<Vec<u8>> {
        if matches!(self.deflate, Some(Deflate::Identity)) {
            return Ok(plain);
        }
        let mut out = self.compress(plain).await?;
        out.extend(self.deflate.take().map_or(Ok(Vec::new()), Deflate::finish)?);
        Ok(out)
    }

    async fn compress(&mut self, plain: Vec<u8>) -> Result<Vec<u8>> {
        let Some(mut deflate) = self.deflate.take() else {
            return Err(Error::internal("answer went on after its end"));
        };
        let trifle = plain.len() <= TRIFLE_BYTES || matches!(deflate, Deflate::Identity);
        let work = move || {
            let out = deflate.write(plain);
            (deflate, out)
        };
        let (deflate, out) = self.service.work(trifle, work).await?;
        self.deflate = Some(deflate);
        out
    }

    /// The answer's bytes: the head, the rest, and after an error the exception block and a broken stream.
    pub(super) fn into_stream(
        self,
        head: Vec<u8>,
        plain: Plain,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let stage = Stage::Part(Bytes::from(head));
        stream::unfold((self, plain, stage), |(mut tail, mut plain, stage)| async move {
            let (item, stage) = tail.advance(&mut plain, stage).await?;
            Some((item, (tail, plain, stage)))
        })
    }

    async fn advance(&mut self, plain: &mut Plain, mut stage: Stage) -> Option<(io::Result<Bytes>, Stage)> {
        loop {
            let part = match stage {
                Stage::Done => return None,
                Stage::Broken => return Some((Err(io::Error::other("the result broke off")), Stage::Done)),
                Stage::Part(bytes) => Some(Ok(bytes)),
                Stage::Open => plain.next().await,
            };
            let sent = match part {
                Some(Ok(bytes)) => self.compress(bytes.into()).await.map(|out| (out, Stage::Open)),
                Some(Err(Break { words: Some(words), error })) => {
                    tracing::debug!(code = error.code.number(), %error, "a result ends with its exception");
                    let ended = self.compress(words.into()).await.and_then(|out| self.end(out));
                    ended.map(|out| (out, Stage::Done))
                }
                Some(Err(Break { words: None, error })) => Err(error),
                None => self.end(Vec::new()).map(|out| (out, Stage::Done)),
            };
            let (out, next) = match sent {
                Ok(sent) => sent,
                Err(error) => self.last_words(&error),
            };
            if !out.is_empty() {
                return Some((Ok(Bytes::from(out)), next));
            }
            stage = next;
        }
    }

    fn end(&mut self, mut out: Vec<u8>) -> Result<Vec<u8>> {
        if let Some(deflate) = self.deflate.take() {
            out.extend(deflate.finish()?);
        }
        Ok(out)
    }

    /// The exception block, in the compression of the answer if that still works.
    fn last_words(&mut self, error: &Error) -> (Vec<u8>, Stage) {
        tracing::debug!(code = error.code.number(), %error, "a result broke off");
        let block = exception_block(error, &self.service.identity().version, &self.tag).into_bytes();
        let words = match self.deflate.take() {
            Some(mut deflate) => deflate.write(block).and_then(|mut out| {
                out.extend(deflate.finish()?);
                Ok(out)
            }),
            None => Ok(Vec::new()),
        };
        (words.unwrap_or_default(), Stage::Broken)
    }
}
