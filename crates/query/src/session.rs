//! DataFusion's session: one template with all functions and rules, and a light copy of it per statement.

mod lean;
mod lent;

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProviderList, Session};
use datafusion::common::{Result as DfResult, internal_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::TaskContext;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;
use zepto_common::error::Result;

use crate::arrival;
use crate::asof::{AsOfPlanner, PushBelowAsOf};
use crate::catalog::Databases;
use crate::cluster::{RemotePlanner, TakeStates};
use crate::compact::CompactHeldTexts;
use crate::constants::MeterConstants;
use crate::error::from_datafusion;
use crate::fill::FillPlanner;
use crate::latest::{LatestPlanner, TakeLatest};
use crate::long_limits::SpillLongLimits;
use crate::marks;
use crate::memory::QueryPool;
use crate::options::SqlOptions;
use crate::provider::ParallelFrom;
use crate::pushdown::kept_off_joins;
use crate::repeats::MeterRepeats;
use crate::running::QueryHandle;
use crate::semantics::{SemanticOptions, SubcolumnPlanner};
use crate::service::Core;
use crate::subquery_order::KeptOrderPlanner;
use crate::window_memory::MeterWindows;
use crate::yielding::PauseInLoops;
use lean::Lean;
use lent::Idle;
pub(crate) use lent::Lent;

/// DataFusion wants a catalog above databases; it is never shown.
pub(crate) const CATALOG: &str = "zepto";
/// The part of a sorting thread's memory that it holds back for merging: one in so many.
const MERGE_SHARE: usize = 8;
/// The least and the most bytes of it.
const MERGE_RESERVE: RangeInclusive<usize> = (256 << 10)..=(10 << 20);

/// What all statements share.
#[derive(Debug)]
pub(crate) struct Sessions {
    template: SessionState,
    idle: Arc<Idle>,
    task_of_none: Arc<TaskContext>,
    runtime: Arc<RuntimeEnv>,
    memory_limit: usize,
}

/// Plans the nodes that DataFusion does not have.
#[derive(Debug)]
struct Planner;

fn physical_planner() -> DefaultPhysicalPlanner {
    DefaultPhysicalPlanner::with_extension_planners(vec![
        Arc::new(AsOfPlanner),
        Arc::new(FillPlanner),
        Arc::new(KeptOrderPlanner),
        Arc::new(LatestPlanner),
        Arc::new(RemotePlanner),
    ])
}

/// The states of the aggregation at the root of a plan: the half of it that makes them.
///
/// # Errors
/// DataFusion's.
pub(crate) async fn states_plan(
    plan: &LogicalPlan,
    state: &SessionState,
) -> DfResult<Arc<dyn ExecutionPlan>> {
    let ordered = arrival::ordered(plan, state.config())?.map(|config| Lean::with_config(state, config));
    let state = ordered.as_ref().map_or(state as &dyn Session, |ordered| ordered);
    let bare = Lean::without_rules(state);
    let planner = physical_planner();
    let whole = planner.create_physical_plan(plan, &bare).await?;
    let is_half = |plan: &&Arc<dyn ExecutionPlan>| {
        plan.downcast_ref::<AggregateExec>().is_some_and(|half| *half.mode() == AggregateMode::Partial)
    };
    let Some(half) = whole.children().into_iter().find(is_half).cloned() else {
        return internal_err!("the plan of an aggregation has no half that makes states");
    };
    let states = planner.optimize_physical_plan(half.clone(), state, |_, _| {})?;
    match half.downcast_ref::<AggregateExec>() {
        Some(half) if half.group_expr().is_true_no_grouping() => reduced(half, states),
        _ => Ok(states),
    }
}

/// One state for all threads, parts and slots of an aggregation without groups.
fn reduced(half: &AggregateExec, states: Arc<dyn ExecutionPlan>) -> DfResult<Arc<dyn ExecutionPlan>> {
    let states: Arc<dyn ExecutionPlan> = match states.output_partitioning().partition_count() {
        1 => states,
        _ => Arc::new(CoalescePartitionsExec::new(states)),
    };
    let reduce = AggregateExec::try_new(
        AggregateMode::PartialReduce,
        half.group_expr().as_final(),
        half.aggr_expr().to_vec(),
        half.filter_expr().to_vec(),
        states,
        half.input_schema(),
    )?;
    Ok(Arc::new(reduce))
}

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let ordered = arrival::ordered(plan, session.config())?;
        let ordered = ordered.map(|config| Lean::with_config(session, config));
        let session = ordered.as_ref().map_or(session, |ordered| ordered);
        physical_planner().create_physical_plan(plan, session).await
    }
}

