//! `SELECT DISTINCT f(x) … ORDER BY f(x)`: an expression of the list is the result's column, so it is sorted by the column's
//! number. DataFusion would look for `x`, which is not there any more when the rows are distinct.

use sqlparser::ast::{Distinct, Expr, OrderBy, OrderByKind, Select, SelectItem};

use crate::functions::rewrites::number;

/// Puts numbers of columns for keys that are in the list of a SELECT DISTINCT.
pub(super) fn number_keys(select: &Select, order: Option<&mut OrderBy>) {
    let (Some(Distinct::Distinct), Some(OrderBy { kind: OrderByKind::Expressions(keys), .. })) =
        (&select.distinct, order)
    else {
        return;
    };
    let mut listed: Vec<(&Expr, Option<&str>)> = Vec::with_capacity(select.projection.len());
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => listed.push((expr, None)),
            SelectItem::ExprWithAlias { expr, alias } => listed.push((expr, Some(&alias.value))),
            // How many columns an asterisk stands for is not known yet.
            _ => return,
        }
    }
    for key in keys.iter_mut().filter(|key| key.with_fill.is_none()) {
        let is_output = |(expr, alias): &(&Expr, Option<&str>)| match (&key.expr, alias) {
            (Expr::Identifier(name), Some(alias)) => name.value == *alias,
            (Expr::Identifier(_), None) => **expr == key.expr,
            _ => false,
        };
        if matches!(key.expr, Expr::Value(_)) || listed.iter().any(is_output) {
            continue;
        }
        if let Some(place) = listed.iter().position(|(expr, _)| bare(expr) == bare(&key.expr)) {
            key.expr = number(place + 1);
        }
    }
}

/// Without the brackets around it.
fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}
