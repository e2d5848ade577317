//! The edge of the write path: checks, cut by partition, encoding, room in the rings, and the wait for answers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;
use zepto_common::limits::{FRAME_BYTES_MAX, QUEUE_WAIT};
use zepto_common::metric_names::TICKS_DROPPED;
use zepto_common::partition::{Grouped, group_rows, in_one_form, partition_of_block, partitions_of};
use zepto_common::schema::{TableName, TableSchema};
use zepto_common::service::{RowSink, WriteReceipt, WriteRequest};
use zepto_common::source::{FeedStream, check_order, split_offsets};
use zepto_common::{BatchId, Error, ErrorCode, PartitionId, Result};

use super::Store;
use super::shared::{Shared, closing};
use crate::chunk::Chunk;
use crate::copies::followers::Followers;
use crate::copies::print;
use crate::queue::Full;
use crate::run::columns;
use crate::shard::{Stored, WriteItem};

/// How often a writer without room looks again even if nobody told it to.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[async_trait]
impl RowSink for Store {
    async fn table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        self.shared.catalog.load().require(name).cloned()
    }

    async fn write(&self, request: WriteRequest, deadline: Instant) -> Result<WriteReceipt> {
        let rows = request.rows.num_rows() as u64;
        self.shared.counters.rows_ingested.fetch_add(rows, Ordering::Relaxed);
        let result = write(&self.shared, request, deadline).await;
        let counters = &self.shared.counters;
        match &result {
            Ok(receipt) => {
                counters.rows_stored.fetch_add(receipt.rows, Ordering::Relaxed);
                counters.rows_duplicate.fetch_add(receipt.duplicate_rows, Ordering::Relaxed);
            }
            Err(error) => {
                counters.rows_refused.fetch_add(rows, Ordering::Relaxed);
                if error.code == ErrorCode::Overloaded {
                    metrics::counter!(TICKS_DROPPED).increment(rows);
                }
            }
        }
        result
    }

    async fn feed_positions(
        &self,
        stream: &FeedStream,
        raise: &BTreeMap<u32, u64>,
        deadline: Instant,
    ) -> Result<BTreeMap<u32, u64>> {
        self.raise_positions(stream.table.id, &stream.name, raise, deadline).await
    }
}

/// One drain thread's part of a block before it has room in the ring.
struct Prepared {
    shard: usize,
    item: WriteItem,
    entered: Vec<Entered>,
}

/// What is answered together of a block in the rings: a drain thread's part, or in a store with copies a partition's.
pub(super) struct Entered {
    pub(super) rows: u64,
    pub(super) partitions: Vec<PartitionId>,
    pub(super) answer: oneshot::Receiver<Result<Stored>>,
}

async fn write(shared: &Arc<Shared>, request: WriteRequest, deadline: Instant) -> Result<WriteReceipt> {
    collect(enter(shared, &request, Cut::Whole, deadline).await?, deadline).await
}

/// What the rows of a request are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// A block as its writer made it: a retry has the same bytes.
    Whole,
    /// Some partitions of a block: a retry may come with others beside them, and must be known all the same.
    Parts,
}

/// Puts all parts of a block into the rings, or none.
pub(super) async fn enter(
    shared: &Arc<Shared>,
    request: &WriteRequest,
    cut: Cut,
    deadline: Instant,
) -> Result<Vec<Entered>> {
    if shared.is_closed() {
        return Err(closing());
    }
    if request.rows.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let prepared = prepare(shared, request, cut)?;
    make_room(shared, &prepared, deadline).await?;
    let mut entered = Vec::with_capacity(prepared.len());
    for part in prepared {
        let rows = part.item.chunk.rows.num_rows() as u64;
        if shared.drains[part.shard].push(part.item, rows).is_err() {
            return Err(Error::internal("a ring has no slot for what was reserved"));
        }
        entered.extend(part.entered);
    }
    Ok(entered)
}

/// Who waits for an item, and where the answers come.
fn waiters(chunk: &Chunk, copies: bool) -> (Vec<oneshot::Sender<Result<Stored>>>, Vec<Entered>) {
    let entered = |partitions: &[(PartitionId, Range<u32>)]| {
        let (sender, answer) = oneshot::channel();
        let rows = partitions.iter().map(|(_, range)| u64::from(range.end - range.start)).sum();
        let partitions = partitions.iter().map(|(partition, _)| *partition).collect();
        (sender, Entered { rows, partitions, answer })
    };
    if copies {
        chunk.parts.chunks(1).map(entered).unzip()
    } else {
        [&chunk.parts[..]].into_iter().map(entered).unzip()
    }
}

