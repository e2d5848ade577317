//! One entry of an ingest node's `feeds:` list. Unknown keys are errors, and all faults are reported at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use zepto_common::limits::FEEDS_MAX;
use zepto_common::schema::TableName;
use zepto_formats::Format;

use crate::tick;

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
    /// So many of them stop the feed; 10,000 by default.
    #[serde(default = "dead_letter_limit")]
    pub dead_letter_limit: u64,
    /// The source.
    pub kafka: KafkaConfig,
}

fn dead_letter_limit() -> u64 {
    10_000
}

/// Where a column's value comes from: an object with one key, `from`, `header`, `topicLevel` or `constant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ColumnKeys", into = "ColumnKeys")]
pub enum ColumnSource {
    /// Of the message: its topic, partition, offset, key, the source's time, or when it was read.
    From(MessagePart),
    /// A header's value, by its name.
    Header(String),
    /// A level of the topic, from 1, between slashes.
    TopicLevel(usize),
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
    header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_level: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constant: Option<String>,
}

impl TryFrom<ColumnKeys> for ColumnSource {
    type Error = String;

    fn try_from(keys: ColumnKeys) -> Result<Self, String> {
        match keys {
            ColumnKeys { from: Some(part), header: None, topic_level: None, constant: None } => {
                Ok(Self::From(part))
            }
            ColumnKeys { from: None, header: Some(name), topic_level: None, constant: None } => {
                Ok(Self::Header(name))
            }
            ColumnKeys { from: None, header: None, topic_level: Some(level), constant: None } => {
                Ok(Self::TopicLevel(level))
            }
            ColumnKeys { from: None, header: None, topic_level: None, constant: Some(text) } => {
                Ok(Self::Constant(text))
            }
            _ => Err("a column has one of from, header, topicLevel and constant".to_owned()),
        }
    }
}

impl From<ColumnSource> for ColumnKeys {
    fn from(source: ColumnSource) -> Self {
        let none = Self::default();
        match source {
            ColumnSource::From(part) => Self { from: Some(part), ..none },
            ColumnSource::Header(name) => Self { header: Some(name), ..none },
            ColumnSource::TopicLevel(level) => Self { topic_level: Some(level), ..none },
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

/// `kafka:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaConfig {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// Topics; one that begins with `^` is a pattern.
    pub topics: Vec<String>,
    /// The consumer group.
    pub group_id: String,
    /// Where a partition begins of which the storage knows nothing.
    #[serde(default)]
    pub start: StartAt,
    /// More settings of librdkafka, by its names.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartAt {
    /// With the first message that there is.
    #[default]
    Earliest,
    /// With the next one that comes.
    Latest,
}

/// Settings that this program needs as they are.
const OURS: [&str; 8] = [
    "bootstrap.servers",
    "group.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "partition.assignment.strategy",
    "enable.partition.eof",
    "isolation.level",
];

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

    /// The name under which the positions of a topic are kept.
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
            if matches!(source, ColumnSource::TopicLevel(0)) {
                fault(format!("columns.{column}: levels of a topic count from 1"));
            }
        }
        self.kafka.validate(&mut fault);
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

impl KafkaConfig {
    fn validate(&self, fault: &mut impl FnMut(String)) {
        for (key, list) in [("brokers", &self.brokers), ("topics", &self.topics)] {
            if list.is_empty() || list.iter().any(String::is_empty) {
                fault(format!("kafka.{key}: at least one is needed, and none may be empty"));
            }
        }
        if self.group_id.is_empty() {
            fault("kafka.groupId is needed".to_owned());
        }
        for key in self.options.keys() {
            let secure = ["security.", "ssl.", "sasl.", "enable.ssl", "enable.sasl", "oauthbearer"];
            let secret = ["password", "secret", "token", "credential", "jaas", ".key", "plugin."];
            if secure.iter().any(|prefix| key.starts_with(prefix)) {
                fault(format!("kafka.options.{key}: TLS and SASL are not supported by this build"));
            } else if secret.iter().any(|part| key.contains(part)) {
                // Whoever prints a configuration shows its options.
                fault(format!("kafka.options.{key}: no option of a feed may be a secret"));
            } else if OURS.contains(&key.as_str()) {
                fault(format!("kafka.options.{key}: the feed sets it itself"));
            }
        }
    }
}

/// Checks a whole list.
pub fn validate(feeds: &[FeedConfig], faults: &mut Vec<String>) {
    if feeds.len() > FEEDS_MAX {
        faults.push(format!("feeds: {} are more than {FEEDS_MAX}", feeds.len()));
    }
    let mut names = BTreeSet::new();
    for feed in feeds {
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
