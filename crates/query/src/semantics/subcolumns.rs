//! Subcolumns: `m.keys`, `m.values` and `m.key_a` of a map, `a.size0` of an array or a map; elements of tuples are
//! DataFusion's. A result calls them by their names with the column's before them.

use std::collections::HashSet;

use arrow::datatypes::Field;
use datafusion::common::{Column, Result, TableReference};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};
use datafusion::logical_expr::{Expr, lit};
use sqlparser::ast::{Expr as Ast, Ident, ObjectNamePart, Select, SetExpr, TableFactor, TableWithJoins};
use zepto_common::types::ColumnType;

use super::own_names;
use crate::functions::scalar_function;

/// Plans them as the functions that give the same.
#[derive(Debug)]
pub(crate) struct SubcolumnPlanner;

impl ExprPlanner for SubcolumnPlanner {
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let column = || Expr::Column(Column::new(qualifier.cloned(), field.name()));
        let ty = ColumnType::of_field(field);
        let call = |name: &str, mut args: Vec<Expr>| -> Result<Expr> {
            args.insert(0, column());
            Ok(scalar_function(name)?.call(args))
        };
        // A name that no column has is told as one. DataFusion would look for a map's key.
        let unknown = || {
            let parts: Vec<&str> =
                std::iter::once(field.name()).chain(nested_names).map(String::as_str).collect();
            Expr::Column(Column::new(qualifier.cloned(), parts.join(".")))
        };
        let name = nested_names.first().filter(|_| nested_names.len() == 1).map_or("", String::as_str);
        let made = match (ty.inner(), name) {
            (ColumnType::Tuple(_), _) => return Ok(PlannerResult::Original(vec![])),
            (ColumnType::Map(..), "keys") => call("mapKeys", vec![])?,
            (ColumnType::Map(..), "values") => call("mapValues", vec![])?,
            (ColumnType::Map(..) | ColumnType::Array(_), "size0") => call("length", vec![])?,
            (ColumnType::Map(..), name) if name.starts_with("key_") => {
                call("arrayElement", vec![lit(name.strip_prefix("key_").unwrap_or_default())])?
            }
            _ => unknown(),
        };
        Ok(PlannerResult::Planned(made))
    }
}

/// An expression of a select's list with each name of several parts as a result shows it: without the table's.
pub(super) fn shown(expr: &Ast, tables: Option<&HashSet<String>>) -> Ast {
    let mut shown = expr.clone();
    if let Some(tables) = tables {
        own_names::replace(&mut shown, |parts| {
            name_with_column(parts, tables).map(|name| Ast::Identifier(Ident::with_quote('"', name)))
        });
    }
    shown
}

/// `column.element`; None when what stands before the last part is a table.
fn name_with_column(parts: &[Ident], tables: &HashSet<String>) -> Option<String> {
    let is_table = |at: usize| parts.get(at).is_some_and(|part| tables.contains(&part.value));
    let column = match (is_table(0), is_table(1)) {
        (_, true) if parts.len() > 2 => 2,
        (true, _) => 1,
        (false, _) => 0,
    };
    let named = parts.get(column..).filter(|parts| parts.len() > 1)?;
    Some(named.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join("."))
}

/// By which names the tables of a FROM are called in front of a column; None where one of them cannot be told.
pub(super) fn tables(select: &Select) -> Option<HashSet<String>> {
    let mut names = HashSet::new();
    for TableWithJoins { relation, joins } in &select.from {
        for factor in std::iter::once(relation).chain(joins.iter().map(|join| &join.relation)) {
            add_names(factor, &mut names)?;
        }
    }
    Some(names)
}

fn add_names(factor: &TableFactor, names: &mut HashSet<String>) -> Option<()> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            names.insert(alias.name.value.clone());
        }
        TableFactor::Table { name, .. } => {
            let ObjectNamePart::Identifier(name) = name.0.last()? else { return None };
            names.insert(name.value.clone());
        }
        // Its columns keep the names of its tables.
        TableFactor::Derived { subquery, .. } => match subquery.body.as_ref() {
            SetExpr::Select(select) => names.extend(tables(select)?),
            _ => return None,
        },
        _ => return None,
    }
    Some(())
}
