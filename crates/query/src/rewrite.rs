//! Rewriting of a query's tree that is about clauses, before and after the pass over functions and operators.

mod array_join;
mod calls_of_array_join;
mod join_kinds;
mod limit_by;
mod totals;

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    JoinConstraint, JoinOperator, LimitClause, ObjectName, ObjectNamePart, OrderByExpr, OrderByKind, Query,
    Select, SelectItem, SetExpr, Statement, TableAlias, TableFactor, TableWithJoins, TopQuantity, Value,
    VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use zepto_common::error::{Error, ErrorCode, Result};

use self::array_join::array_join;
pub(crate) use self::calls_of_array_join::rows_for_calls;
pub(crate) use self::totals::{Wanted, wanted as wanted_with_totals};
use crate::statement::{ASOF_MARKER, LATEST_MARKER};

/// Puts PREWHERE into WHERE, `MATCH_CONDITION` into a marked join condition, and the mark of LATEST ON into a
/// condition on the row number.
///
/// # Errors
/// A clause that has no equivalent.
pub(crate) fn before(statement: &mut Statement) -> Result<()> {
    totals::outermost(statement)?;
    visit(statement, &mut |query| {
        each_select(&mut query.body, &mut |select| {
            if let Some(prewhere) = select.prewhere.take() {
                select.selection = Some(match select.selection.take() {
                    Some(selection) => and(nested(prewhere), nested(selection)),
                    None => prewhere,
                });
            }
            totals::sets(select)?;
            select.from.iter().try_for_each(refuse_sampling)?;
            latest(select)?;
            join_kinds::rewrite(select)?;
            array_join(select)?;
            select.from.iter_mut().try_for_each(match_conditions)
        })?;
        order_by_all(query);
        first_rows(query)?;
        limit_by::distinct_on(query)?;
        limit_by::rewrite(query)
    })
}

/// `ORDER BY ALL` becomes the numbers of the result's columns. DataFusion's own takes columns alone; with an asterisk in
/// the list it has to do.
fn order_by_all(query: &mut Query) {
    let (Some(order), SetExpr::Select(select)) = (&mut query.order_by, query.body.as_ref()) else { return };
    let OrderByKind::All(options) = &order.kind else { return };
    let named =
        |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    if !select.projection.iter().all(named) {
        return;
    }
    let by = |number: usize| OrderByExpr {
        expr: Expr::value(Value::Number(number.to_string(), false)),
        options: *options,
        with_fill: None,
    };
    order.kind = OrderByKind::Expressions((1..=select.projection.len()).map(by).collect());
}

/// `FETCH FIRST n ROWS ONLY` and `SELECT TOP n` are LIMIT.
///
/// # Errors
/// `NotImplemented` for a share of the rows and for ties.
fn first_rows(query: &mut Query) -> Result<()> {
    let refused = |what: &str| Err(Error::new(ErrorCode::NotImplemented, format!("{what} is not supported")));
    let mut rows = None;
    if let Some(fetch) = query.fetch.take() {
        if fetch.with_ties || fetch.percent {
            return refused("FETCH of a share or with ties");
        }
        rows = Some(fetch.quantity.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false))));
    }
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(top) = select.top.take()
    {
        rows = match top.quantity {
            Some(TopQuantity::Constant(number)) if !top.with_ties && !top.percent => {
                Some(Expr::value(Value::Number(number.to_string(), false)))
            }
            Some(TopQuantity::Expr(expr)) if !top.with_ties && !top.percent => Some(expr),
            _ => return refused("TOP of a share or with ties"),
        };
    }
    let Some(rows) = rows else { return Ok(()) };
    match &mut query.limit_clause {
        None => {
            let clause = LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: vec![] };
            query.limit_clause = Some(clause);
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(rows),
        Some(_) => return refused("A second limit beside LIMIT"),
    }
    Ok(())
}

/// SAMPLE would be passed over: the answer would be another than the one asked for.
fn refuse_sampling(from: &TableWithJoins) -> Result<()> {
    let joined = from.joins.iter().map(|join| &join.relation);
    for table in std::iter::once(&from.relation).chain(joined) {
        if let TableFactor::Table { name, sample: Some(_), .. } = table {
            return Err(Error::new(ErrorCode::NotImplemented, format!("SAMPLE is not supported: {name}")));
        }
    }
    Ok(())
}

