//! The feeds of a node: each a task that opens its source, writes what it gives, and begins anew after a fault.

mod batch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zepto_common::limits::{FEED_CHECKPOINT, FEED_WRITE_TIME};
use zepto_common::service::RowSink;
use zepto_common::source::FeedStream;
use zepto_common::{Error, ErrorCode};

use crate::config::FeedConfig;
use crate::kafka::Kafka;
use crate::source::{FeedFault, Source, SourcePartition};
use crate::status::FeedStatus;
use crate::supervisor::{Command, Event, State, Supervisor};
use batch::Writer;

/// How long asking for positions may take.
const POSITIONS_TIME: Duration = Duration::from_secs(15);

/// All feeds of a node.
pub struct Feeds {
    shown: Vec<Arc<FeedStatus>>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Feeds {
    /// Starts them on the runtime of the caller; their configurations were checked.
    #[must_use]
    pub fn start(configs: Vec<FeedConfig>, sink: &Arc<dyn RowSink>) -> Self {
        let (mut shown, mut tasks, stop) = (Vec::new(), JoinSet::new(), CancellationToken::new());
        for config in configs {
            let status = Arc::new(FeedStatus::new(&config.name, "kafka", &config.table));
            shown.push(status.clone());
            let feed = Feed { config: Arc::new(config), sink: sink.clone(), status, stop: stop.clone() };
            tasks.spawn(feed.tend());
        }
        Self { shown, tasks, stop }
    }

    /// Their statuses, which outlive them.
    #[must_use]
    pub fn statuses(&self) -> Vec<Arc<FeedStatus>> {
        self.shown.clone()
    }

    /// Finishes the batches in hand, leaves the sources, and ends.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What `/admin/feeds` shows.
#[must_use]
pub fn show(feeds: &[Arc<FeedStatus>]) -> Value {
    json!({ "feeds": feeds.iter().map(|status| status.show()).collect::<Vec<_>>() })
}

/// One feed.
struct Feed {
    config: Arc<FeedConfig>,
    sink: Arc<dyn RowSink>,
    status: Arc<FeedStatus>,
    stop: CancellationToken,
}

/// The positions of a feed, for a source's own thread.
#[derive(Clone)]
pub struct Positions {
    config: Arc<FeedConfig>,
    sink: Arc<dyn RowSink>,
    status: Arc<FeedStatus>,
    runtime: Handle,
}

impl Positions {
    /// Raises positions of a topic and gives all; not to be called on a runtime.
    ///
    /// # Errors
    /// The storage's.
    pub fn ask(&self, topic: &str, raise: &BTreeMap<u32, u64>) -> Result<BTreeMap<u32, u64>, FeedFault> {
        self.runtime.block_on(ask(&self.config, &self.sink, topic, raise)).map_err(|error| fault_of(&error))
    }

    /// Notes messages that the source does not have any more.
    pub(crate) fn missed(&self, topic: &str, number: u32, messages: u64) {
        let text = format!(
            "{messages} messages of {topic} {number} were removed by the source before they could be read"
        );
        self.status.missed(messages, &text);
    }
}

async fn ask(
    config: &FeedConfig,
    sink: &Arc<dyn RowSink>,
    topic: &str,
    raise: &BTreeMap<u32, u64>,
) -> zepto_common::Result<BTreeMap<u32, u64>> {
    let table = sink.table(&config.table_name()).await?;
    let stream = FeedStream { table, name: config.stream(topic) };
    sink.feed_positions(&stream, raise, Instant::now() + POSITIONS_TIME).await
}

/// Storage that cannot take feeds at all needs a human; all else may pass.
fn fault_of(error: &Error) -> FeedFault {
    match error.code {
        ErrorCode::NotImplemented => FeedFault::Final(error.message.clone()),
        _ => FeedFault::Passing(error.message.clone()),
    }
}

impl Feed {
    async fn tend(self) {
        let mut supervisor = Supervisor::default();
        loop {
            supervisor.begin();
            self.status.set_state(supervisor.state());
            let event = match self.follow(&mut supervisor).await {
                Ok(()) => Event::Stop,
                Err(fault) => {
                    self.status.fault(&fault.to_string());
                    if matches!(fault, FeedFault::Final(_)) { Event::Final } else { Event::Fault }
                }
            };
            let command = supervisor.on(Instant::now(), event, rand::random());
            self.status.set_state(supervisor.state());
            if let Command::After(at) = command {
                tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => {}
                    () = self.stop.cancelled() => {
                        supervisor.on(Instant::now(), Event::Stop, 0.0);
                        self.status.set_state(supervisor.state());
                        return;
                    }
                }
                self.status.restarted();
            } else if command == Command::End {
                return;
            }
        }
    }

    /// Reads and writes until the node stops.
    async fn follow(&self, supervisor: &mut Supervisor) -> Result<(), FeedFault> {
        let mut writer = Writer::open(&self.config, &self.sink, &self.status).await?;
        let positions = Positions {
            config: self.config.clone(),
            sink: self.sink.clone(),
            status: self.status.clone(),
            runtime: Handle::current(),
        };
        let mut source: Box<dyn Source> = Box::new(Kafka::open(&self.config.kafka, positions)?);
        let ended = self.write_all(source.as_mut(), &mut writer, supervisor).await;
        source.close().await;
        ended
    }

    async fn write_all(
        &self,
        source: &mut dyn Source,
        writer: &mut Writer<'_>,
        supervisor: &mut Supervisor,
    ) -> Result<(), FeedFault> {
        let mut durable = BTreeMap::new();
        let mut checkpoint = Checkpoint { at: Instant::now(), last: BTreeMap::new() };
        loop {
            let messages = tokio::select! {
                messages = source.poll() => messages?,
                () = self.stop.cancelled() => break,
            };
            let event = match source.trouble() {
                Some(trouble) if messages.is_empty() => {
                    self.status.fault(&trouble);
                    Event::Trouble
                }
                _ => Event::Progress,
            };
            if !messages.is_empty() && !self.write(writer, messages, supervisor, &mut durable).await? {
                break;
            }
            supervisor.on(Instant::now(), event, 0.0);
            self.status.set_state(supervisor.state());
            self.status.at(source.lag(), &durable);
            if checkpoint.at.elapsed() >= FEED_CHECKPOINT {
                self.checkpoint(source, &durable, &mut checkpoint).await;
            }
        }
        self.checkpoint(source, &durable, &mut checkpoint).await;
        Ok(())
    }

    /// Writes a batch, however often the storage refuses; false if the node stops before.
    async fn write(
        &self,
        writer: &mut Writer<'_>,
        messages: Vec<crate::source::Message>,
        supervisor: &mut Supervisor,
        durable: &mut BTreeMap<SourcePartition, u64>,
    ) -> Result<bool, FeedFault> {
        let mut batch = writer.begin(messages).await?;
        loop {
            match writer.write(&mut batch, Instant::now() + FEED_WRITE_TIME).await? {
                None => break,
                Some(refused) => {
                    self.status.fault(&refused);
                    let command = supervisor.on(Instant::now(), Event::Refused, rand::random());
                    self.status.set_state(supervisor.state());
                    let Command::After(at) = command else { return Ok(false) };
                    tokio::select! {
                        () = tokio::time::sleep_until(at.into()) => {}
                        () = self.stop.cancelled() => return Ok(false),
                    }
                }
            }
        }
        durable.extend(batch.ends());
        Ok(true)
    }

    /// Makes positions durable, then tells the source.
    async fn checkpoint(
        &self,
        source: &mut dyn Source,
        durable: &BTreeMap<SourcePartition, u64>,
        checkpoint: &mut Checkpoint,
    ) {
        checkpoint.at = Instant::now();
        // What stands where it stood may be another reader's by now, who is further.
        let moved = durable.iter().filter(|(at, offset)| checkpoint.last.get(at) != Some(offset));
        let moved: BTreeMap<_, _> = moved.map(|(at, offset)| (at.clone(), *offset)).collect();
        if moved.is_empty() {
            return;
        }
        let mut topics: BTreeMap<&str, BTreeMap<u32, u64>> = BTreeMap::new();
        for (at, offset) in &moved {
            topics.entry(&at.topic).or_default().insert(at.number, *offset);
        }
        for (topic, raise) in topics {
            if let Err(error) = ask(&self.config, &self.sink, topic, &raise).await {
                // The rows are durable; a restart reads some of them again, no more.
                self.status.fault(&format!("positions were not stored: {}", error.message));
                return;
            }
        }
        if source.acknowledge(&moved) {
            checkpoint.last.clone_from(durable);
        }
    }
}

/// When positions were stored last, and which.
struct Checkpoint {
    at: Instant,
    last: BTreeMap<SourcePartition, u64>,
}

/// Whether a feed has ended for good.
#[must_use]
pub fn has_ended(status: &FeedStatus) -> bool {
    matches!(status.state(), State::Failed | State::Stopped)
}
