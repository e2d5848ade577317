//! Operators over sorted data. Runs and segments lie sorted by key and time, so groups by key and time bucket are found
//! by the key index and by steps in time: no row is hashed or sorted. Rows of a memtable are put in order first.
//!
//! Physical optimizer rules put the operators in where a plan's shape fits; everything else keeps the generic plan,
//! and the option `sorted_operators` keeps it everywhere, for comparison.

mod asof;
mod bucket;
mod keys;
mod latest;
mod load;
mod side;
mod unit;

use std::sync::Arc;

use datafusion::physical_optimizer::PhysicalOptimizerRule;

/// A list of rules.
type Rules = Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>;

/// The rules with ours among them: after those that need no row at all, before any that adds exchanges.
pub(crate) fn with_rules(mut rules: Rules) -> Rules {
    let known = ["aggregate_statistics", "aggregate_from_index"];
    let at = rules.iter().rposition(|rule| known.contains(&rule.name())).map_or(0, |at| at + 1);
    rules.insert(at, Arc::new(bucket::AggregateBuckets));
    rules.insert(at, Arc::new(asof::MergeAsOf));
    rules.insert(at, Arc::new(latest::LastOfEachKey));
    rules
}
