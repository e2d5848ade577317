//! What the integration tests share. The tests themselves lie in `tests/nodes` (our own
//! client) and `tests/clients` (ClickHouse's); they start the real `zepto_storage_node` and talk to it over HTTP.
//!
//! - [`cluster`]: coordinator, storage nodes and an ingest node
//! - [`place`]: a folder and a node in it
//! - [`fixture`]: what releases leave for their successors
//! - [`ledger`]: writers that remember what they sent and what was acknowledged
//! - [`corpus`]: the hostile requests of `tests/corpus/http`
//! - [`network`]: ways between the processes of a cluster that can be cut
//! - [`load`]: writers and readers that go on while something happens to a cluster
//! - [`kafka`]: a Kafka broker, and a producer for it
//! - [`mosquitto`]: a broker of MQTT, and a publisher for it
//! - [`peers`]: programs of others, fetched in pinned versions
//! - [`terminal`]: a program on a pseudo-terminal

pub mod cluster;
pub mod corpus;
pub mod fixture;
pub mod kafka;
pub mod ledger;
pub mod load;
pub mod mosquitto;
pub mod network;
pub mod peers;
pub mod place;
pub mod terminal;
