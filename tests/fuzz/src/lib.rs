//! Fuzzing of everything that reads bytes from outside: no panic, no hang, no more memory than declared.
//!
//! - [`target`]: the decoders, each with its bound of memory ([`target::all`])
//! - [`campaign`]: tries damaged inputs on one target for a while and says what it found
//! - [`mutate`]: how an input is damaged
//! - [`corpus`]: the kept inputs, `tests/corpus/fuzz/<target>/<hash>`
//! - [`memory`]: counts what a thread allocates
//! - [`coverage`]: which branches an input took, in builds that were made to count them
//!
//! The first byte of an input chooses format, table and the like; the others are the data.
//! `cargo xtask soak fuzz` builds with the counters, so that inputs that reach new branches are kept and damaged further;
//! in the tests the same campaigns run blindly, for seconds.

pub mod campaign;
pub mod corpus;
pub mod coverage;
pub mod memory;
pub mod mutate;
pub mod target;
mod targets;
