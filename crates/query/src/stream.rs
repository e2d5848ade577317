//! A plan's batches on their way to the door: driven on the query runtime, cut to ClickHouse's block size, ended
//! by the deadline, a kill, a limit or the client's leaving.

use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::{StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::limits::RESULT_BLOCK_ROWS;
use zepto_common::service::RowStream;

use crate::error::from_datafusion;
use crate::provider::batch_bytes;
use crate::running::{QueryHandle, RunningGuard};

/// Blocks that wait for the door: one is sent while the next is computed.
const BLOCKS_WAITING: usize = 2;

/// What a result may be at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResultLimits {
    /// Rows.
    pub(crate) rows: u64,
    /// Bytes of its values.
    pub(crate) bytes: u64,
    /// Whether more is cut off in place of an error (`result_overflow_mode = 'break'`).
    pub(crate) cut: bool,
}

/// Runs `input` on `runtime`; the statement counts as running until the stream ends or is dropped.
pub(crate) fn run(
    runtime: &Handle,
    input: SendableRecordBatchStream,
    guard: RunningGuard,
    limits: ResultLimits,
) -> RowStream {
    let (sender, receiver) = mpsc::channel(BLOCKS_WAITING);
    // The task ends when the receiver is dropped; the stream keeps its handle.
    let task = runtime.spawn(async move {
        let handle = guard.handle.clone();
        let end = drive(&handle, input, limits, &sender).await;
        // Off the list before the last message: a client that has its answer may use the same id again.
        drop(guard);
        let _door_may_be_gone = sender.send(end.map(|()| None)).await;
    });
    Box::pin(stream::unfold(Some((receiver, task)), |state| async move {
        let (mut receiver, task) = state?;
        match receiver.recv().await {
            Some(Ok(Some(block))) => Some((Ok(block), Some((receiver, task)))),
            Some(Ok(None)) => None,
            Some(Err(error)) => Some((Err(error), None)),
            // Without a last message the task has panicked: an error, never a short result.
            None => Some((Err(Error::internal("the query's task ended without an answer")), None)),
        }
    }))
}

/// Sends all blocks.
async fn drive(
    handle: &QueryHandle,
    mut input: SendableRecordBatchStream,
    limits: ResultLimits,
    sender: &mpsc::Sender<Result<Option<RecordBatch>>>,
) -> Result<()> {
    let mut blocks = Blocks::new(input.schema(), limits);
    let deadline = tokio::time::Instant::from_std(handle.deadline);
    loop {
        let batch = tokio::select! {
            biased;
            () = handle.cancel.cancelled() => return Err(handle.cancelled()),
            () = tokio::time::sleep_until(deadline) => return Err(handle.timed_out()),
            () = sender.closed() => return Err(handle.cancelled()),
            batch = input.next() => batch,
        };
        let more = match batch {
            Some(batch) => blocks.push(batch.map_err(from_datafusion)?)?,
            None => {
                // What other nodes read is known only now.
                if let Some(error) = handle.read_too_much() {
                    return Err(error);
                }
                blocks.end()?;
                false
            }
        };
        while let Some(block) = blocks.next() {
            handle.progress.result_rows.fetch_add(block.num_rows() as u64, Ordering::Relaxed);
            tokio::select! {
                biased;
                () = handle.cancel.cancelled() => return Err(handle.cancelled()),
                sent = sender.send(Ok(Some(block))) => {
                    if sent.is_err() {
                        return Err(handle.cancelled());
                    }
                }
            }
        }
        if !more {
            return Ok(());
        }
    }
}

/// Cuts batches into blocks and counts rows.
struct Blocks {
    coalescer: BatchCoalescer,
    /// A result without columns (it cannot be cut by columns) passes as it is.
    bare: Option<RecordBatch>,
    rows: u64,
    bytes: u64,
    limits: ResultLimits,
}

impl Blocks {
    fn new(schema: SchemaRef, limits: ResultLimits) -> Self {
        Self {
            coalescer: BatchCoalescer::new(schema, RESULT_BLOCK_ROWS),
            bare: None,
            rows: 0,
            bytes: 0,
            limits,
        }
    }

    /// Takes a batch; false when no more rows are wanted.
    fn push(&mut self, mut batch: RecordBatch) -> Result<bool> {
        let room = self.limits.rows - self.rows;
        let over = batch.num_rows() as u64 > room;
        // Bytes are counted for those who bound them alone.
        if self.limits.bytes < u64::MAX {
            self.bytes += batch_bytes(&batch) as u64;
        }
        let heavy = self.bytes > self.limits.bytes;
        if (over || heavy) && !self.limits.cut {
            let ResultLimits { rows, bytes, .. } = self.limits;
            let (what, most) = if over { ("rows", rows) } else { ("bytes", bytes) };
            let message = format!("Limit for result exceeded, max {what}: {most}");
            return Err(Error::new(ErrorCode::TooManyRowsOrBytes, message));
        }
        if over {
            batch = batch.slice(0, room as usize);
        }
        self.rows += batch.num_rows() as u64;
        if batch.num_columns() == 0 {
            self.bare = Some(batch);
        } else {
            self.coalescer.push_batch(batch)?;
        }
        if over || heavy {
            self.end()?;
        }
        Ok(!over && !heavy)
    }

    fn end(&mut self) -> Result<()> {
        Ok(self.coalescer.finish_buffered_batch()?)
    }

    fn next(&mut self) -> Option<RecordBatch> {
        self.bare.take().or_else(|| self.coalescer.next_completed_batch())
    }
}
