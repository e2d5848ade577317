//! INSERT with data: decoded as it comes, cut into blocks, written with a bounded number in flight.
//!
//! Promises: the last block decoded is held back until the next one or the end of the body shows that the input
//! is good so far, so a body of one block is stored wholly or not at all; once blocks are stored, an error says
//! how many rows are and which blocks; 429 and 503 mean that nothing of this request was stored.

mod expressions;
mod ingest;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use axum::response::Response;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, future::BoxFuture};
use http::StatusCode;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use zepto_common::limits::{HTTP_CHUNK_BYTES, INSERT_BLOCKS_IN_FLIGHT, QUEUE_WAIT};
use zepto_common::metric_names::INSERT_DURATION;
use zepto_common::schema::{ColumnDefault, TableName, TableSchema};
use zepto_common::service::{WriteReceipt, WriteRequest};
use zepto_common::tally::Tally;
use zepto_common::{BatchId, Error, ErrorCode, Result};
use zepto_formats::insert::InsertHead;
use zepto_formats::{Format, FormatSettings};

use super::Call;
use super::source::{Rest, Source};
use crate::body::RawBody;
use crate::door::{BUDGET_UNIT, units_of};
use crate::reply::{self, Summary};
use ingest::Ingest;

use arrow::array::RecordBatch;

/// Rows up to which a lone block is written without a task of its own.
const SMALL_BLOCK_ROWS: usize = 4_096;
/// How many times longer a block waits for room in the budget when blocks before it are stored.
const PATIENCE: u32 = 15;

/// Room for the body is taken in steps of so many bytes: more would keep others out for what may never come.
const AHEAD_BYTES: u64 = 4 << 20;

/// What the statement says about its data.
pub(super) struct Target {
    pub(super) table: TableName,
    /// What else the statement says; None: all columns.
    pub(super) head: Option<InsertHead>,
    pub(super) format: Format,
}

/// Stores the data of one INSERT and answers it.
///
/// # Errors
/// Those before anything was stored; later ones are an answer that tells the outcomes.
pub(super) async fn run(call: &Arc<Call>, target: Target, source: &mut Source) -> Result<Response> {
    let door = &call.service.door;
    let mut schema = door.sink.table(&target.table).await?;
    let mut named = target.head.iter().flat_map(|head| head.columns.iter().flatten());
    if named.any(|column| schema.index_of(column).is_none()) {
        schema = door.sink.newest_table(&target.table).await?;
    }
    let settings = FormatSettings::from_map(&call.settings.settings)?;
    let evaluator = (target.format == Format::Values).then(|| expressions::evaluator(call));
    let columns = target.head.map(|head| head.columns_of(&schema)).transpose()?.flatten();
    let decoder = zepto_formats::decoder(target.format, &schema, columns.as_deref(), &settings, evaluator)?;
    let time = call.settings.max_execution_time.unwrap_or(door.limits.insert_time);
    let Rest { raw, inflate, first, ended } = source.rest()?;
    raw.set_deadline((call.started + time).into());
    let mut writes = Writes::new(call.clone(), schema, call.started + time);
    let fed = feed(call, Ingest::new(inflate, decoder, first, ended), raw, &mut writes).await;
    let fault = writes.finish(fed).await;
    metrics::histogram!(INSERT_DURATION).record(call.started.elapsed().as_secs_f64());
    answer(call, writes.tally, fault, raw).await
}

async fn answer(call: &Call, tally: Tally, fault: Option<Error>, raw: &mut RawBody) -> Result<Response> {
    let mut response = match fault {
        None => reply::text(StatusCode::OK, reply::TEXT, ""),
        Some(error) if tally.nothing_stored() => return Err(error),
        Some(error) => {
            raw.drain().await;
            let partial = tally.explain(&error, call.settings.deduplication_token.is_some());
            reply::packed_error_reply(&partial, &call.service.identity().version, call.settings.packed)
        }
    };
    summary(&tally).put(response.headers_mut(), call.started);
    Ok(response)
}

/// The numbers for the client.
fn summary(tally: &Tally) -> Summary {
    let (rows, bytes) = (tally.stored_rows(), tally.stored_bytes());
    Summary {
        read_rows: rows + tally.duplicate_rows(),
        read_bytes: bytes,
        written_rows: rows,
        written_bytes: bytes,
        result_rows: rows,
        result_bytes: bytes,
        duplicate_rows: tally.duplicate_rows(),
        ..Summary::default()
    }
}

/// Decodes the body to its end and hands on each block but the last, which `writes` holds.
async fn feed(call: &Call, mut ingest: Ingest, raw: &mut RawBody, writes: &mut Writes) -> Result<()> {
    loop {
        let trifle = ingest.is_trifle();
        let (back, stepped) = call
            .service
            .work(trifle, move || {
                let stepped = ingest.step();
                (ingest, stepped)
            })
            .await?;
        ingest = back;
        let step = stepped?;
        for block in step.blocks {
            writes.take(block).await?;
        }
        writes.reap()?;
        if step.finished {
            return Ok(());
        }
        if step.hungry {
            writes.room_ahead(raw.left()).await?;
            let next: Option<Bytes> = raw.gather().await?;
            writes.fed += next.as_ref().map_or(0, Bytes::len);
            ingest.feed(next);
        }
    }
}

type Written = (u32, u64, u64, Result<WriteReceipt>);

/// The blocks of one INSERT on their way.
struct Writes {
    call: Arc<Call>,
    schema: Arc<TableSchema>,
    batch: Option<BatchId>,
    /// No column's value depends on when the request came.
    repeatable: bool,
    deadline: Instant,
    held: Option<(RecordBatch, OwnedSemaphorePermit)>,
    /// Room for what the decoder has of the next block, and how many bytes of the body it has got for it.
    ahead: Option<OwnedSemaphorePermit>,
    fed: usize,
    next_block: u32,
    in_flight: FuturesUnordered<BoxFuture<'static, Written>>,
    tally: Tally,
}

