//! The columns of a FROM, and by which names a result shows them.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::common::{DFSchema, TableReference};
use sqlparser::ast::{Expr, Ident, visit_expressions_mut};

use crate::semantics::{name_of, output_name, own_names};

/// The quotes of names that stand for columns: no alias is put into their place.
pub(crate) const COLUMN_QUOTE: char = '[';

/// One column.
pub(super) struct Column {
    /// Its table as the statement calls it; none for a joined key.
    pub(super) table: Vec<String>,
    /// Its name in the plan.
    name: String,
    /// Its name for people.
    pub(super) plain: String,
    /// Its name in a result: with its table's, where the name alone is another column's or an alias.
    pub(super) shown: String,
}

impl Column {
    /// The column as an expression.
    pub(super) fn expr(&self) -> Expr {
        let quoted = |name: &String| Ident::with_quote('"', name);
        match self.table.as_slice() {
            [] => Expr::Identifier(column_name(&self.name)),
            table => Expr::CompoundIdentifier(table.iter().chain([&self.name]).map(quoted).collect()),
        }
    }

    /// Whether it is of the table of this name.
    pub(super) fn is_of(&self, table: &[String]) -> bool {
        self.table.ends_with(table) || table.ends_with(&self.table) && !self.table.is_empty()
    }
}

/// A name that is no alias.
pub(super) fn column_name(name: &str) -> Ident {
    let mut ident = Ident::new(name);
    ident.quote_style = Some(COLUMN_QUOTE);
    ident
}

/// All columns of a FROM.
pub(super) struct Columns {
    pub(super) all: Vec<Column>,
    /// The tables that have a column of a name, the left one first.
    tables: HashMap<String, Vec<Vec<String>>>,
}

impl Columns {
    /// The columns of the plan of `SELECT *` over a FROM with so many joins, in a select with these aliases.
    pub(super) fn new(schema: &DFSchema, joins: usize, aliases: &HashSet<String>) -> Self {
        let mut all: Vec<Column> = schema
            .iter()
            .map(|(table, field)| Column {
                table: table.map(parts).unwrap_or_default(),
                name: field.name().clone(),
                plain: output_name(field.name()).to_owned(),
                shown: output_name(field.name()).to_owned(),
            })
            .collect();
        let mut tables: HashMap<String, Vec<Vec<String>>> = HashMap::new();
        for column in &all {
            let of = tables.entry(column.plain.clone()).or_default();
            if !of.contains(&column.table) {
                of.push(column.table.clone());
            }
        }
        for column in &mut all {
            let of = &tables[&column.plain];
            // The name alone is the left table's, but only of one join.
            let other = of.len() > 1 && (joins > 1 || of[0] != column.table);
            if let Some(table) = column.table.last()
                && (other || aliases.contains(&column.plain))
            {
                column.shown = format!("{table}.{}", column.plain);
            }
        }
        Self { all, tables }
    }

    /// The left one of several tables that have a column of this name.
    pub(super) fn left_of(&self, name: &str) -> Option<&[String]> {
        self.tables.get(name).filter(|of| of.len() > 1).map(|of| of[0].as_slice())
    }

    /// The column that a name with its table's stands for.
    fn find(&self, parts: &[Ident]) -> Option<&Column> {
        let (name, table) = parts.split_last()?;
        let table: Vec<String> = table.iter().map(|part| part.value.clone()).collect();
        self.all.iter().find(|column| column.name == name.value && column.is_of(&table))
    }

    /// The name of an expression in a result.
    pub(super) fn name(&self, expr: &Expr) -> String {
        let mut shown = expr.clone();
        let _never_breaks: ControlFlow<()> = visit_expressions_mut(&mut shown, |expr| {
            if let Expr::Identifier(name) = expr
                && name.quote_style == Some(COLUMN_QUOTE)
            {
                name.value = output_name(&name.value).to_owned();
            }
            ControlFlow::Continue(())
        });
        own_names::replace(&mut shown, |parts| {
            self.find(parts).map(|column| Expr::Identifier(column_name(&column.shown)))
        });
        name_of(&shown)
    }
}

fn parts(table: &TableReference) -> Vec<String> {
    let part = |part: Option<&str>| part.map(str::to_owned);
    part(table.schema()).into_iter().chain([table.table().to_owned()]).collect()
}
