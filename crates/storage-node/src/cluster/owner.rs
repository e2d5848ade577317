//! This node as the owner of its partitions: takes rows from any edge, each partition's part by itself.
//!
//! Promises: a part is stored only if the placement known here says that this disk owns its partition, under a schema
//! that the catalog here has, and only rows that belong to the partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use async_trait::async_trait;
use zepto_cluster::{OwnerBatch, OwnerWrites, PartOutcome, PositionsAt, Verdict};
use zepto_common::ids::{PartitionId, PlacementVersion, SchemaVersion};
use zepto_common::partition::{partition_of_block, partitions_of};
use zepto_common::schema::TableSchema;
use zepto_common::service::WriteRequest;
use zepto_common::source::{home_of_stream, split_offsets};
use zepto_common::{BatchId, Error, ErrorCode, Result};
use zepto_engine::Store;
use zepto_engine::store::PartStored;

use super::agreed::Agreed;

/// The owner.
#[derive(Clone)]
pub(crate) struct Owner {
    store: Arc<Store>,
    agreed: Arc<Agreed>,
}

impl Owner {
    pub(crate) fn new(store: Arc<Store>, agreed: Arc<Agreed>) -> Self {
        Self { store, agreed }
    }

    /// The catalog's own copy of the schema that the rows were made with.
    fn schema(&self, batch: &OwnerBatch) -> Result<Arc<TableSchema>, Verdict> {
        let catalog = self.store.catalog();
        let Some(schema) = catalog.schema(batch.table, batch.schema) else {
            let newest = catalog.table_by_id(batch.table).map(|table| table.version);
            return Err(match newest {
                None if catalog.ever_had(batch.table) => {
                    let message = format!("table {} does not exist: it was dropped", batch.table);
                    Verdict::Refused(Error::new(ErrorCode::UnknownTable, message))
                }
                newest => Verdict::UnknownSchema(newest.unwrap_or(SchemaVersion(0))),
            });
        };
        let of_source = matches!(batch.batch, BatchId::Source(_));
        let rows = if of_source { split_offsets(&batch.rows).map(|it| it.0) } else { Ok(batch.rows.clone()) };
        let rows = rows.map_err(Verdict::Refused)?;
        let (ours, theirs) = (schema.storage_schema(), rows.schema());
        let types = |fields: &arrow::datatypes::Fields| {
            fields.iter().map(|it| (it.name().clone(), it.data_type().clone())).collect::<Vec<_>>()
        };
        if types(ours.fields()) != types(theirs.fields()) {
            let message = format!("the rows are not of schema {} of table {}", batch.schema, schema.name);
            return Err(Verdict::Refused(Error::new(ErrorCode::IncorrectData, message)));
        }
        Ok(schema.clone())
    }

    /// Checks that every row lies in the partition that the sender says.
    fn check_partitions(&self, batch: &OwnerBatch, schema: &TableSchema) -> Result<()> {
        let all = self.store.partitions();
        let wrong = |partition: PartitionId| {
            let message = format!("rows that came for partition {partition} do not belong to it");
            Err(Error::new(ErrorCode::LogicalError, message))
        };
        match schema.key_index() {
            None => {
                let expected = partition_of_block(schema.id.0, batch.batch.number(), batch.block, all);
                let other = batch.parts.iter().find(|(partition, ..)| *partition != expected);
                other.map_or(Ok(()), |(partition, ..)| wrong(*partition))
            }
            Some(key) => {
                let found = partitions_of(batch.rows.column(key), all)?;
                let misplaced = batch.parts.iter().find(|(partition, _, rows)| {
                    found[rows.start as usize..rows.end as usize].iter().any(|it| *it != partition.0)
                });
                misplaced.map_or(Ok(()), |(partition, ..)| wrong(*partition))
            }
        }
    }

