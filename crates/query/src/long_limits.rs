//! Sorts with a limit that keeps many rows. DataFusion holds the rows of such a limit in memory and has no way to spill
//! them; a whole sort has, so above a number of rows it is sorted as a whole and cut afterwards.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::sorts::sort::SortExec;

/// Most rows that a limit may hold in memory for each of its streams.
const ROWS_MAX: usize = 16_384;

/// Sorts as a whole where the limit is long.
#[derive(Debug)]
pub(crate) struct SpillLongLimits;

impl PhysicalOptimizerRule for SpillLongLimits {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|node| {
            let long = node.downcast_ref::<SortExec>().filter(|sort| sort.fetch() > Some(ROWS_MAX));
            let Some((sort, rows)) = long.and_then(|sort| Some((sort, sort.fetch()?))) else {
                return Ok(Transformed::no(node));
            };
            let whole = Arc::new(sort.with_fetch(None));
            Ok(Transformed::yes(Arc::new(LocalLimitExec::new(whole, rows)) as Arc<dyn ExecutionPlan>))
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "spill_long_limits"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
