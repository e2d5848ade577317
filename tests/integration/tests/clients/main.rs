//! ClickHouse's clients, in pinned versions, against a real node.

mod clickhouse_connect;

use anyhow::Result;
use zepto_integration::place::Place;

/// A folder on the disk that the build is on.
fn place() -> Result<Place> {
    Place::new(env!("CARGO_TARGET_TMPDIR"))
}