    /// Stores the parts of these partitions.
    async fn store(&self, batch: &OwnerBatch, mine: &[PartitionId]) -> Result<Vec<PartOutcome>, Verdict> {
        let refused = |error: Error| Verdict::Refused(error);
        let schema = self.schema(batch)?;
        self.check_partitions(batch, &schema).map_err(refused)?;
        let request = WriteRequest {
            table: schema,
            batch: Some(batch.batch),
            block: batch.block,
            repeatable: batch.repeatable,
            rows: rows_of(batch, mine).map_err(refused)?,
        };
        let results = self.store.write_parts(request, batch.deadline).await;
        let results = results.map_err(|error| self.verdict_of(error))?;
        let outcome = |(partition, result): (PartitionId, Result<PartStored>)| {
            let verdict = match result {
                Ok(PartStored::Now) => Verdict::Stored,
                Ok(PartStored::Before) => Verdict::Duplicate,
                Err(error) => self.verdict_of(error),
            };
            PartOutcome { partition, verdict }
        };
        Ok(results.into_iter().map(outcome).collect())
    }

    fn verdict_of(&self, error: Error) -> Verdict {
        match (error.code, error.code.retry()) {
            (ErrorCode::Overloaded, zepto_common::error::Retry::After(time)) => Verdict::Busy(time),
            (ErrorCode::UnknownStatusOfInsert, _) => Verdict::Unknown(error.message),
            // This node is about to go: another start of it, or another owner, will take them.
            (ErrorCode::NotReady, _) => Verdict::StalePlacement(self.agreed.placement_version()),
            _ => Verdict::Refused(error),
        }
    }
}

/// The rows of these partitions, which are some or all of the batch's.
fn rows_of(batch: &OwnerBatch, mine: &[PartitionId]) -> Result<RecordBatch> {
    if mine.len() == batch.parts.len() {
        return Ok(batch.rows.clone());
    }
    let parts = batch.parts.iter().filter(|(partition, ..)| mine.binary_search(partition).is_ok());
    let slices: Vec<_> =
        parts.map(|(_, _, rows)| batch.rows.slice(rows.start as usize, rows.len())).collect();
    Ok(concat_batches(&batch.rows.schema(), &slices)?)
}

#[async_trait]
impl OwnerWrites for Owner {
    async fn write(&self, batch: OwnerBatch) -> Vec<PartOutcome> {
        let (mut outcomes, mut mine) = (Vec::new(), Vec::new());
        for (partition, epoch, _) in &batch.parts {
            match self.agreed.judge(*partition, *epoch, batch.placement) {
                None => mine.push(*partition),
                Some(verdict) => outcomes.push(PartOutcome { partition: *partition, verdict }),
            }
        }
        if mine.is_empty() {
            return outcomes;
        }
        match self.store(&batch, &mine).await {
            Ok(stored) => outcomes.extend(stored),
            Err(verdict) => {
                let same = |partition| PartOutcome { partition, verdict: verdict.clone() };
                outcomes.extend(mine.into_iter().map(same));
            }
        }
        outcomes
    }

    async fn positions(&self, at: PositionsAt) -> Result<BTreeMap<u32, u64>, Verdict> {
        if let Some(verdict) = self.agreed.judge(at.home, at.epoch, at.placement) {
            return Err(verdict);
        }
        if at.home != home_of_stream(at.table, &at.stream, self.store.partitions()) {
            let message = format!("partition {} does not keep the positions of {}", at.home, at.stream);
            return Err(Verdict::Refused(Error::new(ErrorCode::LogicalError, message)));
        }
        let catalog = self.store.catalog();
        if catalog.table_by_id(at.table).is_none() && !catalog.ever_had(at.table) {
            return Err(Verdict::UnknownSchema(SchemaVersion(0)));
        }
        let raised = self.store.raise_positions(at.table, &at.stream, &at.raise, at.deadline).await;
        raised.map_err(|error| self.verdict_of(error))
    }

    fn versions(&self) -> (PlacementVersion, u64) {
        (self.agreed.placement_version(), self.store.catalog().version())
    }
}
