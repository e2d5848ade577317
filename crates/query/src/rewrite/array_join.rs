//! `FROM t ARRAY JOIN a, f(b) AS c` as a subquery with one row per item.

use sqlparser::ast::{
    ExceptSelectItem, Expr, FunctionArg, FunctionArgExpr, Ident, JoinOperator, ObjectNamePart,
    ReplaceSelectElement, ReplaceSelectItem, Select, SelectItem, SetExpr, TableAlias, TableFactor,
    TableFunctionArgs, Value, WildcardAdditionalOptions,
};
use zepto_common::error::{Error, ErrorCode, Result};

use super::query_of;
use crate::filters::rows_of;
use crate::functions::rewrites::{number, plain_call};
use crate::statement::ARRAYS_MARKER;

/// The column of the items, or of their tuples.
pub(super) const ITEMS: &str = "__items";

/// An array, the name of its items, and whether that is a new column.
struct Array {
    expr: Expr,
    name: Ident,
    is_new: bool,
}

/// Puts the rows of ARRAY JOIN into FROM.
///
/// # Errors
/// `NotImplemented` for an array without a name, and for other joins beside it.
pub(super) fn array_join(select: &mut Select) -> Result<()> {
    let [from] = select.from.as_mut_slice() else { return Ok(()) };
    let refused = |message: &str| Err(Error::new(ErrorCode::NotImplemented, message));
    let kind = |operator: &JoinOperator| match operator {
        JoinOperator::ArrayJoin | JoinOperator::InnerArrayJoin => Some(false),
        JoinOperator::LeftArrayJoin => Some(true),
        _ => None,
    };
    let found = from.joins.iter().find_map(|join| kind(&join.join_operator).map(|left| (join, left)));
    let Some((join, keeps_empty)) = found else { return Ok(()) };
    if from.joins.len() > 1 {
        return refused("ARRAY JOIN beside another join needs a subquery around that one");
    }
    let Some(arrays) = arrays(&join.relation) else {
        return refused("ARRAY JOIN needs a column, or a name behind AS");
    };
    let name = name_of(&from.relation);
    from.joins.clear();
    let inner = with_items(from.relation.clone(), &name, &arrays, keeps_empty);
    from.relation = derived(named(inner, &name, &arrays), &name);
    // The new columns are not among those of the asterisk.
    for item in &mut select.projection {
        if let SelectItem::Wildcard(options) = item
            && options.opt_except.is_none()
        {
            options.opt_except = except(arrays.iter().filter(|array| array.is_new).map(|array| &array.name));
        }
    }
    Ok(())
}

/// The arrays in the mark that the token pass has left.
fn arrays(relation: &TableFactor) -> Option<Vec<Array>> {
    let TableFactor::Table { name, args: Some(TableFunctionArgs { args, .. }), .. } = relation else {
        return None;
    };
    if name.to_string() != ARRAYS_MARKER {
        return None;
    }
    let expr = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    let pairs = args.chunks_exact(2).map(|pair| {
        let (name, is_new) = match expr(&pair[1])? {
            Expr::Identifier(name) => (name, false),
            Expr::Value(value) => match value.value {
                Value::SingleQuotedString(name) => (Ident::with_quote('"', name), true),
                _ => return None,
            },
            _ => return None,
        };
        Some(Array { expr: expr(&pair[0])?, name, is_new })
    });
    pairs.collect()
}

pub(super) fn name_of(relation: &TableFactor) -> Ident {
    match relation {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            alias.name.clone()
        }
        TableFactor::Table { name, .. } => match name.0.last() {
            Some(ObjectNamePart::Identifier(name)) => name.clone(),
            _ => Ident::new("t"),
        },
        _ => Ident::new("t"),
    }
}

pub(super) fn items() -> Ident {
    Ident::with_quote('"', ITEMS)
}

/// `SELECT *, arrayJoin(arrays) AS __items FROM relation`.
fn with_items(relation: TableFactor, name: &Ident, arrays: &[Array], keeps_empty: bool) -> Select {
    let mut exprs: Vec<Expr> = arrays.iter().map(|array| array.expr.clone()).collect();
    if keeps_empty {
        // An empty array has one item then: its type's default.
        let filled = |array: Expr| {
            let one = plain_call("arrayResize", vec![array.clone(), number(1)]);
            plain_call("if", vec![plain_call("empty", vec![array.clone()]), one, array])
        };
        exprs = exprs.into_iter().map(filled).collect();
    }
    let joined = match exprs.len() {
        1 => plain_call("arrayJoin", exprs),
        _ => plain_call("arrayJoin", vec![plain_call("arrayZip", exprs)]),
    };
    let relation = match relation {
        TableFactor::Derived { alias: None, lateral, subquery, sample } => {
            TableFactor::Derived { alias: Some(alias(name)), lateral, subquery, sample }
        }
        other => other,
    };
    let mut select = rows_of(relation, None);
    select.projection.push(SelectItem::ExprWithAlias { expr: joined, alias: items() });
    select
}

/// `SELECT * EXCEPT (__items) REPLACE (…), … AS c FROM (inner)`.
fn named(inner: Select, name: &Ident, arrays: &[Array]) -> Select {
    let item = |at: usize| match arrays.len() {
        1 => Expr::Identifier(items()),
        _ => plain_call("tupleElement", vec![Expr::Identifier(items()), number(at as u64 + 1)]),
    };
    let (mut replaced, mut added) = (Vec::new(), Vec::new());
    for (at, array) in arrays.iter().enumerate() {
        if array.is_new {
            added.push(SelectItem::ExprWithAlias { expr: item(at), alias: array.name.clone() });
        } else {
            let column_name = array.name.clone();
            replaced.push(Box::new(ReplaceSelectElement { expr: item(at), column_name, as_keyword: true }));
        }
    }
    let options = WildcardAdditionalOptions {
        opt_except: except(std::iter::once(&items())),
        opt_replace: (!replaced.is_empty()).then_some(ReplaceSelectItem { items: replaced }),
        ..WildcardAdditionalOptions::default()
    };
    let mut select = rows_of(derived(inner, name), None);
    select.projection = std::iter::once(SelectItem::Wildcard(options)).chain(added).collect();
    select
}

pub(super) fn except<'a>(mut names: impl Iterator<Item = &'a Ident>) -> Option<ExceptSelectItem> {
    let first_element = names.next()?.clone();
    Some(ExceptSelectItem { first_element, additional_elements: names.cloned().collect() })
}

fn alias(name: &Ident) -> TableAlias {
    TableAlias { explicit: true, name: name.clone(), columns: vec![], at: None }
}

pub(super) fn derived(select: Select, name: &Ident) -> TableFactor {
    TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(SetExpr::Select(Box::new(select)))),
        alias: Some(alias(name)),
        sample: None,
    }
}
