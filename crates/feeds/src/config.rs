//! One entry of an ingest node's `feeds:` list. Unknown keys are errors, and all faults are reported at once.

mod kafka;
mod mqtt;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use zepto_common::limits::{FEED_CONSTANT_BYTES_MAX, FEEDS_MAX};
use zepto_common::schema::TableName;
use zepto_formats::Format;

use crate::tick;

pub use kafka::{KafkaConfig, StartAt};
pub use mqtt::{Address, MqttConfig, MqttTls};

/// One feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FeedConfig {
    /// Its name: letters, digits, `-` and `_`, at most 64. What is known of its offsets is kept under it.
    pub name: String,
    /// Where its rows go, `database.table` or `table`.
    pub table: String,
    /// How a message is read: `JSONEachRow`, `JSONCompactEachRow`, `CSV`, `TabSeparated`, `RowBinary`, `MsgPack` or `tick`.
    pub format: String,
    /// JSONEachRow: a column's path in the object, `a.b.c`; tick: a column's field. Without any, columns are found by name.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Columns that are not in the payload.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnSource>,
    /// Columns of time that the payload has as a number, and what it counts.
    #[serde(default)]
    pub units: BTreeMap<String, TimeUnit>,
    /// Where messages go that cannot be read, `database.table` or `table`.
    pub dead_letter: String,
    /// More of them since the start of the node stop the feed; 10,000 by default.
    #[serde(default = "dead_letter_limit")]
    pub dead_letter_limit: u64,
    /// The source, if it is Kafka.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaConfig>,
    /// The source, if it is a broker of MQTT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<MqttConfig>,
}

fn dead_letter_limit() -> u64 {
    10_000
}

/// Where a column's value comes from: an object with one key, `from`, `topicLevel`, `header` or `constant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ColumnKeys", into = "ColumnKeys")]
pub enum ColumnSource {
    /// Of the message: its topic, partition, offset, key, the source's time, or when it was read.
    From(MessagePart),
    /// One level of the topic; the first is 1, as in `splitByChar('/', topic)[1]`.
    TopicLevel(u16),
    /// A header's value (MQTT: of a user property), by its name.
    Header(String),
    /// Always this.
    Constant(String),
}

/// Its form in a file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ColumnKeys {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<MessagePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_level: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constant: Option<String>,
}

impl TryFrom<ColumnKeys> for ColumnSource {
    type Error = String;

    fn try_from(keys: ColumnKeys) -> Result<Self, String> {
        match keys {
            ColumnKeys { from: Some(part), topic_level: None, header: None, constant: None } => {
                Ok(Self::From(part))
            }
            ColumnKeys { from: None, topic_level: Some(level), header: None, constant: None } => {
                Ok(Self::TopicLevel(level))
            }
            ColumnKeys { from: None, topic_level: None, header: Some(name), constant: None } => {
                Ok(Self::Header(name))
            }
            ColumnKeys { from: None, topic_level: None, header: None, constant: Some(text) } => {
                Ok(Self::Constant(text))
            }
            _ => Err("a column has one of from, topicLevel, header and constant".to_owned()),
        }
    }
}

impl From<ColumnSource> for ColumnKeys {
    fn from(source: ColumnSource) -> Self {
        let none = Self::default();
        match source {
            ColumnSource::From(part) => Self { from: Some(part), ..none },
            ColumnSource::TopicLevel(level) => Self { topic_level: Some(level), ..none },
            ColumnSource::Header(name) => Self { header: Some(name), ..none },
            ColumnSource::Constant(text) => Self { constant: Some(text), ..none },
        }
    }
}

/// A part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MessagePart {
    /// Its topic.
    Topic,
    /// Number of its partition.
    Partition,
    /// Its offset.
    Offset,
    /// Its key, as text.
    Key,
    /// The source's time.
    Timestamp,
    /// When it was read.
    Arrival,
    /// Whether the source had kept it for those who come later: 1 or 0.
    Retained,
}

