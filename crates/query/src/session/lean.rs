//! A statement's session with another configuration or other rules for one step of planning. A copy of the whole session,
//! whose registries name a thousand functions, would cost more than planning a small statement.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProviderList, Session};
use datafusion::common::config::TableOptions;
use datafusion::common::{DFSchema, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::registry::ExtensionTypeRegistryRef;
use datafusion::logical_expr::{AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, WindowUDF};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::operator_statistics::StatisticsRegistry;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use datafusion::prelude::SessionConfig;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// A session for one step; what it does not change is the statement's.
pub(crate) struct Lean<'a> {
    of: &'a dyn Session,
    config: SessionConfig,
    rules: &'a [Rule],
}

impl<'a> Lean<'a> {
    /// Under another configuration.
    pub(crate) fn with_config(of: &'a dyn Session, config: SessionConfig) -> Self {
        Self { of, config, rules: of.physical_optimizers() }
    }

    /// Plans stay as they are first made.
    pub(crate) fn without_rules(of: &'a dyn Session) -> Self {
        Self { of, config: of.config().clone(), rules: &[] }
    }
}

#[async_trait]
impl Session for Lean<'_> {
    fn session_id(&self) -> &str {
        self.of.session_id()
    }

    fn config(&self) -> &SessionConfig {
        &self.config
    }

    fn catalog_list(&self) -> Arc<dyn CatalogProviderList> {
        self.of.catalog_list()
    }

    fn query_planner(&self) -> Arc<dyn QueryPlanner + Send + Sync> {
        self.of.query_planner()
    }

    fn optimize(&self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        self.of.optimize(plan)
    }

    fn physical_optimizers(&self) -> &[Rule] {
        self.rules
    }

    fn statistics_registry(&self) -> Option<&StatisticsRegistry> {
        self.of.statistics_registry()
    }

    async fn create_physical_plan(&self, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = self.optimize(plan)?;
        self.query_planner().create_physical_plan(&plan, self).await
    }

    fn create_physical_expr(&self, expr: Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
        self.of.create_physical_expr(expr, schema)
    }

    fn scalar_functions(&self) -> &HashMap<String, Arc<ScalarUDF>> {
        self.of.scalar_functions()
    }

    fn higher_order_functions(&self) -> &HashMap<String, Arc<HigherOrderUDF>> {
        self.of.higher_order_functions()
    }

    fn aggregate_functions(&self) -> &HashMap<String, Arc<AggregateUDF>> {
        self.of.aggregate_functions()
    }

    fn window_functions(&self) -> &HashMap<String, Arc<WindowUDF>> {
        self.of.window_functions()
    }

    fn extension_type_registry(&self) -> &ExtensionTypeRegistryRef {
        self.of.extension_type_registry()
    }

    fn runtime_env(&self) -> &Arc<RuntimeEnv> {
        self.of.runtime_env()
    }

    fn execution_props(&self) -> &ExecutionProps {
        self.of.execution_props()
    }

    fn as_any(&self) -> &dyn Any {
        // Borrowed, so it cannot be what callers look for.
        &()
    }

    fn table_options(&self) -> &TableOptions {
        self.of.table_options()
    }

    fn table_options_mut(&mut self) -> &mut TableOptions {
        unreachable!("nobody changes the options of files while a statement is planned")
    }

    fn task_ctx(&self) -> Arc<TaskContext> {
        self.of.task_ctx()
    }
}
