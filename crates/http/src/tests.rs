//! The door over real loopback sockets, with doubles of storage and queries behind it.

mod answers;
mod client;
pub(crate) mod doubles;
mod hostile;
mod identity;
mod inserts;
mod lifetime;
mod probes;
mod streaming;
mod tls;
