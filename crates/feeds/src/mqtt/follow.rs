//! The task of one connection: takes messages in while there is room, answers what is durable, and shows that it lives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use zepto_common::limits::{FEED_MQTT_BATCH_TIME, FEED_MQTT_CONNECT_TIME};

use super::link::Link;
use super::packets::{Packet, Publish};
use super::session::{Named, Session, print_of};
use crate::config::MqttConfig;
use crate::gathering::Gathering;
use crate::run::Positions;
use crate::source::{FeedFault, Message, SourcePartition};

/// A batch, or what ended the connection.
pub(super) type Batch = Result<Vec<Message>, FeedFault>;

/// What the task and its source have in common.
pub(super) struct Shared {
    pub(super) session: Arc<Mutex<Session>>,
    /// There may be answers to send.
    pub(super) wake: Notify,
    /// The broker has granted the subscriptions.
    pub(super) subscribed: AtomicBool,
    /// Leave in order.
    pub(super) stop: CancellationToken,
}

/// The task's own.
pub(super) struct Follower {
    pub(super) link: Link,
    pub(super) config: MqttConfig,
    pub(super) shared: Arc<Shared>,
    pub(super) positions: Positions,
    pub(super) batches: mpsc::Sender<Batch>,
    pub(super) from: SourcePartition,
    /// What broker and feed agreed on.
    pub(super) keep_alive: Duration,
    times: Times,
    gathering: Gathering,
    /// A message for which there is no room; nothing is received while it waits.
    held: Option<Publish>,
    /// Messages of QoS 0 for which there was no room, and which were not told yet.
    missed: u64,
    /// Topics of late, so that each is there once.
    topics: BTreeMap<String, Arc<str>>,
}

struct Times {
    begun: Instant,
    heard: Instant,
    pinged: Instant,
}

/// What comes next.
enum Turn {
    Again,
    Look,
    Leave,
}

/// Topics that a follower remembers at once.
const TOPICS_KNOWN: usize = 1_024;

impl Follower {
    pub(super) fn new(
        link: Link,
        config: MqttConfig,
        shared: Arc<Shared>,
        positions: Positions,
        batches: mpsc::Sender<Batch>,
        from: SourcePartition,
    ) -> Self {
        let now = Instant::now();
        Self {
            keep_alive: Duration::from_secs(u64::from(config.keep_alive_seconds)),
            link,
            config,
            shared,
            positions,
            batches,
            from,
            times: Times { begun: now, heard: now, pinged: now },
            gathering: Gathering::new(FEED_MQTT_BATCH_TIME),
            held: None,
            missed: 0,
            topics: BTreeMap::new(),
        }
    }

    /// Follows until it is told to stop, or until the connection ends; the reason is the last batch then.
    pub(super) async fn follow(mut self) {
        let Err(fault) = self.take_all().await else {
            if let Err(error) = self.leave().await {
                tracing::debug!(%error, "a broker was left without a word");
            }
            return;
        };
        let gathered = self.gathering.take();
        let stop = self.shared.stop.clone();
        let last = async {
            // What was received is stored: of QoS 0 it would not come again. Ends when the other side is gone.
            if !gathered.is_empty() && self.batches.send(Ok(gathered)).await.is_err() {
                return;
            }
            let _gone = self.batches.send(Err(fault)).await;
        };
        tokio::select! {
            () = last => {}
            () = stop.cancelled() => {}
        }
    }

    /// Says what is durable by now, and goodbye.
    async fn leave(&mut self) -> Result<(), FeedFault> {
        let answers = self.shared.session.lock().take_answers();
        self.link.answer(answers).await?;
        self.link.goodbye().await
    }

