//! Owners on loopback that keep rows by (partition, batch, block), and an edge that must bring each row there once.

mod fake;
mod positions;
mod routed;
mod strangers;
