//! What nodes say to each other, in protobuf over gRPC, and what both sides check before they believe it.
//!
//! - [`coordinate`]: the coordinator's services, generated from `proto/coordinate.proto`, whose comments tell the design
//! - [`write`]: the owners' service for rows, generated from `proto/write.proto`, likewise
//! - [`query`]: the owners' service for reads, generated from `proto/query.proto`, likewise
//! - [`replicate`]: what copies of a partition say to each other, generated from `proto/replicate.proto`, likewise
//! - [`tier`]: what an ingest node's RPC port says, generated from `proto/tier.proto`
//! - [`handshake`]: cluster, protocol and secret, checked by both sides
//! - [`refusal`]: why a peer is not believed, as a gRPC status and back
//! - [`convert`]: between messages and the common crate's types
//! - [`client`]: the coordinators as a node sees them: finds the leader, retries within a deadline
//! - [`rebalance`]: moves and drains, as a node's door passes them on for people
//! - [`wire`]: how connections are made and taken, plain or by TLS
//! - [`view`]: what the watch stream has told so far

pub mod client;
pub mod convert;
pub mod handshake;
pub mod rebalance;
pub mod refusal;
pub mod view;
pub mod wire;

/// Generated from `proto/coordinate.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, rustdoc::all)]
pub mod coordinate {
    tonic::include_proto!("coordinate/zepto.coordinate.v1");
}

/// Generated from `proto/write.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, rustdoc::all)]
pub mod write {
    tonic::include_proto!("write/zepto.write.v1");
}

/// Generated from `proto/query.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, rustdoc::all)]
pub mod query {
    tonic::include_proto!("query/zepto.query.v1");
}

/// Generated from `proto/replicate.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, rustdoc::all)]
pub mod replicate {
    tonic::include_proto!("replicate/zepto.replicate.v1");
}

/// Generated from `proto/tier.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, rustdoc::all)]
pub mod tier {
    tonic::include_proto!("tier/zepto.tier.v1");
}

#[cfg(test)]
mod tests;
