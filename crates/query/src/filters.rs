//! The setting `additional_table_filters`: `{'table': 'condition', …}`, as Grafana's ad-hoc filters send it. Each table
//! that is named becomes a subquery of its rows for which the condition holds.

use std::ops::ControlFlow;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    Expr, GroupByExpr, Ident, ObjectNamePart, Select, SelectFlavor, SelectItem, SetExpr, Statement,
    TableAlias, TableFactor, TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use sqlparser::tokenizer::Token;
use zepto_common::error::{Error, ErrorCode, Result};

use crate::rewrite::query_of;
use crate::statement::cursor::Cursor;
use crate::statement::{self, tokenize};

/// The setting's name.
pub(crate) const ADDITIONAL_TABLE_FILTERS: &str = "additional_table_filters";

/// Conditions by table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filters(Vec<(String, Expr)>);

fn malformed() -> Error {
    let message = "additional_table_filters is a map such as {'table': 'condition'}";
    Error::new(ErrorCode::CannotParseInputAssertionFailed, message)
}

impl Filters {
    /// Reads the setting's value. Nothing, or an empty map, filters nothing.
    ///
    /// # Errors
    /// What is no map of texts, a condition that cannot be parsed.
    pub(crate) fn parse(setting: Option<&str>) -> Result<Self> {
        let Some(setting) = setting.map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(Self::default());
        };
        let mut cursor = Cursor::new(tokenize(setting).map_err(|_| malformed())?);
        let mut filters = Vec::new();
        if !cursor.symbol(&Token::LBrace) {
            return Err(malformed());
        }
        while !cursor.symbol(&Token::RBrace) {
            let table = cursor.string().map_err(|_| malformed())?;
            if !cursor.symbol(&Token::Colon) {
                return Err(malformed());
            }
            let condition = cursor.string().map_err(|_| malformed())?;
            filters.push((table, statement::expression(tokenize(&condition)?)?));
            if !cursor.symbol(&Token::Comma) && cursor.peek() != Some(&Token::RBrace) {
                return Err(malformed());
            }
        }
        Ok(Self(filters))
    }

    /// Puts the conditions to the tables of a query; names without a database are looked up in `database`.
    pub(crate) fn apply(&self, statement: &mut Statement, database: &str) {
        if self.0.is_empty() {
            return;
        }
        let _ = VisitMut::visit(statement, &mut Tables { filters: self, database });
    }

    fn of(&self, parts: &[ObjectNamePart], database: &str) -> Option<&Expr> {
        let names: Option<Vec<&str>> =
            parts.iter().map(|part| part.as_ident().map(|ident| ident.value.as_str())).collect();
        let full = match names?.as_slice() {
            [table] => format!("{database}.{table}"),
            [database, table] => format!("{database}.{table}"),
            _ => return None,
        };
        let matches = |name: &str| {
            if name.contains('.') { name == full } else { full == format!("{database}.{name}") }
        };
        self.0.iter().find(|(name, _)| matches(name)).map(|(_, condition)| condition)
    }
}

struct Tables<'a> {
    filters: &'a Filters,
    database: &'a str,
}

impl VisitorMut for Tables<'_> {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args: None, .. } = &*factor else {
            return ControlFlow::Continue(());
        };
        let (Some(condition), Some(ObjectNamePart::Identifier(last))) =
            (self.filters.of(&name.0, self.database), name.0.last())
        else {
            return ControlFlow::Continue(());
        };
        let alias = alias.clone().unwrap_or_else(|| named(last));
        let mut inner = factor.clone();
        if let TableFactor::Table { alias, .. } = &mut inner {
            *alias = None;
        }
        *factor = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(query_of(SetExpr::Select(Box::new(rows_of(inner, Some(condition.clone())))))),
            alias: Some(alias),
            sample: None,
        };
        ControlFlow::Continue(())
    }
}

fn named(name: &Ident) -> TableAlias {
    TableAlias { explicit: true, name: name.clone(), columns: vec![], at: None }
}

/// `SELECT * FROM table [WHERE condition]`.
pub(crate) fn rows_of(relation: TableFactor, condition: Option<Expr>) -> Select {
    Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: vec![],
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())],
        exclude: None,
        into: None,
        from: vec![TableWithJoins { relation, joins: vec![] }],
        lateral_views: vec![],
        prewhere: None,
        selection: condition,
        connect_by: vec![],
        group_by: GroupByExpr::Expressions(vec![], vec![]),
        cluster_by: vec![],
        distribute_by: vec![],
        sort_by: vec![],
        having: None,
        named_window: vec![],
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(sql: &str, setting: &str) -> String {
        let mut tree = statement::query(tokenize(sql).unwrap()).unwrap();
        Filters::parse(Some(setting)).unwrap().apply(&mut tree, "db");
        tree.to_string()
    }

    #[test]
    fn named_tables_become_their_filtered_rows() {
        let setting = r"{'t': 'a = \'x\''}";
        assert_eq!(
            filtered("SELECT b FROM t", setting),
            "SELECT b FROM (SELECT * FROM t WHERE a = 'x') AS t"
        );
        assert_eq!(
            filtered("SELECT b FROM db.t AS u", setting),
            "SELECT b FROM (SELECT * FROM db.t WHERE a = 'x') AS u"
        );
        assert_eq!(filtered("SELECT b FROM other.t", setting), "SELECT b FROM other.t");
        assert_eq!(filtered("SELECT b FROM u", setting), "SELECT b FROM u");
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for bad in ["junk", "{'t'}", "{'t': 1}", "{'t': 'a' 'u': 'b'}"] {
            assert_eq!(
                Filters::parse(Some(bad)).unwrap_err().code,
                ErrorCode::CannotParseInputAssertionFailed,
                "{bad}"
            );
        }
        assert!(Filters::parse(Some("{}")).unwrap().0.is_empty());
    }
}