/// Cuts and encodes a block: one item per drain thread that has a part of it.
fn prepare(shared: &Arc<Shared>, request: &WriteRequest, form: Cut) -> Result<Vec<Prepared>> {
    let table = shared.data(request.table.id)?;
    let schema = known_schema(shared, &request.table)?;
    if request.rows.num_rows() > u32::MAX as usize {
        return Err(Error::new(ErrorCode::TooManyRows, "a block has more than 2^32 rows"));
    }
    let mut prepared = Vec::new();
    let copies = shared.options.copies.is_some();
    let is_source = matches!(request.batch, Some(BatchId::Source(_)));
    let followers = shared.followers.load_full();
    for mut group in cut(shared, &schema, request, &followers)? {
        if is_source && request.block != 0 {
            return Err(Error::internal("rows of a source in a block with a number"));
        }
        if form == Cut::Parts || copies {
            group.rows = in_one_form(&group.rows)?;
        }
        let mut offsets = None;
        let with_offsets = group.rows.clone();
        if is_source {
            let (rows, of_rows) = split_offsets(&group.rows)?;
            for (_, part) in &group.parts {
                check_order(&of_rows.values()[part.start as usize..part.end as usize])?;
            }
            (group.rows, offsets) = (rows, Some(of_rows));
        }
        // A copy's entry has the highest offset beside its rows.
        let payload = encode_rows(if copies { &group.rows } else { &with_offsets })?;
        if payload.len() + (64 << 10) > FRAME_BYTES_MAX {
            let message = format!("a block of {} bytes is too large: send fewer rows at once", payload.len());
            return Err(Error::new(ErrorCode::TooManyRowsOrBytes, message));
        }
        let chunk = Chunk::new(schema.clone(), group.rows, group.parts)?;
        let is_known_by_rows = copies && request.repeatable && request.batch.is_some() && !is_source;
        let prints = match is_known_by_rows {
            true => print::of_parts(&schema, &chunk.rows, &chunk.parts)?,
            false => Vec::new(),
        };
        let (answers, entered) = waiters(&chunk, copies);
        // The parts of a group have one drain thread and one set of followers.
        let first = chunk.parts.first().map_or(PartitionId(0), |(partition, _)| *partition);
        let bytes = payload.len() + chunk.memory();
        let item = WriteItem {
            table: table.clone(),
            batch: request.batch,
            block: request.block,
            repeatable: request.repeatable,
            chunk,
            offsets,
            payload,
            followers: followers.members(followers.set_of(first)),
            prints,
            bytes,
            answers,
        };
        prepared.push(Prepared { shard: shared.shard_of(first), item, entered });
    }
    Ok(prepared)
}

/// The catalog's own copy of the schema that the rows were made with.
fn known_schema(shared: &Shared, made_with: &TableSchema) -> Result<Arc<TableSchema>> {
    let catalog = shared.catalog.load();
    catalog.schema(made_with.id, made_with.version).cloned().ok_or_else(|| {
        let message = format!("table {} has changed meanwhile: repeat the INSERT", made_with.name);
        Error::new(ErrorCode::UnknownTable, message)
    })
}

/// One group for each drain thread, in a store with copies for each drain thread and set of followers. Rows of a source
/// are cut by partition there: each partition leaves out what it has.
fn cut(
    shared: &Shared,
    schema: &TableSchema,
    request: &WriteRequest,
    followers: &Followers,
) -> Result<Vec<Grouped>> {
    let partitions = match schema.key_index() {
        Some(key) => partitions_of(request.rows.column(key), shared.partitions)?,
        None => {
            let batch = match request.batch {
                Some(batch) => batch.number(),
                None => u128::from(shared.block_ids.fetch_add(1, Ordering::Relaxed)),
            };
            let partition = partition_of_block(schema.id.0, batch, request.block, shared.partitions);
            vec![partition.0; request.rows.num_rows()]
        }
    };
    let all = usize::from(shared.partitions);
    let (rows, drains) = (&request.rows, shared.drains.len());
    if shared.options.copies.is_none() {
        return group_rows(rows, &partitions, shared.partitions, drains, |partition| {
            shared.shard_of(partition)
        });
    }
    if matches!(request.batch, Some(BatchId::Source(_))) {
        return group_rows(rows, &partitions, shared.partitions, all, |partition| usize::from(partition.0));
    }
    group_rows(rows, &partitions, shared.partitions, drains * followers.count(), |partition| {
        followers.set_of(partition) * drains + shared.shard_of(partition)
    })
}

/// Bytes of a stream for a column without its rows, about.
const COLUMN_BYTES: usize = 512;
/// Bytes of a stream without columns, about.
const STREAM_BYTES: usize = 1_024;

