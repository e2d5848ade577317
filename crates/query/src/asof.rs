//! ASOF JOIN: for each left row the one right row with equal keys and the nearest time on the right side of it.
//!
//! The parser turns the clause into a plain join with a marked condition ([`ASOF_MARKER`]); here the marked join
//! becomes [`AsOfJoin`], which is executed by [`exec::AsOfJoinExec`]: the right side is held in memory, the left
//! streams. Over two tables sorted by the keys and times of the join, `timeseries` passes both side by side instead. Keys and times that are NULL match nothing. Of right rows with equal time the last one wins.

mod exec;
mod lookup;
mod node;
mod push_down;

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef, JoinType, Result, plan_err};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Extension, Join, LogicalPlan, Operator, ScalarUDF,
    Signature, SimpleScalarUDF, TypeSignature, UserDefinedLogicalNode, Volatility,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use zepto_common::error::{Error, ErrorCode};

pub(crate) use self::exec::AsOfJoinExec;
pub(crate) use self::push_down::PushBelowAsOf;

use self::node::AsOfJoin;
use crate::error::{external, from_datafusion};
use crate::statement::ASOF_MARKER;
use crate::statement::tolerance::NANOSECONDS;

/// Which right row is taken: the nearest whose time satisfies `left time <op> right time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Match {
    /// `>=`: the last at or before.
    AtOrBefore,
    /// `>`: the last before.
    Before,
    /// `<=`: the first at or after.
    AtOrAfter,
    /// `<`: the first after.
    After,
}

/// How rows are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct How {
    /// Which right row is taken.
    pub(crate) kind: Match,
    /// How far away it may be, in what the times count; None: however far.
    pub(crate) tolerance: Option<u64>,
    /// Whether left rows without a match are kept.
    pub(crate) outer: bool,
}

impl How {
    /// Whether two times are near enough.
    pub(crate) fn is_near(self, time: i64, other: i64) -> bool {
        self.tolerance.is_none_or(|most| time.abs_diff(other) <= most)
    }
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.outer { "left" } else { "inner" })?;
        self.tolerance.map_or(Ok(()), |most| write!(f, ", tolerance={most}"))
    }
}

/// Registers the function that marks a join condition. It has no value: a mark that is left over is an error.
pub(crate) fn register(state: &mut SessionState) -> zepto_common::Result<()> {
    let misplaced = Arc::new(|_: &[ColumnarValue]| plan_err!("ASOF condition outside of a join"));
    let signature =
        Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::Any(1)], Volatility::Volatile);
    let marker = SimpleScalarUDF::new_with_signature(ASOF_MARKER, signature, DataType::Boolean, misplaced);
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(marker))).map_err(from_datafusion)?;
    Ok(())
}

/// Replaces every marked join of a fresh plan.
///
/// # Errors
/// `InvalidJoinOnExpression` for a condition that is not keys and one inequality.
pub(crate) fn replace_marked(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) if join.filter.as_ref().is_some_and(is_marked) => {
            Ok(Transformed::yes(as_of(join)?))
        }
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
}

/// The schemas of left and right input, if the node is an ASOF LEFT JOIN.
pub(crate) fn outer_inputs(node: &Extension) -> Option<[DFSchemaRef; 2]> {
    let join = node.node.as_any().downcast_ref::<AsOfJoin>().filter(|join| join.how.outer)?;
    Some([join.left.schema().clone(), join.right.schema().clone()])
}

fn is_marker(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(ScalarFunction { func, .. }) if func.name() == ASOF_MARKER)
}

/// The tolerance that a mark has, as it was written.
fn distance_of(marker: &Expr) -> Option<String> {
    let Expr::ScalarFunction(mark) = marker else { return None };
    let mut argument = mark.args.first()?;
    while let Expr::Alias(alias) = argument {
        argument = &alias.expr;
    }
    let Expr::Literal(text, _) = argument else { return None };
    text.try_as_str().flatten().map(str::to_owned)
}

/// A tolerance in what times of this type count.
fn distance_in(distance: &str, times: &DataType) -> Result<u64> {
    let refused =
        |why: &str| Err(external(Error::new(ErrorCode::IllegalTypeOfArgument, format!("TOLERANCE {why}"))));
    let (count, nanos) = match distance.strip_suffix(NANOSECONDS) {
        Some(count) => (count, true),
        None => (distance, false),
    };
    let Ok(count) = count.parse::<u64>() else { return refused("is a number") };
    let per_tick = match times {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Date32 => 86_400_000_000_000,
        ty if ty.is_integer() && nanos => return refused("of a column of numbers has no unit"),
        ty if ty.is_integer() => return Ok(count),
        other => return refused(&format!("cannot be had for a column of type {other}")),
    };
    match nanos {
        // Times differ by whole ticks: what is below one says nothing.
        true => Ok(count / per_tick),
        false => refused("of a column of times needs a unit, such as 5 SECOND"),
    }
}

