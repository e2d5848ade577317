//! One batch of messages on its way into the tables.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use futures::future::join_all;
use zepto_common::error::Retry;
use zepto_common::schema::TableSchema;
use zepto_common::service::{RowSink, WriteReceipt, WriteRequest};
use zepto_common::source::FeedStream;
use zepto_common::{Error, ErrorCode, Result};

use super::fault_of;
use crate::config::FeedConfig;
use crate::dead_letter;
use crate::decode::Decoder;
use crate::source::{FeedFault, Message, SourcePartition};
use crate::status::FeedStatus;

/// How often a batch is decoded anew because its table changes.
const SCHEMAS_MAX: u32 = 8;

/// Messages of one partition of the source, and what is left to write of them.
struct Group {
    from: SourcePartition,
    messages: Arc<Vec<Message>>,
    /// Written one after the other: what a partition has of a source is told by one offset.
    blocks: VecDeque<RecordBatch>,
    dead: Option<RecordBatch>,
}

/// All of a batch.
pub(super) struct Batch {
    groups: Vec<Group>,
    schemas: u32,
}

impl Batch {
    /// How many messages it has.
    pub(super) fn messages(&self) -> u64 {
        self.groups.iter().map(|it| it.messages.len() as u64).sum()
    }

    /// The offset after the last message of each partition.
    pub(super) fn ends(&self) -> impl Iterator<Item = (SourcePartition, u64)> {
        self.groups.iter().filter_map(|it| Some((it.from.clone(), it.messages.last()?.offset + 1)))
    }
}

/// Writes batches of one feed.
pub(super) struct Writer<'a> {
    config: &'a FeedConfig,
    sink: &'a Arc<dyn RowSink>,
    status: &'a FeedStatus,
    decoder: Arc<Decoder>,
    letters: Arc<TableSchema>,
}

impl<'a> Writer<'a> {
    pub(super) async fn open(
        config: &'a FeedConfig,
        sink: &'a Arc<dyn RowSink>,
        status: &'a FeedStatus,
    ) -> Result<Self, FeedFault> {
        let fault = |error: Error| fault_of(&error);
        let table = sink.table(&config.table_name()).await.map_err(fault)?;
        let decoder = Arc::new(Decoder::new(config, &table).map_err(fault)?);
        let letters = sink.table(&config.dead_letter_name()).await.map_err(|error| match error.code {
            ErrorCode::UnknownTable => {
                let statement = dead_letter::create_statement(&config.dead_letter);
                FeedFault::Passing(format!("{}: {statement}", error.message))
            }
            _ => fault(error),
        })?;
        dead_letter::check(&letters).map_err(fault)?;
        Ok(Self { config, sink, status, decoder, letters })
    }

    /// The table that rows go to.
    pub(super) fn table(&self) -> &Arc<TableSchema> {
        self.decoder.table()
    }

    /// Decodes messages, which are in the order of their offsets within each partition.
    pub(super) async fn begin(&mut self, messages: Vec<Message>) -> Result<Batch, FeedFault> {
        let table = self.sink.table(&self.config.table_name()).await.map_err(|error| fault_of(&error))?;
        let letters = self.sink.table(&self.config.dead_letter_name()).await;
        self.take(table, letters.map_err(|error| fault_of(&error))?)?;
        let mut sorted: BTreeMap<SourcePartition, Vec<Message>> = BTreeMap::new();
        for message in messages {
            let of = sorted.entry(message.from.clone()).or_default();
            // After a rebalance a partition may be read again from its position, behind messages of the same batch.
            if of.last().is_none_or(|last| last.offset < message.offset) {
                of.push(message);
            }
        }
        let group = |(from, messages)| Group {
            from,
            messages: Arc::new(messages),
            blocks: VecDeque::new(),
            dead: None,
        };
        let mut batch = Batch { groups: sorted.into_iter().map(group).collect(), schemas: 0 };
        self.decode(&mut batch).await?;
        Ok(batch)
    }

    /// Goes on with newer schemas of the same tables.
    fn take(&mut self, table: Arc<TableSchema>, letters: Arc<TableSchema>) -> Result<(), FeedFault> {
        for (ours, now) in [(self.table(), &table), (&self.letters, &letters)] {
            // Another table knows nothing of what was written: its own positions are asked for first.
            if ours.id != now.id {
                let message =
                    format!("{} is another table than before: the feed begins anew with it", now.name);
                return Err(FeedFault::Passing(message));
            }
        }
        if table.version > self.table().version {
            let decoder = Decoder::new(self.config, &table).map_err(|error| fault_of(&error))?;
            self.decoder = Arc::new(decoder);
        }
        if letters.version > self.letters.version {
            dead_letter::check(&letters).map_err(|error| fault_of(&error))?;
            self.letters = letters;
        }
        Ok(())
    }