/// Refuses what the pass over functions has left and DataFusion would overlook.
///
/// # Errors
/// `NotImplemented`.
pub(crate) fn after(statement: &mut Statement) -> Result<()> {
    visit(statement, &mut |query| {
        if let Some(LimitClause::LimitOffset { limit_by, .. }) = &query.limit_clause
            && !limit_by.is_empty()
        {
            let message = "LIMIT BY is supported with constant numbers of rows";
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
        crate::fill::mark(query)
    })
}

fn visit(statement: &mut Statement, each: &mut dyn FnMut(&mut Query) -> Result<()>) -> Result<()> {
    struct Visitor<'a>(&'a mut dyn FnMut(&mut Query) -> Result<()>);
    impl VisitorMut for Visitor<'_> {
        type Break = Error;
        fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
            match (self.0)(query) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            }
        }
    }
    match statement.visit(&mut Visitor(each)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn each_select(body: &mut SetExpr, each: &mut dyn FnMut(&mut Select) -> Result<()>) -> Result<()> {
    // A chain of set operations leans left: the loop takes the left side, the call the right.
    let mut body = body;
    loop {
        match body {
            SetExpr::Select(select) => return each(select),
            SetExpr::SetOperation { left, right, .. } => {
                each_select(right, each)?;
                body = left;
            }
            _ => return Ok(()),
        }
    }
}

fn and(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn marker() -> Expr {
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(ASOF_MARKER))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(sqlparser::ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![],
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// `ASOF JOIN r MATCH_CONDITION (m) ON c` keeps every left row, as where the spelling comes from.
fn match_conditions(from: &mut TableWithJoins) -> Result<()> {
    for join in &mut from.joins {
        if let JoinOperator::AsOf { match_condition, constraint } = &join.join_operator {
            let mut condition = and(marker(), nested(match_condition.clone()));
            match constraint {
                JoinConstraint::On(on) => condition = and(condition, nested(on.clone())),
                JoinConstraint::None => {}
                _ => {
                    let message = "MATCH_CONDITION needs ON for its keys";
                    return Err(Error::new(ErrorCode::NotImplemented, message));
                }
            }
            join.join_operator = JoinOperator::LeftOuter(JoinConstraint::On(condition));
        }
    }
    Ok(())
}

/// `QUALIFY latest(n)` becomes `n = 1`. Grouping must see only the latest rows, so with one they become a
/// subquery of the same name.
fn latest(select: &mut Select) -> Result<()> {
    let Some(number) = select.qualify.as_ref().and_then(marked_number) else { return Ok(()) };
    let one = Expr::value(Value::Number("1".to_owned(), false));
    select.qualify =
        Some(Expr::BinaryOp { left: Box::new(number), op: BinaryOperator::Eq, right: Box::new(one) });
    if !groups(select) {
        return Ok(());
    }
    let refused =
        || Error::new(ErrorCode::NotImplemented, "LATEST ON with GROUP BY needs a single table in FROM");
    let [TableWithJoins { relation: TableFactor::Table { name, alias, args: None, .. }, joins }] =
        select.from.as_slice()
    else {
        return Err(refused());
    };
    let last = match name.0.last() {
        Some(ObjectNamePart::Identifier(ident)) if joins.is_empty() => ident.clone(),
        _ => return Err(refused()),
    };
    let alias = alias.clone().unwrap_or(TableAlias { explicit: true, name: last, columns: vec![], at: None });
    let inner = Select {
        projection: vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())],
        distinct: None,
        group_by: GroupByExpr::Expressions(vec![], vec![]),
        having: None,
        from: std::mem::take(&mut select.from),
        selection: select.selection.take(),
        qualify: select.qualify.take(),
        named_window: vec![],
        ..select.clone()
    };
    let query = query_of(SetExpr::Select(Box::new(inner)));
    let relation =
        TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None };
    select.from = vec![TableWithJoins { relation, joins: vec![] }];
    Ok(())
}

/// A query of a body and nothing else.
pub(crate) fn query_of(body: SetExpr) -> Query {
    Query {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: vec![],
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: vec![],
    }
}

/// The row number inside the mark of LATEST ON.
fn marked_number(qualify: &Expr) -> Option<Expr> {
    let Expr::Function(call) = qualify else { return None };
    if call.name.to_string() != LATEST_MARKER {
        return None;
    }
    match &call.args {
        FunctionArguments::List(list) => match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(number))] => Some(number.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the rows are grouped: a GROUP BY, or a call in the list that can be an aggregate.
fn groups(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(exprs, _) => !exprs.is_empty(),
    };
    grouped
        || select.projection.iter().any(|item| {
            let expr = match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr,
                _ => return false,
            };
            matches!(expr, Expr::Function(call) if call.over.is_none())
        })
}
