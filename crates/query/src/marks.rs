//! `x IN (SELECT …)` and `EXISTS (SELECT …)` outside of WHERE: in the list of columns, in aggregates and windows, in GROUP BY
//! and ORDER BY. DataFusion joins such a subquery only below a filter. [`MarkSubqueries`] has it do so for a filter that lets
//! all rows pass, and takes the join's mark in the place of the test. Keys of ORDER BY become columns first
//! ([`columns_for_keys`]): it lets no subquery stand in a sort.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::split_binary_owned;
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Sort, Subquery, lit,
};
use datafusion::optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// DataFusion's rules with [`MarkSubqueries`] before the one for filters: the rules after that change subqueries so that
/// what they refer to outside of them is not found any more.
pub(crate) fn with_rule(mut rules: Rules) -> Rules {
    let filters = DecorrelatePredicateSubquery::new();
    let at = rules.iter().position(|rule| rule.name() == filters.name()).unwrap_or(0);
    rules.insert(at, Arc::new(MarkSubqueries));
    rules
}

type Rules = Vec<Arc<dyn OptimizerRule + Send + Sync>>;

/// Makes columns of the keys that are tests by subqueries, and takes them out above the sort.
pub(crate) fn columns_for_keys(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Sort(mut sort) = node else { return Ok(Transformed::no(node)) };
        let mut columns: Vec<Expr> = sort.input.schema().columns().into_iter().map(Expr::Column).collect();
        let kept = columns.clone();
        for key in &mut sort.expr {
            if key.expr.exists(|expr| Ok(is_test(expr)))? {
                let name = format!("{KEY}{}", columns.len());
                let column = Expr::Column(Column::new_unqualified(&name));
                columns.push(std::mem::replace(&mut key.expr, column).alias(name));
            }
        }
        if columns.len() == kept.len() {
            return Ok(Transformed::no(LogicalPlan::Sort(sort)));
        }
        let input = LogicalPlanBuilder::from(Arc::unwrap_or_clone(sort.input)).project(columns)?.build()?;
        let sorted = LogicalPlan::Sort(Sort { input: Arc::new(input), ..sort });
        Ok(Transformed::yes(LogicalPlanBuilder::from(sorted).project(kept)?.build()?))
    })?;
    Ok(changed.data)
}

/// Begins the names of such columns.
const KEY: &str = "__key_";

fn is_test(expr: &Expr) -> bool {
    matches!(expr, Expr::InSubquery(_) | Expr::Exists(_))
}

/// Joins the subqueries of nodes that are no filters.
#[derive(Debug)]
struct MarkSubqueries;

impl OptimizerRule for MarkSubqueries {
    fn name(&self) -> &str {
        "mark_subqueries"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, node: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !matches!(node, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)) {
            return Ok(Transformed::no(node));
        }
        let tests = tests_of(&node)?;
        if tests.is_empty() {
            return Ok(Transformed::no(node));
        }
        // These nodes have one.
        let Some(input) = node.inputs().first().map(|input| (*input).clone()) else {
            return Ok(Transformed::no(node));
        };
        let Some((joined, marks)) = joined(input, &tests, config)? else {
            return Ok(Transformed::no(node));
        };
        let marks: Vec<(Expr, Expr)> = tests.into_iter().zip(marks).collect();
        with_marks(node, joined, &marks).map(Transformed::yes)
    }
}

/// The tests of a node by subqueries, each once. What stands in a lambda cannot be joined.
fn tests_of(node: &LogicalPlan) -> Result<Vec<Expr>> {
    let mut tests: Vec<Expr> = Vec::new();
    for expr in node.expressions() {
        expr.apply(|expr| {
            Ok(match expr {
                test if is_test(test) => {
                    if !tests.contains(expr) {
                        tests.push(expr.clone());
                    }
                    TreeNodeRecursion::Jump
                }
                Expr::Lambda(_) => TreeNodeRecursion::Jump,
                _ => TreeNodeRecursion::Continue,
            })
        })?;
    }
    Ok(tests)
}

/// The input joined with the subqueries, and the mark of each; None when one of them cannot be joined.
fn joined(
    input: LogicalPlan,
    tests: &[Expr],
    config: &dyn OptimizerConfig,
) -> Result<Option<(LogicalPlan, Vec<Expr>)>> {
    let or = |left: Expr, right: Expr| {
        Expr::BinaryExpr(BinaryExpr::new(Box::new(left), Operator::Or, Box::new(right)))
    };
    let mut any = lit(true);
    for test in tests.iter().rev() {
        any = or(short(test.clone())?, any);
    }
    let filter = LogicalPlan::Filter(Filter::try_new(any, Arc::new(input))?);
    let joined = DecorrelatePredicateSubquery::new().rewrite(filter, config)?.data;
    let LogicalPlan::Projection(projection) = joined else { return Ok(None) };
    let LogicalPlan::Filter(filter) = projection.input.as_ref() else { return Ok(None) };
    let mut marks = split_binary_owned(filter.predicate.clone(), Operator::Or);
    marks.truncate(tests.len());
    for mark in &marks {
        if mark.exists(|expr| Ok(is_test(expr)))? {
            return Ok(None);
        }
    }
    Ok((marks.len() == tests.len()).then(|| (filter.input.as_ref().clone(), marks)))
}

/// One row tells whether there is any, if all rows of the outer query ask for the same.
fn short(test: Expr) -> Result<Expr> {
    match test {
        Expr::Exists(mut exists) if exists.subquery.outer_ref_columns.is_empty() => {
            let rows = LogicalPlanBuilder::from(exists.subquery.subquery.as_ref().clone());
            let row = Arc::new(rows.limit(0, Some(1))?.build()?);
            exists.subquery = Subquery { subquery: row, ..exists.subquery };
            Ok(Expr::Exists(exists))
        }
        other => Ok(other),
    }
}

/// The node over the joined input, with marks in the place of tests and the same columns as before.
fn with_marks(node: LogicalPlan, input: LogicalPlan, marks: &[(Expr, Expr)]) -> Result<LogicalPlan> {
    let names = NamePreserver::new(&node);
    let columns: Vec<Column> = node.schema().columns();
    let put = |expr: Expr| {
        let name = names.save(&expr);
        let changed = expr.transform_down(|expr| {
            let mark = marks.iter().find(|(test, _)| *test == expr);
            Ok(match (mark, &expr) {
                (Some((_, mark)), _) => Transformed::new(mark.clone(), true, TreeNodeRecursion::Jump),
                (None, Expr::Lambda(_)) => Transformed::new(expr, false, TreeNodeRecursion::Jump),
                _ => Transformed::no(expr),
            })
        })?;
        Ok(if changed.transformed { name.restore(changed.data) } else { changed.data })
    };
    let exprs = node.expressions().into_iter().map(put).collect::<Result<Vec<_>>>()?;
    let made = node.with_new_exprs(exprs, vec![input])?;
    match made.schema().fields().len() != columns.len() {
        // A window passes all columns on, and would the marks.
        true => LogicalPlanBuilder::from(made).project(columns.into_iter().map(Expr::Column))?.build(),
        false => Ok(made),
    }
}
