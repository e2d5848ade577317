//! `mqtt:` of a feed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rumqttc::mqttbytes::valid_filter;
use serde::{Deserialize, Serialize};
use zepto_common::limits::FEED_MQTT_FILTERS_MAX;

use super::{ColumnSource, MessagePart};

/// Stands in a client id for the id of the node.
pub(super) const NODE: &str = "{node}";
/// Bytes of a client id; the name of the stream of positions holds it.
const CLIENT_ID_BYTES_MAX: usize = 128;

/// `mqtt:`. No value in it is a secret: a password is in a file or in the environment, and only their names stand here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MqttConfig {
    /// URLs of the broker, tried one after the other: `tcp://host:1883`, `ssl://host:8883`.
    pub brokers: Vec<String>,
    /// Topic filters with `+` and `#`, also `$share/<group>/<filter>`.
    pub topics: Vec<String>,
    /// Quality of service that is asked for: 0, 1 (default) or 2.
    #[serde(default = "qos")]
    pub qos: u8,
    /// Level of the protocol: 4 (MQTT 3.1.1) or 5 (default).
    #[serde(default = "protocol")]
    pub protocol: u8,
    /// The client's name, of this feed and node alone; `{node}` in it is the node's id.
    pub client_id: String,
    /// Whether the broker forgets the client when it goes; false by default: it keeps what comes meanwhile.
    #[serde(default)]
    pub clean_session: bool,
    /// Seconds for which the broker keeps the session of a client that went; 86,400 by default; protocol 5 only.
    #[serde(default = "session_expiry")]
    pub session_expiry_seconds: u32,
    /// Seconds of silence after which broker or feed give the connection up (and half as much again); 30 by default, 2 to 3,600.
    #[serde(default = "keep_alive")]
    pub keep_alive_seconds: u16,
    /// Messages of QoS 1 and 2 that are delivered and not answered, at most; 1,000 by default, 1 to 65,535.
    #[serde(default = "in_flight")]
    pub in_flight: u16,
    /// User, if the broker wants one.
    #[serde(default)]
    pub user: Option<String>,
    /// Name of the environment variable with the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// File with the password; the end of its line does not count. Read for each connection.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Needed for `ssl://`.
    #[serde(default)]
    pub tls: Option<MqttTls>,
}

/// `mqtt.tls:`, files in PEM. Read for each connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MqttTls {
    /// Authorities that the broker's certificate is of.
    pub ca: PathBuf,
    /// The client's certificate.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its key.
    #[serde(default)]
    pub key: Option<PathBuf>,
}

fn qos() -> u8 {
    1
}

fn protocol() -> u8 {
    5
}

fn session_expiry() -> u32 {
    86_400
}

fn keep_alive() -> u16 {
    30
}

fn in_flight() -> u16 {
    1_000
}

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Whether by TLS.
    pub tls: bool,
    /// Name or number.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, without showing it: it may hold a password.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let (tls, rest) = match url.split_once("://") {
            Some(("tcp" | "mqtt", rest)) => (false, rest),
            Some(("ssl" | "tls" | "mqtts", rest)) => (true, rest),
            _ => return Err("a URL begins with tcp:// or ssl://"),
        };
        if rest.contains('@') {
            return Err(
                "a URL has no user and no password: user and passwordFile or passwordEnv are for them",
            );
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let standard = if tls { 8883 } else { 1883 };
        // [::1]:1883, and ::1 has no port.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().map_err(|_| "a port is a number")?)
            }
            _ => (authority, standard),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if host.is_empty() || !host.bytes().all(letter) {
            return Err("a URL is a scheme, a host and a port");
        }
        Ok(Self { tls, host: host.to_owned(), port })
    }
}

