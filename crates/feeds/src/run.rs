//! The feeds of a node: each a task that opens its source, writes what it gives, and begins anew after a fault.

mod batch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zepto_common::limits::{FEED_CHECKPOINT, FEED_STOP_TIME, FEED_STOP_WRITE_TIME, FEED_WRITE_TIME};
use zepto_common::schema::TableSchema;
use zepto_common::service::RowSink;
use zepto_common::source::FeedStream;
use zepto_common::{Error, ErrorCode};

use crate::config::FeedConfig;
use crate::kafka::Kafka;
use crate::source::{FeedFault, Source, SourcePartition};
use crate::status::FeedStatus;
use crate::supervisor::{Command, Event, Supervisor};
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

    /// Finishes the batches in hand, leaves the sources, and ends; within [`FEED_STOP_TIME`] in every case.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FEED_STOP_TIME, ended).await.is_err() {
            tracing::warn!(
                feeds = self.tasks.len(),
                "feeds did not end in time; what they hold is read again"
            );
            self.tasks.shutdown().await;
        }
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
        let asked = async {
            let table = self.sink.table(&self.config.table_name()).await?;
            ask(&self.config, &self.sink, table, topic, raise).await
        };
        self.runtime.block_on(asked).map_err(|error| fault_of(&error))
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
    table: Arc<TableSchema>,
    topic: &str,
    raise: &BTreeMap<u32, u64>,
) -> zepto_common::Result<BTreeMap<u32, u64>> {
    let stream = FeedStream { table, name: config.stream(topic) };
    sink.feed_positions(&stream, raise, Instant::now() + POSITIONS_TIME).await
}

/// Storage that cannot take feeds at all, or no more sources, needs a human; all else may pass.
fn fault_of(error: &Error) -> FeedFault {
    match error.code {
        ErrorCode::NotImplemented | ErrorCode::TooManyRowsOrBytes => FeedFault::Final(error.message.clone()),
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
            let Command::After(at) = self.on(&mut supervisor, event) else { return };
            tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {}
                () = self.stop.cancelled() => {
                    self.on(&mut supervisor, Event::Stop);
                    return;
                }
            }
            self.status.restarted();
        }
    }

    /// Has the supervisor judge, and shows its state.
    fn on(&self, supervisor: &mut Supervisor, event: Event) -> Command {
        let command = supervisor.on(Instant::now(), event, rand::random());
        self.status.set_state(supervisor.state());
        command
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
            if messages.is_empty() {
                match source.trouble() {
                    Some(trouble) => {
                        self.status.fault(&trouble);
                        self.on(supervisor, Event::Trouble);
                    }
                    None if source.has_partitions() => {
                        self.on(supervisor, Event::Idle);
                    }
                    None => {}
                }
            } else if self.write(writer, messages, supervisor, &mut durable).await? {
                self.on(supervisor, Event::Progress);
            } else {
                break;
            }
            self.status.at(source.lag(), &durable);
            if checkpoint.at.elapsed() >= FEED_CHECKPOINT {
                self.checkpoint(source, writer.table(), &durable, &mut checkpoint).await;
            }
        }
        self.checkpoint(source, writer.table(), &durable, &mut checkpoint).await;
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
            let written = tokio::select! {
                written = writer.write(&mut batch, Instant::now() + FEED_WRITE_TIME) => written?,
                () = self.stops_soon() => return Ok(false),
            };
            let Some(refused) = written else { break };
            self.status.fault(&refused);
            let Command::After(at) = self.on(supervisor, Event::Refused) else { return Ok(false) };
            tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {}
                () = self.stop.cancelled() => return Ok(false),
            }
        }
        self.status.read(batch.messages());
        durable.extend(batch.ends());
        Ok(true)
    }

    /// Ends a while after the node was told to stop, when a batch in hand is left to be read again.
    async fn stops_soon(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(FEED_STOP_WRITE_TIME).await;
    }

    /// Makes positions of the table that has the rows durable, then tells the source.
    async fn checkpoint(
        &self,
        source: &mut dyn Source,
        table: &Arc<TableSchema>,
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
            if let Err(error) = ask(&self.config, &self.sink, table.clone(), topic, &raise).await {
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
