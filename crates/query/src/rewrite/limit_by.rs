//! `LIMIT n BY keys` as a condition on the row's number among the rows of its keys, in the query's order, and
//! `LIMIT n WITH TIES` as one on its rank.

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, LimitClause, Offset,
    OffsetRows, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, Query, Select, SelectItem, SetExpr, Value,
    WindowSpec, WindowType,
};
use zepto_common::error::{Error, ErrorCode, Result};

use super::and;
use crate::functions::rewrites::{call, number, plain_call};
use crate::statement::{LIMIT_BY_MARKER, TIES_MARKER};

fn refused(message: &str) -> Error {
    Error::new(ErrorCode::NotImplemented, message)
}

/// `DISTINCT ON (keys)` is `LIMIT 1 BY keys`: one row of each, the first in the query's order.
///
/// # Errors
/// `NotImplemented` beside LIMIT BY and ORDER BY ALL.
pub(super) fn distinct_on(query: &mut Query) -> Result<()> {
    let SetExpr::Select(select) = query.body.as_mut() else { return Ok(()) };
    if !matches!(select.distinct, Some(Distinct::On(_))) {
        return Ok(());
    }
    let Some(Distinct::On(keys)) = select.distinct.take() else { return Ok(()) };
    let args = [number(1), number(0)].into_iter().chain(keys).collect();
    let mark = OrderByExpr {
        expr: plain_call(LIMIT_BY_MARKER, args),
        options: OrderByOptions { asc: None, nulls_first: None },
        with_fill: None,
    };
    let order = query
        .order_by
        .get_or_insert_with(|| OrderBy { kind: OrderByKind::Expressions(Vec::new()), interpolate: None });
    match &mut order.kind {
        OrderByKind::Expressions(list)
            if list.last().is_none_or(|last| marked(&last.expr, LIMIT_BY_MARKER).is_none()) =>
        {
            list.push(mark);
            Ok(())
        }
        _ => Err(refused("DISTINCT ON beside LIMIT BY or ORDER BY ALL is not supported")),
    }
}

/// Turns the mark at the end of ORDER BY into a QUALIFY.
///
/// # Errors
/// `NotImplemented` with DISTINCT, QUALIFY, set operations, ORDER BY ALL.
pub(super) fn rewrite(query: &mut Query) -> Result<()> {
    let Some(order) = &mut query.order_by else { return Ok(()) };
    let OrderByKind::Expressions(list) = &mut order.kind else { return Ok(()) };
    if let Some((rows, skipped, _)) = list.last().and_then(|last| marked(&last.expr, TIES_MARKER)) {
        list.pop();
        return with_ties(query, rows, skipped);
    }
    let last = list.last().and_then(|last| marked(&last.expr, LIMIT_BY_MARKER));
    let Some((rows, skipped, keys)) = last else { return Ok(()) };
    list.pop();
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(refused("LIMIT BY behind a set operation needs a subquery around it"));
    };
    if select.distinct.is_some() || select.qualify.is_some() {
        return Err(refused("LIMIT BY with DISTINCT or QUALIFY needs a subquery around them"));
    }
    let order_by: Result<Vec<OrderByExpr>> = list.iter().map(|by| in_window(by, select)).collect();
    let mut partition_by = keys;
    partition_by.iter_mut().for_each(|key| *key = resolved(key, select));
    let place =
        row_number(WindowSpec { window_name: None, partition_by, order_by: order_by?, window_frame: None });
    let compare = |op: BinaryOperator, rows: u64| Expr::BinaryOp {
        left: Box::new(place.clone()),
        op,
        right: Box::new(number(rows)),
    };
    let most = compare(BinaryOperator::LtEq, rows.saturating_add(skipped));
    select.qualify = Some(if skipped == 0 { most } else { and(compare(BinaryOperator::Gt, skipped), most) });
    if list.is_empty() {
        query.order_by = None;
    }
    Ok(())
}

pub(super) fn row_number(spec: WindowSpec) -> Expr {
    over("row_number", spec)
}

fn over(name: &str, spec: WindowSpec) -> Expr {
    match call(name, vec![]) {
        Expr::Function(mut function) => {
            function.over = Some(WindowType::WindowSpec(spec));
            Expr::Function(function)
        }
        other => other,
    }
}

/// The rows whose rank is within the limit; what is left out is so by OFFSET.
fn with_ties(query: &mut Query, rows: u64, skipped: u64) -> Result<()> {
    let list = match &query.order_by {
        Some(OrderBy { kind: OrderByKind::Expressions(list), .. }) if !list.is_empty() => list,
        _ => return Err(Error::new(ErrorCode::WithTiesWithoutOrderBy, "LIMIT WITH TIES needs ORDER BY")),
    };
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(refused("LIMIT WITH TIES behind a set operation needs a subquery around it"));
    };
    if select.distinct.is_some() || select.qualify.is_some() {
        return Err(refused("LIMIT WITH TIES with DISTINCT or QUALIFY needs a subquery around them"));
    }
    let order_by: Result<Vec<OrderByExpr>> = list.iter().map(|by| in_window(by, select)).collect();
    let spec =
        WindowSpec { window_name: None, partition_by: vec![], order_by: order_by?, window_frame: None };
    select.qualify = Some(Expr::BinaryOp {
        left: Box::new(over("rank", spec)),
        op: BinaryOperator::LtEq,
        right: Box::new(number(rows.saturating_add(skipped))),
    });
    if skipped > 0 {
        let offset = Some(Offset { value: number(skipped), rows: OffsetRows::None });
        query.limit_clause = Some(LimitClause::LimitOffset { limit: None, offset, limit_by: vec![] });
    }
    Ok(())
}

fn marked(expr: &Expr, marker: &str) -> Option<(u64, u64, Vec<Expr>)> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    if function.name.to_string() != marker {
        return None;
    }
    let args = list.args.iter().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    let args: Vec<Expr> = args.collect();
    let [rows, skipped, keys @ ..] = args.as_slice() else { return None };
    Some((whole(rows)?, whole(skipped)?, keys.to_vec()))
}

fn whole(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

fn in_window(by: &OrderByExpr, select: &Select) -> Result<OrderByExpr> {
    if by.with_fill.is_some() {
        return Err(refused("LIMIT BY with WITH FILL needs a subquery"));
    }
    Ok(OrderByExpr { expr: resolved(&by.expr, select), ..by.clone() })
}

/// A number is a place in the select's list.
fn resolved(expr: &Expr, select: &Select) -> Expr {
    let item =
        whole(expr).and_then(|place| select.projection.get(usize::try_from(place).ok()?.checked_sub(1)?));
    match item {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => expr.clone(),
        _ => expr.clone(),
    }
}
