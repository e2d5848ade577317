//! A table under an alias may still be called by its own name: `SELECT db.t.x FROM db.t AS a`, which tools write. Such
//! a name becomes the alias's, unless something else in the FROM is called so.
//!
//! Subqueries keep their names: they may have the table in a FROM of their own.

use sqlparser::ast::{Expr, Ident, ObjectNamePart, OrderBy, Select, TableFactor};

use super::own_names;

/// Puts the aliases in the place of the tables' own names.
pub(super) fn resolve(select: &mut Select, order: Option<&mut OrderBy>) {
    let factors = select
        .from
        .iter()
        .flat_map(|it| std::iter::once(&it.relation).chain(it.joins.iter().map(|j| &j.relation)));
    let (mut tables, mut called): (Vec<(Vec<String>, Ident)>, Vec<String>) = (Vec::new(), Vec::new());
    for factor in factors {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let parts = name.0.iter().filter_map(ObjectNamePart::as_ident).map(|part| part.value.clone());
                let parts: Vec<String> = parts.collect();
                match alias {
                    Some(alias) => {
                        called.push(alias.name.value.clone());
                        tables.push((parts, alias.name.clone()));
                    }
                    None => called.extend(parts.last().cloned()),
                }
            }
            TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::Table { alias: Some(alias), .. } => {
                called.push(alias.name.value.clone());
            }
            _ => {}
        }
    }
    // What is meant by a name that two have, or that something is called by, is not said here.
    let owned: Vec<_> = tables.iter().filter_map(|(parts, _)| parts.last().cloned()).collect();
    tables.retain(|(parts, _)| {
        parts
            .last()
            .is_some_and(|own| !called.contains(own) && owned.iter().filter(|it| *it == own).count() == 1)
    });
    if tables.is_empty() {
        return;
    }
    let alias_of = |parts: &[Ident]| {
        let (column, table) = parts.split_last()?;
        // The whole name, or its end without the database.
        let is_of = |name: &Vec<String>| {
            !table.is_empty()
                && table.len() <= name.len()
                && name.iter().rev().zip(table.iter().rev()).all(|(name, part)| *name == part.value)
        };
        let (_, alias) = tables.iter().find(|(name, _)| is_of(name))?;
        Some(Expr::CompoundIdentifier(vec![alias.clone(), column.clone()]))
    };
    own_names::replace(select, alias_of);
    if let Some(order) = order {
        own_names::replace(order, alias_of);
    }
}
