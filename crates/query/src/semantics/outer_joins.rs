//! Rows of outer joins without a match: their cells hold zero values (`join_use_nulls = 0`), and the joined key of
//! USING is that of the side that is there.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DFSchemaRef, JoinType, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Join, LogicalPlan, Operator, Projection, Sort};
use datafusion::optimizer::AnalyzerRule;
use zepto_common::types::ColumnType;

use super::numbers::{common, zero_of};
use super::rules::SemanticOptions;
use super::using::JOINED_KEY;
use crate::asof;
use crate::functions::scalar_function;

#[derive(Debug)]
pub(super) struct OuterJoins;

impl AnalyzerRule for OuterJoins {
    fn name(&self) -> &str {
        "outer_joins"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let use_nulls =
            config.extensions.get::<SemanticOptions>().is_some_and(|options| options.join_use_nulls);
        let changed = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) => outer_join(join, use_nulls),
            LogicalPlan::Extension(node) => match asof::outer_inputs(&node).filter(|_| !use_nulls) {
                Some(inputs) => {
                    let plan = LogicalPlan::Extension(node);
                    Ok(Transformed::yes(filled(plan, &inputs, (false, true), vec![])?))
                }
                None => Ok(Transformed::no(LogicalPlan::Extension(node))),
            },
            LogicalPlan::Sort(sort) => by_joined_keys(sort),
            // A node above a changed one has the narrower types.
            other => with_joined_keys(other),
        })?;
        if !changed.transformed {
            return Ok(changed.data);
        }
        Ok(changed
            .data
            .transform_up_with_subqueries(|node| Ok(Transformed::yes(node.recompute_schema()?)))?
            .data)
    }
}

fn outer_join(join: Join, use_nulls: bool) -> Result<Transformed<LogicalPlan>> {
    let pairs = marked_pairs(&join);
    let changed = with_joined_keys(LogicalPlan::Join(join))?;
    let LogicalPlan::Join(join) = changed.data else {
        return datafusion::common::internal_err!("a join stays one");
    };
    let keys = added_keys(&join, pairs)?;
    let sides = match join.join_type {
        JoinType::Left => (false, true),
        JoinType::Right => (true, false),
        JoinType::Full => (true, true),
        _ => (false, false),
    };
    if keys.is_empty() && (sides == (false, false) || use_nulls) {
        return Ok(Transformed::new_transformed(LogicalPlan::Join(join), changed.transformed));
    }
    let inputs = [Arc::clone(join.left.schema()), Arc::clone(join.right.schema())];
    let sides = if use_nulls { (false, false) } else { sides };
    Ok(Transformed::yes(filled(LogicalPlan::Join(join), &inputs, sides, keys)?))
}

/// The column of the joined key beside the column that stands for it.
fn key_beside(column: &Column) -> Column {
    Column::new(column.relation.clone(), format!("{JOINED_KEY} {}", column.name))
}

/// The column in a side of a condition, which may be cast or marked.
fn column_in(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Cast(Cast { expr, .. }) => column_in(expr),
        Expr::ScalarFunction(call) if call.func.name() == JOINED_KEY => column_in(call.args.first()?),
        _ => None,
    }
}

/// Whether a side of a condition is a joined key.
fn is_marked(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(Cast { expr, .. }) => is_marked(expr),
        Expr::ScalarFunction(call) => call.func.name() == JOINED_KEY,
        _ => false,
    }
}

/// The columns that the join's condition names as those of a joined key: the one that stands for it and the right one.
fn marked_pairs(join: &Join) -> Vec<(Column, Column)> {
    let filter = join.filter.iter().flat_map(|filter| split_conjunction(filter));
    let equal = filter.filter_map(|test| match test {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            Some((left.as_ref(), right.as_ref()))
        }
        _ => None,
    });
    equal
        .chain(join.on.iter().map(|(left, right)| (left, right)))
        .filter(|(left, _)| is_marked(left))
        .filter_map(|(left, right)| Some((column_in(left)?.clone(), column_in(right)?.clone())))
        .collect()
}

/// The joined keys of a join whose left side may be missing: their columns and values.
fn added_keys(join: &Join, pairs: Vec<(Column, Column)>) -> Result<Vec<(Column, Expr)>> {
    if !matches!(join.join_type, JoinType::Right | JoinType::Full) {
        return Ok(Vec::new());
    }
    let mut keys = Vec::with_capacity(pairs.len());
    for (named, right) in pairs {
        let key = key_beside(&named);
        let left = if join.left.schema().has_column(&key) { &key } else { &named };
        let l = join.left.schema().qualified_field_from_column(left)?.1;
        let r = join.right.schema().qualified_field_from_column(&right)?.1;
        let types = [ColumnType::of_field(l), ColumnType::of_field(r)];
        let ty = common(&types).map_or_else(|_| types[0].query_type(), |ty| ty.query_type());
        let of_right = fitted(&right, r.data_type(), &ty);
        let value = if join.join_type == JoinType::Right {
            of_right
        } else {
            let there = coalesce(vec![fitted(left, l.data_type(), &ty), of_right]);
            match l.is_nullable() || r.is_nullable() || zero_of(&ty)?.is_null() {
                true => there,
                false => {
                    let call = ScalarFunction::new_udf(scalar_function("assumeNotNull")?, vec![there]);
                    Expr::ScalarFunction(call)
                }
            }
        };
        keys.push((key, value));
    }
    Ok(keys)
}