impl MqttConfig {
    pub(super) fn validate(&self, columns: &BTreeMap<String, ColumnSource>, fault: &mut impl FnMut(String)) {
        self.validate_columns(columns, fault);
        self.validate_filters(fault);
        self.validate_security(fault);
        let id = &self.client_id;
        if id.is_empty() || id.len() > CLIENT_ID_BYTES_MAX || id.chars().any(char::is_control) {
            fault(format!("mqtt.clientId: 1 to {CLIENT_ID_BYTES_MAX} bytes, and no control characters"));
        }
        if self.qos > 2 {
            fault(format!("mqtt.qos = {}: 0, 1 or 2", self.qos));
        }
        if !matches!(self.protocol, 4 | 5) {
            fault(format!("mqtt.protocol = {}: 4 (MQTT 3.1.1) or 5", self.protocol));
        }
        if !(2..=3_600).contains(&self.keep_alive_seconds) {
            fault(format!("mqtt.keepAliveSeconds = {}: 2 to 3,600", self.keep_alive_seconds));
        }
        if self.in_flight == 0 {
            fault("mqtt.inFlight: at least 1".to_owned());
        }
        if self.protocol == 5 && !self.clean_session && self.session_expiry_seconds == 0 {
            fault("mqtt.sessionExpirySeconds = 0 keeps no session: cleanSession says that".to_owned());
        }
    }

    fn validate_columns(&self, columns: &BTreeMap<String, ColumnSource>, fault: &mut impl FnMut(String)) {
        for (column, source) in columns {
            match source {
                ColumnSource::TopicLevel(0) => {
                    fault(format!("columns.{column}: the first level of a topic is topicLevel 1"));
                }
                ColumnSource::Header(_) if self.protocol == 4 => {
                    fault(format!(
                        "columns.{column}: headers are the user properties of protocol 5; 4 has none"
                    ));
                }
                ColumnSource::From(
                    part @ (MessagePart::Partition
                    | MessagePart::Offset
                    | MessagePart::Key
                    | MessagePart::Timestamp),
                ) => {
                    let part = format!("{part:?}").to_lowercase();
                    fault(format!("columns.{column}: a message of MQTT has no {part}"));
                }
                _ => {}
            }
        }
    }

    fn validate_filters(&self, fault: &mut impl FnMut(String)) {
        let count = self.topics.len();
        if count == 0 || count > FEED_MQTT_FILTERS_MAX {
            fault(format!("mqtt.topics: 1 to {FEED_MQTT_FILTERS_MAX} filters"));
        }
        for filter in &self.topics {
            let plain = match filter.strip_prefix("$share/") {
                Some(shared) => {
                    // An empty filter is none.
                    let (group, plain) = shared.split_once('/').unwrap_or((shared, ""));
                    if group.is_empty() || group.contains(['+', '#']) { "" } else { plain }
                }
                None => filter,
            };
            if !valid_filter(plain) || filter.len() > usize::from(u16::MAX) || filter.contains('\0') {
                fault(format!("mqtt.topics: {filter:?} is no topic filter"));
            }
        }
    }

    fn validate_security(&self, fault: &mut impl FnMut(String)) {
        if self.brokers.is_empty() {
            fault("mqtt.brokers: at least one is needed".to_owned());
        }
        let (mut plain, mut secure) = (false, false);
        for (at, url) in self.brokers.iter().enumerate() {
            match Address::parse(url) {
                Ok(address) if address.tls => secure = true,
                Ok(_) => plain = true,
                Err(what) => fault(format!("mqtt.brokers[{at}]: {what}")),
            }
        }
        match &self.tls {
            None if secure => fault("mqtt.tls.ca is needed for ssl://".to_owned()),
            Some(_) if plain => fault("mqtt.tls: a broker of tcp:// has no TLS".to_owned()),
            Some(tls) if tls.certificate.is_some() != tls.key.is_some() => {
                fault("mqtt.tls: certificate and key belong together".to_owned());
            }
            _ => {}
        }
        if self.password_env.is_some() && self.password_file.is_some() {
            fault("mqtt: one of passwordEnv and passwordFile".to_owned());
        }
        if self.user.is_none() && (self.password_env.is_some() || self.password_file.is_some()) {
            fault("mqtt.user is needed where there is a password".to_owned());
        }
    }
}