    async fn decode(&self, batch: &mut Batch) -> Result<(), FeedFault> {
        for group in &mut batch.groups {
            let (decoder, messages) = (self.decoder.clone(), group.messages.clone());
            // Not on the reactor: a batch is many messages.
            let read = tokio::task::spawn_blocking(move || decoder.read(&messages)).await;
            let read = read.map_err(|error| FeedFault::Passing(format!("decoding failed: {error}")))?;
            let decoded = read.map_err(|error| fault_of(&error))?;
            group.blocks = decoded.blocks.into();
            let letters: Vec<_> =
                decoded.dead.into_iter().map(|(at, error)| (&group.messages[at], error)).collect();
            group.dead = match letters.is_empty() {
                true => None,
                false => {
                    let rows = dead_letter::rows(&self.config.name, &self.letters, &letters);
                    Some(rows.map_err(|error| fault_of(&error))?)
                }
            };
        }
        Ok(())
    }

    /// Writes what is left of a batch. Gives why the storage refused at the moment, or None when everything is durable.
    ///
    /// # Errors
    /// What no repeat helps against.
    pub(super) async fn write(
        &mut self,
        batch: &mut Batch,
        deadline: Instant,
    ) -> Result<Option<String>, FeedFault> {
        let mut writes = Vec::with_capacity(batch.groups.len());
        for group in &mut batch.groups {
            writes.push(self.write_group(group, deadline));
        }
        let written = join_all(writes).await;
        // Those that were read again and known are not counted: a feed that begins anew now and then is no worse for it.
        let limit = self.config.dead_letter_limit;
        if self.status.dead_letters() > limit {
            return Err(FeedFault::Final(format!(
                "more than {limit} messages cannot be read: correct the feed's format and mapping, or raise \
                 deadLetterLimit"
            )));
        }
        let Some(error) = written.into_iter().find_map(Result::err) else { return Ok(None) };
        match error.code {
            // The table has another schema by now, or is gone.
            ErrorCode::UnknownTable if batch.schemas < SCHEMAS_MAX => {
                batch.schemas += 1;
                let fault = |error: Error| fault_of(&error);
                let table = self.sink.newest_table(&self.config.table_name()).await.map_err(fault)?;
                let letters = self.config.dead_letter_name();
                let letters = self.sink.newest_table(&letters).await.map_err(fault)?;
                self.take(table, letters)?;
                self.decode(batch).await?;
                Ok(Some(error.message))
            }
            // What is stored is trimmed when it comes again.
            code if is_refusal(code) => Ok(Some(error.message)),
            _ => Err(fault_of(&error)),
        }
    }

    async fn write_group(&self, group: &mut Group, deadline: Instant) -> Result<()> {
        if let Some(dead) = &group.dead {
            // By the table too: of one that takes the other's place all messages are read again, and one that was a row
            // there can be a dead letter here, below those that are known.
            let name = format!("{} for table {}", self.config.stream(&group.from.topic), self.table().id);
            let stream = FeedStream { table: self.letters.clone(), name };
            let receipt = self.send(stream, &group.from, dead, deadline).await?;
            self.status.dead(receipt.rows);
            group.dead = None;
        }
        while let Some(rows) = group.blocks.front() {
            let name = self.config.stream(&group.from.topic);
            let stream = FeedStream { table: self.decoder.table().clone(), name };
            let receipt = self.send(stream, &group.from, rows, deadline).await?;
            self.status.stored(receipt.rows, receipt.duplicate_rows);
            group.blocks.pop_front();
        }
        Ok(())
    }

    async fn send(
        &self,
        stream: FeedStream,
        from: &SourcePartition,
        rows: &RecordBatch,
        deadline: Instant,
    ) -> Result<WriteReceipt> {
        let request = WriteRequest {
            batch: Some(stream.batch(from.number)),
            table: stream.table,
            block: 0,
            repeatable: true,
            rows: rows.clone(),
        };
        self.sink.write(request, deadline).await
    }
}

/// Whether the storage may take the same rows later: what it says of a disk a human mends, or another owner takes over.
fn is_refusal(code: ErrorCode) -> bool {
    code.retry() != Retry::Never
        || matches!(
            code,
            ErrorCode::TableIsReadOnly | ErrorCode::CannotFsync | ErrorCode::CannotWriteToFileDescriptor
        )
}