/// Rows as one self-describing Arrow IPC stream.
pub(crate) fn encode_rows(rows: &RecordBatch) -> Result<Bytes> {
    // What the columns need, their padding and the schema: a buffer that grows is copied, and its pages are made anew.
    let columns: usize = rows.columns().iter().map(|column| columns::memory(column) + COLUMN_BYTES).sum();
    let mut out = Vec::with_capacity(STREAM_BYTES + columns);
    let mut writer = StreamWriter::try_new(&mut out, &rows.schema())?;
    writer.write(rows)?;
    writer.finish()?;
    drop(writer);
    Ok(out.into())
}

/// Reserves room for all parts or none; waits a bounded time for it.
async fn make_room(shared: &Shared, prepared: &[Prepared], deadline: Instant) -> Result<()> {
    let until = deadline.min(Instant::now() + QUEUE_WAIT);
    loop {
        let Some((first, ..)) = prepared.first().map(|part| (part.shard, ())) else { return Ok(()) };
        let room = shared.drains[first].ring.room();
        let blocked = match reserve_all(shared, prepared) {
            Ok(()) => return Ok(()),
            Err(blocked) => blocked,
        };
        if shared.is_closed() {
            return Err(closing());
        }
        let now = Instant::now();
        if now >= until {
            tracing::warn!(rows = prepared.iter().map(rows_of).sum::<u64>(), why = blocked, "queue full");
            let message = format!("too many rows arrive ({blocked}): repeat later, nothing was stored");
            return Err(Error::new(ErrorCode::Overloaded, message));
        }
        // The time limit covers what no ring tells: memory that was flushed, another ring's room.
        let _ = tokio::time::timeout(LOOK_AGAIN.min(until - now), room).await;
    }
}

fn rows_of(part: &Prepared) -> u64 {
    part.item.chunk.rows.num_rows() as u64
}

fn reserve_all(shared: &Shared, prepared: &[Prepared]) -> Result<(), &'static str> {
    let waiting: usize = shared.drains.iter().map(|drain| drain.ring.bytes()).sum();
    let wanted: usize = prepared.iter().map(|part| part.item.bytes).sum();
    // A block larger than the whole budget is let in when nothing else is there.
    if !shared.memory.admits(waiting + wanted) && shared.memory.unflushed() + waiting > 0 {
        if !shared.relief_asked.swap(true, Ordering::AcqRel) {
            let taken = shared.try_job(crate::background::Job::Relieve);
            shared.relief_asked.store(taken, Ordering::Release);
        }
        return Err("the memory for rows is full");
    }
    for (index, part) in prepared.iter().enumerate() {
        if let Err(Full) = shared.drains[part.shard].ring.reserve(part.item.bytes) {
            for taken in &prepared[..index] {
                shared.drains[taken.shard].ring.free(1, taken.item.bytes);
            }
            return Err("the queue is full");
        }
    }
    Ok(())
}

/// Waits for a drain thread's answer.
pub(super) async fn answered(answer: oneshot::Receiver<Result<Stored>>, deadline: Instant) -> Result<Stored> {
    match tokio::time::timeout_at(deadline.into(), answer).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(unknown("the node stopped before it answered")),
        Err(_) => Err(unknown("the time given for the INSERT is over")),
    }
}

/// Waits for all parts and makes one answer of theirs.
async fn collect(entered: Vec<Entered>, deadline: Instant) -> Result<WriteReceipt> {
    let mut receipt = WriteReceipt::default();
    let (mut refused_rows, mut fault): (u64, Option<Error>) = (0, None);
    for Entered { rows, answer, .. } in entered {
        let outcome = answered(answer, deadline).await;
        match outcome {
            Ok(stored) => {
                receipt.rows += stored.rows;
                receipt.duplicate_rows += stored.duplicate_rows;
            }
            Err(error) => {
                refused_rows += rows;
                // An unknown outcome weighs more than a refusal.
                if fault.as_ref().is_none_or(|before| before.code != ErrorCode::UnknownStatusOfInsert) {
                    fault = Some(error);
                }
            }
        }
    }
    let Some(error) = fault else { return Ok(receipt) };
    // 429 and 503 promise that nothing was stored; other codes say what is wrong themselves.
    let promises_nothing_stored = matches!(error.code.http_status(), 429 | 503);
    if receipt.rows == 0 || error.code == ErrorCode::UnknownStatusOfInsert || !promises_nothing_stored {
        return Err(error);
    }
    let message = format!(
        "{} rows of the block are stored, {refused_rows} are not ({}): repeat with the same \
         insert_deduplication_token to store the rest once",
        receipt.rows + receipt.duplicate_rows,
        error.message
    );
    Err(Error::new(ErrorCode::UnknownStatusOfInsert, message))
}

fn unknown(what: &str) -> Error {
    let message =
        format!("the rows may be stored or not: {what}; repeat with the same insert_deduplication_token");
    Error::new(ErrorCode::UnknownStatusOfInsert, message)
}
