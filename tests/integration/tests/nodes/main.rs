//! Real processes: killed, restarted, starved and abused.

mod access;
mod backup;
mod cluster;
mod cluster_changes;
mod cluster_copies;
mod cluster_cuts;
mod cluster_drain;
mod cluster_force;
mod cluster_min_in_sync;
mod cluster_overload;
mod cluster_reads;
mod cluster_scale;
mod cluster_states;
mod cluster_updates;
mod cluster_views;
mod configuration;
mod feeds;
mod feeds_mqtt;
mod fixtures;
mod full_disk;
mod hostile;
mod kill_nine;
mod real_data;
mod restart;
mod sql_client;

use anyhow::Result;
use zepto_integration::place::Place;

/// A folder on the disk that the build is on.
fn place() -> Result<Place> {
    Place::new(env!("CARGO_TARGET_TMPDIR"))
}
