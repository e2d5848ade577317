//! Filters that move down plans, kept above joins whose sides have columns of the same name: DataFusion finds the column
//! of a moved filter by its name, and takes the first one's for the second's.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

use crate::yielding::PauseExec;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// The rules with those that move filters kept off such joins.
pub(crate) fn kept_off_joins(rules: Vec<Rule>) -> Vec<Rule> {
    let guarded = |rule: Rule| match rule.name().starts_with("FilterPushdown") {
        true => Arc::new(KeptOffJoins(rule)) as Rule,
        false => rule,
    };
    rules.into_iter().map(guarded).collect()
}

struct KeptOffJoins(Rule);

impl fmt::Debug for KeptOffJoins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PhysicalOptimizerRule for KeptOffJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // A node that takes no filters stands above each such join while the rule runs.
        let fenced = plan.transform_up(|node| match node.children().len() > 1 && has_namesakes(&node) {
            true => Ok(Transformed::yes(PauseExec::over(node))),
            false => Ok(Transformed::no(node)),
        })?;
        let moved = self.0.optimize(fenced.data, config)?;
        if !fenced.transformed {
            return Ok(moved);
        }
        let bare = moved.transform_up(|node| match node.downcast_ref::<PauseExec>() {
            Some(fence) => Ok(Transformed::yes(fence.input())),
            None => Ok(Transformed::no(node)),
        })?;
        Ok(bare.data)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn has_namesakes(node: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = node.schema();
    let mut names = HashSet::with_capacity(schema.fields().len());
    !schema.fields().iter().all(|field| names.insert(field.name().as_str()))
}
