//! The doors for whole states of copies: an owner's is pinned and read, another node's is taken in piece by piece.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use tokio::sync::oneshot;
use zepto_common::limits::{STATE_SEGMENT_BYTES, STATE_SEGMENT_ROWS};
use zepto_common::placement::Replica;
use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, Lsn, PartitionId, Result, SchemaVersion, TableId, Token};
use zepto_replication::History;

use super::Store;
use super::shared::closing;
use crate::background::Job;
use crate::chunk::Chunk;
use crate::copies::Leave;
use crate::copies::data::limits;
use crate::copies::decode_rows;
use crate::copies::pinned::Pinned;
use crate::copies::staged::{Staged, StagedFiles};
use crate::copies::whole::{Piece, TableSum, stored};
use crate::dedup::Window;
use crate::run::columns;
use crate::shard::Command;
use crate::shard::copies::{CopyCommand, TransferCommand};
use crate::table::{StoredSegment, TableData};

impl Store {
    /// Pins a partition that this node owns under this token, for a copy that lacks more than the log has. The log keeps
    /// what follows for it.
    ///
    /// # Errors
    /// `NotReady` when this node does not own it under this token, or has not shown all that is committed yet.
    pub async fn pin_copy(&self, partition: PartitionId, token: Token, asker: Replica) -> Result<Pinned> {
        self.require_copy(partition)?;
        let (answer, answered) = oneshot::channel();
        let drain = &self.shared.drains[self.shared.shard_of(partition)];
        drain.command(Command::Copies(CopyCommand::Transfer(TransferCommand::Pin {
            partition,
            token,
            asker,
            answer,
        })))?;
        answered.await.map_err(|_| closing())?
    }

    /// Whether the owner of a partition, which this node is under this token, does without the copy of this replica: it
    /// counts it nowhere and expects nothing of it.
    ///
    /// # Errors
    /// `NotReady` when this node does not own it under this token.
    pub async fn does_without(&self, partition: PartitionId, token: Token, copy: Replica) -> Result<bool> {
        self.require_copy(partition)?;
        let (answer, answered) = oneshot::channel();
        let drain = &self.shared.drains[self.shared.shard_of(partition)];
        drain.command(Command::Copies(CopyCommand::Transfer(TransferCommand::DoesWithout {
            partition,
            token,
            copy,
            answer,
        })))?;
        answered.await.map_err(|_| closing())?
    }

    /// The owner does without this node's copy, which has said nothing since it wished to leave: its rows may go.
    ///
    /// # Errors
    /// A drain thread that takes no commands; it is asked for again.
    pub fn forget_copy(&self, partition: PartitionId, leave: Leave) -> Result<()> {
        self.require_copy(partition)?;
        let drain = &self.shared.drains[self.shared.shard_of(partition)];
        drain.command(Command::Copies(CopyCommand::Transfer(TransferCommand::Forget(partition, leave))))
    }

    /// Begins to take in the state of a partition.
    ///
    /// # Errors
    /// `BadArguments` without copies.
    pub fn take_in(self: &Arc<Self>, partition: PartitionId) -> Result<Intake> {
        self.require_copy(partition)?;
        Ok(Intake {
            store: self.clone(),
            partition,
            history: None,
            sums: BTreeMap::new(),
            gathered: None,
            segments: Vec::new(),
            windows: Vec::new(),
            files: StagedFiles::new(self.shared.clone()),
            ended: false,
        })
    }
}

/// Rows of one table that are no segment yet.
#[derive(Debug)]
struct Gathered {
    data: Arc<TableData>,
    schema: Arc<TableSchema>,
    chunks: Vec<Arc<Chunk>>,
    rows: usize,
    bytes: usize,
}

/// Takes a state in, piece by piece, with bounded memory: rows become segment files on the way. Dropped before
/// [`Intake::finish`] it leaves nothing.
#[derive(Debug)]
pub struct Intake {
    store: Arc<Store>,
    partition: PartitionId,
    history: Option<History>,
    sums: BTreeMap<TableId, TableSum>,
    gathered: Option<Gathered>,
    segments: Vec<(Arc<TableData>, Arc<StoredSegment>)>,
    windows: Vec<(TableId, Bytes)>,
    files: StagedFiles,
    ended: bool,
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorCode::IncorrectData, what)
}

