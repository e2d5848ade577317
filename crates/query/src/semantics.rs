//! ClickHouse's meaning of SQL where DataFusion's differs.
//!
//! - [`rewrite_ast`] runs before planning: canonical column names, aliases that can be used everywhere, ClickHouse's
//!   function names and combinators, casts, intervals, NULLs last
//! - [`OperatorPlanner`] types arithmetic and comparisons while a statement is planned
//! - [`analyzer_rules`] run on the plan: unmatched cells of outer joins, NaN last
//!
//! Two result columns may have the same name in ClickHouse but not in DataFusion: the later ones carry an
//! invisible mark, which [`output_name`] takes off.

mod aliases;
mod calls;
mod combinators;
mod distinct;
mod exact;
mod frames;
mod full_names;
mod grouping_sets;
mod having;
mod join_keys;
mod memberships;
mod names;
mod nan;
mod numbered;
pub(crate) mod numbers;
mod operators;
mod orders;
mod outer_joins;
pub(crate) mod own_names;
mod rules;
mod scalars;
mod session_zone;
mod settings;
mod size;
mod subcolumns;
mod subqueries;
mod supertypes;
mod syntax;
mod tuple_in;
mod tuples;
mod using;
mod windows;

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::optimizer::AnalyzerRule;
use sqlparser::ast::{
    Expr, OrderBy, OrderByExpr, OrderByKind, Query, Select, SetExpr, Statement, VisitMut, VisitorMut,
};
use zepto_common::{Error, Result};

pub(crate) use aliases::has_aggregate;
pub(crate) use frames::distances_in_time;
pub(crate) use grouping_sets::zeros_of_grouping_sets;
pub(crate) use join_keys::check_join_keys;
pub(crate) use memberships::memberships;
pub(crate) use names::name_of;
pub use names::{output_name, output_schema};
pub use operators::OperatorPlanner;
pub(crate) use operators::is_condition;
pub use rules::SemanticOptions;
pub(crate) use session_zone::{in_session_zone, session_zone};
pub(crate) use settings::put_settings;
pub(crate) use size::check_size;
pub(crate) use subcolumns::SubcolumnPlanner;
pub(crate) use subqueries::nulls_of_subqueries;
pub(crate) use supertypes::supertypes;
pub(crate) use syntax::typed;

/// Makes a parsed statement mean in DataFusion what it means in ClickHouse.
///
/// # Errors
/// A function with a wrong number of arguments, an alias that needs itself.
pub fn rewrite_ast(statement: &mut Statement) -> Result<()> {
    run(statement, &mut Scopes)?;
    run(statement, &mut syntax::Expressions)
}

/// Puts the registered functions into one expression.
pub(crate) fn rewrite_functions(expr: &mut Expr) -> Result<()> {
    run(expr, &mut syntax::Expressions)
}

/// Rules for the analyzer, to run after DataFusion's own.
#[must_use]
pub fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    rules::all()
}

fn run<V: VisitMut>(node: &mut V, visitor: &mut impl VisitorMut<Break = Error>) -> Result<()> {
    match VisitMut::visit(node, visitor) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn flow(result: Result<()>) -> ControlFlow<Error> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// What concerns whole selects: names, aliases, order.
struct Scopes;

impl VisitorMut for Scopes {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        flow(query_scope(query))
    }
}

fn query_scope(query: &mut Query) -> Result<()> {
    scalars::resolve(query);
    if let Some(order) = &mut query.order_by {
        nulls_last(order);
    }
    match query.body.as_mut() {
        SetExpr::Select(select) => {
            full_names::resolve(select, query.order_by.as_mut());
            names::name_columns(select);
            windows::resolve(select, query.order_by.as_mut())?;
            aliases::resolve(select, query.order_by.as_mut())?;
            crate::rewrite::rows_for_calls(select, query.order_by.as_mut())?;
            using::resolve(select, query.order_by.as_mut());
            having::as_condition(select, query.order_by.as_ref());
            distinct::number_keys(select, query.order_by.as_mut());
            Ok(())
        }
        body => set_scope(body),
    }
}

fn set_scope(body: &mut SetExpr) -> Result<()> {
    match body {
        SetExpr::Select(select) => select_scope(select),
        SetExpr::SetOperation { left, right, .. } => {
            set_scope(left)?;
            set_scope(right)
        }
        _ => Ok(()),
    }
}

fn select_scope(select: &mut Select) -> Result<()> {
    full_names::resolve(select, None);
    names::name_columns(select);
    windows::resolve(select, None)?;
    aliases::resolve(select, None)?;
    crate::rewrite::rows_for_calls(select, None)?;
    using::resolve(select, None);
    having::as_condition(select, None);
    Ok(())
}

fn nulls_last(order: &mut OrderBy) {
    match &mut order.kind {
        OrderByKind::Expressions(list) => list.iter_mut().for_each(null_last),
        OrderByKind::All(options) => options.nulls_first = options.nulls_first.or(Some(false)),
    }
}

/// ClickHouse puts NULLs last in both directions.
fn null_last(order: &mut OrderByExpr) {
    order.options.nulls_first = order.options.nulls_first.or(Some(false));
}
