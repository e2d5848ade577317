//! What the door asks about an ingest node: readiness, counters, gauges, settings, and who runs its statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use zepto_cluster::{OwnerPool, RoutedSink};
use zepto_common::Result;
use zepto_common::metric_names as names;
use zepto_feeds::status::FeedStatus;
use zepto_http::{Forward, Identity, NodeInfo, RebalanceChange};
use zepto_process::gauges;
use zepto_process::parts::settings;
use zepto_process::rate::Rate;
use zepto_proto::rebalance;
use zepto_tls::PeerTls;

use crate::agreed::Agreed;
use crate::beat::ingested;
use crate::config::Config;
use crate::forward::Forwarder;

/// The ingest node's answers.
pub(crate) struct IngestInfo {
    identity: Identity,
    settings: Value,
    agreed: Arc<Agreed>,
    sink: Arc<RoutedSink>,
    pool: Arc<OwnerPool>,
    forwarder: Forwarder,
    memory_limit: u64,
    rate: Mutex<Rate>,
    leaving: AtomicBool,
    feeds: Vec<Arc<FeedStatus>>,
}

impl IngestInfo {
    pub(crate) fn new(
        config: &Config,
        agreed: Arc<Agreed>,
        sink: Arc<RoutedSink>,
        pool: Arc<OwnerPool>,
        tls: Option<Arc<PeerTls>>,
        feeds: Vec<Arc<FeedStatus>>,
    ) -> Self {
        let node = agreed.me().0.to_string();
        let identity = Identity {
            role: "ingest",
            display_name: format!("zeptodb-ingest-{node}"),
            node_id: node,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: Instant::now(),
        };
        let settings = settings(config).into_iter().map(|(name, value)| (name, Value::String(value)));
        Self {
            identity,
            settings: Value::Object(settings.collect()),
            memory_limit: config.memory_limit(),
            rate: Mutex::new(Rate::new()),
            forwarder: Forwarder::new(agreed.clone(), tls),
            agreed,
            sink,
            pool,
            leaving: AtomicBool::new(false),
            feeds,
        }
    }

    /// Not ready from now on.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl NodeInfo for IngestInfo {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn not_ready(&self) -> Vec<String> {
        let mut reasons = self.agreed.not_ready();
        if self.leaving.load(Ordering::Relaxed) {
            reasons.push("the node is shutting down".to_owned());
        }
        reasons
    }

    fn forward(&self) -> Option<&dyn Forward> {
        Some(&self.forwarder)
    }

    fn stats(&self) -> Value {
        let counters = self.sink.counters();
        let (placement, catalog) = self.agreed.versions();
        json!({
            "rows_ingested": counters.ingested.load(Ordering::Relaxed),
            "rows_stored": counters.stored.load(Ordering::Relaxed),
            "rows_duplicate": counters.duplicate.load(Ordering::Relaxed),
            "rows_refused": counters.refused.load(Ordering::Relaxed),
            "rows_dropped": counters.dropped.load(Ordering::Relaxed),
            "bytes_in_flight": self.pool.bytes_in_flight(),
            "placement_version": placement,
            "catalog_version": catalog,
        })
    }

    fn settings(&self) -> Value {
        self.settings.clone()
    }

    fn feeds(&self) -> Value {
        zepto_feeds::run::show(&self.feeds)
    }

    fn refresh_gauges(&self) {
        let counters = self.sink.counters();
        let (placement, catalog) = self.agreed.versions();
        let ready = self.not_ready().is_empty();
        metrics::gauge!(names::SERVER_UP).set(1.0);
        metrics::gauge!(names::SERVER_READY).set(if ready { 1.0 } else { 0.0 });
        metrics::counter!(names::TICKS_INGESTED).absolute(counters.ingested.load(Ordering::Relaxed));
        metrics::counter!(names::TICKS_STORED).absolute(counters.stored.load(Ordering::Relaxed));
        metrics::counter!(names::TICKS_DROPPED).absolute(counters.dropped.load(Ordering::Relaxed));
        // What has not happened yet is 0, not absent: an alert on its rate must be able to tell.
        for name in [names::QUERIES_EXECUTED, names::ROWS_SCANNED, names::DDL_FORWARD_FAILURES] {
            metrics::counter!(name).increment(0);
        }
        metrics::gauge!(names::INGEST_RATE).set(self.rate.lock().per_second(ingested(counters)));
        metrics::gauge!(names::BYTES_IN_FLIGHT).set(self.pool.bytes_in_flight() as f64);
        gauges::refresh(self.memory_limit);
        metrics::gauge!(names::CATALOG_VERSION).set(catalog as f64);
        metrics::gauge!(names::PLACEMENT_VERSION).set(placement as f64);
    }

    async fn nodes(&self) -> Value {
        self.agreed.nodes().await
    }

    async fn cluster(&self) -> Result<Value> {
        self.agreed.cluster().await
    }

    async fn rebalance(&self) -> Result<Value> {
        rebalance::status(self.agreed.client()).await
    }

    async fn change_rebalance(&self, change: RebalanceChange) -> Result<Value> {
        let client = self.agreed.client();
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
}