impl Intake {
    /// Takes the next piece.
    ///
    /// # Errors
    /// `IncorrectData` for pieces out of order or rows that do not fit their sum; `NotReady` when the catalog here does not
    /// know a schema yet; the disk's. The state is to be fetched again then.
    pub async fn take(&mut self, piece: Piece) -> Result<()> {
        if self.ended || self.history.is_none() != matches!(piece, Piece::Begin(_)) {
            return Err(wrong("a piece of a copy's state out of its order"));
        }
        match piece {
            Piece::Begin(history) => self.history = Some(history),
            Piece::Rows { table, schema, rows, ipc } => self.take_rows(table, schema, rows, &ipc).await?,
            Piece::Window { table, bytes } => {
                Window::decode(bytes.clone(), limits())?;
                self.windows.push((table, bytes));
            }
            Piece::End(sums) => {
                self.write_gathered().await?;
                let mine: Vec<TableSum> = self.sums.values().copied().collect();
                if mine != sums {
                    return Err(wrong(format!(
                        "the state of partition {} does not have the rows that its owner has: {mine:?}, not {sums:?}",
                        self.partition
                    )));
                }
                self.ended = true;
            }
        }
        Ok(())
    }

    /// Hands the state to the copy, which takes it when its owner offers one again.
    ///
    /// # Errors
    /// `IncorrectData` before the last piece; the store closes.
    pub fn finish(mut self) -> Result<Lsn> {
        let Some(history) = self.history.take().filter(|_| self.ended) else {
            return Err(wrong("a copy's state without an end"));
        };
        let lsn = history.end().lsn;
        let staged = Staged {
            partition: self.partition,
            history,
            segments: self.segments,
            windows: self.windows,
            files: self.files,
        };
        let shared = &self.store.shared;
        let drain = &shared.drains[shared.shard_of(self.partition)];
        drain.command(Command::Copies(CopyCommand::Transfer(TransferCommand::Staged(Arc::new(staged)))))?;
        Ok(lsn)
    }

    async fn take_rows(
        &mut self,
        table: TableId,
        version: SchemaVersion,
        rows: u32,
        ipc: &[u8],
    ) -> Result<()> {
        let came = decode_rows(ipc)?;
        if came.num_rows() != rows as usize {
            return Err(wrong(format!("{} rows of a copy's state instead of {rows}", came.num_rows())));
        }
        self.sums.entry(table).or_insert_with(|| TableSum::of(table)).add(&came)?;
        let Some((data, schema)) = self.table(table, version)? else { return Ok(()) };
        let chunk = self.chunk(&schema, &came)?;
        if self.gathered.as_ref().is_some_and(|it| it.data.id != table || it.schema.version != version) {
            self.write_gathered().await?;
        }
        let gathered = self.gathered.get_or_insert_with(|| Gathered {
            data,
            schema,
            chunks: Vec::new(),
            rows: 0,
            bytes: 0,
        });
        gathered.rows += chunk.rows.num_rows();
        gathered.bytes += chunk.memory();
        gathered.chunks.push(Arc::new(chunk));
        if gathered.rows >= STATE_SEGMENT_ROWS || gathered.bytes >= STATE_SEGMENT_BYTES {
            self.write_gathered().await?;
        }
        Ok(())
    }

    /// None: the table was dropped here, and its rows with it.
    fn table(
        &self,
        id: TableId,
        version: SchemaVersion,
    ) -> Result<Option<(Arc<TableData>, Arc<TableSchema>)>> {
        let shared = &self.store.shared;
        let catalog = shared.catalog.load();
        match (shared.tables.load().get(&id), catalog.schema(id, version)) {
            (Some(data), Some(schema)) => Ok(Some((data.clone(), schema.clone()))),
            _ if catalog.table_by_id(id).is_none() && catalog.ever_had(id) => Ok(None),
            _ => {
                let message = format!("schema {version} of table {id} is not known here yet");
                Err(Error::new(ErrorCode::NotReady, message))
            }
        }
    }

    fn chunk(&self, schema: &Arc<TableSchema>, rows: &RecordBatch) -> Result<Chunk> {
        let rows = stored(schema, rows)?;
        columns::check_rows(rows.num_rows())?;
        let all = 0..rows.num_rows() as u32;
        Chunk::new(schema.clone(), rows, vec![(self.partition, all)])
    }

    async fn write_gathered(&mut self) -> Result<()> {
        let Some(Gathered { data, schema, chunks, .. }) = self.gathered.take() else { return Ok(()) };
        let stored = self.store.job(|done| Job::Stage { schema, chunks, done }).await?;
        self.files.add(stored.id);
        self.segments.push((data, stored));
        Ok(())
    }
}
