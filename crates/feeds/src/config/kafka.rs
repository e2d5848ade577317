//! `kafka:` of a feed.

use std::collections::BTreeMap;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

use super::{ColumnSource, MessagePart};

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

impl KafkaConfig {
    pub(super) fn validate(&self, columns: &BTreeMap<String, ColumnSource>, fault: &mut impl FnMut(String)) {
        for (column, source) in columns {
            if matches!(source, ColumnSource::TopicLevel(_) | ColumnSource::From(MessagePart::Retained)) {
                fault(format!(
                    "columns.{column}: a message of Kafka has no levels of its topic and is not retained"
                ));
            }
        }
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
