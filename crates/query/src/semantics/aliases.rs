//! An alias of a select's list can be used in the rest of the select, and hides a column of the same name.
//!
//! The alias' expression is put in its place. Inside the alias' own expression the name is the column; an alias
//! of an aggregate is not put inside another aggregate or into WHERE and GROUP BY, where only the column makes sense.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, GroupByExpr, OrderBy, OrderByKind, Query, Select, SelectItem, Value, VisitMut, VisitorMut,
};
use zepto_common::limits::DEPTH_MAX;
use zepto_common::{Error, ErrorCode, Result};

use crate::functions::is_aggregate;
use crate::matchers::COLUMN_QUOTE;

#[derive(Clone)]
struct Alias {
    expr: Expr,
    aggregates: bool,
}

type Aliases = HashMap<String, Alias>;

/// Puts the aliases' expressions in.
pub(super) fn resolve(select: &mut Select, order: Option<&mut OrderBy>) -> Result<()> {
    let aliases = collect(select);
    if aliases.is_empty() {
        return Ok(());
    }
    for item in &mut select.projection {
        if let SelectItem::ExprWithAlias { expr, alias } = item {
            substitute(expr, &aliases, &[alias.value.as_str()], true)?;
        }
    }
    for expr in select.prewhere.iter_mut().chain(select.selection.iter_mut()) {
        substitute(expr, &aliases, &[], false)?;
    }
    for expr in select.having.iter_mut().chain(select.qualify.iter_mut()) {
        substitute(expr, &aliases, &[], true)?;
    }
    if let GroupByExpr::Expressions(list, _) = &mut select.group_by {
        for expr in list {
            if !is_constant(expr, &aliases) {
                substitute(expr, &aliases, &[], false)?;
            }
        }
    }
    if let Some(OrderBy { kind: OrderByKind::Expressions(list), .. }) = order {
        for by in list.iter_mut().filter(|by| !matches!(by.expr, Expr::Identifier(_))) {
            substitute(&mut by.expr, &aliases, &[], true)?;
        }
    }
    Ok(())
}

fn collect(select: &Select) -> Aliases {
    let mut aliases = Aliases::new();
    for item in &select.projection {
        let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
        // A canonical name is no alias that anybody wrote, and neither is one that stands for a column.
        if alias.quote_style == Some(COLUMN_QUOTE) {
            continue;
        }
        let trivial = match expr {
            Expr::Identifier(name) => name.value == alias.value,
            Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|part| part.value == alias.value),
            _ => super::names::name_of(expr) == alias.value,
        };
        if !trivial {
            let aggregates = has_aggregate(expr);
            aliases.entry(alias.value.clone()).or_insert_with(|| Alias { expr: expr.clone(), aggregates });
        }
    }
    aliases
}

/// A grouping by a constant's alias: its expression would be taken for a column's number.
fn is_constant(expr: &Expr, aliases: &Aliases) -> bool {
    let Expr::Identifier(name) = expr else { return false };
    aliases.get(&name.value).is_some_and(|alias| match &alias.expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        _ => false,
    })
}

pub(crate) fn has_aggregate(expr: &Expr) -> bool {
    struct Finder(usize);
    impl sqlparser::ast::Visitor for Finder {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function)
                    if self.0 == 0 && (is_aggregate(&function.name) || function.over.is_some()) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    sqlparser::ast::Visit::visit(expr, &mut Finder(0)).is_break()
}

fn substitute(expr: &mut Expr, aliases: &Aliases, stack: &[&str], aggregates: bool) -> Result<()> {
    if stack.len() > DEPTH_MAX {
        return Err(Error::new(ErrorCode::TooDeepAst, "Aliases refer to each other too deeply"));
    }
    let mut visitor = Substitution { aliases, stack, aggregates, queries: 0, inside: 0, bound: Vec::new() };
    match VisitMut::visit(expr, &mut visitor) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Substitution<'a> {
    aliases: &'a Aliases,
    stack: &'a [&'a str],
    aggregates: bool,
    queries: usize,
    inside: usize,
    /// Parameters of the lambdas around: they hide aliases.
    bound: Vec<String>,
}

impl Substitution<'_> {
    fn replacement(&self, name: &str) -> Result<Option<Expr>> {
        if self.queries > 0 || self.stack.contains(&name) || self.bound.iter().any(|bound| bound == name) {
            return Ok(None);
        }
        let Some(alias) = self.aliases.get(name) else { return Ok(None) };
        if alias.aggregates && (!self.aggregates || self.inside > 0) {
            return Ok(None);
        }
        let mut expr = alias.expr.clone();
        let stack: Vec<&str> = self.stack.iter().copied().chain(std::iter::once(name)).collect();
        substitute(&mut expr, self.aliases, &stack, self.aggregates)?;
        Ok(Some(match expr {
            simple @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Function(_)) => simple,
            other => Expr::Nested(Box::new(other)),
        }))
    }
}

impl VisitorMut for Substitution<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if matches!(expr, Expr::Function(function) if is_aggregate(&function.name)) {
            self.inside += 1;
        }
        if let Expr::Lambda(lambda) = expr {
            self.bound.extend(lambda.params.iter().map(|param| param.name.value.clone()));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match expr {
            Expr::Function(function) if is_aggregate(&function.name) => self.inside -= 1,
            Expr::Lambda(lambda) => self.bound.truncate(self.bound.len().saturating_sub(lambda.params.len())),
            Expr::Identifier(name) if name.quote_style == Some(COLUMN_QUOTE) => {}
            Expr::Identifier(name) => match self.replacement(&name.value) {
                Ok(Some(replacement)) => *expr = replacement,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(error),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
