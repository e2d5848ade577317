//! Who should own what, as pure functions of the agreed state. Nothing here changes anything: each function gives
//! commands, and the state machine checks every one of them again.
//!
//! - [`ring`]: the order in which nodes are asked to take a partition
//! - [`target`]: where copies and ownership should be: the ring, bounded load, zones, as few moves as possible
//! - [`steps`]: the next few commands on the way there
//! - [`failover`]: who takes over from an owner that is not able
//!
//! Promises: the same state gives the same commands; no step makes a partition have fewer in-sync copies than before;
//! a state that is at its target gives no commands.

pub mod failover;
pub mod ring;
pub mod steps;
pub mod target;
#[cfg(test)]
mod tests;

/// Virtual nodes per node on the ring.
pub const VIRTUAL_NODES: u32 = 128;
/// Moves under way at one time, while no more than these are.
pub const MOVES_IN_FLIGHT: usize = 16;
/// Of these, copies on their way to one node.
pub const MOVES_IN_FLIGHT_PER_NODE: usize = 4;
/// Moves under way while partitions lack a copy: their rows are at risk, and an owner brings a copy up to date in small
/// pieces, so its writers do not wait for many more at once.
pub const REPAIRS_IN_FLIGHT: usize = 128;
/// The same towards one node.
pub const REPAIRS_IN_FLIGHT_PER_NODE: usize = 32;
/// Handovers for the sake of balance that are asked for at one time.
pub const HANDOVERS_IN_FLIGHT: usize = 16;
