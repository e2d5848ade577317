//! What every process of ZeptoDB does in the same way at its start and its end: one YAML file, overridden by the
//! environment, overridden by flags; logging, metrics, signals, and the line that tells where it listens.
//!
//! - [`flags`]: the flags that all processes have; the environment is read there and in each process's own flags
//! - [`file`]: the YAML file, with every fault of it named at once
//! - [`parts`]: the groups of keys that the processes share, and what must hold of them
//! - [`add_node`]: nodes named by hand
//! - [`allocator`]: when freed memory goes back to the system
//! - [`memory`]: how much memory the machine or the control group leaves
//! - [`telemetry`]: log output and the metrics recorder
//! - [`gauges`]: what the process says of itself: memory, processor time
//! - [`rate`]: rows per second
//! - [`signals`]: the signals that ask for an orderly end
//! - [`listening`]: the first line on stdout

pub mod add_node;
pub mod allocator;
pub mod file;
pub mod flags;
pub mod gauges;
pub mod listening;
pub mod memory;
pub mod parts;
pub mod rate;
pub mod signals;
pub mod telemetry;

pub use add_node::AddNode;
pub use flags::CommonFlags;
pub use parts::{AuthConfig, ConfigFaults, LogConfig, LogFormat, PeerTlsConfig, PipelineConfig, TlsConfig};
pub use signals::Stop;
