//! The door over real loopback sockets, with doubles of storage and queries behind it.

mod answers;
mod client;
pub(crate) mod doubles;
mod exceptions;
mod forms;
mod hostile;
mod identity;
mod inserts;
mod lifetime;
mod packed;
mod probes;
mod sessions;
mod streaming;
mod tls;
