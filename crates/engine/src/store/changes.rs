//! Changes of stored rows in a store with copies: entries of the log that every copy carries out alike.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch, not};
use tokio::sync::oneshot;
use zepto_common::schema::TableSchema;
use zepto_common::{ColumnId, Error, ErrorCode, PartitionId, Result, SchemaVersion, TableId};

use super::Store;
use super::shared::{Shared, closing};
use crate::copies::{Payload, RowChange};
use crate::shard::Command;
use crate::shard::copies::{ChangeItem, CopyCommand};

/// Tells of each row whether it meets a condition; NULL counts as no. Rows come in storage types.
pub type Judge = dyn Fn(&RecordBatch) -> Result<BooleanArray> + Send + Sync;

/// The rows with other values in those of the mask. Rows come and go in storage types.
pub type Rewriter = dyn Fn(&RecordBatch, &BooleanArray) -> Result<RecordBatch> + Send + Sync;

/// A condition that was understood, and what becomes of the rows that meet it.
#[derive(Clone)]
pub struct Condition {
    /// The columns that it looks at, the values of an UPDATE among them.
    pub reads: Vec<ColumnId>,
    /// What it says of rows.
    pub judge: Arc<Judge>,
    /// Of an UPDATE; the rows of a DELETE go.
    pub update: Option<Update>,
}

/// What an UPDATE makes of rows.
#[derive(Clone)]
pub struct Update {
    /// The columns that it writes.
    pub writes: Vec<ColumnId>,
    /// Their values.
    pub rewrite: Arc<Rewriter>,
}

/// Understands the conditions of DELETE and UPDATE. Called by the background thread.
pub trait Conditions: Send + Sync + std::fmt::Debug {
    /// The condition in these bytes, for rows of this schema. Of a row it says the same wherever and whenever it is
    /// asked, whatever other rows come with it; so does an UPDATE of the row's values.
    ///
    /// # Errors
    /// Bytes that are no condition for this schema.
    fn condition(&self, schema: &Arc<TableSchema>, bytes: &[u8]) -> Result<Condition>;
}

impl Store {
    /// Has a change of a table's rows committed in these partitions; gives for each whether it is. A condition reads rows of
    /// schema `version`. One with a number
    /// happens once: asking again says that it has. Of one table, a change with a lower number must be committed in a
    /// partition before this is called for a higher one.
    ///
    /// # Errors
    /// `UnknownTable`; `BadArguments` for a store without copies. Of a partition: `NotReady`, it was certainly not begun
    /// here; `UnknownStatusOfInsert`, perhaps, ask again.
    pub async fn change_rows(
        &self,
        table: TableId,
        version: Option<SchemaVersion>,
        change: RowChange,
        partitions: &[PartitionId],
        deadline: Instant,
    ) -> Result<Vec<(PartitionId, Result<()>)>> {
        let newest = self.newest(table)?;
        let payload = Payload::change(table, version.unwrap_or(newest.version), &change);
        let mut asked: Vec<Vec<_>> = self.shared.drains.iter().map(|_| Vec::new()).collect();
        let mut answers = Vec::with_capacity(partitions.len());
        for &partition in partitions {
            self.require_copy(partition)?;
            let (answer, answered) = oneshot::channel();
            asked[self.shared.shard_of(partition)].push((partition, answer));
            answers.push((partition, answered));
        }
        for (drain, parts) in self.shared.drains.iter().zip(asked) {
            if !parts.is_empty() {
                let item = ChangeItem { change: change.clone(), payload: payload.clone(), parts };
                drain.command(Command::Copies(CopyCommand::Change(item)))?;
            }
        }
        let mut results = Vec::with_capacity(answers.len());
        for (partition, answered) in answers {
            let late = || {
                let message = format!("partition {partition} has not said whether the change is committed");
                Err(Error::new(ErrorCode::UnknownStatusOfInsert, message))
            };
            let told = tokio::time::timeout_at(deadline.into(), answered).await;
            results
                .push((partition, told.map_or_else(|_| late(), |it| it.unwrap_or_else(|_| Err(closing())))));
        }
        Ok(results)
    }

