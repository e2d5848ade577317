//! What the door asks about a storage node: health, readiness, counters, gauges, settings, snapshots.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use zepto_common::metric_names as names;
use zepto_common::{Error, ErrorCode, Result};
use zepto_engine::Store;
use zepto_engine::store::{LogState, StoreStats};
use zepto_http::{Identity, NodeInfo, RebalanceChange, StoredFile};
use zepto_process::gauges::{self, resident_bytes};
use zepto_process::rate::Rate;
use zepto_proto::client::CoordinatorClient;
use zepto_proto::rebalance;

use crate::cluster::agreed::Agreed;
use crate::cluster::nodes::Nodes;
use crate::config::Config;
use crate::snapshots;

/// The storage node's answers.
pub(crate) struct StorageInfo {
    identity: Identity,
    node_id: u32,
    settings: Value,
    memory_limit: u64,
    store: Arc<Store>,
    leaving: AtomicBool,
    rate: Mutex<Rate>,
    /// What is agreed on and who is there, if the node is one of several.
    cluster: Option<(Arc<Agreed>, Arc<Nodes>)>,
}

impl std::fmt::Debug for StorageInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StorageInfo").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Who the node is.
pub(crate) fn identity(config: &Config) -> Identity {
    Identity {
        role: "storage",
        node_id: config.node_id.to_string(),
        display_name: format!("zeptodb-{}", config.node_id),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: Instant::now(),
    }
}

/// The settings in force, for `/admin/settings`.
pub(crate) fn settings(config: &Config) -> Value {
    let settings = config.settings().into_iter().map(|(name, value)| (name, Value::String(value)));
    Value::Object(settings.collect())
}

impl StorageInfo {
    pub(crate) fn new(
        config: &Config,
        store: Arc<Store>,
        cluster: Option<(Arc<Agreed>, Arc<Nodes>)>,
    ) -> Self {
        Self {
            identity: identity(config),
            node_id: config.node_id,
            settings: settings(config),
            memory_limit: config.memory_limit(),
            store,
            leaving: AtomicBool::new(false),
            rate: Mutex::new(Rate::new()),
            cluster,
        }
    }

    /// The way to the coordinators.
    fn coordinators(&self) -> Result<&CoordinatorClient> {
        let alone = || Error::new(ErrorCode::NotImplemented, "this node runs alone: there is no cluster");
        self.cluster.as_ref().map(|(agreed, _)| &agreed.client).ok_or_else(alone)
    }

