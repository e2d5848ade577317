//! `FROM t ARRAY JOIN a AS x` as a subquery with one row per item.

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, JoinOperator, ObjectNamePart, Select, SelectItem, SetExpr, TableAlias,
    TableFactor, TableWithJoins, WildcardAdditionalOptions,
};
use zepto_common::error::{Error, ErrorCode, Result};

use super::query_of;
use crate::functions::rewrites::plain_call;

/// Puts the rows of ARRAY JOIN into FROM.
///
/// # Errors
/// `NotImplemented` for LEFT ARRAY JOIN, an array without AS, and other joins beside it.
pub(super) fn array_join(select: &mut Select) -> Result<()> {
    let [from] = select.from.as_mut_slice() else { return Ok(()) };
    let refused = |message: &str| Err(Error::new(ErrorCode::NotImplemented, message));
    let is_join =
        |operator: &JoinOperator| matches!(operator, JoinOperator::ArrayJoin | JoinOperator::InnerArrayJoin);
    if from.joins.iter().any(|join| matches!(join.join_operator, JoinOperator::LeftArrayJoin)) {
        return refused("LEFT ARRAY JOIN is not supported");
    }
    let Some(join) = from.joins.iter().find(|join| is_join(&join.join_operator)) else { return Ok(()) };
    if from.joins.len() > 1 {
        return refused("ARRAY JOIN takes one array here; use arrayJoin for the others");
    }
    let TableFactor::Table { name: array, alias, args: None, .. } = &join.relation else {
        return refused("ARRAY JOIN takes a column");
    };
    let (Some(ObjectNamePart::Identifier(column)), Some(alias)) = (array.0.last(), alias) else {
        return refused("ARRAY JOIN needs a name behind AS");
    };
    let name = match &from.relation {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            alias.name.clone()
        }
        TableFactor::Table { name, .. } => match name.0.last() {
            Some(ObjectNamePart::Identifier(name)) => name.clone(),
            _ => Ident::new("t"),
        },
        _ => Ident::new("t"),
    };
    let items = SelectItem::ExprWithAlias {
        expr: plain_call("arrayJoin", vec![Expr::Identifier(column.clone())]),
        alias: alias.name.clone(),
    };
    let relation = std::mem::replace(
        &mut from.relation,
        TableFactor::UNNEST {
            alias: None,
            array_exprs: vec![],
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: false,
        },
    );
    let inner = Select {
        projection: vec![SelectItem::Wildcard(WildcardAdditionalOptions::default()), items],
        distinct: None,
        group_by: GroupByExpr::Expressions(vec![], vec![]),
        having: None,
        from: vec![TableWithJoins { relation, joins: vec![] }],
        selection: None,
        prewhere: None,
        qualify: None,
        named_window: vec![],
        ..select.clone()
    };
    let alias = TableAlias { explicit: true, name, columns: vec![], at: None };
    let relation = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(SetExpr::Select(Box::new(inner)))),
        alias: Some(alias),
        sample: None,
    };
    select.from = vec![TableWithJoins { relation, joins: vec![] }];
    Ok(())
}
