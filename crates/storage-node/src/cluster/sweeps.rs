//! TRUNCATE, DROP and DELETE in this node's partitions. The catalog's version gives them their place in the order of changes.
//!
//! Promises: a TRUNCATE or DELETE removes rows once: it is remembered on the disk before it is reported, so rows that come after
//! its answer stay; what was begun is carried on after a restart.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use zepto_common::limits::SWEEP_TRY_TIME_MAX;
use zepto_common::{Error, ErrorCode, PartitionId, Result, SchemaVersion, TableId};
use zepto_engine::copies::RowChange;
use zepto_proto::coordinate as wire;

use super::agreed::Agreed;

/// Wait before another try.
const PAUSE: Duration = Duration::from_secs(1);

/// Carries sweeps out until the node stops.
pub(crate) async fn run(agreed: Arc<Agreed>, stop: CancellationToken) {
    let (mut told, mut placement) = (agreed.told(), agreed.placement());
    // What was told before this subscription counts too.
    told.mark_changed();
    let mut owed = false;
    loop {
        tokio::select! {
            changed = told.changed() => if changed.is_err() { return },
            changed = placement.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(PAUSE), if owed => {}
            () = stop.cancelled() => return,
        }
        owed = false;
        let (sweeps, catalog) = {
            let told = told.borrow_and_update();
            (told.sweeps.clone(), told.catalog)
        };
        placement.mark_unchanged();
        // Of one table a later one must not come before an earlier one in any partition: the earlier one would be taken for
        // one that has happened. So one that is given to this node meanwhile waits for the next turn with all of them.
        let owned: BTreeSet<u32> = agreed.owned().into_iter().map(|it| it.0.into()).collect();
        let mut held_up: BTreeSet<u64> = BTreeSet::new();
        for sweep in sweeps.iter().filter(|sweep| sweep.version <= catalog) {
            if sweep.tables.iter().any(|table| held_up.contains(table)) {
                continue;
            }
            // What is cut short is asked for again after the next start.
            let carried = tokio::select! {
                carried = carry_out(&agreed, sweep, &sweeps, &owned) => carried,
                () = stop.cancelled() => return,
            };
            if let Err(error) = carried {
                tracing::warn!(version = sweep.version, %error, "TRUNCATE, DROP or DELETE waits here");
                held_up.extend(&sweep.tables);
                owed = true;
            }
        }
    }
}

async fn carry_out(
    agreed: &Agreed,
    sweep: &wire::Sweep,
    all: &[wire::Sweep],
    owned: &BTreeSet<u32>,
) -> Result<()> {
    let partitions: Vec<u32> = sweep.remaining.iter().copied().filter(|it| owned.contains(it)).collect();
    if partitions.is_empty() {
        return Ok(());
    }
    // A dropped table's rows went with the catalog that has it no more, on every copy.
    if agreed.store.has_copies() && !sweep.drop {
        let (done, result) = commit(agreed, sweep, &owned_of(&partitions)).await;
        finish(agreed, sweep.version, done).await?;
        return result;
    }
    if !sweep.drop && !agreed.memory.has_swept(sweep.version) {
        for table in &sweep.tables {
            let swept = match sweep.condition.is_empty() {
                true => agreed.store.empty_table(TableId(*table)).await,
                false => {
                    let version = SchemaVersion(sweep.schema_version);
                    agreed.store.delete_rows(TableId(*table), version, &sweep.condition).await
                }
            };
            match swept {
                Err(error) if error.code == ErrorCode::UnknownTable => {}
                other => other?,
            }
        }
        let open: BTreeSet<u64> = all.iter().map(|sweep| sweep.version).collect();
        tokio::task::block_in_place(|| agreed.memory.keep_sweep(sweep.version, &open))?;
    }
    finish(agreed, sweep.version, partitions).await
}

fn owned_of(partitions: &[u32]) -> Vec<PartitionId> {
    partitions.iter().filter_map(|it| u16::try_from(*it).ok()).map(PartitionId).collect()
}

/// With copies: a frame in each partition, which every copy obeys and remembers under the sweep's version. Gives the
/// partitions that have committed it, and a fault of the others.
async fn commit(agreed: &Agreed, sweep: &wire::Sweep, partitions: &[PartitionId]) -> (Vec<u32>, Result<()>) {
    let mut open: BTreeSet<PartitionId> = partitions.iter().copied().collect();
    let mut fault = Ok(());
    let deadline = Instant::now() + SWEEP_TRY_TIME_MAX;
    for table in &sweep.tables {
        let mutation = sweep.version;
        let (version, change) = match sweep.condition.is_empty() {
            true => (None, RowChange::Truncate { mutation }),
            false => {
                let condition = sweep.condition.clone().into();
                (Some(SchemaVersion(sweep.schema_version)), RowChange::Delete { mutation, condition })
            }
        };
        let asked: Vec<PartitionId> = open.iter().copied().collect();
        match agreed.store.change_rows(TableId(*table), version, change, &asked, deadline).await {
            // Its rows went with it.
            Err(error) if error.code == ErrorCode::UnknownTable => {}
            Err(error) => return (Vec::new(), Err(error)),
            Ok(parts) => {
                for (partition, part) in parts {
                    if let Err(error) = part {
                        open.remove(&partition);
                        fault = Err(error);
                    }
                }
            }
        }
    }
    (open.into_iter().map(|it| it.0.into()).collect(), fault)
}

/// Reports partitions that are done.
async fn finish(agreed: &Agreed, version: u64, partitions: Vec<u32>) -> Result<()> {
    if partitions.is_empty() {
        return Ok(());
    }
    let request = wire::FinishSweepRequest { envelope: None, sweep: version, partitions };
    let away = |error: &dyn std::fmt::Display| Error::new(ErrorCode::NotReady, error.to_string());
    let reply = agreed.client.finish_sweep(request).await.map_err(|error| away(&error))?;
    reply.refusal.map_or(Ok(()), |refusal| Err(away(&refusal.message)))
}
