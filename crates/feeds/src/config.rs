//! One entry of an ingest node's `feeds:` list. Unknown keys are errors, and all faults are reported at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use zepto_common::limits::{FEED_CONSTANT_BYTES_MAX, FEEDS_MAX};
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
    /// More of them since the start of the node stop the feed; 10,000 by default.
    #[serde(default = "dead_letter_limit")]
    pub dead_letter_limit: u64,
    /// The source.
    pub kafka: KafkaConfig,
}

fn dead_letter_limit() -> u64 {
    10_000
}

/// Where a column's value comes from: an object with one key, `from`, `header` or `constant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ColumnKeys", into = "ColumnKeys")]
pub enum ColumnSource {
    /// Of the message: its topic, partition, offset, key, the source's time, or when it was read.
    From(MessagePart),
    /// A header's value, by its name.
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
    header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constant: Option<String>,
}

impl TryFrom<ColumnKeys> for ColumnSource {
    type Error = String;

    fn try_from(keys: ColumnKeys) -> Result<Self, String> {
        match keys {
            ColumnKeys { from: Some(part), header: None, constant: None } => Ok(Self::From(part)),
            ColumnKeys { from: None, header: Some(name), constant: None } => Ok(Self::Header(name)),
            ColumnKeys { from: None, header: None, constant: Some(text) } => Ok(Self::Constant(text)),
            _ => Err("a column has one of from, header and constant".to_owned()),
        }
    }
}

impl From<ColumnSource> for ColumnKeys {
    fn from(source: ColumnSource) -> Self {
        let none = Self::default();
        match source {
            ColumnSource::From(part) => Self { from: Some(part), ..none },
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
    /// More settings of librdkafka, by its names: texts, whole numbers, true and false.
    #[serde(default, deserialize_with = "options")]
    pub options: BTreeMap<String, String>,
}

fn options<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<String, OptionValue>::deserialize(from)?;
    Ok(values.into_iter().map(|(key, value)| (key, value.0)).collect())
}

/// The value of an option, which no message about a fault shows: it may have been meant as a secret.
struct OptionValue(String);

impl<'de> Deserialize<'de> for OptionValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct AnyValue;
        impl Visitor<'_> for AnyValue {
            type Value = OptionValue;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text, a whole number, true or false")
            }

            fn visit_str<E>(self, value: &str) -> Result<OptionValue, E> {
                Ok(OptionValue(value.to_owned()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<OptionValue, E> {
                Ok(OptionValue(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<OptionValue, E> {
                Ok(OptionValue(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<OptionValue, E> {
                Ok(OptionValue(value.to_string()))
            }

            fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<OptionValue, E> {
                Err(E::custom("an option's value that is a number with a fraction stands in quotes"))
            }
        }
        from.deserialize_any(AnyValue)
    }
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
            if let ColumnSource::Constant(text) = source
                && text.len() > FEED_CONSTANT_BYTES_MAX
            {
                fault(format!("columns.{column}: a constant has at most {FEED_CONSTANT_BYTES_MAX} bytes"));
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
    let (mut names, mut groups) = (BTreeSet::new(), BTreeMap::new());
    for feed in feeds {
        // A group shares its partitions out: each of the two tables would lack what the other has.
        if let Some(other) = groups.insert(&feed.kafka.group_id, &feed.name) {
            let name = &feed.name;
            faults.push(format!("feeds.{name}: kafka.groupId is that of feeds.{other}: each needs its own"));
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
