//! The one HTTP door of a node: ClickHouse's HTTP interface, health, metrics and administration.
//!
//! Promises: what is answered 200 is done; rows are acknowledged only when the [`zepto_common::service::RowSink`]
//! says they are durable; a request costs bounded memory and time whatever it holds; a fault never answers 200,
//! and one that comes after the first byte of an answer is told inside it.
//!
//! - [`door`]: what the door needs from its node, and its bounds
//! - [`server`]: accepts and drives connections ([`serve`])
//! - `routes`, `probes`, `admin`, `access`: paths, and who may take them
//! - `query`: statements, INSERT data and results
//! - [`settings`], [`params`], [`credentials`], [`statement`]: what a request says, read without a socket
//! - [`inflate`], [`deflate`], [`native`]: compression of bodies and answers
//! - [`multipart`], `external`: forms, and the tables that come with a statement
//! - `sessions`: settings that hold from one request to the next
//! - [`exception`]: ClickHouse's error texts
//! - `body`, `connection`, `reply`: bytes in, bytes out, headers

mod access;
mod admin;
mod body;
mod connection;
pub mod credentials;
pub mod deflate;
pub mod door;
pub mod exception;
mod external;
pub mod inflate;
mod long_uri;
pub mod multipart;
pub mod native;
pub mod params;
mod probes;
mod query;
mod reply;
mod routes;
pub mod server;
mod sessions;
pub mod settings;
mod snapshots;
pub mod statement;

pub use door::{
    Door, DoorLimits, Forward, ForwardedStatement, Identity, NodeInfo, RebalanceChange, StoredFile,
};
pub use server::{serve, serve_until_closed};
pub use zepto_tls::{Tls, TlsFiles};
#[cfg(test)]
mod tests;
