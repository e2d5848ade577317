//! What the library calls back for: rebalances and statistics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::config::StartAt;
use crate::run::Positions;
use crate::source::FeedFault;

/// How long a broker may take to say which offsets a partition has.
const WATERMARKS_TIME: Duration = Duration::from_secs(10);

/// What the thread shows to others.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Messages that are not read yet.
    pub(super) lag: AtomicU64,
    /// What keeps the consumer from reading.
    pub(super) trouble: Mutex<Option<String>>,
    /// Whether there are partitions to read.
    pub(super) has_partitions: AtomicBool,
}

/// The consumer's side of the callbacks.
pub(super) struct Context {
    positions: Positions,
    start: StartAt,
    shown: Arc<Shown>,
    fault: Mutex<Option<FeedFault>>,
}

impl Context {
    pub(super) fn new(positions: Positions, start: StartAt, shown: Arc<Shown>) -> Self {
        Self { positions, start, shown, fault: Mutex::default() }
    }

    /// A fault of a rebalance.
    pub(super) fn take_fault(&self) -> Option<FeedFault> {
        self.fault.lock().take()
    }

    /// Sets where each partition begins.
    fn place(&self, consumer: &BaseConsumer<Self>, given: &mut TopicPartitionList) -> Result<(), FeedFault> {
        let mut topics: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for element in given.elements() {
            let number = u32::try_from(element.partition()).unwrap_or_default();
            topics.entry(element.topic().to_owned()).or_default().push(number);
        }
        for (topic, numbers) in topics {
            let known = self.positions.ask(&topic, &BTreeMap::new())?;
            let mut fresh = BTreeMap::new();
            for number in numbers {
                let at = self.begin(consumer, &topic, number, known.get(&number).copied())?;
                if !known.contains_key(&number) {
                    fresh.insert(number, at);
                }
                given
                    .set_partition_offset(&topic, number as i32, Offset::Offset(at as i64))
                    .map_err(|error| FeedFault::Passing(format!("kafka: {error}")))?;
            }
            // Where a feed begins is durable before it reads: else a restart could begin elsewhere.
            if !fresh.is_empty() {
                self.positions.ask(&topic, &fresh)?;
            }
        }
        Ok(())
    }

    /// The first offset to read of one partition.
    fn begin(
        &self,
        consumer: &BaseConsumer<Self>,
        topic: &str,
        number: u32,
        known: Option<u64>,
    ) -> Result<u64, FeedFault> {
        let marks = consumer.fetch_watermarks(topic, number as i32, WATERMARKS_TIME);
        let (low, high) = marks.map_err(|error| {
            FeedFault::Passing(format!("kafka: offsets of {topic} {number} are not known: {error}"))
        })?;
        let (low, high) = (u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0));
        let Some(known) = known else {
            return Ok(if self.start == StartAt::Earliest { low } else { high });
        };
        if known > high {
            return Err(FeedFault::Final(format!(
                "kafka: {topic} {number} ends at offset {high}, and everything below {known} is stored: the topic was \
                 made anew or has lost messages; give the feed another name to read it from its beginning"
            )));
        }
        if known < low {
            self.positions.missed(topic, number, low - known);
        }
        Ok(known.max(low))
    }
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let lag: i64 = partitions.map(|partition| partition.consumer_lag.max(0)).sum();
        self.shown.lag.store(u64::try_from(lag).unwrap_or(0), Ordering::Relaxed);
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            *self.shown.trouble.lock() = None;
        }
    }

    /// Said by the feed's state, and not as an error of this node each time that the library tries.
    fn error(&self, error: KafkaError, reason: &str) {
        // How long it took and how often it was the same differ from time to time.
        let reason = reason.split(" (after ").next().unwrap_or(reason);
        let text = format!("kafka: {error}: {reason}");
        let mut trouble = self.shown.trouble.lock();
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            // Why each of them is down was said before.
            trouble.get_or_insert(text);
        } else {
            *trouble = Some(text);
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let done = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let placed = self.place(consumer, partitions);
            // The group waits for an answer in every case; without positions nothing is read before the end.
            let assigned = consumer.incremental_assign(partitions);
            match placed {
                // One that rested when it was taken away rests on when it comes back, whoever reads it.
                Ok(()) => assigned.and_then(|()| consumer.resume(partitions)),
                Err(fault) => {
                    let _paused = consumer.pause(partitions);
                    *self.fault.lock() = Some(fault);
                    assigned
                }
            }
        } else {
            consumer.incremental_unassign(partitions)
        };
        let has_partitions = consumer.assignment().is_ok_and(|assigned| assigned.count() > 0);
        self.shown.has_partitions.store(has_partitions, Ordering::Relaxed);
        tracing::info!(?event, partitions = partitions.count(), "a Kafka group was rebalanced");
        if let Err(error) = done {
            *self.fault.lock() = Some(FeedFault::Passing(format!("kafka: a rebalance failed: {error}")));
        }
    }
}