    async fn take_all(&mut self) -> Result<(), FeedFault> {
        loop {
            self.take_received()?;
            if self.missed > 0 {
                self.positions.overrun(std::mem::take(&mut self.missed));
            }
            let answers = self.shared.session.lock().take_answers();
            if !answers.is_empty() {
                self.link.answer(answers).await?;
            }
            let is_due = !self.gathering.is_empty() && (self.gathering.is_due() || self.is_window_full());
            let gathered_at = self.gathering.due_at().unwrap_or_else(|| self.look_at());
            let turn = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => Turn::Leave,
                () = self.shared.wake.notified() => Turn::Again,
                room = self.batches.reserve(), if is_due => match room {
                    Ok(room) => {
                        room.send(Ok(self.gathering.take()));
                        Turn::Again
                    }
                    Err(_) => Turn::Leave,
                },
                () = sleep_until(gathered_at.into()), if !is_due && !self.gathering.is_empty() => Turn::Again,
                () = sleep_until(self.look_at().into()) => Turn::Look,
                received = self.link.receive(), if self.held.is_none() => {
                    received?;
                    self.times.heard = Instant::now();
                    Turn::Again
                }
            };
            match turn {
                Turn::Leave => return Ok(()),
                Turn::Look => self.look().await?,
                Turn::Again => {}
            }
        }
    }

    /// When the broker has to hear something, or its silence is judged.
    fn look_at(&self) -> Instant {
        self.times.pinged + self.keep_alive / 2
    }

    async fn look(&mut self) -> Result<(), FeedFault> {
        self.times.pinged = Instant::now();
        let silent = self.times.heard.elapsed();
        // While nothing is received, nothing can be heard.
        if self.held.is_none() && silent > self.keep_alive * 3 / 2 {
            return Err(FeedFault::Passing(format!("mqtt: the broker is silent for {} s", silent.as_secs())));
        }
        let subscribed = self.shared.subscribed.load(Ordering::Relaxed);
        if !subscribed && self.held.is_none() && self.times.begun.elapsed() > FEED_MQTT_CONNECT_TIME {
            return Err(FeedFault::Passing("mqtt: the broker does not answer SUBSCRIBE".to_owned()));
        }
        self.link.ping().await
    }

    /// Takes in what was received, as far as there is room.
    fn take_received(&mut self) -> Result<(), FeedFault> {
        if let Some(held) = self.held.take() {
            self.take_message(held);
            if self.held.is_none() {
                self.times.heard = Instant::now();
            }
        }
        while self.held.is_none()
            && let Some(packet) = self.link.next()?
        {
            match packet {
                Packet::Publish(publish) if publish.topic.is_empty() => {
                    let text = "mqtt: a message without a topic, which was not agreed on";
                    return Err(FeedFault::Passing(text.to_owned()));
                }
                Packet::Publish(publish) => self.take_message(publish),
                Packet::Released(packet) => self.shared.session.lock().released(packet),
                Packet::Subscribed(granted) => self.subscribed(&granted)?,
                Packet::Goodbye(why) => {
                    return Err(FeedFault::Passing(format!("mqtt: the broker goes: {why}")));
                }
                Packet::Refused(why) => return Err(FeedFault::Passing(format!("mqtt: {why}"))),
                Packet::Connected { .. } | Packet::Other => {}
            }
        }
        Ok(())
    }

    fn is_window_full(&self) -> bool {
        self.shared.session.lock().in_flight() >= usize::from(self.config.in_flight)
    }

    fn take_message(&mut self, publish: Publish) {
        if self.gathering.is_full() || (publish.qos > 0 && self.is_window_full()) {
            if publish.qos == 0 {
                self.missed += 1;
            } else {
                self.held = Some(publish);
            }
            return;
        }
        let named = Named {
            qos: publish.qos,
            packet: publish.packet,
            again: publish.again,
            print: if publish.qos == 2 { print_of(&publish.topic, &publish.payload) } else { 0 },
        };
        let offset = self.shared.session.lock().delivered(named);
        let Some(offset) = offset else { return };
        let topic = self.topic(publish.topic);
        self.gathering.push(Message {
            from: self.from.clone(),
            topic,
            offset,
            timestamp_ms: None,
            key: None,
            retained: publish.retained,
            headers: publish.headers,
            // A copy: a few messages shall not hold all that was received with them.
            payload: Some(Bytes::copy_from_slice(&publish.payload)),
        });
    }

    fn topic(&mut self, topic: String) -> Arc<str> {
        if let Some(known) = self.topics.get(&topic) {
            return known.clone();
        }
        if self.topics.len() >= TOPICS_KNOWN {
            self.topics.clear();
        }
        let shared: Arc<str> = topic.as_str().into();
        self.topics.insert(topic, shared.clone());
        shared
    }

    fn subscribed(&self, granted: &[Result<u8, String>]) -> Result<(), FeedFault> {
        let wanted = self.config.qos;
        for (filter, granted) in self.config.topics.iter().zip(granted) {
            let why = match granted {
                Ok(qos) if *qos >= wanted => continue,
                Ok(qos) => format!("QoS {qos} is granted, {wanted} was asked for"),
                Err(why) => format!("the broker refuses: {why}"),
            };
            return Err(FeedFault::Passing(format!("mqtt: subscription to {filter:?}: {why}")));
        }
        self.shared.subscribed.store(true, Ordering::Relaxed);
        Ok(())
    }
}
