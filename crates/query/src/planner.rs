//! From a query's tokens to an optimized plan.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::parser::Statement as DfStatement;
use sqlparser::ast;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_engine::store::ViewDefinition;

use crate::error::from_datafusion;
use crate::external::ExternalTables;
use crate::filters::{ADDITIONAL_TABLE_FILTERS, Filters};
use crate::plan_cache::{PlanKey, is_lasting};
use crate::service::Core;
use crate::statement::cursor::is_word;
use crate::statement::{self, Tokens};
use crate::{asof, constants, fill, marks, matchers, rewrite, semantics};

/// Settings that change what a query means.
const PLANNING_SETTINGS: [&str; 5] = [
    "group_by_use_nulls",
    "join_use_nulls",
    "prefer_column_name_to_alias",
    "session_timezone",
    ADDITIONAL_TABLE_FILTERS,
];

impl Core {
    /// The tree of a query after all rewriting, as it goes to DataFusion.
    ///
    /// # Errors
    /// `SyntaxError` and what rewriting refuses.
    pub(crate) fn rewritten(tokens: Tokens) -> Result<ast::Statement> {
        rewrite_tree(statement::query(tokens)?)
    }

    /// The same with the session's conditions on tables put in, and columns that only the tables can tell.
    pub(crate) async fn filtered(
        state: &SessionState,
        tokens: Tokens,
        mode: matchers::Mode,
    ) -> Result<ast::Statement> {
        let settings = state.config().get_extension::<crate::service::Settings>();
        let filters = settings.as_ref().and_then(|all| all.0.get(ADDITIONAL_TABLE_FILTERS));
        let filters = Filters::parse(filters.map(String::as_str))?;
        let mut tree = statement::query(tokens)?;
        filters.apply(&mut tree, &state.config_options().catalog.default_schema);
        matchers::expand(state, &mut tree, mode).await?;
        let mut tree = rewrite_tree(tree)?;
        if let Some(settings) = &settings {
            semantics::put_settings(&mut tree, &settings.0);
        }
        Ok(tree)
    }

    /// The plan of a query, not optimized.
    ///
    /// # Errors
    /// ClickHouse's code for what is wrong with it.
    pub(crate) async fn logical_plan(&self, state: &SessionState, tokens: Tokens) -> Result<LogicalPlan> {
        let tree = Self::filtered(state, tokens.clone(), matchers::Mode::Matchers).await?;
        match self.plan_tree(state, tree).await {
            // A name that both tables of a join have is the left one's, which most statements need not know.
            Err(error) if error.code == ErrorCode::AmbiguousIdentifier => {
                let tree = Self::filtered(state, tokens, matchers::Mode::PreferLeft).await?;
                self.plan_tree(state, tree).await
            }
            planned => planned,
        }
    }

    /// The plan of a rewritten tree, not optimized.
    ///
    /// # Errors
    /// ClickHouse's code for what is wrong with it.
    pub(crate) async fn plan_tree(&self, state: &SessionState, tree: ast::Statement) -> Result<LogicalPlan> {
        plan_tree(state, tree).await.map_err(|error| self.explained(error))
    }

    /// The optimized plan of a query, from the cache if it is there.
    ///
    /// # Errors
    /// ClickHouse's code for what is wrong with it.
    pub(crate) async fn optimized(&self, state: &SessionState, tokens: Tokens) -> Result<Arc<LogicalPlan>> {
        if state.config().get_extension::<ExternalTables>().is_some() {
            let plan = self.logical_plan(state, tokens).await?;
            return constants::optimize(state, &plan).map(Arc::new);
        }
        let key = self.plan_key(state, &tokens);
        if let Some(plan) = self.plans.get(&key) {
            return Ok(plan);
        }
        let plan = self.logical_plan(state, tokens).await?;
        let lasting = is_lasting(&plan);
        let plan = Arc::new(constants::optimize(state, &plan)?);
        if lasting {
            self.plans.put(key, plan.clone());
        }
        Ok(plan)
    }

