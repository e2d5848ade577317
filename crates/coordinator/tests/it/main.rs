//! Real coordinators on loopback: elected, killed, restarted, wiped, and talked to by strangers.

mod binary;
mod group;
mod place;
mod strangers;
