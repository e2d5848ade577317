//! Optimized plans by statement: what was planned once is not planned again while the catalog stands still.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use parking_lot::Mutex;

/// What a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PlanKey {
    /// The statement's tokens, parameters put in.
    pub(crate) text: String,
    /// For names without one.
    pub(crate) database: String,
    /// The catalog's version.
    pub(crate) catalog: u64,
    /// Settings that planning reads, in order.
    pub(crate) settings: Vec<(String, String)>,
}

/// A bounded cache; the plan used longest ago goes first.
#[derive(Debug)]
pub(crate) struct PlanCache {
    most: usize,
    inner: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    clock: u64,
    plans: HashMap<PlanKey, (u64, Arc<LogicalPlan>)>,
}

impl PlanCache {
    /// Of at most `most` plans.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, inner: Mutex::new(Entries::default()) }
    }

    /// The plan of this statement.
    pub(crate) fn get(&self, key: &PlanKey) -> Option<Arc<LogicalPlan>> {
        let mut entries = self.inner.lock();
        entries.clock += 1;
        let clock = entries.clock;
        entries.plans.get_mut(key).map(|(used, plan)| {
            *used = clock;
            plan.clone()
        })
    }

    /// Keeps a plan.
    pub(crate) fn put(&self, key: PlanKey, plan: Arc<LogicalPlan>) {
        if self.most == 0 {
            return;
        }
        let mut entries = self.inner.lock();
        if entries.plans.len() >= self.most {
            // Plans of an older catalog are dead; without such, an eighth of the others goes at once.
            entries.plans.retain(|old, _| old.catalog == key.catalog);
            if entries.plans.len() >= self.most {
                let mut ages: Vec<u64> = entries.plans.values().map(|(used, _)| *used).collect();
                ages.sort_unstable();
                let oldest = ages[ages.len() / 8];
                entries.plans.retain(|_, (used, _)| *used > oldest);
            }
        }
        entries.clock += 1;
        let clock = entries.clock;
        entries.plans.insert(key, (clock, plan));
    }
}

/// Whether the optimized plan means the same tomorrow: nothing in `plan` (before optimizing) is made a constant
/// that is true only now.
pub(crate) fn is_lasting(plan: &LogicalPlan) -> bool {
    let mut lasting = true;
    let visited = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let moving = matches!(expr, Expr::ScalarFunction(call)
                    if call.func.signature().volatility == Volatility::Stable);
                lasting &= !moving;
                Ok(if moving { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    });
    lasting && visited.is_ok()
}
