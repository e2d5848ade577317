//! TLS of a process: of its HTTP door, and between the processes of a cluster.
//!
//! Promises: files that change are read again while the process runs, and a bad new file leaves the old one in force;
//! between processes both sides show a certificate of the cluster's authority, or nothing is said; a handshake is
//! bounded in time and number.
//!
//! - [`door`]: certificate, key and client authorities of a door
//! - [`peer`]: the same for both sides between processes
//! - [`client`]: connections to servers of others
//! - [`incoming`]: accepted connections, after their handshakes
//! - [`pem`]: reading the files

pub mod client;
pub mod door;
pub mod incoming;
pub mod peer;
pub mod pem;

pub use client::ClientFiles;
pub use door::{Tls, TlsFiles};
pub use incoming::{Accepted, Incoming, Security};
pub use peer::{PeerFiles, PeerTls};

#[cfg(test)]
mod tests;
