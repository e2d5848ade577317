//! Feeds: external sources that are followed, decoded and written straight to the owners of their rows.
//!
//! Promise: a message of a source that keeps offsets (Kafka, not MQTT: [`mqtt`]) is stored exactly once, or lies in the feed's dead-letter table with
//! the reason; across kill -9 of this process, of owners and of the source, and across rebalances. A batch goes: polled
//! from a [`source::Source`] → decoded ([`decode`]) → written with its offsets through [`zepto_common::service::RowSink`],
//! in blocks of one partition of the source, the next only when the one before is durable → its position is made durable
//! → only then it is acknowledged to the source.
//!
//! - [`config`]: the `feeds:` list of an ingest node
//! - [`source`]: what a source is; a new one is one file beside [`kafka`]
//! - [`kafka`]: Kafka's consumer groups
//! - [`mqtt`]: subscriptions at brokers of MQTT
//! - [`decode`]: messages to columns: formats, mapping, units; [`tick`] is the 64-byte binary tick
//! - [`dead_letter`]: messages that cannot be decoded
//! - [`supervisor`]: when a feed runs, waits or stops; pure
//! - [`run`]: the feeds of a node, as tasks
//! - [`status`]: what a feed shows of itself

pub mod config;
pub mod dead_letter;
pub mod decode;
mod gathering;
pub mod kafka;
pub mod mqtt;
pub mod run;
pub mod source;
pub mod status;
pub mod supervisor;
pub mod tick;

pub use config::FeedConfig;
pub use run::Feeds;
