//! Packets of both levels of the protocol as one kind. Bytes are read and written by rumqttc.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{self, Protocol, v4};
use rumqttc::v5::mqttbytes as mqttbytes5;
use rumqttc::v5::mqttbytes::v5;
use zepto_common::limits::FEED_MQTT_PACKET_BYTES_MAX;

use super::session::Answer;
use crate::config::MqttConfig;
use crate::source::FeedFault;

/// Id of the only SUBSCRIBE of a connection.
const SUBSCRIBE: u16 = 1;

/// Which level is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Four,
    Five,
}

/// What a broker says.
#[derive(Debug)]
pub(super) enum Packet {
    /// It takes the client. `present`: it has kept the session. `keep_alive`: the seconds that it wants.
    Connected { present: bool, keep_alive: Option<u16> },
    /// It does not, for this reason.
    Refused(String),
    /// Of each filter the granted QoS, or why it is refused.
    Subscribed(Vec<Result<u8, String>>),
    /// A message.
    Publish(Publish),
    /// PUBREL.
    Released(u16),
    /// It goes, for this reason.
    Goodbye(String),
    /// Nothing of interest: it lives.
    Other,
}

/// A message.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) qos: u8,
    pub(super) again: bool,
    pub(super) retained: bool,
    /// 0 at QoS 0.
    pub(super) packet: u16,
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) headers: Vec<(String, Bytes)>,
}

impl Level {
    pub(super) fn of(config: &MqttConfig) -> Self {
        if config.protocol == 4 { Self::Four } else { Self::Five }
    }

    /// Takes the next packet off what was received; None: it is not whole yet.
    ///
    /// # Errors
    /// No packet, or one that is too large.
    pub(super) fn read(self, input: &mut BytesMut) -> Result<Option<Packet>, FeedFault> {
        match self {
            Self::Four => match v4::Packet::read(input, FEED_MQTT_PACKET_BYTES_MAX as usize) {
                Ok(packet) => Ok(Some(of_four(packet))),
                Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
                Err(mqttbytes::Error::PayloadSizeLimitExceeded(bytes)) => Err(too_large(bytes)),
                Err(error) => Err(passing(error)),
            },
            Self::Five => match v5::Packet::read(input, Some(FEED_MQTT_PACKET_BYTES_MAX)) {
                Ok(packet) => of_five(packet).map(Some),
                Err(mqttbytes5::Error::InsufficientBytes(_)) => Ok(None),
                Err(mqttbytes5::Error::PayloadSizeLimitExceeded { pkt_size, .. }) => Err(too_large(pkt_size)),
                Err(error) => Err(passing(error)),
            },
        }
    }

    fn write(self, four: v4::Packet, five: v5::Packet, out: &mut BytesMut) -> Result<(), FeedFault> {
        match self {
            Self::Four => four.write(out, usize::MAX).map(drop).map_err(passing),
            Self::Five => five.write(out, None).map(drop).map_err(passing),
        }
    }

    /// CONNECT.
    pub(super) fn connect(
        self,
        config: &MqttConfig,
        login: Option<(String, String)>,
        out: &mut BytesMut,
    ) -> Result<(), FeedFault> {
        let (four_login, five_login) = match login {
            None => (None, None),
            Some((user, password)) => {
                (Some(v4::Login::new(&user, &password)), Some(v5::Login::new(user, password)))
            }
        };
        let four = v4::Connect {
            protocol: Protocol::V4,
            keep_alive: config.keep_alive_seconds,
            client_id: config.client_id.clone(),
            clean_session: config.clean_session,
            last_will: None,
            login: four_login,
        };
        let expiry = if config.clean_session { 0 } else { config.session_expiry_seconds };
        let properties = v5::ConnectProperties {
            session_expiry_interval: Some(expiry),
            receive_maximum: Some(config.in_flight),
            max_packet_size: Some(FEED_MQTT_PACKET_BYTES_MAX),
            ..v5::ConnectProperties::new()
        };
        let five = v5::Connect {
            keep_alive: config.keep_alive_seconds,
            client_id: config.client_id.clone(),
            clean_start: config.clean_session,
            properties: Some(properties),
        };
        self.write(v4::Packet::Connect(four), v5::Packet::Connect(five, None, five_login), out)
    }

    /// SUBSCRIBE to all filters of a feed.
    pub(super) fn subscribe(self, config: &MqttConfig, out: &mut BytesMut) -> Result<(), FeedFault> {
        let filter = |path: &String| v4::SubscribeFilter::new(path.clone(), of_number(config.qos));
        let four = v4::Subscribe { pkid: SUBSCRIBE, filters: config.topics.iter().map(filter).collect() };
        let filter = |path: &String| v5::Filter {
            path: path.clone(),
            qos: mqttbytes5::qos(config.qos).unwrap_or_default(),
            // What is retained comes once, and not after each interruption.
            retain_forward_rule: v5::RetainForwardRule::OnNewSubscribe,
            ..v5::Filter::default()
        };
        let filters = config.topics.iter().map(filter).collect();
        let five = v5::Subscribe { pkid: SUBSCRIBE, filters, properties: None };
        self.write(v4::Packet::Subscribe(four), v5::Packet::Subscribe(five), out)
    }

