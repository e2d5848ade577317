//! Batches of a result to plain bytes of its format.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::time::timeout_at;
use tokio_util::sync::DropGuard;
use zepto_common::service::{Beside, Progress, RowStream};
use zepto_common::{Error, ErrorCode, Result};
use zepto_formats::{Encoder, ResultTotals};

use super::Plain;
use crate::door::Service;
use crate::exception::exception_words;
use crate::query::Call;
use crate::query::exceptions::Break;
use crate::query::form::Form;
use crate::sessions::Lease;

/// Cells up to which a batch is encoded at once instead of on a worker thread.
const TRIFLE_CELLS: usize = 8_192;

/// One result.
pub(super) struct Rows {
    service: Arc<Service>,
    /// None while a worker has it, and after the end.
    encoder: Option<Box<dyn Encoder>>,
    batches: RowStream,
    beside: Arc<Beside>,
    progress: Arc<Progress>,
    begun: bool,
    /// An exception is told inside the format.
    exceptions_inside: bool,
    rows: u64,
    /// Room for the next part: as much as the last one took, so that it need not grow by copies.
    room: usize,
    started: Instant,
    until: tokio::time::Instant,
    _cancel: DropGuard,
    /// The request's session and tables, held until the last row is out.
    _held: (Option<Arc<Lease>>, Arc<Form>),
}

impl Rows {
    pub(super) fn new(
        call: &Call,
        (encoder, exceptions_inside): (Box<dyn Encoder>, bool),
        (batches, beside): (RowStream, Arc<Beside>),
        progress: Arc<Progress>,
        until: tokio::time::Instant,
        cancel: DropGuard,
    ) -> Self {
        let (service, started) = (call.service.clone(), call.started);
        let encoder = Some(encoder);
        let held = (call.lease.clone(), call.form.clone());
        Self {
            service,
            encoder,
            batches,
            beside,
            progress,
            begun: false,
            exceptions_inside,
            rows: 0,
            room: 0,
            started,
            until,
            _cancel: cancel,
            _held: held,
        }
    }

    /// The bytes; an error is the last item.
    pub(super) fn into_stream(self) -> Plain {
        let steps = stream::unfold(Some(self), |rows| async move {
            let mut rows = rows?;
            match rows.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(rows))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        steps.boxed()
    }

    /// The next bytes, never none of them; None after the last.
    async fn next(&mut self) -> Result<Option<Bytes>, Break> {
        while let Some(mut encoder) = self.encoder.take() {
            let batch = timeout_at(self.until, self.batches.next()).await;
            let batch = batch
                .unwrap_or_else(|_| {
                    Some(Err(Error::new(ErrorCode::TimeoutExceeded, "the result took too long")))
                })
                .transpose();
            let more = matches!(batch, Ok(Some(_)));
            let mut out = Vec::with_capacity(if more { self.room } else { 0 });
            if !std::mem::replace(&mut self.begun, true) {
                encoder.begin(&mut out)?;
            }
            let before = out.len();
            let (mut encoder, written) = match batch {
                Ok(Some(batch)) => {
                    let rows = batch.num_rows() as u64;
                    let (encoder, bytes, written) = encode(&self.service, encoder, batch, out).await?;
                    out = bytes;
                    (encoder, written.map(|()| Some(rows)))
                }
                Ok(None) => {
                    let written = encoder.finish(&self.totals(), &mut out);
                    (encoder, written.map(|()| None))
                }
                Err(error) => (encoder, Err(error)),
            };
            match written {
                Ok(Some(rows)) => {
                    self.rows += rows;
                    self.progress.result_rows.store(self.rows, Ordering::Relaxed);
                    self.encoder = Some(encoder);
                }
                Ok(None) => {}
                Err(error) => {
                    out.truncate(before);
                    return Err(self.broken(error, encoder.as_mut(), out));
                }
            }
            if !out.is_empty() {
                // Parts differ a little in size.
                self.room = out.len() + out.len() / 16;
                return Ok(Some(Bytes::from(out)));
            }
        }
        Ok(None)
    }

    /// Ends the result with the exception, if the format tells it.
    fn broken(&self, error: Error, encoder: &mut dyn Encoder, mut out: Vec<u8>) -> Break {
        let words = self.exceptions_inside.then(|| {
            let words = exception_words(&error, &self.service.identity().version);
            encoder.exception(&words, &mut out);
            Bytes::from(out)
        });
        Break { error, words }
    }

    fn totals(&self) -> ResultTotals {
        ResultTotals {
            rows: self.rows,
            elapsed: self.started.elapsed(),
            rows_read: self.progress.read_rows.load(Ordering::Relaxed),
            bytes_read: self.progress.read_bytes.load(Ordering::Relaxed),
            totals: self.beside.totals.get().cloned(),
            extremes: self.beside.extremes.get().cloned(),
        }
    }
}

/// Appends a batch to `out`; both the encoder and the bytes come back, also when the batch could not be written.
async fn encode(
    service: &Service,
    mut encoder: Box<dyn Encoder>,
    batch: RecordBatch,
    mut out: Vec<u8>,
) -> Result<(Box<dyn Encoder>, Vec<u8>, Result<()>)> {
    let trifle = batch.num_rows() * batch.num_columns() <= TRIFLE_CELLS;
    let work = move || {
        let encoded = encoder.batch(&batch, &mut out);
        (encoder, out, encoded)
    };
    service.work(trifle, work).await
}
