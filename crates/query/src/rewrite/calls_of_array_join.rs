//! `arrayJoin(a)` outside the list of columns: `WHERE arrayJoin(a) > 1` keeps items, `sum(arrayJoin(a))` adds them up.
//! The call becomes a column of a subquery, so that all places that have it see the same item. One call in the list
//! alone needs none of this.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, OrderBy, OrderByKind, Query,
    Select, SelectItem, TableWithJoins, VisitMut, VisitorMut,
};
use zepto_common::error::{Error, ErrorCode, Result};

use super::array_join::{ITEMS, derived, except, items, name_of};
use crate::filters::rows_of;
use crate::semantics::{has_aggregate, name_of as name_of_expr};

/// Different calls in one SELECT: each is one more subquery around the others.
const CALLS_MAX: usize = 32;

/// Puts a subquery with the items into FROM, if a clause, an aggregate or another call needs it: calls of different
/// arrays multiply the rows, the same call is the same item wherever it stands.
///
/// # Errors
/// `NotImplemented` for calls of different arrays where no such subquery can be made.
pub(crate) fn rows_for_calls(select: &mut Select, order: Option<&mut OrderBy>) -> Result<()> {
    let mut order = order;
    let mut calls = Calls::default();
    let aggregates = in_columns(select, &mut calls);
    let columns = calls.found.len();
    in_clauses(select, order.as_deref_mut(), &mut calls);
    // What is sorted by has to be there beside the items.
    let hidden = order.as_deref().is_some_and(|order| sorts_by_others(select, order));
    let mut different: Vec<Expr> = Vec::new();
    for call in &calls.found {
        if !different.contains(call) {
            different.push(call.clone());
        }
        if different.len() > CALLS_MAX {
            let message = format!("more than {CALLS_MAX} different calls of arrayJoin in one SELECT");
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
    }
    let needed =
        calls.found.len() > columns || (columns > 0 && (aggregates || hidden)) || different.len() > 1;
    let plain = select.from.len() <= 1 && select.from.iter().all(|from| from.joins.is_empty());
    let qualified = |item: &SelectItem| {
        matches!(item, SelectItem::QualifiedWildcard(..) | SelectItem::ExprWithAliases { .. })
    };
    // The items of an aggregate's array are made after the rows were grouped.
    let of_aggregate = different.iter().any(has_aggregate);
    if !needed || different.is_empty() {
        return Ok(());
    }
    if of_aggregate || !plain || select.projection.iter().any(qualified) {
        if different.len() == 1 {
            return Ok(());
        }
        let message =
            "Several calls of arrayJoin over a join, an aggregate or `t.*` need a subquery around that one";
        return Err(Error::new(ErrorCode::NotImplemented, message));
    }
    let mut names: Vec<Ident> = Vec::new();
    let mut rest = VecDeque::from(different);
    while let Some(call) = rest.pop_front() {
        let name = Ident::with_quote('"', format!("{ITEMS}{}", names.len()));
        add_layer(select, SelectItem::ExprWithAlias { expr: call.clone(), alias: name.clone() });
        let mut put = Calls { put: Some((call, Expr::Identifier(name.clone()))), ..Calls::default() };
        in_columns(select, &mut put);
        in_clauses(select, order.as_deref_mut(), &mut put);
        // A call may have others in it.
        for later in &mut rest {
            let _ = later.visit(&mut put);
        }
        names.push(name);
    }
    for item in &mut select.projection {
        if let SelectItem::Wildcard(options) = item
            && options.opt_except.is_none()
        {
            options.opt_except = except(names.iter());
        }
    }
    Ok(())
}

/// One more subquery in FROM that has this column too.
fn add_layer(select: &mut Select, item: SelectItem) {
    select.from = vec![match select.from.pop() {
        Some(from) => {
            let name = name_of(&from.relation);
            let mut inner = rows_of(from.relation, None);
            inner.projection.push(item);
            TableWithJoins { relation: derived(inner, &name), joins: vec![] }
        }
        None => {
            let mut inner = select.clone();
            inner.projection = vec![item];
            inner.distinct = None;
            inner.selection = None;
            inner.group_by = GroupByExpr::Expressions(vec![], vec![]);
            inner.having = None;
            inner.qualify = None;
            inner.named_window = vec![];
            TableWithJoins { relation: derived(inner, &items()), joins: vec![] }
        }
    }];
}

/// Whether something is sorted by that is no column of the list.
fn sorts_by_others(select: &Select, order: &OrderBy) -> bool {
    let OrderByKind::Expressions(list) = &order.kind else { return false };
    let mut names = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => names.push(name_of_expr(expr)),
            SelectItem::ExprWithAlias { alias, .. } => names.push(alias.value.clone()),
            _ => return false,
        }
    }
    let number = |expr: &Expr| matches!(expr, Expr::Value(_));
    list.iter().any(|by| !number(&by.expr) && !names.contains(&name_of_expr(&by.expr)))
}

/// Whether there are aggregates in the list.
fn in_columns(select: &mut Select, calls: &mut Calls) -> bool {
    let mut aggregates = false;
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            aggregates |= has_aggregate(expr);
            let _ = expr.visit(calls);
        }
    }
    aggregates
}

fn in_clauses(select: &mut Select, order: Option<&mut OrderBy>, calls: &mut Calls) {
    let clauses = [&mut select.prewhere, &mut select.selection, &mut select.having, &mut select.qualify];
    for expr in clauses.into_iter().flatten() {
        let _ = expr.visit(calls);
    }
    if let GroupByExpr::Expressions(list, _) = &mut select.group_by {
        let _ = list.visit(calls);
    }
    if let Some(OrderBy { kind: OrderByKind::Expressions(list), .. }) = order {
        let _ = list.visit(calls);
    }
}

/// Finds the calls of this select, not those of its subqueries.
#[derive(Default)]
struct Calls {
    found: Vec<Expr>,
    /// Which call is to be something else, and what.
    put: Option<(Expr, Expr)>,
    depth: usize,
}

impl VisitorMut for Calls {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0 && is_call(expr) {
            match &self.put {
                Some((call, put)) if expr == call => *expr = put.clone(),
                _ => self.found.push(expr.clone()),
            }
        }
        ControlFlow::Continue(())
    }
}

fn is_call(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else { return false };
    let one = match &function.args {
        FunctionArguments::List(list) => {
            matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Expr(_))])
        }
        _ => false,
    };
    one && function.name.to_string().trim_matches('"').eq_ignore_ascii_case("arrayJoin")
}
