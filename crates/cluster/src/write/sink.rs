//! An edge's [`RowSink`]: cuts a block by owner, sends all parts at once, and sees each through to its outcome.
//!
//! Promises: every try of a block has the same batch id and block number, so a row is stored once however often its
//! part is sent; only what is not stored is sent again; no part is sent before there is room for all of them, so a 429
//! from here means that nothing was stored; a write ends within its deadline and [`ROUTE_TIME_MAX`], and does not wait for
//! an owner that was relieved and is silent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, watch};
use zepto_common::ids::{Epoch, PartitionId, PlacementVersion};
use zepto_common::limits::{
    QUEUE_WAIT, ROUTE_PAUSE_MAX, ROUTE_PAUSE_MIN, ROUTE_TIME_MAX, ROUTE_TRIES_MAX, WRITE_MESSAGE_BYTES_MAX,
};
use zepto_common::partition::{partition_of_block, partitions_of};
use zepto_common::placement::Placement;
use zepto_common::schema::{TableName, TableSchema};
use zepto_common::service::{RowSink, WriteReceipt, WriteRequest};
use zepto_common::source::{FeedStream, home_of_stream};
use zepto_common::{BatchId, Error, ErrorCode, Result};
use zepto_proto::write as wire;

use super::codec::{encode_rows, outcome_of};
use super::ledger::{Ledger, Step, Wanted};
use super::link::Lost;
use super::pool::{Owner, OwnerPool};
use super::positions::told_of;
use super::{PositionsAt, Verdict};
use crate::router::{OwnerRows, PartitionRouter};

/// Bytes of a message besides its rows, for a block of any size.
const HEAD_BYTES: usize = 1 << 20;
/// How long an owner's answer is still awaited when others are known to own what it was sent. One that is cut off never
/// answers, and its stream breaks only when its pings are overdue.
const RELIEVED_WAIT: Duration = Duration::from_secs(1);

/// Where an edge has its schemas from.
#[async_trait]
pub trait Tables: Send + Sync {
    /// The table's newest schema. Before it says that there is none it has asked those who know.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownDatabase`; `NotReady` while that cannot be known.
    async fn table(&self, name: &TableName) -> Result<Arc<TableSchema>>;

    /// The table's schema after every change that was answered before.
    ///
    /// # Errors
    /// As [`Self::table`].
    async fn newest_table(&self, name: &TableName) -> Result<Arc<TableSchema>>;
}

/// Times of a sink; the defaults are those of [`zepto_common::limits`].
#[derive(Debug, Clone, Copy)]
pub struct SinkTimes {
    /// Waiting for room among the bytes in flight.
    pub room: Duration,
    /// For a whole block with all its tries.
    pub whole: Duration,
}

impl Default for SinkTimes {
    fn default() -> Self {
        Self { room: QUEUE_WAIT, whole: ROUTE_TIME_MAX }
    }
}

/// What a sink has done since its start, in rows.
#[derive(Debug, Default)]
pub struct SinkCounters {
    /// Came in.
    pub ingested: AtomicU64,
    /// Stored.
    pub stored: AtomicU64,
    /// Were stored before.
    pub duplicate: AtomicU64,
    /// Of writes that failed.
    pub refused: AtomicU64,
    /// Of those that were told 429.
    pub dropped: AtomicU64,
}

/// Rows in, to the owners of their partitions.
pub struct RoutedSink {
    tables: Arc<dyn Tables>,
    pool: Arc<OwnerPool>,
    placement: watch::Receiver<Arc<Placement>>,
    router: Mutex<Arc<PartitionRouter>>,
    /// This sink's identity as a writer, and the number of its next batch.
    producer: u64,
    next: AtomicU64,
    times: SinkTimes,
    counters: SinkCounters,
}

