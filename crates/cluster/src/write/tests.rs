//! Owners on loopback that keep rows by (partition, batch, block), and an edge that must bring each row there once.

mod fake;
mod routed;
mod strangers;
