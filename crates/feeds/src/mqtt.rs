//! Subscriptions at a broker of MQTT, 3.1.1 and 5. The broker keeps no offsets: each message gets the next number of a count
//! of this feed and client id, which begins behind everything that was ever counted, at each connection.
//!
//! Promises: a message of QoS 1 or 2 is acknowledged only after its rows, or its dead letter, are durable; what was not
//! acknowledged comes again after an interruption of the connection, of the broker (as far as it keeps its sessions) and of
//! this process (with a session that the broker keeps). So QoS 1 is stored at least once. QoS 2 is stored once while this
//! process lives; what was stored and not released when it is killed is stored once more. QoS 0 is stored at most once.
//! At most a window of messages of QoS 1 and 2 and the batches in hand are in memory; messages of QoS 0 for which there is no room are
//! counted as missed.

mod follow;
mod link;
mod packets;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zepto_common::limits::{FEED_BATCHES_WAITING, FEED_CLOSE_TIME, FEED_MQTT_CONNECT_TIME};

use crate::config::MqttConfig;
use crate::run::Positions;
use crate::source::{FeedFault, Message, Source, SourcePartition};
use follow::{Batch, Follower, Shared};
use link::Link;
use packets::Packet;
use session::Session;

/// How long a poll waits for the first batch.
const POLL_TIME: Duration = Duration::from_millis(500);
/// At least so far behind the stored position a connection begins to count: further than one can get between two of its
/// checkpoints.
const COUNTS_BEHIND: u64 = 1 << 32;

/// A client of a broker, over all its connections.
pub struct Client {
    config: MqttConfig,
    session: Arc<Mutex<Session>>,
    /// Connections that were tried: each goes to the next of the URLs.
    tries: AtomicUsize,
}

/// One connection of a client.
pub struct Mqtt {
    batches: mpsc::Receiver<Batch>,
    shared: Arc<Shared>,
    task: JoinSet<()>,
}

impl Client {
    /// A client that was never connected.
    #[must_use]
    pub fn new(config: MqttConfig) -> Self {
        Self { config, session: Arc::default(), tries: AtomicUsize::new(0) }
    }

    /// Connects and subscribes; whether the subscriptions are granted is seen later. Within a bounded time.
    ///
    /// # Errors
    /// What the broker, its address or its certificate, or the storage has against it.
    pub async fn open(&self, positions: Positions) -> Result<Mqtt, FeedFault> {
        let url =
            &self.config.brokers[self.tries.fetch_add(1, Ordering::Relaxed) % self.config.brokers.len()];
        let connected = timeout(FEED_MQTT_CONNECT_TIME, self.connect(url)).await;
        let connected = connected.map_err(|_| {
            FeedFault::Passing(format!("mqtt: {url} does not answer within {FEED_MQTT_CONNECT_TIME:?}"))
        })?;
        let (mut link, present, keep_alive) = connected?;
        let from = SourcePartition { topic: self.config.client_id.as_str().into(), number: 0 };
        // After the broker has shut out whoever had this client id before.
        let next = count_from(&positions, &from).await?;
        self.session.lock().connected(present, next);
        link.subscribe(&self.config).await?;
        let shared = Arc::new(Shared {
            session: self.session.clone(),
            wake: Notify::new(),
            subscribed: AtomicBool::new(false),
            stop: CancellationToken::new(),
        });
        let (sender, batches) = mpsc::channel(FEED_BATCHES_WAITING);
        let mut follower = Follower::new(link, self.config.clone(), shared.clone(), positions, sender, from);
        if let Some(seconds) = keep_alive {
            follower.keep_alive = Duration::from_secs(u64::from(seconds.max(2)));
        }
        let mut task = JoinSet::new();
        task.spawn(follower.follow());
        Ok(Mqtt { batches, shared, task })
    }

    async fn connect(&self, url: &str) -> Result<(Link, bool, Option<u16>), FeedFault> {
        let mut link = Link::open(&self.config, url).await?;
        link.connect(&self.config).await?;
        match link.wait().await? {
            Packet::Connected { present, keep_alive } => Ok((link, present, keep_alive)),
            Packet::Refused(why) => {
                Err(FeedFault::Passing(format!("mqtt: {url} refuses the connection: {why}")))
            }
            _ => Err(FeedFault::Passing(format!("mqtt: {url} answers CONNECT with another packet"))),
        }
    }
}

/// The first number of a connection's count, durable: no row was ever stored under it or behind it. By chance it is far from what
/// another process with the same client id takes at the same moment, so that each sees the other in the positions.
async fn count_from(positions: &Positions, from: &SourcePartition) -> Result<u64, FeedFault> {
    let known = positions.raise(&from.topic, &BTreeMap::new()).await?;
    let behind = known.get(&from.number).copied().unwrap_or(0);
    let next = behind + COUNTS_BEHIND + u64::from(rand::random::<u32>()) * 16;
    let stored = positions.raise(&from.topic, &BTreeMap::from([(from.number, next)])).await?;
    match stored.get(&from.number) {
        Some(stored) if *stored == next => Ok(next),
        _ => Err(shared_id(from)),
    }
}

fn shared_id(from: &SourcePartition) -> FeedFault {
    FeedFault::Passing(format!(
        "mqtt: another process has the client id {:?}: each needs its own",
        from.topic
    ))
}

#[async_trait]
impl Source for Mqtt {
    async fn poll(&mut self) -> Result<Vec<Message>, FeedFault> {
        match timeout(POLL_TIME, self.batches.recv()).await {
            Ok(Some(batch)) => batch,
            Ok(None) => Err(FeedFault::Passing("mqtt: the task that reads has ended".to_owned())),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn acknowledge(
        &mut self,
        positions: &BTreeMap<SourcePartition, u64>,
        stored: &BTreeMap<SourcePartition, u64>,
    ) -> Result<bool, FeedFault> {
        for (from, end) in positions {
            // Rows below another's count may have been taken for known: nothing of them is sure.
            if stored.get(from) != Some(end) {
                return Err(shared_id(from));
            }
            self.shared.session.lock().durable(*end);
        }
        self.shared.wake.notify_one();
        Ok(true)
    }

    fn checkpoint_every(&self) -> Duration {
        // The broker waits for each answer.
        Duration::ZERO
    }

    fn lag(&self) -> u64 {
        // A broker does not tell what it has.
        0
    }

    fn trouble(&self) -> Option<String> {
        // Each ends the connection.
        None
    }

    fn has_partitions(&self) -> bool {
        self.shared.subscribed.load(Ordering::Relaxed)
    }

    async fn close(self: Box<Self>) {
        let Self { batches, shared, mut task } = *self;
        drop(batches);
        shared.stop.cancel();
        if timeout(FEED_CLOSE_TIME, task.join_next()).await.is_err() {
            tracing::warn!("a broker of MQTT was not left in time");
        }
        task.shutdown().await;
    }
}
