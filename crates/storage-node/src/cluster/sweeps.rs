//! TRUNCATE and DROP in this node's partitions. The catalog's version gives them their place in the order of changes.
//!
//! Promises: a TRUNCATE removes rows once: it is remembered on the disk before it is reported, so rows that come after
//! its answer stay; what was begun is carried on after a restart.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use zepto_common::{Error, ErrorCode, Result, TableId};
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
        for sweep in sweeps.iter().filter(|sweep| sweep.version <= catalog) {
            if let Err(error) = carry_out(&agreed, sweep, &sweeps).await {
                tracing::warn!(version = sweep.version, %error, "TRUNCATE or DROP waits here");
                owed = true;
            }
        }
    }
}

async fn carry_out(agreed: &Agreed, sweep: &wire::Sweep, all: &[wire::Sweep]) -> Result<()> {
    let owned: BTreeSet<u32> = agreed.owned().into_iter().map(|it| it.0.into()).collect();
    let partitions: Vec<u32> = sweep.remaining.iter().copied().filter(|it| owned.contains(it)).collect();
    if partitions.is_empty() {
        return Ok(());
    }
    // A dropped table's rows went with the catalog that has it no more.
    if !sweep.drop && !agreed.memory.has_swept(sweep.version) {
        for table in &sweep.tables {
            match agreed.store.empty_table(TableId(*table)).await {
                Err(error) if error.code == ErrorCode::UnknownTable => {}
                other => other?,
            }
        }
        let open: BTreeSet<u64> = all.iter().map(|sweep| sweep.version).collect();
        tokio::task::block_in_place(|| agreed.memory.keep_sweep(sweep.version, &open))?;
    }
    let request = wire::FinishSweepRequest { envelope: None, sweep: sweep.version, partitions };
    let away = |error: &dyn std::fmt::Display| Error::new(ErrorCode::NotReady, error.to_string());
    let reply = agreed.client.finish_sweep(request).await.map_err(|error| away(&error))?;
    reply.refusal.map_or(Ok(()), |refusal| Err(away(&refusal.message)))
}