impl Sessions {
    /// Bytes of memory that statements hold.
    #[cfg(test)]
    pub(crate) fn memory_reserved(&self) -> usize {
        self.runtime.memory_pool.reserved()
    }

    /// The template under these options.
    ///
    /// # Errors
    /// A spill directory that cannot be used, a function that cannot be registered.
    pub(crate) fn new(options: &SqlOptions) -> Result<Self> {
        let mode = match &options.spill_dir {
            Some(dir) => DiskManagerMode::Directories(vec![dir.clone()]),
            None => DiskManagerMode::Disabled,
        };
        let disk =
            DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(options.spill_limit);
        let runtime = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(disk)
            .with_memory_pool(Arc::new(FairSpillPool::new(options.memory_limit)))
            .build_arc()
            .map_err(from_datafusion)?;
        let mut builder = SessionStateBuilder::new_with_default_features()
            .with_config(config(options))
            .with_runtime_env(runtime.clone())
            .with_query_planner(Arc::new(Planner))
            .with_expr_planners(expr_planners())
            .with_optimizer_rules(marks::with_rule(Optimizer::new().rules))
            .with_optimizer_rule(Arc::new(PushBelowAsOf))
            .with_optimizer_rule(Arc::new(TakeLatest));
        let mut rules = match options.index_aggregates {
            true => crate::index_aggregate::rules(),
            false => PhysicalOptimizer::new().rules,
        };
        if options.sorted_operators {
            rules = crate::timeseries::with_rules(rules);
        }
        rules = kept_off_joins(rules);
        rules.insert(0, Arc::new(TakeStates));
        rules.push(Arc::new(SpillLongLimits));
        rules.push(Arc::new(MeterRepeats));
        rules.push(Arc::new(CompactHeldTexts));
        rules.push(Arc::new(MeterWindows));
        rules.push(Arc::new(PauseInLoops));
        rules.push(Arc::new(MeterConstants));
        builder = builder.with_physical_optimizer_rules(rules);
        for rule in crate::semantics::analyzer_rules() {
            builder = builder.with_analyzer_rule(rule);
        }
        let mut template = builder.build();
        crate::functions::register(&mut template).map_err(from_datafusion)?;
        crate::asof::register(&mut template)?;
        crate::system::register(&mut template);
        let task_of_none = Arc::new(task(&template, runtime.clone()));
        let idle = Idle::new(&template);
        Ok(Self { template, idle, task_of_none, runtime, memory_limit: options.memory_limit })
    }

    /// A session that plans names of this database; `depth` counts views within views.
    pub(crate) fn plan_state(&self, core: &Arc<Core>, database: &str, depth: usize) -> Lent {
        let mut state = self.idle.lend(&self.template);
        state.config_mut().options_mut().catalog.default_schema = database.to_owned();
        state.register_catalog_list(Arc::new(Databases::new(core.clone(), depth)));
        state.mark_start_execution();
        state
    }

    /// What plans run in that are no statement's: nobody's settings, all memory.
    pub(crate) fn task_of_none(&self) -> Arc<TaskContext> {
        self.task_of_none.clone()
    }

    /// A session that plans a view's query over `catalogs`; its physical plans are as they were first made, with
    /// the aggregation in two halves.
    pub(crate) fn view_state(&self, database: &str, catalogs: Arc<dyn CatalogProviderList>) -> SessionState {
        let builder = SessionStateBuilder::new_from_existing(self.template.clone());
        let mut state = builder.with_physical_optimizer_rules(Vec::new()).build();
        state.config_mut().options_mut().catalog.default_schema = database.to_owned();
        // Two halves that can be spread, however few threads there are where it is planned.
        let execution = &mut state.config_mut().options_mut().execution;
        execution.target_partitions = execution.target_partitions.max(2);
        state.register_catalog_list(catalogs);
        state.mark_start_execution();
        state
    }

