//! Rows for an owner of partitions: as [`RowSink::write`](zepto_common::service::RowSink::write), with an outcome for
//! each partition.

use std::sync::atomic::Ordering;
use std::time::Instant;

use zepto_common::metric_names::TICKS_DROPPED;
use zepto_common::service::WriteRequest;
use zepto_common::{ErrorCode, PartitionId, Result};

use super::Store;
use super::write::{Cut, Entered, answered, enter};

/// What became of one partition's part of a block that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartStored {
    /// By this write.
    Now,
    /// Under the same batch and block before.
    Before,
}

/// One partition and the end of its part.
pub type PartResult = (PartitionId, Result<PartStored>);

impl Store {
    /// Makes a block durable and tells what became of each partition's part. Where a drain thread had some of its
    /// partitions before and others not, all of them count as stored now.
    ///
    /// # Errors
    /// Before anything was stored: as [`write`](zepto_common::service::RowSink::write). Faults of a part are among the
    /// results.
    pub async fn write_parts(&self, request: WriteRequest, deadline: Instant) -> Result<Vec<PartResult>> {
        let counters = &self.shared.counters;
        let rows = request.rows.num_rows() as u64;
        counters.rows_ingested.fetch_add(rows, Ordering::Relaxed);
        let entered = match enter(&self.shared, &request, Cut::Parts, deadline).await {
            Ok(entered) => entered,
            Err(error) => {
                counters.rows_refused.fetch_add(rows, Ordering::Relaxed);
                if error.code == ErrorCode::Overloaded {
                    metrics::counter!(TICKS_DROPPED).increment(rows);
                }
                return Err(error);
            }
        };
        let mut results = Vec::new();
        for Entered { rows, partitions, answer } in entered {
            let outcome = answered(answer, deadline).await;
            let part = match &outcome {
                Ok(stored) => {
                    counters.rows_stored.fetch_add(stored.rows, Ordering::Relaxed);
                    counters.rows_duplicate.fetch_add(stored.duplicate_rows, Ordering::Relaxed);
                    Ok(if stored.rows == 0 { PartStored::Before } else { PartStored::Now })
                }
                Err(error) => {
                    counters.rows_refused.fetch_add(rows, Ordering::Relaxed);
                    Err(error.clone())
                }
            };
            results.extend(partitions.into_iter().map(|partition| (partition, part.clone())));
        }
        Ok(results)
    }
}