    /// PUBACK, PUBREC or PUBCOMP.
    pub(super) fn answer(self, answer: Answer, out: &mut BytesMut) -> Result<(), FeedFault> {
        let (four, five) = match answer {
            Answer::Acknowledge(id) => {
                (v4::Packet::PubAck(v4::PubAck::new(id)), v5::Packet::PubAck(v5::PubAck::new(id, None)))
            }
            Answer::Receive(id) => {
                (v4::Packet::PubRec(v4::PubRec::new(id)), v5::Packet::PubRec(v5::PubRec::new(id, None)))
            }
            Answer::Complete(id) => {
                (v4::Packet::PubComp(v4::PubComp::new(id)), v5::Packet::PubComp(v5::PubComp::new(id, None)))
            }
        };
        self.write(four, five, out)
    }

    /// PINGREQ.
    pub(super) fn ping(self, out: &mut BytesMut) -> Result<(), FeedFault> {
        self.write(v4::Packet::PingReq, v5::Packet::PingReq(v5::PingReq), out)
    }

    /// DISCONNECT.
    pub(super) fn goodbye(self, out: &mut BytesMut) -> Result<(), FeedFault> {
        let reason = v5::DisconnectReasonCode::NormalDisconnection;
        self.write(v4::Packet::Disconnect, v5::Packet::Disconnect(v5::Disconnect::new(reason)), out)
    }
}

fn of_number(qos: u8) -> mqttbytes::QoS {
    match qos {
        0 => mqttbytes::QoS::AtMostOnce,
        1 => mqttbytes::QoS::AtLeastOnce,
        _ => mqttbytes::QoS::ExactlyOnce,
    }
}

fn passing(error: impl std::fmt::Display) -> FeedFault {
    FeedFault::Passing(format!("mqtt: no packet of this protocol: {error}"))
}

fn too_large(bytes: usize) -> FeedFault {
    FeedFault::Final(format!(
        "mqtt: the broker sends a message of {bytes} bytes, at most {FEED_MQTT_PACKET_BYTES_MAX} are taken: \
         remove it from the client's session"
    ))
}

fn of_four(packet: v4::Packet) -> Packet {
    match packet {
        v4::Packet::ConnAck(ack) if ack.code == v4::ConnectReturnCode::Success => {
            Packet::Connected { present: ack.session_present, keep_alive: None }
        }
        v4::Packet::ConnAck(ack) => Packet::Refused(words(ack.code)),
        v4::Packet::SubAck(ack) => {
            let granted = |code| match code {
                v4::SubscribeReasonCode::Success(qos) => Ok(qos as u8),
                v4::SubscribeReasonCode::Failure => Err("refused".to_owned()),
            };
            Packet::Subscribed(ack.return_codes.into_iter().map(granted).collect())
        }
        v4::Packet::Publish(publish) => Packet::Publish(Publish {
            qos: publish.qos as u8,
            again: publish.dup,
            retained: publish.retain,
            packet: publish.pkid,
            topic: publish.topic,
            payload: publish.payload,
            headers: Vec::new(),
        }),
        v4::Packet::PubRel(release) => Packet::Released(release.pkid),
        v4::Packet::Disconnect => Packet::Goodbye("disconnected".to_owned()),
        _ => Packet::Other,
    }
}

fn of_five(packet: v5::Packet) -> Result<Packet, FeedFault> {
    Ok(match packet {
        v5::Packet::ConnAck(ack) if ack.code == v5::ConnectReturnCode::Success => Packet::Connected {
            present: ack.session_present,
            keep_alive: ack.properties.and_then(|it| it.server_keep_alive),
        },
        v5::Packet::ConnAck(ack) => Packet::Refused(words(ack.code)),
        v5::Packet::SubAck(ack) => {
            let granted = |code| match code {
                v5::SubscribeReasonCode::Success(qos) => Ok(qos as u8),
                refused => Err(words(refused)),
            };
            Packet::Subscribed(ack.return_codes.into_iter().map(granted).collect())
        }
        v5::Packet::Publish(publish) => {
            let topic = std::str::from_utf8(&publish.topic).map_err(passing)?;
            let properties = publish.properties.map(|it| it.user_properties).unwrap_or_default();
            Packet::Publish(Publish {
                qos: publish.qos as u8,
                again: publish.dup,
                retained: publish.retain,
                packet: publish.pkid,
                topic: topic.to_owned(),
                payload: publish.payload,
                headers: properties.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect(),
            })
        }
        v5::Packet::PubRel(release) => Packet::Released(release.pkid),
        v5::Packet::Disconnect(goodbye) => Packet::Goodbye(words(goodbye.reason_code)),
        _ => Packet::Other,
    })
}

/// `BadUserNamePassword` as words.
fn words(code: impl std::fmt::Debug) -> String {
    let mut words = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
