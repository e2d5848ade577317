//! HAVING without groups and aggregates is one more WHERE.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, GroupByExpr, OrderBy, Select, SelectItem, Visit, Visitor};

use super::has_aggregate;

/// Moves the condition.
pub(super) fn as_condition(select: &mut Select, order: Option<&OrderBy>) {
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(keys, modifiers) => !keys.is_empty() || !modifiers.is_empty(),
    };
    if grouped || select.having.is_none() {
        return;
    }
    let computed = select.projection.iter().any(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => is_computed(expr),
        _ => false,
    });
    let ordered = order.is_some_and(|order| order.visit(&mut Computed).is_break());
    if computed || ordered || select.having.as_ref().is_some_and(is_computed) {
        return;
    }
    let nested = |expr: Expr| Box::new(Expr::Nested(Box::new(expr)));
    select.selection = match (select.selection.take(), select.having.take()) {
        (Some(left), Some(right)) => {
            Some(Expr::BinaryOp { left: nested(left), op: BinaryOperator::And, right: nested(right) })
        }
        (left, right) => left.or(right),
    };
}

/// Whether it needs more rows than one: an aggregate, or a window that sees what HAVING leaves.
fn is_computed(expr: &Expr) -> bool {
    has_aggregate(expr) || expr.visit(&mut Computed).is_break()
}

struct Computed;

impl Visitor for Computed {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(call) if call.over.is_some() || crate::functions::is_aggregate(&call.name) => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
