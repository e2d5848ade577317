//! Named expressions: `WITH 10 AS x` puts the expression where the name stands, in the whole query.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Select, SelectItem, SetExpr, VisitMut,
    VisitorMut,
};

use super::names;
use crate::statement::SCALAR_MARKER;

/// Takes the named expressions out of a query's WITH and puts them in.
pub(super) fn resolve(query: &mut Query) {
    let Some(with) = &mut query.with else { return };
    let mut named: Vec<(String, Expr)> = Vec::new();
    with.cte_tables.retain(|table| match marked(&table.query) {
        Some(mut expr) => {
            put_in(&mut expr, &named);
            named.push((table.alias.name.value.clone(), Expr::Nested(Box::new(expr))));
            false
        }
        None => true,
    });
    if named.is_empty() {
        return;
    }
    if with.cte_tables.is_empty() {
        query.with = None;
    }
    name_selects(&mut query.body, &named);
    put_in(query, &named);
}

/// The expression inside `SELECT __scalar(expression)`.
fn marked(query: &Query) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [SelectItem::UnnamedExpr(Expr::Function(function))] = select.projection.as_slice() else {
        return None;
    };
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] if function.name.to_string() == SCALAR_MARKER => {
            Some(expr.clone())
        }
        _ => None,
    }
}

/// Columns are named before the names are gone.
fn name_selects(body: &mut SetExpr, named: &[(String, Expr)]) {
    match body {
        SetExpr::Select(select) => name_select(select, named),
        SetExpr::SetOperation { left, right, .. } => {
            name_selects(left, named);
            name_selects(right, named);
        }
        _ => {}
    }
}

fn name_select(select: &mut Select, named: &[(String, Expr)]) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item
            && named.iter().any(|(known, _)| *known == name.value)
        {
            *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(name.clone()), alias: name.clone() };
        }
    }
    names::name_columns(select);
}

fn put_in<V: VisitMut>(node: &mut V, named: &[(String, Expr)]) {
    let _ = VisitMut::visit(node, &mut Names { named, bound: Vec::new() });
}

struct Names<'a> {
    named: &'a [(String, Expr)],
    /// Parameters of the lambdas around.
    bound: Vec<String>,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Lambda(lambda) = expr {
            self.bound.extend(lambda.params.iter().map(|param| param.name.value.clone()));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Lambda(lambda) => {
                self.bound.truncate(self.bound.len().saturating_sub(lambda.params.len()));
            }
            Expr::Identifier(name) if !self.bound.contains(&name.value) => {
                if let Some((_, made)) = self.named.iter().find(|(known, _)| *known == name.value) {
                    *expr = made.clone();
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