    /// Not ready from now on.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl NodeInfo for StorageInfo {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn not_ready(&self) -> Vec<String> {
        let mut reasons = self.store.ready();
        reasons.extend(self.cluster.iter().flat_map(|(agreed, _)| agreed.not_ready()));
        if self.leaving.load(Ordering::Relaxed) {
            reasons.push("the node is shutting down".to_owned());
        }
        reasons
    }

    fn stats(&self) -> Value {
        let mut stats = stats_json(&self.store.stats());
        if let Some((agreed, _)) = &self.cluster {
            stats["placement_version"] = json!(agreed.placement_version());
            stats["partitions_owned"] = json!(agreed.owned().len());
        }
        stats
    }

    fn settings(&self) -> Value {
        self.settings.clone()
    }

    fn refresh_gauges(&self) {
        let stats = self.store.stats();
        let ready = self.not_ready().is_empty();
        metrics::gauge!(names::SERVER_UP).set(1.0);
        metrics::gauge!(names::SERVER_READY).set(if ready { 1.0 } else { 0.0 });
        metrics::counter!(names::TICKS_INGESTED).absolute(stats.rows_ingested);
        metrics::counter!(names::TICKS_STORED).absolute(stats.rows_stored);
        // What has not happened yet is 0, not absent: an alert on its rate must be able to tell.
        for name in
            [names::TICKS_DROPPED, names::QUERIES_EXECUTED, names::ROWS_SCANNED, names::UNDER_REPLICATED_ACKS]
        {
            metrics::counter!(name).increment(0);
        }
        metrics::gauge!(names::INGEST_RATE).set(self.rate.lock().per_second(stats.rows_ingested));
        metrics::gauge!(names::QUEUE_ROWS).set(stats.queue_rows as f64);
        metrics::gauge!(names::QUEUE_CAPACITY).set(stats.queue_capacity as f64);
        metrics::gauge!(names::MEMTABLE_BYTES).set(stats.memtable_bytes as f64);
        metrics::counter!(names::SEGMENTS_DAMAGED).absolute(stats.segments_damaged);
        metrics::gauge!(names::SEGMENTS, "tier" => "hot").set(stats.segments_hot as f64);
        metrics::gauge!(names::SEGMENTS, "tier" => "warm").set(stats.segments_warm as f64);
        metrics::gauge!(names::DISK_FREE).set(stats.disk_free as f64);
        metrics::gauge!(names::DISK_TOTAL).set(stats.disk_total as f64);
        metrics::gauge!(names::CATALOG_VERSION).set(stats.catalog_version as f64);
        if let Some((agreed, _)) = &self.cluster {
            metrics::gauge!(names::PLACEMENT_VERSION).set(agreed.placement_version().0 as f64);
            metrics::gauge!(names::PARTITIONS_OWNED).set(agreed.owned().len() as f64);
        }
        gauges::refresh(self.memory_limit);
    }

    async fn nodes(&self) -> Value {
        match &self.cluster {
            Some((_, nodes)) => nodes.json(),
            None => json!({"nodes": [{"id": self.node_id, "role": "storage", "state": "ACTIVE"}]}),
        }
    }

    async fn cluster(&self) -> Result<Value> {
        match &self.cluster {
            Some((_, nodes)) => nodes.cluster().await,
            None => Err(Error::new(ErrorCode::NotImplemented, "this node runs alone: there is no cluster")),
        }
    }

    async fn rebalance(&self) -> Result<Value> {
        rebalance::status(self.coordinators()?).await
    }

    async fn change_rebalance(&self, change: RebalanceChange) -> Result<Value> {
        let client = self.coordinators()?;
        match change {
            RebalanceChange::Pause => rebalance::pause(client, true).await,
            RebalanceChange::Resume => rebalance::pause(client, false).await,
            RebalanceChange::Cancel => rebalance::cancel(client).await,
            RebalanceChange::Drain(node) => rebalance::drain(client, node).await,
            RebalanceChange::Keep(node) => rebalance::keep(client, node).await,
            RebalanceChange::ForceOwner { partition, node, accept_loss } => {
                rebalance::force_owner(client, partition, node, accept_loss).await
            }
        }
    }

    async fn create_snapshot(&self, name: Option<&str>) -> Result<Value> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => format!("snapshot_{}", zepto_common::clock::wall_nanos() / 1_000_000),
        };
        let agreed = self.cluster.as_ref().map(|(agreed, _)| agreed.as_ref());
        Ok(snapshots::json(&snapshots::make(&self.store, agreed, &name).await?))
    }

    fn snapshot(&self, name: &str) -> Result<Value> {
        snapshots::with_files(&self.store, name)
    }

    fn snapshot_file(&self, name: &str, file: &str) -> Result<Box<dyn StoredFile>> {
        snapshots::open(&self.store, name, file)
    }

    async fn remove_snapshot(&self, name: &str) -> Result<Value> {
        self.store.remove_snapshot(name).await?;
        Ok(json!({ "removed": name }))
    }

    fn snapshots(&self) -> Result<Value> {
        Ok(Value::Array(self.store.snapshots()?.iter().map(snapshots::json).collect()))
    }
}

fn stats_json(stats: &StoreStats) -> Value {
    let log = match &stats.log_state {
        LogState::Healthy => json!({ "state": "healthy" }),
        LogState::ReadOnly { reason } => json!({ "state": "read_only", "reason": reason }),
        LogState::Failed { reason } => json!({ "state": "log_failed", "reason": reason }),
    };
    json!({
        "rows_ingested": stats.rows_ingested,
        "rows_stored": stats.rows_stored,
        "rows_duplicate": stats.rows_duplicate,
        "rows_refused": stats.rows_refused,
        "rows": stats.rows,
        "queue_rows": stats.queue_rows,
        "queue_capacity": stats.queue_capacity,
        "memtable_bytes": stats.memtable_bytes,
        "hot_bytes": stats.hot_bytes,
        "memory_limit": stats.memory_limit,
        "runs": stats.runs,
        "segments_hot": stats.segments_hot,
        "segments_warm": stats.segments_warm,
        "segment_bytes": stats.segment_bytes,
        "disk_free": stats.disk_free,
        "disk_total": stats.disk_total,
        "syncs": stats.syncs,
        "checkpoints": stats.checkpoints,
        "compactions": stats.compactions,
        "segmentsDamaged": stats.segments_damaged,
        "drain_threads": stats.drain_threads,
        "catalog_version": stats.catalog_version,
        "resident_bytes": resident_bytes(),
        "log": log,
    })
}