/// What a number that is a time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl FeedConfig {
    /// The table that rows go to.
    #[must_use]
    pub fn table_name(&self) -> TableName {
        table_name(&self.table)
    }

    /// The table of messages that cannot be read.
    #[must_use]
    pub fn dead_letter_name(&self) -> TableName {
        table_name(&self.dead_letter)
    }

    /// What kind of source it follows.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.mqtt.is_some() { "mqtt" } else { "kafka" }
    }

    /// Whether [`Self::at_node`] changes anything.
    #[must_use]
    pub fn names_its_node(&self) -> bool {
        self.mqtt.as_ref().is_some_and(|mqtt| mqtt.client_id.contains(mqtt::NODE))
    }

    /// The same on a node: its id stands where the client id says `{node}`.
    #[must_use]
    pub fn at_node(mut self, node: u32) -> Self {
        if let Some(mqtt) = &mut self.mqtt {
            mqtt.client_id = mqtt.client_id.replace(mqtt::NODE, &node.to_string());
        }
        self
    }

    /// The name under which the positions of a topic (MQTT: of a client id) are kept.
    #[must_use]
    pub fn stream(&self, topic: &str) -> String {
        format!("{}/{topic}", self.name)
    }

    fn validate(&self, faults: &mut Vec<String>) {
        let name = &self.name;
        let mut fault = |what: String| faults.push(format!("feeds.{name}: {what}"));
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(letter) {
            fault("a name has 1 to 64 letters, digits, - and _".to_owned());
        }
        for (key, table) in [("table", &self.table), ("deadLetter", &self.dead_letter)] {
            if table.is_empty() || table.split('.').any(str::is_empty) || table.split('.').count() > 2 {
                fault(format!("{key} = {table:?} is no table"));
            }
        }
        if self.table_name() == self.dead_letter_name() {
            fault("deadLetter is the feed's own table".to_owned());
        }
        self.validate_format(&mut fault);
        for (column, source) in &self.columns {
            if self.fields.contains_key(column) || self.units.contains_key(column) {
                fault(format!("columns.{column}: the payload has this column too"));
            }
            if let ColumnSource::Constant(text) = source
                && text.len() > FEED_CONSTANT_BYTES_MAX
            {
                fault(format!("columns.{column}: a constant has at most {FEED_CONSTANT_BYTES_MAX} bytes"));
            }
        }
        self.validate_source(&mut fault);
    }

    fn validate_source(&self, fault: &mut impl FnMut(String)) {
        match (&self.kafka, &self.mqtt) {
            (Some(kafka), None) => kafka.validate(&self.columns, fault),
            (None, Some(mqtt)) => mqtt.validate(&self.columns, fault),
            _ => fault("a feed has one of kafka and mqtt".to_owned()),
        }
    }

    fn validate_format(&self, fault: &mut impl FnMut(String)) {
        if self.format == "tick" {
            for (column, field) in &self.fields {
                if !tick::FIELDS.contains(&field.as_str()) {
                    fault(format!("fields.{column}: a tick has no field {field:?}"));
                }
            }
            if !self.units.is_empty() {
                fault("units: a tick's time is in nanoseconds".to_owned());
            }
            return;
        }
        match Format::parse(&self.format) {
            Ok(
                Format::JsonEachRow
                | Format::JsonCompactEachRow
                | Format::Csv
                | Format::TabSeparated
                | Format::RowBinary
                | Format::MsgPack,
            ) => {}
            _ => fault(format!("format = {:?} is none of those that a message can have", self.format)),
        }
        if !self.fields.is_empty() && !matches!(Format::parse(&self.format), Ok(Format::JsonEachRow)) {
            fault("fields: only objects of JSONEachRow and ticks have any".to_owned());
        }
        if self.fields.values().any(|path| path.split('.').any(str::is_empty)) {
            fault("fields: a path is names with dots between them".to_owned());
        }
    }
}

/// Checks a whole list.
pub fn validate(feeds: &[FeedConfig], faults: &mut Vec<String>) {
    if feeds.len() > FEEDS_MAX {
        faults.push(format!("feeds: {} are more than {FEEDS_MAX}", feeds.len()));
    }
    let (mut names, mut groups) = (BTreeSet::new(), BTreeMap::new());
    for feed in feeds {
        // A group shares its partitions out: each of the two tables would lack what the other has. Of two with one client
        // id a broker shuts out the one that was there.
        let kafka = feed.kafka.as_ref().map(|it| ("kafka.groupId", &it.group_id));
        let mqtt = feed.mqtt.as_ref().map(|it| ("mqtt.clientId", &it.client_id));
        for (key, group) in kafka.into_iter().chain(mqtt) {
            if let Some(other) = groups.insert((key, group), &feed.name) {
                let name = &feed.name;
                faults.push(format!("feeds.{name}: {key} is that of feeds.{other}: each needs its own"));
            }
        }
        if !names.insert(&feed.name) {
            faults.push(format!("feeds.{}: another feed has this name", feed.name));
        }
        feed.validate(faults);
    }
}

fn table_name(text: &str) -> TableName {
    match text.split_once('.') {
        Some((database, table)) => TableName::new(database, table),
        None => TableName::new("default", text),
    }
}
