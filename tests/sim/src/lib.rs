//! The pure cores of the cluster under simulated time, network, disks and clocks: one seed is one history.
//!
//! - [`random`]: the only source of chance
//! - [`network`]: loss, duplication, reordering, delay, cuts in one direction
//! - [`disk`]: a log whose unsynced end is lost in a crash, from any frame on
//! - [`node`]: the shell around a node's copies, in place of the storage node
//! - [`coordinator`]: the agreed placement as one register that can be away
//! - [`client`]: writers that retry under their keys, readers that know what must be there
//! - [`checker`]: what must hold in every history
//! - [`scenario`]: how large a history is, and what happened in it
//! - [`world`]: everything that exists, and what each event does to it
//! - `load`: when clients write and read
//! - [`faults`]: what goes wrong, and when
//!
//! A run has two phases. In the first everything that may fail does, and nothing untrue may be seen. Then all is
//! healed, and everything that was asked must be done within bounded time.

pub mod checker;
pub mod client;
pub mod coordinator;
pub mod disk;
mod event;
pub mod faults;
mod load;
pub mod network;
pub mod node;
pub mod random;
pub mod scenario;
pub mod world;

pub use scenario::{Report, Scenario};
pub use world::run;
