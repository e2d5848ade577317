//! `GROUP BY … WITH ROLLUP`, `WITH CUBE` and `WITH TOTALS` as grouping sets.
//!
//! The row of totals comes with the others, marked by a last column whose name ([`name_of`]) also says which rows are
//! wanted: LIMIT and OFFSET do not count it. [`crate::beside`] takes it out of the stream.

use sqlparser::ast::{
    Expr, GroupByExpr, GroupByWithModifier, Ident, LimitClause, OrderBy, OrderByExpr, OrderByKind,
    OrderByOptions, Query, Select, SelectItem, SetExpr, Statement, Value,
};
use zepto_common::error::{Error, ErrorCode, Result};

use crate::functions::rewrites::{call, number};
use crate::semantics::has_aggregate;

/// What the marking column's name begins with.
const MARK: &str = "\u{2}totals";

/// The rows that a statement with totals wants: how many to skip, at most how many to give.
pub(crate) type Wanted = (usize, Option<usize>);

fn name_of((skipped, most): Wanted) -> String {
    match most {
        Some(most) => format!("{MARK} {skipped} {most}"),
        None => format!("{MARK} {skipped}"),
    }
}

/// What the name of the marking column says; None for other columns.
pub(crate) fn wanted(name: &str) -> Option<Wanted> {
    let mut words = name.strip_prefix(MARK)?.split_whitespace();
    let skipped = words.next()?.parse().ok()?;
    match words.next() {
        Some(most) => Some((skipped, Some(most.parse().ok()?))),
        None => Some((skipped, None)),
    }
}

fn refused(what: &str) -> Error {
    Error::new(ErrorCode::NotImplemented, format!("WITH TOTALS {what}"))
}

/// ROLLUP and CUBE behind GROUP BY; a WITH TOTALS that is left here stands in a subquery or beside them.
///
/// # Errors
/// `NotImplemented`.
pub(super) fn sets(select: &mut Select) -> Result<()> {
    let modifiers = match &mut select.group_by {
        GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => std::mem::take(modifiers),
    };
    let Some(modifier) = modifiers.first() else { return Ok(()) };
    if modifiers.len() > 1 || *modifier == GroupByWithModifier::Totals {
        return Err(refused("is supported for the outermost SELECT, without ROLLUP and CUBE beside it"));
    }
    let keys = keys_of(select)?;
    let each = || keys.iter().map(|key| vec![key.clone()]).collect::<Vec<_>>();
    let set = match modifier {
        GroupByWithModifier::Rollup => Expr::Rollup(each()),
        GroupByWithModifier::Cube => Expr::Cube(each()),
        GroupByWithModifier::GroupingSets(sets) => sets.clone(),
        GroupByWithModifier::Totals => return Ok(()),
    };
    select.group_by = GroupByExpr::Expressions(vec![set], vec![]);
    Ok(())
}

/// What is grouped by. A number is a place in the list, ALL is every column without an aggregate.
fn keys_of(select: &Select) -> Result<Vec<Expr>> {
    let item = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
        _ => None,
    };
    match &select.group_by {
        GroupByExpr::Expressions(keys, _) => Ok(keys
            .iter()
            .map(|key| {
                let place = place(key).and_then(|place| place.checked_sub(1));
                place.and_then(|at| select.projection.get(at)).and_then(item).unwrap_or_else(|| key.clone())
            })
            .collect()),
        GroupByExpr::All(_) => {
            let columns: Option<Vec<Expr>> = select.projection.iter().map(item).collect();
            let columns = columns.ok_or_else(|| {
                Error::new(ErrorCode::NotImplemented, "GROUP BY ALL of an asterisk with a modifier")
            })?;
            Ok(columns.into_iter().filter(|expr| !has_aggregate(expr)).collect())
        }
    }
}

fn place(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// WITH TOTALS of the outermost select, where [`crate::statement::permit_totals`] has permitted it.
///
/// # Errors
/// `NotImplemented` with HAVING, DISTINCT, QUALIFY, LIMIT BY, WITH FILL and limits that are no constants.
pub(super) fn outermost(statement: &mut Statement) -> Result<()> {
    let Statement::Query(query) = statement else { return Ok(()) };
    let SetExpr::Select(select) = query.body.as_mut() else { return Ok(()) };
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = &select.group_by;
    if !matches!(modifiers.as_slice(), [GroupByWithModifier::Totals, GroupByWithModifier::Totals]) {
        return Ok(());
    }
    if select.having.is_some() || select.distinct.is_some() || select.qualify.is_some() {
        return Err(refused("is not supported beside HAVING, DISTINCT and QUALIFY"));
    }
    let keys = keys_of(select)?;
    let Some(first) = keys.first().cloned() else { return Err(refused("needs a key to group by")) };
    select.group_by = GroupByExpr::Expressions(vec![Expr::GroupingSets(vec![keys, vec![]])], vec![]);
    let wanted = limits(query)?;
    let name = Ident::with_quote('"', name_of(wanted));
    let SetExpr::Select(select) = query.body.as_mut() else { return Ok(()) };
    select
        .projection
        .push(SelectItem::ExprWithAlias { expr: call("grouping", vec![first]), alias: name.clone() });
    if let Some(OrderBy { kind, .. }) = &mut query.order_by {
        totals_first(kind, select, name)?;
    }
    Ok(())
}

/// The row of totals is sorted before all others, so that no limit cuts it off.
fn totals_first(kind: &mut OrderByKind, select: &Select, name: Ident) -> Result<()> {
    let by = |expr: Expr, asc: Option<bool>| OrderByExpr {
        expr,
        options: OrderByOptions { asc, nulls_first: None },
        with_fill: None,
    };
    match kind {
        OrderByKind::Expressions(list) => {
            if list.iter().any(|by| by.with_fill.is_some()) {
                return Err(refused("is not supported beside WITH FILL"));
            }
            list.insert(0, by(Expr::Identifier(name), Some(false)));
        }
        OrderByKind::All(options) => {
            let columns = (1..select.projection.len()).map(|at| by(number(at), options.asc));
            let first = by(Expr::Identifier(name), Some(false));
            *kind = OrderByKind::Expressions(std::iter::once(first).chain(columns).collect());
        }
    }
    Ok(())
}

/// Takes LIMIT and OFFSET out of the query; sorted rows keep a limit that has room for the totals too.
fn limits(query: &mut Query) -> Result<Wanted> {
    let sorted = query.order_by.is_some();
    let constant = |expr: &Expr| place(expr).ok_or_else(|| refused("needs LIMIT and OFFSET to be constants"));
    let wanted = match query.limit_clause.take() {
        None => return Ok((0, None)),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
            let most = limit.as_ref().map(constant).transpose()?;
            (offset.map_or(Ok(0), |offset| constant(&offset.value))?, most)
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
            (constant(&offset)?, Some(constant(&limit)?))
        }
        Some(_) => return Err(refused("is not supported beside LIMIT BY")),
    };
    if let (Some(most), true) = (wanted.1, sorted) {
        let most = most.saturating_add(wanted.0).saturating_add(1);
        query.limit_clause =
            Some(LimitClause::LimitOffset { limit: Some(number(most)), offset: None, limit_by: vec![] });
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marking_columns_name_says_which_rows_are_wanted() {
        for rows in [(0, None), (3, None), (0, Some(5)), (7, Some(0))] {
            assert_eq!(wanted(&name_of(rows)), Some(rows));
        }
        assert_eq!(wanted("totals 0"), None);
    }
}
