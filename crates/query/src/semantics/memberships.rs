//! BETWEEN and IN compare as the operators do. DataFusion plans them past our operators, by its own rules: times of two
//! zones by what their clocks show, decimals with floats by digits that nobody wrote, UUIDs with texts not at all.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use zepto_common::types::ColumnType;

use super::operators::{binary, compared, type_of};
use crate::functions::scalar_function;

/// Puts the comparisons of a fresh plan as [`super::OperatorPlanner`] would, where the two differ.
pub(crate) fn memberships(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        let schemas: Vec<_> = node.inputs().into_iter().map(|input| Arc::clone(input.schema())).collect();
        let known = |expr: &Expr| schemas.iter().find_map(|schema| type_of(expr, schema));
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| {
                Ok(match expr {
                    Expr::Between(between) => between_as_operators(between, &known),
                    Expr::InList(list) => in_as_operators(list, &known),
                    other => Transformed::no(other),
                })
            })?;
            Ok(if changed.transformed { changed.update_data(|expr| name.restore(expr)) } else { changed })
        })
    })?;
    Ok(changed.data)
}

type Known<'a> = &'a dyn Fn(&Expr) -> Option<ColumnType>;

/// `left op right` by our rules; None where they are DataFusion's.
fn ours(left: &Expr, op: Operator, right: &Expr, known: Known<'_>) -> Option<Expr> {
    compared(op, left, right, &known(left)?, &known(right)?)
}

fn between_as_operators(between: Between, known: Known<'_>) -> Transformed<Expr> {
    let Between { expr, negated, low, high } = &between;
    let (from, joined, to) = match negated {
        false => (Operator::GtEq, Operator::And, Operator::LtEq),
        true => (Operator::Lt, Operator::Or, Operator::Gt),
    };
    let (above, below) = (ours(expr, from, low, known), ours(expr, to, high, known));
    if above.is_none() && below.is_none() {
        return Transformed::no(Expr::Between(between));
    }
    let plain = |op, bound: &Expr| binary(expr.as_ref().clone(), op, bound.clone());
    let above = above.unwrap_or_else(|| plain(from, low));
    let below = below.unwrap_or_else(|| plain(to, high));
    Transformed::yes(binary(above, joined, below))
}

/// Whether it is an array of values that compare with the expression.
fn is_array_of(array: &Expr, expr: &Expr, known: Known<'_>) -> bool {
    let item = |ty: ColumnType| match ty.inner() {
        ColumnType::Array(item) => Some(item.inner().clone()),
        _ => None,
    };
    let Some(of) = known(array).and_then(item) else { return false };
    known(expr).and_then(item).is_some() == item(of).is_some()
}

/// The items of an array that is written out; NULL is in no list.
fn items_of(array: &Expr) -> Option<Vec<Expr>> {
    let Expr::ScalarFunction(call) = array else { return None };
    let is_null = |item: &&Expr| matches!(item, Expr::Literal(value, _) if value.is_null());
    let items: Vec<Expr> = call.args.iter().filter(|item| !is_null(item)).cloned().collect();
    (call.func.name() == "array" && !items.is_empty()).then_some(items)
}

/// `x IN array`, whose items are not known before it runs.
fn in_array(expr: &Expr, array: &Expr) -> Option<Expr> {
    let has = scalar_function("has").ok()?.call(vec![array.clone(), expr.clone()]);
    Some(scalar_function("__truth").ok()?.call(vec![has]))
}

fn in_as_operators(list: InList, known: Known<'_>) -> Transformed<Expr> {
    if let [array] = list.list.as_slice()
        && is_array_of(array, &list.expr, known)
    {
        let Some(items) = items_of(array) else {
            let test = in_array(&list.expr, array);
            return test.map_or(Transformed::no(Expr::InList(list.clone())), |test| {
                Transformed::yes(if list.negated { Expr::Not(Box::new(test)) } else { test })
            });
        };
        // Its items take the type of what they are compared with, as those of a list.
        let spread = InList::new(list.expr, items, list.negated);
        return Transformed::yes(in_as_operators(spread, known).data);
    }
    let InList { expr, list: items, negated } = &list;
    let tests: Vec<Option<Expr>> = items.iter().map(|item| ours(expr, Operator::Eq, item, known)).collect();
    if tests.iter().all(Option::is_none) {
        return Transformed::no(Expr::InList(list));
    }
    let tests = tests.into_iter().zip(items);
    let tests = tests.map(|(test, item)| {
        test.unwrap_or_else(|| binary(expr.as_ref().clone(), Operator::Eq, item.clone()))
    });
    let tests: Vec<Expr> = tests.collect();
    let same_left =
        |test: &Expr| matches!(test, Expr::BinaryExpr(test) if test.op == Operator::Eq && test.left == *expr);
    if tests.iter().all(same_left) {
        let items = tests.into_iter().filter_map(|test| match test {
            Expr::BinaryExpr(test) => Some(*test.right),
            _ => None,
        });
        return Transformed::yes(Expr::InList(InList::new(expr.clone(), items.collect(), *negated)));
    }
    let any = tests.into_iter().reduce(|any, test| binary(any, Operator::Or, test));
    Transformed::yes(match any {
        Some(any) if *negated => Expr::Not(Box::new(any)),
        Some(any) => any,
        None => Expr::InList(list),
    })
}
