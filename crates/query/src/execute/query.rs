//! SELECT and EXPLAIN.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::limit::LimitStream;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, displayable, execute_stream};
use futures::{StreamExt, TryStreamExt};
use zepto_common::error::Result;
use zepto_common::service::{Answer, Beside, RowStream};

use crate::beside::{self, Watch};
use crate::catalog::Databases;
use crate::cluster::{Attempt, with_cuts};
use crate::error::from_datafusion;
use crate::external::ExternalTables;
use crate::matchers::Mode;
use crate::semantics;
use crate::service::{Core, Run, Settings};
use crate::session::Lent;
use crate::statement::{self, ExplainKind, Tokens};
use crate::stream::{self, ResultLimits};
use crate::system::{Cells, batch};

impl Run {
    /// A session for this statement.
    ///
    /// # Errors
    /// Tables of the request whose rows do not fit their columns.
    pub(crate) fn state(&self) -> Result<Lent> {
        let handle = &self.guard.handle;
        let settings = &self.context.settings;
        let mut state = self.core.sessions.query_state(&self.core, &self.context.database, handle, settings);
        state.config_mut().set_extension(Arc::new(Settings(settings.clone())));
        let memory = settings.get("max_memory_usage").and_then(|n| zepto_common::settings::size(n));
        if let Some(attempt) = Attempt::new(&self.core, handle, memory.unwrap_or(0)) {
            state.config_mut().set_extension(Arc::new(attempt));
        }
        if !self.context.external_tables.is_empty() {
            let tables = ExternalTables::new(&self.context.database, &self.context.external_tables)?;
            let tables = Arc::new(tables);
            state.config_mut().set_extension(tables.clone());
            state.register_catalog_list(Arc::new(Databases::with_external(self.core.clone(), tables)));
        }
        Ok(state)
    }

    /// What a plan of this statement runs in.
    pub(super) fn task(&self, state: &SessionState) -> Result<Arc<TaskContext>> {
        self.core.sessions.task(state, &self.guard.handle, &self.context.settings)
    }

    /// The executable plan of a query; `cuts` = owners of its rows are asked for more than rows.
    pub(super) async fn plan(
        &self,
        state: &mut SessionState,
        tokens: Tokens,
        cuts: bool,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut plan = self.core.optimized(state, tokens.clone()).await?;
        if cuts {
            plan = with_cuts(state, plan, &tokens)?;
        }
        physical(state, &plan).await
    }

    /// Starts an optimized plan; its batches as they come.
    pub(crate) async fn stream(
        &self,
        state: &mut SessionState,
        tokens: Tokens,
        cuts: bool,
    ) -> Result<SendableRecordBatchStream> {
        let plan = self.plan(state, tokens, cuts).await?;
        execute_stream(plan, self.task(state)?).map_err(from_datafusion)
    }

    /// The rows of the result that the settings `offset` and `limit` leave: how many to skip and at most to give.
    fn window(&self) -> Option<(usize, Option<usize>)> {
        let wanted = |name: &str| self.context.settings.get(name).and_then(|n| n.parse::<usize>().ok());
        let (offset, limit) = (wanted("offset").unwrap_or(0), wanted("limit").filter(|limit| *limit > 0));
        (offset > 0 || limit.is_some()).then_some((offset, limit))
    }

    fn wants_extremes(&self) -> bool {
        zepto_common::settings::is_on(&self.context.settings, "extremes")
    }

    fn limits(&self) -> ResultLimits {
        let settings = &self.context.settings;
        let wanted =
            |name: &str| settings.get(name).and_then(|n| zepto_common::settings::size(n)).unwrap_or(0);
        let rows = [wanted("max_result_rows"), self.core.options.result_rows];
        let rows = rows.into_iter().filter(|&rows| rows > 0).min();
        let bytes = Some(wanted("max_result_bytes")).filter(|&bytes| bytes > 0);
        let cut = settings.get("result_overflow_mode").is_some_and(|mode| mode == "break");
        ResultLimits { rows: rows.unwrap_or(u64::MAX), bytes: bytes.unwrap_or(u64::MAX), cut }
    }
}

/// The physical plan of an optimized logical one, which is not optimized again.
async fn physical(state: &SessionState, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    state.query_planner().create_physical_plan(plan, state).await.map_err(from_datafusion)
}

/// SELECT.
pub(super) async fn select(run: Run, tokens: Tokens) -> Result<Answer> {
    let window = run.window();
    let beside = Arc::new(Beside::default());
    let mut input = crate::cluster::run_attempts(&run, statement::permit_totals(tokens)).await?;
    let (totals, extremes) = (beside::totals_of(&input), run.wants_extremes());
    if totals.is_some() || extremes {
        let windows = totals.into_iter().chain(window).collect();
        input = beside::watched(input, Watch { windows, extremes, beside: Arc::clone(&beside) });
    } else if let Some((offset, limit)) = window {
        let metrics = ExecutionPlanMetricsSet::new();
        input = Box::pin(LimitStream::new(input, offset, limit, BaselineMetrics::new(&metrics, 0)));
    }
    let schema: SchemaRef = input.schema();
    let limits = run.limits();
    let progress = run.guard.handle.progress.clone();
    let runtime = run.core.options.runtime.clone();
    let Run { guard, warnings, .. } = run;
    let mut rows: RowStream = stream::run(&runtime, input, guard, limits);
    let schema = match semantics::output_schema(&schema) {
        Some(named) => {
            let labels = Arc::clone(&named);
            rows = Box::pin(rows.map(move |block| {
                let block = block?;
                Ok(RecordBatch::try_new(Arc::clone(&labels), block.columns().to_vec())?)
            }));
            named
        }
        None => schema,
    };
    let settings = Default::default();
    Ok(Answer { rows: Some((schema, rows)), beside, format: None, settings, progress, warnings })
}

/// EXPLAIN: one column `explain`, a row per line.
pub(super) async fn explain(run: Run, kind: ExplainKind, tokens: Tokens) -> Result<Answer> {
    let text = match kind {
        ExplainKind::Syntax => {
            let state = run.state()?;
            Core::filtered(&state, tokens, Mode::Matchers).await?.to_string()
        }
        ExplainKind::Plan => {
            let mut state = run.state()?;
            let mut logical = run.core.optimized(&state, tokens.clone()).await?;
            if run.core.options.fragments {
                logical = with_cuts(&mut state, logical, &tokens)?;
            }
            let plan = physical(&state, &logical).await?;
            format!("{}\n\n{}", logical.display_indent(), displayable(plan.as_ref()).indent(true))
        }
        ExplainKind::Analyze => analyze(&run, tokens).await?,
    };
    let lines = text.lines().map(str::to_owned).collect();
    Ok(run.give(batch(vec![("explain", Cells::Text(lines))])?))
}

/// Runs the query to its end and shows the plan with the counters of each node.
async fn analyze(run: &Run, tokens: Tokens) -> Result<String> {
    let mut state = run.state()?;
    let plan = run.plan(&mut state, tokens, run.core.options.fragments).await?;
    let mut rows = 0;
    let mut input = execute_stream(plan.clone(), run.task(&state)?).map_err(from_datafusion)?;
    while let Some(batch) = input.try_next().await.map_err(from_datafusion)? {
        rows += batch.num_rows();
    }
    let plan = DisplayableExecutionPlan::with_metrics(plan.as_ref()).indent(true).to_string();
    Ok(format!("{plan}\nrows: {rows}, seconds: {:.6}", run.guard.handle.elapsed()))
}
