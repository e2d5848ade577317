//! Real coordinators on loopback: elected, killed, restarted, wiped, and talked to by strangers.

#![expect(clippy::expect_used, clippy::panic, reason = "what a test cannot do without ends it")]

mod binary;
mod group;
mod place;
mod strangers;
mod tls;
