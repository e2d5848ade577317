//! What a client of MQTT knows of its session: messages that wait for their answer, and those of QoS 2 that the broker has
//! not released yet. Pure.
//!
//! Promises: nothing is answered before it is durable, and an answer goes out on the connection on which the message came:
//! an id of an earlier connection may be another message by now. A message of QoS 2 that comes again after it was stored
//! is answered and not stored again, as long as this session object lives.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use xxhash_rust::xxh3::Xxh3;

/// What the broker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// PUBACK: a message of QoS 1 is durable.
    Acknowledge(u16),
    /// PUBREC: a message of QoS 2 is durable.
    Receive(u16),
    /// PUBCOMP: it may be forgotten.
    Complete(u16),
}

/// A message of QoS 1 or 2 without an answer.
#[derive(Debug)]
struct Delivery {
    offset: u64,
    qos: u8,
    packet: u16,
    print: u64,
}

/// What names a message at its delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    /// 0 to 2.
    pub(super) qos: u8,
    /// Its packet id; 0 at QoS 0.
    pub(super) packet: u16,
    /// Whether the broker says that it was sent before.
    pub(super) again: bool,
    /// Of its topic and content.
    pub(super) print: u64,
}

/// The session of one client id.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// The offset of the next message.
    next: u64,
    /// In the order of their offsets.
    unanswered: VecDeque<Delivery>,
    /// By packet id, the prints of stored messages of QoS 2 that are not released.
    stored: BTreeMap<u16, u64>,
    answers: Vec<Answer>,
}

impl Session {
    /// A connection begins; what comes on it gets offsets from `next` on. `present`: the broker has kept the session.
    pub(super) fn connected(&mut self, present: bool, next: u64) {
        self.next = next;
        self.unanswered.clear();
        self.answers.clear();
        if !present {
            self.stored.clear();
        }
    }

    /// The offset under which a message is to be stored; None if it is stored already.
    pub(super) fn delivered(&mut self, named: Named) -> Option<u64> {
        let Named { qos, packet, again, print } = named;
        if qos == 2 && self.stored.contains_key(&packet) {
            if again && self.stored[&packet] == print {
                self.answers.push(Answer::Receive(packet));
                return None;
            }
            // A broker that lost what it knew gives the id to another message.
            self.stored.remove(&packet);
        }
        let offset = self.next;
        self.next += 1;
        if qos > 0 {
            self.unanswered.push_back(Delivery { offset, qos, packet, print });
        }
        Some(offset)
    }

    /// All below this offset is durable.
    pub(super) fn durable(&mut self, end: u64) {
        while let Some(delivery) = self.unanswered.pop_front_if(|it| it.offset < end) {
            if delivery.qos == 1 {
                self.answers.push(Answer::Acknowledge(delivery.packet));
            } else {
                self.stored.insert(delivery.packet, delivery.print);
                self.answers.push(Answer::Receive(delivery.packet));
            }
        }
    }

    /// The broker releases a message of QoS 2.
    pub(super) fn released(&mut self, packet: u16) {
        self.stored.remove(&packet);
        self.answers.push(Answer::Complete(packet));
    }

    /// What is to be told to the broker now.
    pub(super) fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    /// How many messages wait for an answer.
    pub(super) fn in_flight(&self) -> usize {
        self.unanswered.len()
    }
}

/// A print of a message.
pub(super) fn print_of(topic: &str, payload: &[u8]) -> u64 {
    let mut print = Xxh3::new();
    print.update(topic.as_bytes());
    // No topic has this byte.
    print.update(&[0]);
    print.update(payload);
    print.digest()
}
