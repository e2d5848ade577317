//! The thread of one consumer.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use zepto_common::limits::FEED_BATCH_TIME;

use super::context::{Context, Shown};
use super::{Batch, Offsets};
use crate::gathering::Gathering;
use crate::source::{FeedFault, Message, SourcePartition};

/// How long the library waits for one event.
const EVENT_TIME: Duration = Duration::from_millis(20);

/// Polls until the other side is gone, or gives the fault that ends it.
pub(super) fn follow(
    consumer: &BaseConsumer<Context>,
    batches: &mpsc::Sender<Batch>,
    commits: &Receiver<Offsets>,
    shown: &Shown,
) -> Option<FeedFault> {
    let mut gathering = Gathering::new(FEED_BATCH_TIME);
    let mut resting = false;
    // Of the message before, which most often is that of the next.
    let mut topic: Arc<str> = Arc::from("");
    loop {
        match commits.try_recv() {
            Ok(offsets) => commit(consumer, &offsets),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return None,
        }
        let fault = match consumer.poll(EVENT_TIME) {
            None => None,
            Some(Ok(message)) => {
                *shown.trouble.lock() = None;
                gathering.push(owned(&message, &mut topic));
                None
            }
            Some(Err(error)) => fault_of(&error, shown),
        };
        if let Some(fault) = consumer.context().take_fault().or(fault) {
            // The messages before the fault are not handed over: they are read again.
            return Some(fault);
        }
        if gathering.is_due() {
            match batches.try_reserve() {
                Ok(room) => room.send(Ok(gathering.take())),
                Err(TrySendError::Closed(())) => return None,
                Err(TrySendError::Full(())) => {}
            }
        }
        if let Err(error) = rest(consumer, &mut resting, gathering.is_full()) {
            // Messages that nothing holds back would gather without a bound.
            return Some(FeedFault::Passing(format!(
                "kafka: partitions cannot be paused or resumed: {error}"
            )));
        }
    }
}

/// Lets all partitions rest while there is no room; those that come meanwhile are found at the next turn.
fn rest(consumer: &BaseConsumer<Context>, resting: &mut bool, full: bool) -> Result<(), KafkaError> {
    if !full && !*resting {
        return Ok(());
    }
    let assigned = consumer.assignment()?;
    if full {
        consumer.pause(&assigned)?;
    } else {
        consumer.resume(&assigned)?;
    }
    *resting = full;
    Ok(())
}

fn owned(message: &BorrowedMessage<'_>, topic: &mut Arc<str>) -> Message {
    if **topic != *message.topic() {
        *topic = message.topic().into();
    }
    let copied = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let headers = message.headers().map(|headers| {
        let header = |it: rdkafka::message::Header<'_, &[u8]>| {
            (it.key.to_owned(), it.value.map(copied).unwrap_or_default())
        };
        headers.iter().map(header).collect()
    });
    let number = u32::try_from(message.partition()).unwrap_or_default();
    Message {
        from: SourcePartition { topic: topic.clone(), number },
        topic: topic.clone(),
        // Offsets of messages are never negative.
        offset: u64::try_from(message.offset()).unwrap_or_default(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key().map(copied),
        retained: false,
        headers: headers.unwrap_or_default(),
        payload: message.payload().map(copied),
    }
}

/// Whether a fault ends this consumer; others pass by themselves, and are shown meanwhile.
fn fault_of(error: &KafkaError, shown: &Shown) -> Option<FeedFault> {
    let text = format!("kafka: {error}");
    match error.rdkafka_error_code() {
        Some(
            Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::AutoOffsetReset
            | Code::OffsetOutOfRange
            | Code::PollExceeded
            | Code::InvalidGroupId
            | Code::InconsistentGroupProtocol
            | Code::Fatal,
        ) => Some(FeedFault::Passing(text)),
        _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => Some(FeedFault::Passing(text)),
        _ => {
            // With a reason it was said already.
            shown.trouble.lock().get_or_insert(text);
            None
        }
    }
}

fn commit(consumer: &BaseConsumer<Context>, offsets: &Offsets) {
    let Ok(ours) = consumer.assignment() else { return };
    let mut list = TopicPartitionList::new();
    // Of a partition that went to another member its own offsets are newer.
    let is_ours = |at: &SourcePartition| ours.find_partition(&at.topic, at.number as i32).is_some();
    for (at, offset) in offsets.iter().filter(|(at, _)| is_ours(at)) {
        let added = list.add_partition_offset(&at.topic, at.number as i32, Offset::Offset(*offset as i64));
        if let Err(error) = added {
            tracing::debug!(%error, "an offset was not committed");
        }
    }
    // Nothing is read by it: others only look at it.
    if let Err(error) = consumer.commit(&list, CommitMode::Async) {
        tracing::debug!(%error, "the group's offsets were not committed");
    }
}