#[async_trait]
impl RowSink for RoutedSink {
    async fn table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        self.tables.table(name).await
    }

    async fn newest_table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        self.tables.newest_table(name).await
    }

    async fn write(&self, request: WriteRequest, deadline: Instant) -> Result<WriteReceipt> {
        let rows = request.rows.num_rows() as u64;
        self.counters.ingested.fetch_add(rows, Ordering::Relaxed);
        let result = self.route(request, deadline).await;
        match &result {
            Ok(receipt) => {
                self.counters.stored.fetch_add(receipt.rows, Ordering::Relaxed);
                self.counters.duplicate.fetch_add(receipt.duplicate_rows, Ordering::Relaxed);
            }
            Err(error) => {
                self.counters.refused.fetch_add(rows, Ordering::Relaxed);
                if error.code == ErrorCode::Overloaded {
                    tracing::warn!(rows, "queue full");
                    self.counters.dropped.fetch_add(rows, Ordering::Relaxed);
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
        self.positions(stream, raise, deadline.min(Instant::now() + self.times.whole).into()).await
    }
}

/// What all tries of one block share.
struct Block {
    request: WriteRequest,
    batch: BatchId,
    partition_of_row: Vec<u16>,
    until: tokio::time::Instant,
}

/// One owner's part of one try, with the room that it takes.
struct Prepared {
    owner: Arc<Owner>,
    message: wire::SubRequest,
    permit: OwnedSemaphorePermit,
    parts: Vec<(PartitionId, Epoch)>,
}

impl RoutedSink {
    /// A sink after this placement; it goes on with the last one while nobody tells a newer.
    #[must_use]
    pub fn new(
        tables: Arc<dyn Tables>,
        pool: Arc<OwnerPool>,
        placement: watch::Receiver<Arc<Placement>>,
        times: SinkTimes,
    ) -> Self {
        Self {
            tables,
            pool,
            placement,
            router: Mutex::default(),
            producer: rand::random(),
            next: AtomicU64::new(1),
            times,
            counters: SinkCounters::default(),
        }
    }

    /// What it has done.
    #[must_use]
    pub fn counters(&self) -> &SinkCounters {
        &self.counters
    }

    /// The routing table after the placement of this moment.
    fn router(&self) -> Arc<PartitionRouter> {
        let placement = self.placement.borrow().clone();
        let mut router = self.router.lock();
        if !Arc::ptr_eq(router.placement(), &placement) {
            *router = Arc::new(PartitionRouter::new(placement));
        }
        router.clone()
    }

    async fn route(&self, request: WriteRequest, deadline: Instant) -> Result<WriteReceipt> {
        if request.rows.num_rows() == 0 {
            return Ok(WriteReceipt::default());
        }
        let own_batch = request.batch.is_none();
        let batch = request.batch.unwrap_or_else(|| BatchId::Producer {
            producer: self.producer,
            sequence: self.next.fetch_add(1, Ordering::Relaxed),
        });
        let until = deadline.min(Instant::now() + self.times.whole).into();
        let partitions = self.router().placement().partitions.len() as u16;
        let partition_of_row = partitions_of_block(&request, batch, partitions)?;
        let mut ledger = Ledger::new(&partition_of_row, own_batch, request.table.version);
        let block = Block { request, batch, partition_of_row, until };
        let mut pause = ROUTE_PAUSE_MIN;
        for _ in 0..ROUTE_TRIES_MAX {
            if let Err(error) = self.attempt(&block, &mut ledger).await {
                ledger.final_fault(error);
            }
            match ledger.step() {
                Step::Done | Step::Fail => break,
                Step::Again(wanted) => {
                    let wanted = Wanted { pause: wanted.pause.max(pause), ..wanted };
                    if !self.wait_for(&wanted, until).await {
                        break;
                    }
                    pause = (pause * 2).min(ROUTE_PAUSE_MAX);
                }
            }
        }
        ledger.end()
    }

    /// Asks the owner of a stream's home for its positions, or to raise them, as often as it takes.
    async fn positions(
        &self,
        stream: &FeedStream,
        raise: &BTreeMap<u32, u64>,
        until: tokio::time::Instant,
    ) -> Result<BTreeMap<u32, u64>> {
        let mut pause = ROUTE_PAUSE_MIN;
        let mut fault = Error::new(ErrorCode::NotReady, "no placement is known yet: try again");
        for _ in 0..ROUTE_TRIES_MAX {
            let router = self.router();
            let all = router.placement().partitions.len() as u16;
            let mut wanted = Wanted { pause, ..Wanted::default() };
            if all > 0 {
                match self.ask_positions(&router, all, stream, raise, until).await {
                    Ok(positions) => return Ok(positions),
                    Err(Verdict::Refused(error)) => return Err(error),
                    Err(verdict) => fault = passing(verdict, &router, &mut wanted),
                }
            }
            if !self.wait_for(&wanted, until).await {
                break;
            }
            pause = (pause * 2).min(ROUTE_PAUSE_MAX);
        }
        Err(fault)
    }

    async fn ask_positions(
        &self,
        router: &PartitionRouter,
        partitions: u16,
        stream: &FeedStream,
        raise: &BTreeMap<u32, u64>,
        until: tokio::time::Instant,
    ) -> Result<BTreeMap<u32, u64>, Verdict> {
        let home = home_of_stream(stream.table.id, &stream.name, partitions);
        let unknown = |why: String| Verdict::Unknown(why);
        let Some((replica, epoch)) = router.owner(home) else {
            return Err(unknown(format!("partition {home} has no owner")));
        };
        let Some(owner) = self.pool.owner(replica.node) else {
            return Err(unknown(format!("the address of node {} is not known", replica.node)));
        };
        let at = PositionsAt {
            placement: router.placement().version,
            table: stream.table.id,
            stream: stream.name.clone(),
            home,
            epoch,
            raise: raise.clone(),
            deadline: until.into(),
        };
        let parts = [(home, epoch)];
        let told = tokio::select! {
            told = self.pool.positions(&owner, at, until) => told,
            lost = self.relieved(&parts) => Err(lost),
        };
        match told {
            Ok(reply) => told_of(&reply),
            Err(Lost::NotSent(why) | Lost::Unanswered(why)) => Err(unknown(why)),
            Err(Lost::Refused(refused)) => {
                Err(Verdict::Refused(Error::new(ErrorCode::NotReady, format!("an owner: {refused}"))))
            }
        }
    }

    /// Waits until another try makes sense; false if the time is over before.
    async fn wait_for(&self, wanted: &Wanted, until: tokio::time::Instant) -> bool {
        let has = |placement: &Arc<Placement>| {
            let reached = |(partition, epoch): (&PartitionId, &Epoch)| {
                placement.of(*partition).is_some_and(|it| it.grant.epoch >= *epoch)
            };
            placement.version >= wanted.version && wanted.epochs.iter().all(reached)
        };
        let begun = tokio::time::Instant::now();
        if begun + wanted.pause >= until {
            return false;
        }
        let mut placement = self.placement.clone();
        let newer = tokio::time::timeout_at(until, placement.wait_for(has)).await;
        // A watch without a sender tells nothing new any more.
        if !matches!(newer, Ok(Ok(_))) {
            return false;
        }
        drop(newer);
        tokio::time::sleep_until(begun + wanted.pause).await;
        true
    }

    /// Ends some time after all of these partitions are known to have other grants than they were sent under: an owner that
    /// keeps some of them is alive, and has the rest in its queue too.
    async fn relieved(&self, parts: &[(PartitionId, Epoch)]) -> Lost {
        let mut placement = self.placement.clone();
        let newer = |placement: &Arc<Placement>, (partition, epoch): &(PartitionId, Epoch)| {
            placement.of(*partition).is_some_and(|it| it.grant.epoch > *epoch)
        };
        let relieved = placement.wait_for(|placement| parts.iter().all(|part| newer(placement, part)));
        if relieved.await.is_err() {
            // A watch without a sender tells nothing new any more.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(RELIEVED_WAIT).await;
        Lost::Unanswered("others own its partitions, and it did not answer".to_owned())
    }

    /// Sends all open parts, each to the owner of this moment, and notes what became of them.
    async fn attempt(&self, block: &Block, ledger: &mut Ledger) -> Result<()> {
        let router = self.router();
        let (rows, partitions) = open_rows(block, ledger)?;
        let version = router.placement().version;
        let Some(prepared) = self.prepare(block, router.split(&rows, &partitions)?, ledger).await? else {
            ledger.no_room();
            return Ok(());
        };
        drop(rows);
        let asked = prepared.into_iter().map(|it| async {
            let Prepared { owner, message, permit, parts } = it;
            let answer = tokio::select! {
                answer = self.pool.ask(&owner, version, message, permit, block.until) => answer,
                lost = self.relieved(&parts) => Err(lost),
            };
            (parts, answer)
        });
        for (parts, answer) in join_all(asked).await {
            match answer {
                Ok(reply) => take_reply(ledger, version, &parts, &reply),
                Err(Lost::NotSent(why)) => ledger.not_sent(&why),
                Err(Lost::Unanswered(why)) => {
                    for (partition, epoch) in parts {
                        ledger.told(partition, epoch, version, Verdict::Unknown(why.clone()));
                    }
                }
                Err(Lost::Refused(refused)) => {
                    ledger.final_fault(Error::new(ErrorCode::NotReady, format!("an owner: {refused}")));
                }
            }
        }
        Ok(())
    }

    /// Encodes each owner's part and takes the room for all of them, or for none.
    async fn prepare(
        &self,
        block: &Block,
        split: Vec<OwnerRows>,
        ledger: &mut Ledger,
    ) -> Result<Option<Vec<Prepared>>> {
        let until = block.until.min(tokio::time::Instant::now() + self.times.room);
        let mut prepared = Vec::with_capacity(split.len());
        // Owners come in ascending order, the same for every writer: so no two of them wait for each other.
        for OwnerRows { owner, rows, parts } in split {
            let Some(owner) = self.pool.owner(owner.node) else {
                ledger.not_sent(&format!("the address of node {} is not known", owner.node));
                continue;
            };
            let payload = encode_rows(&rows)?;
            if payload.len() + HEAD_BYTES > WRITE_MESSAGE_BYTES_MAX {
                let message =
                    format!("a block of {} bytes is too large: send fewer rows at once", payload.len());
                return Err(Error::new(ErrorCode::TooManyRowsOrBytes, message));
            }
            let Some(permit) = owner.room(payload.len(), until).await else { return Ok(None) };
            let message = wire::SubRequest {
                id: 0,
                table_id: block.request.table.id.0,
                schema_version: block.request.table.version.0,
                batch: Some(block.batch.into()),
                block: block.request.block,
                repeatable: block.request.repeatable,
                parts: parts.iter().map(part_message).collect(),
                rows: payload,
                wait_ms: 0,
            };
            let parts = parts.into_iter().map(|(partition, epoch, _)| (partition, epoch)).collect();
            prepared.push(Prepared { owner, message, permit, parts });
        }
        Ok(Some(prepared))
    }
}

/// What stands in the way at the moment, and what another try waits for.
fn passing(verdict: Verdict, router: &PartitionRouter, wanted: &mut Wanted) -> Error {
    let why = match verdict {
        Verdict::StalePlacement(theirs) if theirs > router.placement().version => {
            wanted.version = theirs;
            "the owner acts on a newer placement".to_owned()
        }
        Verdict::Busy(after) => {
            wanted.pause = wanted.pause.max(after);
            "the owner has no room".to_owned()
        }
        Verdict::Unknown(why) => why,
        Verdict::NotOwner(_) => "another node owns the partition by now".to_owned(),
        Verdict::UnknownSchema(_) => "the owner does not know the table yet".to_owned(),
        _ => "the owner cannot judge yet".to_owned(),
    };
    Error::new(ErrorCode::NotReady, format!("the positions of a feed: {why}"))
}

fn part_message((partition, epoch, rows): &(PartitionId, Epoch, std::ops::Range<u32>)) -> wire::Part {
    wire::Part {
        partition: partition.0.into(),
        epoch: epoch.0,
        first_row: rows.start,
        rows: rows.len() as u32,
    }
}

/// The partition of each row.
fn partitions_of_block(request: &WriteRequest, batch: BatchId, partitions: u16) -> Result<Vec<u16>> {
    if partitions == 0 {
        return Err(Error::new(ErrorCode::NotReady, "no placement is known yet: try again"));
    }
    match request.table.key_index() {
        Some(key) => partitions_of(request.rows.column(key), partitions),
        None => {
            let partition = partition_of_block(request.table.id.0, batch.number(), request.block, partitions);
            Ok(vec![partition.0; request.rows.num_rows()])
        }
    }
}

/// The rows of partitions that are not stored yet, and their partitions.
fn open_rows(block: &Block, ledger: &Ledger) -> Result<(RecordBatch, Vec<u16>)> {
    let all = &block.partition_of_row;
    if ledger.is_all_open() {
        return Ok((block.request.rows.clone(), all.clone()));
    }
    let open: Vec<bool> = all.iter().map(|&it| ledger.is_open(PartitionId(it))).collect();
    let partitions = all.iter().zip(&open).filter(|(_, open)| **open).map(|(it, _)| *it).collect();
    Ok((filter_record_batch(&block.request.rows, &BooleanArray::from(open))?, partitions))
}

/// Notes an owner's answer; a part that it leaves out has an unknown outcome.
fn take_reply(
    ledger: &mut Ledger,
    version: PlacementVersion,
    parts: &[(PartitionId, Epoch)],
    reply: &wire::SubReply,
) {
    let outcomes: Vec<_> = reply.parts.iter().filter_map(|it| outcome_of(it).ok()).collect();
    for &(partition, epoch) in parts {
        let told = outcomes.iter().find(|it| it.partition == partition);
        let verdict = told.map(|it| it.verdict.clone());
        let verdict = verdict.unwrap_or_else(|| Verdict::Unknown("the owner left a part out".to_owned()));
        ledger.told(partition, epoch, version, verdict);
    }
}