impl Writes {
    fn new(call: Arc<Call>, schema: Arc<TableSchema>, deadline: Instant) -> Self {
        let batch = call.settings.deduplication_token.as_deref().map(BatchId::from_token);
        let repeatable = !schema.columns.iter().any(|column| column.default == ColumnDefault::Now);
        Self {
            call,
            schema,
            batch,
            repeatable,
            deadline,
            held: None,
            ahead: None,
            fed: 0,
            next_block: 0,
            in_flight: FuturesUnordered::new(),
            tally: Tally::default(),
        }
    }

    /// Holds a block and starts the write of the one held before.
    async fn take(&mut self, block: RecordBatch) -> Result<()> {
        if block.num_rows() == 0 {
            return Ok(());
        }
        let permit = self.room_for_block(block.get_array_memory_size()).await?;
        if let Some((rows, permit)) = self.held.replace((block, permit)) {
            while self.in_flight.len() >= INSERT_BLOCKS_IN_FLIGHT {
                self.one_done().await?;
            }
            self.start(rows, permit, false);
        }
        Ok(())
    }

    /// Permits of the budget, beside those that the next block has already; no more than others can give back, since
    /// what this INSERT holds itself would be waited for in vain. Nothing stored yet: better refuse soon than keep the
    /// client waiting.
    async fn room_for(&mut self, units: usize, has: usize) -> Result<OwnedSemaphorePermit> {
        let service = &self.call.service;
        let held = self.held.as_ref().map_or(0, |(_, permit)| permit.num_permits());
        let units = units.min((service.budget_units as usize).saturating_sub(held + has));
        let wait = service.door.limits.insert_wait * if self.next_block == 0 { 1 } else { PATIENCE };
        service.room_for(units as u32, wait).await
    }

    /// Takes room before the next bytes of the body are read: decoded they are about as many, and of a client that is
    /// refused nothing was kept.
    async fn room_ahead(&mut self, left: u64) -> Result<()> {
        let has = self.ahead.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if has * BUDGET_UNIT > self.fed {
            return Ok(());
        }
        let bytes = if left == 0 { HTTP_CHUNK_BYTES } else { left.min(AHEAD_BYTES) as usize };
        let more = self.room_for(units_of(bytes), has).await?;
        match &mut self.ahead {
            Some(ahead) => ahead.merge(more),
            None => self.ahead = Some(more),
        }
        Ok(())
    }

    /// The room of a block: what was taken ahead for it, and what is missing.
    async fn room_for_block(&mut self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        self.fed = 0;
        let needed = units_of(bytes);
        let Some(mut ahead) = self.ahead.take() else { return self.room_for(needed, 0).await };
        let has = ahead.num_permits();
        match ahead.split(needed) {
            Some(enough) => Ok(enough),
            None => {
                ahead.merge(self.room_for(needed - has, has).await?);
                Ok(ahead)
            }
        }
    }

    fn start(&mut self, rows: RecordBatch, permit: OwnedSemaphorePermit, inline: bool) {
        let (count, bytes) = (rows.num_rows() as u64, rows.get_array_memory_size() as u64);
        let block = self.next_block;
        self.next_block += 1;
        let sink = self.call.service.door.sink.clone();
        let deadline = self.deadline.min(Instant::now() + self.call.query_time());
        let table = self.schema.clone();
        let request = WriteRequest { table, batch: self.batch, block, repeatable: self.repeatable, rows };
        let write = async move {
            // A sink answers by the deadline; the wait beyond it only guards against one that does not.
            let outcome =
                timeout((deadline + QUEUE_WAIT) - Instant::now(), sink.write(request, deadline)).await;
            drop(permit);
            let unknown = |what: String| Err(Error::new(ErrorCode::UnknownStatusOfInsert, what));
            outcome.unwrap_or_else(|_| unknown("the write was not answered in time".to_owned()))
        };
        let written = if inline {
            write.map(move |outcome| (block, count, bytes, outcome)).boxed()
        } else {
            let task = AbortOnDropHandle::new(tokio::spawn(write));
            task.map(move |joined| {
                let lost = |error: &dyn std::fmt::Display| {
                    Err(Error::new(ErrorCode::UnknownStatusOfInsert, format!("the write was lost: {error}")))
                };
                (block, count, bytes, joined.unwrap_or_else(|error| lost(&error)))
            })
            .boxed()
        };
        self.in_flight.push(written);
    }

    /// Waits for one write; its error ends the INSERT.
    async fn one_done(&mut self) -> Result<()> {
        match self.in_flight.next().await {
            Some((block, rows, bytes, outcome)) => self.tally.add(block, rows, bytes, outcome),
            None => Ok(()),
        }
    }

    /// Takes note of the writes that are done already.
    fn reap(&mut self) -> Result<()> {
        while let Some(Some((block, rows, bytes, outcome))) = self.in_flight.next().now_or_never() {
            self.tally.add(block, rows, bytes, outcome)?;
        }
        Ok(())
    }

    /// Writes the held block if all went well, waits for all writes, and says what went wrong first.
    async fn finish(&mut self, fed: Result<()>) -> Option<Error> {
        let mut fault = fed.err();
        if let Some((rows, permit)) = self.held.take()
            && fault.is_none()
        {
            let inline = self.in_flight.is_empty() && rows.num_rows() <= SMALL_BLOCK_ROWS;
            self.start(rows, permit, inline);
        }
        while !self.in_flight.is_empty() {
            if let Err(error) = self.one_done().await {
                fault.get_or_insert(error);
            }
        }
        fault
    }
}
