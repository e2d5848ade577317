//! The feeds of a node: each a task that opens its source, writes what it gives, and begins anew after a fault.

mod batch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zepto_common::limits::{FEED_STOP_TIME, FEED_STOP_WRITE_TIME, FEED_WRITE_TIME};
use zepto_common::schema::TableSchema;
use zepto_common::service::RowSink;
use zepto_common::source::FeedStream;
use zepto_common::{Error, ErrorCode};

use crate::config::FeedConfig;
use crate::kafka::Kafka;
use crate::mqtt;
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
            let status = Arc::new(FeedStatus::new(&config.name, config.kind(), &config.table));
            shown.push(status.clone());
            let client = config.mqtt.clone().map(mqtt::Client::new);
            let feed =
                Feed { config: Arc::new(config), client, sink: sink.clone(), status, stop: stop.clone() };
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
    /// What outlives the connections to a broker of MQTT.
    client: Option<mqtt::Client>,
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
        self.runtime.block_on(self.raise(topic, raise))
    }

    /// As [`Self::ask`], on a runtime.
    ///
    /// # Errors
    /// The storage's.
    pub async fn raise(
        &self,
        topic: &str,
        raise: &BTreeMap<u32, u64>,
    ) -> Result<BTreeMap<u32, u64>, FeedFault> {
        let table = self.sink.table(&self.config.table_name()).await;
        let table = table.map_err(|error| fault_of(&error))?;
        let asked = ask(&self.config, &self.sink, table, topic, raise).await;
        asked.map_err(|error| fault_of(&error))
    }

    /// Notes messages that the source does not have any more.
    pub(crate) fn missed(&self, topic: &str, number: u32, messages: u64) {
        let text = format!(
            "{messages} messages of {topic} {number} were removed by the source before they could be read"
        );
        self.status.missed(messages, &text);
    }

    /// Notes messages that came faster than they could be stored, and that the source does not send again.
    pub(crate) fn overrun(&self, messages: u64) {
        self.status.missed(messages, "messages of QoS 0 came faster than they could be stored, and are lost");
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
        let mut source = tokio::select! {
            source = self.open(positions) => source?,
            () = self.stop.cancelled() => return Ok(()),
        };
        let ended = self.write_all(source.as_mut(), &mut writer, supervisor).await;
        source.close().await;
        ended
    }

    async fn open(&self, positions: Positions) -> Result<Box<dyn Source>, FeedFault> {
        match (&self.client, &self.config.kafka) {
            (Some(client), _) => Ok(Box::new(client.open(positions).await?)),
            (None, Some(kafka)) => Ok(Box::new(Kafka::open(kafka, positions)?)),
            (None, None) => Err(FeedFault::Final("a feed has one of kafka and mqtt".to_owned())),
        }
    }

    async fn write_all(
        &self,
        source: &mut dyn Source,
        writer: &mut Writer<'_>,
        supervisor: &mut Supervisor,
    ) -> Result<(), FeedFault> {
        let mut durable = BTreeMap::new();
        let mut checkpoint = Checkpoint { at: Instant::now(), last: BTreeMap::new() };
        let ended = loop {
            let messages = tokio::select! {
                messages = source.poll() => messages,
                () = self.stop.cancelled() => break Ok(()),
            };
            let messages = match messages {
                Ok(messages) => messages,
                // What is durable by now is said before the source is left.
                Err(fault) => break Err(fault),
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
                break Ok(());
            }
            self.status.at(source.lag(), &durable);
            if checkpoint.at.elapsed() >= source.checkpoint_every() {
                self.checkpoint(source, writer.table(), &durable, &mut checkpoint).await?;
            }
        };
        let told = self.checkpoint(source, writer.table(), &durable, &mut checkpoint).await;
        ended.and(told)
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
    ) -> Result<(), FeedFault> {
        checkpoint.at = Instant::now();
        // What stands where it stood may be another reader's by now, who is further.
        let moved = durable.iter().filter(|(at, offset)| checkpoint.last.get(at) != Some(offset));
        let moved: BTreeMap<_, _> = moved.map(|(at, offset)| (at.clone(), *offset)).collect();
        if moved.is_empty() {
            return Ok(());
        }
        let mut topics: BTreeMap<&str, BTreeMap<u32, u64>> = BTreeMap::new();
        for (at, offset) in &moved {
            topics.entry(&at.topic).or_default().insert(at.number, *offset);
        }
        let mut stored = BTreeMap::new();
        for (topic, raise) in topics {
            match ask(&self.config, &self.sink, table.clone(), topic, &raise).await {
                Ok(all) => {
                    let of = |(number, offset)| (SourcePartition { topic: topic.into(), number }, offset);
                    stored.extend(all.into_iter().filter(|(number, _)| raise.contains_key(number)).map(of));
                }
                Err(error) => {
                    // The rows are durable; a restart reads some of them again, no more.
                    self.status.fault(&format!("positions were not stored: {}", error.message));
                    return Ok(());
                }
            }
        }
        if source.acknowledge(&moved, &stored)? {
            checkpoint.last.clone_from(durable);
        }
        Ok(())
    }
}

/// When positions were stored last, and which.
struct Checkpoint {
    at: Instant,
    last: BTreeMap<SourcePartition, u64>,
}