    fn plan_key(&self, state: &SessionState, tokens: &Tokens) -> PlanKey {
        let settings = state.config().get_extension::<crate::service::Settings>();
        let settings = settings.iter().flat_map(|all| all.0.iter());
        // A statement that asks for a setting has another plan for each value.
        let asks = tokens.iter().any(|token| is_word(&token.token, "getSetting"));
        let settings = settings
            .filter(|(name, _)| asks || PLANNING_SETTINGS.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()));
        PlanKey {
            text: statement::cursor::text_of(tokens),
            database: state.config_options().catalog.default_schema.clone(),
            catalog: self.store.catalog().version(),
            settings: settings.collect(),
        }
    }

    /// An unknown table in an unknown database is an unknown database.
    fn explained(&self, error: Error) -> Error {
        if error.code != ErrorCode::UnknownTable {
            return error;
        }
        let name = error.message.split('\'').nth(1).and_then(|name| name.split_once('.'));
        match name {
            Some((database, _)) if !self.has_database(database) => {
                Error::new(ErrorCode::UnknownDatabase, format!("Database {database} does not exist"))
            }
            _ => error,
        }
    }

    /// The plan of a view's query, in the view's own database.
    ///
    /// # Errors
    /// What no longer holds in its definition.
    pub(crate) async fn plan_view(
        self: &Arc<Self>,
        view: &ViewDefinition,
        depth: usize,
    ) -> Result<LogicalPlan> {
        let tokens = crate::views::query_of(view)?;
        let state = self.sessions.plan_state(self, &view.name.database, depth);
        Box::pin(self.logical_plan(&state, tokens)).await
    }
}

/// The tree after all rewriting that needs no tables.
///
/// # Errors
/// What rewriting refuses.
pub(crate) fn rewrite_tree(mut tree: ast::Statement) -> Result<ast::Statement> {
    semantics::check_size(&tree)?;
    rewrite::before(&mut tree)?;
    semantics::rewrite_ast(&mut tree)?;
    rewrite::after(&mut tree)?;
    Ok(tree)
}

/// The plan of a rewritten tree, not optimized, over whatever the session's catalog has.
///
/// # Errors
/// ClickHouse's code for what is wrong with it.
pub(crate) async fn plan_tree(state: &SessionState, tree: ast::Statement) -> Result<LogicalPlan> {
    let settings = state.config().get_extension::<crate::service::Settings>();
    let is_on = |all: &crate::service::Settings| zepto_common::settings::is_on(&all.0, "group_by_use_nulls");
    let use_nulls = settings.as_deref().is_some_and(is_on);
    let plan = state.statement_to_plan(DfStatement::Statement(Box::new(tree))).await;
    plan.and_then(|plan| if use_nulls { Ok(plan) } else { semantics::zeros_of_grouping_sets(plan) })
        .and_then(semantics::check_join_keys)
        .and_then(semantics::supertypes)
        .and_then(text_as_views)
        .and_then(semantics::distances_in_time)
        .and_then(semantics::memberships)
        .and_then(semantics::nulls_of_subqueries)
        .and_then(marks::columns_for_keys)
        .and_then(|plan| semantics::in_session_zone(plan, state.config_options()))
        .and_then(asof::replace_marked)
        .and_then(fill::replace_marked)
        .map_err(from_datafusion)
}

/// The plan of a query, not optimized, over whatever the session's catalog has.
///
/// # Errors
/// ClickHouse's code for what is wrong with it.
pub(crate) async fn plan_query(state: &SessionState, tokens: Tokens) -> Result<LogicalPlan> {
    let tree = Core::filtered(state, tokens, matchers::Mode::Matchers).await?;
    plan_tree(state, tree).await
}

/// Text literals in the form that text columns have. Otherwise coercion would wrap each into a cast, and what must
/// be a constant (the type's name in a CAST) would not be one while the plan is put together.
fn text_as_views(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    let transformed = plan.transform_up_with_subqueries(|node| {
        if !matches!(
            node,
            LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::Join(_)
                | LogicalPlan::Aggregate(_)
                | LogicalPlan::Window(_)
                | LogicalPlan::Sort(_)
        ) {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let viewed = expr.transform_up(|expr| match expr {
                Expr::Literal(ScalarValue::Utf8(text), metadata) => {
                    Ok(Transformed::yes(Expr::Literal(ScalarValue::Utf8View(text), metadata)))
                }
                // A conversion to Bool around what is one already: without it, filters can prune.
                Expr::ScalarFunction(mut call)
                    if call.func.name() == "__truth"
                        && call.args.first().is_some_and(semantics::is_condition) =>
                {
                    Ok(Transformed::yes(call.args.remove(0)))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(viewed.update_data(|expr| name.restore(expr)))
        })?;
        match node.transformed {
            true => node.map_data(LogicalPlan::recompute_schema),
            false => Ok(node),
        }
    })?;
    // A node above one whose types changed has to learn of it.
    match transformed.transformed {
        true => transformed
            .data
            .transform_up(|node| Ok(Transformed::yes(node.recompute_schema()?)))
            .map(|t| t.data),
        false => Ok(transformed.data),
    }
}