/// A condition as written: the pass over operators puts a conversion to Bool around what may not be one.
fn bare(mut condition: Expr) -> Expr {
    loop {
        condition = match condition {
            Expr::ScalarFunction(ScalarFunction { func, mut args })
                if func.name() == "__truth" && args.len() == 1 =>
            {
                args.remove(0)
            }
            other => return other,
        };
    }
}

fn is_marked(filter: &Expr) -> bool {
    let mut found = false;
    let visited = filter.apply(|expr| {
        found |= is_marker(expr);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found && visited.is_ok()
}

fn invalid(message: impl Into<String>) -> datafusion::common::DataFusionError {
    external(Error::new(ErrorCode::InvalidJoinOnExpression, message))
}

fn as_of(join: Join) -> Result<LogicalPlan> {
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
        return Err(invalid("ASOF JOIN is INNER or LEFT"));
    }
    let (left, right) = (join.left.schema().clone(), join.right.schema().clone());
    let mut keys = Vec::new();
    let mut time: Option<(Expr, Expr, Match)> = None;
    let mut distance = None;
    let conditions = join.filter.map(split_conjunction_owned).unwrap_or_default();
    for condition in conditions.into_iter().flat_map(|condition| split_conjunction_owned(bare(condition))) {
        let condition = bare(condition);
        if is_marker(&condition) {
            distance = distance_of(&condition);
            continue;
        }
        let text = condition.to_string();
        let Expr::BinaryExpr(BinaryExpr { left: a, op, right: b }) = condition else {
            return Err(invalid(format!("ASOF JOIN cannot use the condition {text}")));
        };
        let (a, op, b) = sides(*a, op, *b, &left, &right)
            .ok_or_else(|| invalid(format!("ASOF JOIN needs one table on each side of {text}")))?;
        let (a, b) = same_type(a, b, &left, &right)?;
        match op {
            Operator::Eq => keys.push((a, b)),
            op => match (match_of(op), &time) {
                (Some(kind), None) => time = Some((a, b, kind)),
                _ => return Err(invalid("ASOF JOIN needs equal keys and exactly one inequality")),
            },
        }
    }
    let time = time.ok_or_else(|| invalid("ASOF JOIN needs an inequality such as a.ts >= b.ts"))?;
    let times = time.0.get_type(&left)?;
    let tolerance = distance.map(|distance| distance_in(&distance, &times)).transpose()?;
    let how = How { kind: time.2, tolerance, outer: join.join_type == JoinType::Left };
    let node = AsOfJoin::new(join.left, join.right, keys, (time.0, time.1), how, join.schema);
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

fn match_of(op: Operator) -> Option<Match> {
    match op {
        Operator::GtEq => Some(Match::AtOrBefore),
        Operator::Gt => Some(Match::Before),
        Operator::LtEq => Some(Match::AtOrAfter),
        Operator::Lt => Some(Match::After),
        _ => None,
    }
}

/// Puts the left table's expression to the left.
fn sides(
    a: Expr,
    op: Operator,
    b: Expr,
    left: &DFSchema,
    right: &DFSchema,
) -> Option<(Expr, Operator, Expr)> {
    let of = |expr: &Expr, schema: &DFSchema| {
        let columns = expr.column_refs();
        !columns.is_empty() && columns.iter().all(|column| schema.has_column(column))
    };
    if of(&a, left) && of(&b, right) {
        return Some((a, op, b));
    }
    if of(&b, left) && of(&a, right) {
        return Some((b, op.swap()?, a));
    }
    None
}

fn same_type(a: Expr, b: Expr, left: &DFSchema, right: &DFSchema) -> Result<(Expr, Expr)> {
    let (a_type, b_type) = (a.get_type(left)?, b.get_type(right)?);
    if a_type == b_type {
        return Ok((a, b));
    }
    let common = comparison_coercion(&a_type, &b_type)
        .ok_or_else(|| invalid(format!("ASOF JOIN cannot compare {a_type} and {b_type}")))?;
    Ok((a.cast_to(&common, left)?, b.cast_to(&common, right)?))
}

/// Plans [`AsOfJoin`].
#[derive(Debug)]
pub(crate) struct AsOfPlanner;

#[async_trait]
impl ExtensionPlanner for AsOfPlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<AsOfJoin>() else { return Ok(None) };
        let (&[left, right], [left_plan, right_plan]) = (logical_inputs, physical_inputs) else {
            return plan_err!("an ASOF join has two inputs");
        };
        let physical = |expr: &Expr, input: &LogicalPlan| {
            planner.create_physical_expr(expr, input.schema(), session, context)
        };
        let keys: Result<Vec<_>> =
            node.keys.iter().map(|(a, b)| Ok((physical(a, left)?, physical(b, right)?))).collect();
        let (a, b) = &node.time;
        let time = (physical(a, left)?, physical(b, right)?);
        let schema = node.schema.inner().clone();
        let exec = AsOfJoinExec::new(left_plan.clone(), right_plan.clone(), keys?, time, node.how, schema);
        Ok(Some(Arc::new(exec)))
    }
}