fn fitted(column: &Column, from: &DataType, to: &DataType) -> Expr {
    let expr = Expr::Column(column.clone());
    if from == to { expr } else { Expr::Cast(Cast::new(Box::new(expr), to.clone())) }
}

/// A node's calls of [`JOINED_KEY`] as the columns of joined keys, or as the columns in them.
fn with_joined_keys(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schemas: Vec<DFSchemaRef> =
        node.inputs().into_iter().map(|input| Arc::clone(input.schema())).collect();
    let is_there = |column: &Column| schemas.iter().any(|schema| schema.has_column(column));
    let names = NamePreserver::new(&node);
    let changed = node.map_expressions(|expr| {
        let name = names.save(&expr);
        let changed = expr.transform_up(|expr| match expr {
            Expr::ScalarFunction(mut call) if call.func.name() == JOINED_KEY && call.args.len() == 1 => {
                let column = match call.args.remove(0) {
                    Expr::Column(column) if is_there(&key_beside(&column)) => {
                        Expr::Column(key_beside(&column))
                    }
                    other => other,
                };
                Ok(Transformed::yes(column))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(if changed.transformed { changed.update_data(|expr| name.restore(expr)) } else { changed })
    })?;
    let has_keys =
        schemas.iter().any(|schema| schema.fields().iter().any(|field| field.name().starts_with(JOINED_KEY)));
    match has_keys {
        // What passes its input on has the columns of joined keys as well.
        true => Ok(Transformed::yes(changed.data.recompute_schema()?)),
        false => Ok(changed),
    }
}

/// A sort by joined keys that the list below it does not pass on: they pass for the sort alone.
fn by_joined_keys(mut sort: Sort) -> Result<Transformed<LogicalPlan>> {
    let mut keys: Vec<Column> = Vec::new();
    if let LogicalPlan::Projection(list) = sort.input.as_ref() {
        for by in &sort.expr {
            by.expr.apply(|expr| {
                if is_marked(expr)
                    && let Some(key) = column_in(expr).map(key_beside)
                    && list.input.schema().has_column(&key)
                    && !list.schema.has_column(&key)
                    && !keys.contains(&key)
                {
                    keys.push(key);
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
    }
    if keys.is_empty() {
        return with_joined_keys(LogicalPlan::Sort(sort));
    }
    let LogicalPlan::Projection(list) = sort.input.as_ref().clone() else {
        return with_joined_keys(LogicalPlan::Sort(sort));
    };
    let given: Vec<Expr> = list.schema.iter().map(Expr::from).collect();
    let exprs = list.expr.into_iter().chain(keys.into_iter().map(Expr::Column)).collect();
    sort.input = Arc::new(LogicalPlan::Projection(Projection::try_new(exprs, list.input)?));
    let sorted = with_joined_keys(LogicalPlan::Sort(sort))?;
    let plan = Projection::try_new(given, Arc::new(sorted.data))?;
    Ok(Transformed::yes(LogicalPlan::Projection(plan)))
}

/// A join with zero values in the columns of the sides that can lack a match, and with its joined keys.
fn filled(
    join: LogicalPlan,
    [left, right]: &[DFSchemaRef; 2],
    (left_filled, right_filled): (bool, bool),
    keys: Vec<(Column, Expr)>,
) -> Result<LogicalPlan> {
    let lefts = left.fields().len();
    let inputs: Vec<bool> =
        left.fields().iter().chain(right.fields().iter()).map(|field| field.is_nullable()).collect();
    let schema: Arc<DFSchema> = Arc::clone(join.schema());
    let mut exprs: Vec<Expr> = Vec::with_capacity(schema.fields().len() + keys.len());
    for (i, (qualifier, field)) in schema.iter().enumerate() {
        let name = Column::new(qualifier.cloned(), field.name());
        if keys.iter().any(|(key, _)| *key == name) {
            continue;
        }
        let column = Expr::Column(name);
        let fill = if i < lefts { left_filled } else { right_filled };
        let zero = if fill { zero_of(field.data_type())? } else { ScalarValue::Null };
        if !fill || inputs.get(i).copied().unwrap_or(true) || zero.is_null() {
            exprs.push(column);
            continue;
        }
        let value = coalesce(vec![column, Expr::Literal(zero, None)]);
        let metadata = (!field.metadata().is_empty()).then(|| field.metadata().clone().into());
        exprs.push(value.alias_qualified_with_metadata(qualifier.cloned(), field.name(), metadata));
    }
    exprs.extend(keys.into_iter().map(|(key, value)| value.alias_qualified(key.relation, key.name)));
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(join))?))
}
