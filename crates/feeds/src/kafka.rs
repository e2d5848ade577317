//! Kafka by a consumer group. A thread of its own polls, so that the group's rebalances are served whatever the storage
//! does; it holds a bounded number of messages and lets the partitions rest while they wait.
//!
//! Promises: a partition is read from the position that the storage has, at the start and after each rebalance; where it
//! has none, from where the configuration says, which is made durable before the first message is read; messages that the
//! broker does not have any more are counted and said, and a topic that ends below the stored position, as one that was made
//! anew does until it is as long, stops the feed. Offsets are committed to the group only after they are durable, for those
//! who watch its lag: nothing is read by them.

mod context;
mod follow;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::mpsc;
use zepto_common::limits::{FEED_BATCHES_WAITING, FEED_CLOSE_TIME};

use crate::config::KafkaConfig;
use crate::run::Positions;
use crate::source::{FeedFault, Message, Source, SourcePartition};
use context::{Context, Shown};

/// How long a poll waits for the first batch.
const POLL_TIME: Duration = Duration::from_millis(500);

type Batch = Result<Vec<Message>, FeedFault>;
type Offsets = BTreeMap<SourcePartition, u64>;

/// A member of a consumer group.
pub struct Kafka {
    batches: mpsc::Receiver<Batch>,
    /// Room for one.
    commits: SyncSender<Offsets>,
    /// Ends when the thread has left the group.
    left: Receiver<()>,
    shown: Arc<Shown>,
}

impl Kafka {
    /// Joins the group; whether that works is seen later.
    ///
    /// # Errors
    /// A configuration that librdkafka does not take.
    pub fn open(config: &KafkaConfig, positions: Positions) -> Result<Self, FeedFault> {
        let fault = |error: rdkafka::error::KafkaError| FeedFault::Final(format!("kafka: {error}"));
        let shown = Arc::new(Shown::default());
        let context = Context::new(positions, config.start, shown.clone());
        let consumer: BaseConsumer<Context> = settings(config).create_with_context(context).map_err(fault)?;
        let topics: Vec<&str> = config.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(fault)?;
        let (sender, batches) = mpsc::channel(FEED_BATCHES_WAITING);
        let (commits, committed) = sync_channel(1);
        let (leaving, left) = sync_channel(1);
        let of_thread = shown.clone();
        let thread = std::thread::Builder::new().name("zepto-kafka".to_owned()).spawn(move || {
            let fault = follow::follow(&consumer, &sender, &committed, &of_thread);
            // Leaving may hang in the library: nobody waits for it without a deadline.
            drop(consumer);
            if let Some(fault) = fault {
                // The other side may be busy with a batch for long, and a member that does not poll would hold its
                // partitions: it has left before. Ends when the other side is gone.
                let _gone = sender.blocking_send(Err(fault));
            }
            let _nobody_waits = leaving.send(());
        });
        thread.map_err(|error| FeedFault::Passing(format!("cannot start a thread: {error}")))?;
        Ok(Self { batches, commits, left, shown })
    }
}

fn settings(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    // Less than the library's minutes, so that what a killed node read is taken over soon. A feed's own bound of memory.
    client
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "2000")
        .set("queued.max.messages.kbytes", "16384")
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("reconnect.backoff.max.ms", "2000")
        .set("statistics.interval.ms", "1000");
    for (key, value) in &config.options {
        client.set(key, value);
    }
    client
        .set("bootstrap.servers", config.brokers.join(","))
        .set("group.id", &config.group_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A position that is not there is never passed over in silence.
        .set("auto.offset.reset", "error")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("isolation.level", "read_committed");
    client
}

#[async_trait]
impl Source for Kafka {
    async fn poll(&mut self) -> Result<Vec<Message>, FeedFault> {
        match tokio::time::timeout(POLL_TIME, self.batches.recv()).await {
            Ok(Some(batch)) => batch,
            Ok(None) => Err(FeedFault::Passing("kafka: the thread that polls has ended".to_owned())),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn acknowledge(&mut self, positions: &Offsets, _stored: &Offsets) -> Result<bool, FeedFault> {
        // Full: the thread has not seen the last ones yet.
        Ok(self.commits.try_send(positions.clone()).is_ok())
    }

    fn lag(&self) -> u64 {
        self.shown.lag.load(Ordering::Relaxed)
    }

    fn trouble(&self) -> Option<String> {
        self.shown.trouble.lock().clone()
    }

    fn has_partitions(&self) -> bool {
        self.shown.has_partitions.load(Ordering::Relaxed)
    }

    async fn close(self: Box<Self>) {
        let Self { batches, commits, left, .. } = *self;
        drop((batches, commits));
        let waited = tokio::task::spawn_blocking(move || left.recv_timeout(FEED_CLOSE_TIME).is_ok()).await;
        if !matches!(waited, Ok(true)) {
            tracing::warn!("a Kafka consumer did not leave its group in time; it is left to itself");
        }
    }
}