    fn newest(&self, table: TableId) -> Result<Arc<TableSchema>> {
        self.shared.catalog.load().table_by_id(table).cloned().ok_or_else(|| {
            Error::new(ErrorCode::UnknownTable, format!("Table {table} does not exist (it was dropped)"))
        })
    }

    /// Whether rows may expire by this node's clock: not while it differs from that of other nodes. Cutoffs that other
    /// owners have logged are obeyed all the same.
    pub fn hold_expiry(&self, held: bool) {
        self.shared.expiry_held.store(held, std::sync::atomic::Ordering::Release);
    }

    /// Removes or changes the rows that meet a condition in a store without copies; asking again does no harm where the values
    /// of an UPDATE are not made of columns that it writes. The condition reads rows of schema `version`.
    ///
    /// # Errors
    /// `UnknownTable`; `NotReady` where the columns are not those of this version any more; a condition that is none for
    /// it; the disk's.
    pub async fn delete_rows(&self, table: TableId, version: SchemaVersion, condition: &[u8]) -> Result<()> {
        let newest = self.newest(table)?;
        // By the version it was written for, whose name of the table it may use; rewriting gives rows of the newest.
        let schema = self.shared.catalog.load().schema(table, version).cloned();
        let schema = schema.filter(|schema| schema.columns == newest.columns).ok_or_else(|| {
            let message =
                format!("the columns of {} are not those that a change was written for", newest.name);
            Error::new(ErrorCode::NotReady, message)
        })?;
        let condition = self.shared.condition(&schema, condition)?;
        let rewrite = move |rows: RecordBatch| -> Result<Option<RecordBatch>> {
            let met = meets(&condition, &rows);
            if met.true_count() == 0 {
                return Ok(None);
            }
            match &condition.update {
                Some(update) => updated(update, &rows, &met).map(Some),
                None => Ok(Some(filter_record_batch(&rows, &not(&met)?)?)),
            }
        };
        self.rewrite(table, Arc::new(rewrite)).await.map(drop)
    }
}

impl Shared {
    /// Understands a condition.
    ///
    /// # Errors
    /// Bytes that are no condition for this schema.
    pub(crate) fn condition(&self, schema: &Arc<TableSchema>, bytes: &[u8]) -> Result<Condition> {
        let reader = self.options.conditions.as_ref();
        reader.ok_or_else(|| Error::internal("nobody here understands conditions"))?.condition(schema, bytes)
    }
}

/// Which rows meet a condition. One that says nothing of a row (a division by zero, a text that is no number) does not
/// meet it: how rows lie together in segments differs between copies, so each row is asked alone then.
pub(crate) fn meets(condition: &Condition, rows: &RecordBatch) -> BooleanArray {
    let judged = |rows: &RecordBatch| (condition.judge)(rows).ok().filter(|it| it.len() == rows.num_rows());
    if let Some(all) = judged(rows) {
        return (0..all.len()).map(|row| Some(all.is_valid(row) && all.value(row))).collect();
    }
    let one = |row| judged(&rows.slice(row, 1)).is_some_and(|it| it.is_valid(0) && it.value(0));
    (0..rows.num_rows()).map(|row| Some(one(row))).collect()
}

/// The rows with their next values. A row for which there is none (a division by zero, a NULL that the column cannot hold)
/// stays as it is: as with conditions, each row is asked alone then.
pub(crate) fn updated(update: &Update, rows: &RecordBatch, met: &BooleanArray) -> Result<RecordBatch> {
    let fits = |next: &RecordBatch, old: &RecordBatch| {
        next.num_rows() == old.num_rows() && next.schema().fields().len() == old.schema().fields().len()
    };
    if let Ok(next) = (update.rewrite)(rows, met)
        && fits(&next, rows)
    {
        return Ok(next);
    }
    let one = |row: usize| {
        let (old, met) = (rows.slice(row, 1), met.slice(row, 1));
        match (update.rewrite)(&old, &met) {
            Ok(next) if fits(&next, &old) => next,
            _ => old,
        }
    };
    // Agreed on and tried before: it can be only rows that came in between.
    tracing::warn!(
        rows = met.true_count(),
        "some of these rows have no values that an UPDATE could give them, and keep theirs"
    );
    let all: Vec<RecordBatch> = (0..rows.num_rows()).map(one).collect();
    Ok(concat_batches(&rows.schema(), &all)?)
}