    /// A session for one statement.
    pub(crate) fn query_state(
        &self,
        core: &Arc<Core>,
        database: &str,
        handle: &Arc<QueryHandle>,
        settings: &BTreeMap<String, String>,
    ) -> Lent {
        let mut state = self.plan_state(core, database, 0);
        let config = state.config_mut();
        config.set_extension(handle.clone());
        let use_nulls = zepto_common::settings::is_on(settings, "join_use_nulls");
        let session_timezone = settings.get("session_timezone").cloned().unwrap_or_default();
        let user = handle.user().to_owned();
        let semantics = SemanticOptions { join_use_nulls: use_nulls, session_timezone, user };
        config.options_mut().extensions.insert(semantics);
        if let Some(threads) =
            settings.get("max_threads").and_then(|n| n.parse::<usize>().ok()).filter(|&n| n > 0)
        {
            let most = config.options().execution.target_partitions;
            config.options_mut().execution.target_partitions = threads.min(most);
        }
        let most = self.most_memory(settings);
        let execution = &mut config.options_mut().execution;
        execution.sort_spill_reservation_bytes = merge_reserve(most, execution.target_partitions);
        // Functions see the options as they are now.
        state.mark_start_execution();
        state
    }

    /// A session that computes the expressions of an INSERT's rows.
    pub(crate) fn evaluation_state(
        &self,
        core: &Arc<Core>,
        database: &str,
        settings: &BTreeMap<String, String>,
    ) -> Lent {
        let mut state = self.plan_state(core, database, 0);
        if let Some(zone) = settings.get("session_timezone") {
            let semantics = SemanticOptions { session_timezone: zone.clone(), ..SemanticOptions::default() };
            state.config_mut().options_mut().extensions.insert(semantics);
            state.mark_start_execution();
        }
        state
    }

    /// The most bytes that a statement may take.
    fn most_memory(&self, settings: &BTreeMap<String, String>) -> usize {
        let wanted = settings.get("max_memory_usage").and_then(|n| zepto_common::settings::size(n));
        let most = wanted.filter(|&bytes| bytes > 0).and_then(|bytes| usize::try_from(bytes).ok());
        most.map_or(self.memory_limit, |most| most.min(self.memory_limit))
    }

    /// What a plan runs in: the statement's share of memory, its handle.
    ///
    /// # Errors
    /// DataFusion's.
    pub(crate) fn task(
        &self,
        state: &SessionState,
        handle: &Arc<QueryHandle>,
        settings: &BTreeMap<String, String>,
    ) -> Result<Arc<TaskContext>> {
        let most = self.most_memory(settings);
        let pool = QueryPool::new(&self.runtime, handle.clone(), most, self.memory_limit);
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.runtime)
            .with_memory_pool(Arc::new(pool))
            .build_arc()
            .map_err(from_datafusion)?;
        Ok(Arc::new(task(state, runtime)))
    }
}

/// DataFusion's, after the one whose subcolumns it would refuse.
fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    let mut planners = SessionStateDefaults::default_expr_planners();
    planners.insert(0, Arc::new(SubcolumnPlanner));
    planners
}

/// What each thread that sorts holds back for merging what it has put on disk. DataFusion's 10 MiB would be all the
/// memory of a statement with little of it, or on a machine with many threads.
fn merge_reserve(memory: usize, threads: usize) -> usize {
    (memory / threads.max(1) / MERGE_SHARE).clamp(*MERGE_RESERVE.start(), *MERGE_RESERVE.end())
}

/// Without the registries: plans carry their functions, only those that come as bytes look them up by name.
fn task(state: &SessionState, runtime: Arc<RuntimeEnv>) -> TaskContext {
    let (id, config) = (state.session_id().to_owned(), state.config().clone());
    let none = (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
    TaskContext::new(None, id, config, none.0, none.1, none.2, none.3, runtime)
}

fn config(options: &SqlOptions) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, zepto_common::schema::DEFAULT_DATABASE)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_target_partitions(options.threads.max(1))
        .with_extension(Arc::new(ParallelFrom(options.parallel_rows)));
    let all = config.options_mut();
    // Names are what they are, as in ClickHouse.
    all.sql_parser.enable_ident_normalization = false;
    // KeepOrder knows better which of them are needed.
    all.sql_parser.enable_subquery_sort_elimination = false;
    all.sql_parser.default_null_ordering = "nulls_last".to_owned();
    // The metadata with the exact type names may differ where plans are put together; types are checked anyway.
    all.execution.skip_physical_aggregate_schema_check = true;
    all.execution.time_zone = Some("UTC".to_owned());
    config
}
