//! Messages that gather until they are a batch, within a bound of number, bytes and time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use zepto_common::limits::{FEED_BATCH_BYTES, FEED_BATCH_MESSAGES};

use crate::source::Message;

/// What a header takes beside its texts.
const HEADER_BYTES: usize = size_of::<(String, Bytes)>();

/// A batch in the making.
pub(crate) struct Gathering {
    messages: Vec<Message>,
    bytes: usize,
    since: Option<Instant>,
    /// How long the first may wait.
    time: Duration,
}

impl Gathering {
    pub(crate) fn new(time: Duration) -> Self {
        Self { messages: Vec::new(), bytes: 0, since: None, time }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Takes no more.
    pub(crate) fn is_full(&self) -> bool {
        self.messages.len() >= FEED_BATCH_MESSAGES || self.bytes >= FEED_BATCH_BYTES
    }

    /// Is to be handed over.
    pub(crate) fn is_due(&self) -> bool {
        self.is_full() || self.since.is_some_and(|since| since.elapsed() >= self.time)
    }

    /// When the first has waited long enough.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.since.map(|since| since + self.time)
    }

    pub(crate) fn push(&mut self, message: Message) {
        self.bytes += bytes_of(&message);
        self.since.get_or_insert_with(Instant::now);
        self.messages.push(message);
    }

    /// The messages; the next batch begins.
    pub(crate) fn take(&mut self) -> Vec<Message> {
        self.since = None;
        self.bytes = 0;
        std::mem::take(&mut self.messages)
    }
}

/// All that a message holds.
fn bytes_of(message: &Message) -> usize {
    let headers = message.headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_BYTES);
    let parts = [&message.key, &message.payload].into_iter().flatten().map(Bytes::len);
    size_of::<Message>() + parts.sum::<usize>() + headers.sum::<usize>()
}
