//! HAVING without groups, aggregates and windows (which see what HAVING leaves) is one more WHERE.

use sqlparser::ast::{BinaryOperator, Expr, GroupByExpr, OrderBy, OrderByKind, Select, SelectItem};

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
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => has_aggregate(expr),
        _ => false,
    });
    let ordered = order.is_some_and(|order| match &order.kind {
        OrderByKind::Expressions(keys) => keys.iter().any(|key| has_aggregate(&key.expr)),
        OrderByKind::All(_) => false,
    });
    if computed || ordered || select.having.as_ref().is_some_and(has_aggregate) {
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
