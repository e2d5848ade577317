//! `(a, b) IN (SELECT x, y …)`: a row of the subquery whose every column is equal. DataFusion knows one column only, so it
//! becomes EXISTS, which it turns into a join by all of them.

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, SelectItem, SetExpr,
    TableFactor, Value,
};
use sqlparser::dialect::ClickHouseDialect;
use sqlparser::parser::Parser;
use zepto_common::{Error, ErrorCode, Result};

use crate::functions::rewrites::call;

/// Begins the names of the subquery's columns.
const COLUMN: &str = "__in_";

/// The test as DataFusion takes it.
///
/// # Errors
/// None that a statement can cause.
pub(super) fn rewritten(expr: Box<Expr>, subquery: Box<Query>, negated: bool) -> Result<Expr> {
    let exists = as_exists(&expr, &subquery, negated)?;
    Ok(exists.unwrap_or(Expr::InSubquery { expr, subquery, negated }))
}

/// The test as EXISTS; None when `expr` is no tuple of several elements.
fn as_exists(expr: &Expr, subquery: &Query, negated: bool) -> Result<Option<Expr>> {
    let Some(elements) = elements_of(expr).filter(|elements| elements.len() > 1) else {
        return Ok(None);
    };
    let names: Vec<Ident> =
        (0..elements.len()).map(|at| Ident::with_quote('"', format!("{COLUMN}{at}"))).collect();
    let listed: Vec<String> = names.iter().map(ToString::to_string).collect();
    let template = format!("SELECT 1 FROM (SELECT 1) AS \"__in\" ({}) WHERE true", listed.join(", "));
    let mut query = Parser::new(&ClickHouseDialect {})
        .try_with_sql(&template)
        .and_then(|mut parser| parser.parse_query())
        .map_err(|error| Error::internal(error.to_string()))?;
    let equal = |(name, element): (Ident, Expr)| Expr::BinaryOp {
        left: Box::new(Expr::Identifier(name)),
        op: BinaryOperator::Eq,
        right: Box::new(Expr::Nested(Box::new(element))),
    };
    let tests = names.into_iter().zip(elements).map(equal).reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    });
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.selection = tests;
        if let Some(TableFactor::Derived { subquery: rows, .. }) =
            select.from.first_mut().map(|table| &mut table.relation)
        {
            **rows = subquery.clone();
            spread(rows);
        }
    }
    Ok(Some(Expr::Exists { subquery: query, negated }))
}

/// A subquery of one tuple is one of its elements.
fn spread(rows: &mut Query) {
    let SetExpr::Select(select) = rows.body.as_mut() else { return };
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_slice()
    else {
        return;
    };
    let elements = match expr {
        Expr::Tuple(elements) => Some(elements.clone()),
        other => elements_of(other),
    };
    if let Some(elements) = elements {
        select.projection = elements.into_iter().map(SelectItem::UnnamedExpr).collect();
    }
}

/// `(a, b) IN (1, 2)` has one row in its list, not two values.
///
/// # Errors
/// `IncorrectElementOfSet`: a row of the list has another number of values.
pub(super) fn one_row(expr: &Expr, list: Vec<Expr>) -> Result<Vec<Expr>> {
    let Some(wanted) = elements_of(expr).map(|elements| elements.len()).filter(|wanted| *wanted > 1) else {
        return Ok(list);
    };
    let is_null = |item: &Expr| matches!(item, Expr::Value(value) if value.value == Value::Null);
    let is_value = |item: &Expr| matches!(item, Expr::Value(_) | Expr::UnaryOp { .. });
    if list.len() == wanted && list.iter().all(is_value) {
        return Ok(vec![call("tuple", list.into_iter().map(super::typed).collect())]);
    }
    for item in list.iter().map(bare) {
        let size = elements_of(item).map(|elements| elements.len());
        let message = match size {
            Some(size) if size != wanted => {
                format!("Incorrect size of tuple in set: {size} instead of {wanted}")
            }
            None if is_value(item) && !is_null(item) => {
                "Invalid element type in set: expected Tuple".to_owned()
            }
            _ => continue,
        };
        return Err(Error::new(ErrorCode::IncorrectElementOfSet, message));
    }
    Ok(list)
}

/// An expression without its brackets.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => bare(inner),
        other => other,
    }
}

/// The elements of a tuple that is written out.
fn elements_of(expr: &Expr) -> Option<Vec<Expr>> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let is_tuple = function.name.to_string().trim_matches('"') == "tuple";
    let element = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    is_tuple.then(|| list.args.iter().map(element).collect()).flatten()
}
