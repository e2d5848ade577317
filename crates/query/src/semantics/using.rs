//! `JOIN … USING (k)`: `k` alone is the joined key, which an unmatched row of the right side has too; `l.k` and `r.k` are
//! the cells of the sides. `*` gives the joined keys first and then the other columns of each side.
//!
//! Here the joined key becomes a call of [`JOINED_KEY`] on the column; [`super::outer_joins`] puts the value in.

use std::ops::ControlFlow;

use sqlparser::ast::{
    ExceptSelectItem, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart,
    OrderBy, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, TableAlias, TableFactor,
    TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

use crate::functions::rewrites::call;

/// The function around a column that stands for the joined key.
pub(crate) const JOINED_KEY: &str = "__joined_key";

/// Marks the joined keys of a select.
pub(super) fn resolve(select: &mut Select, order: Option<&mut OrderBy>) {
    let [from] = select.from.as_mut_slice() else { return };
    let keys = keys(from);
    if keys.is_empty() {
        return;
    }
    let wildcard = |item: &SelectItem| matches!(item, SelectItem::Wildcard(options) if *options == WildcardAdditionalOptions::default());
    if select.projection.iter().any(wildcard)
        && let Some(columns) = all_columns(from, &keys)
    {
        let items = std::mem::take(&mut select.projection).into_iter();
        select.projection =
            items.flat_map(|item| if wildcard(&item) { columns.clone() } else { vec![item] }).collect();
    }
    if !from_may_lack_left(&select.from) {
        return;
    }
    let mut marks = Marks { keys: &keys, depth: 0, bound: Vec::new() };
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item else { continue };
        *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(name.clone()), alias: name.clone() };
    }
    let given: Vec<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
            _ => None,
        })
        .collect();
    let _ = VisitMut::visit(&mut select.projection, &mut marks);
    let conditions = select.prewhere.iter_mut().chain(&mut select.selection).chain(&mut select.having);
    for expr in conditions.chain(&mut select.qualify) {
        let _ = VisitMut::visit(expr, &mut marks);
    }
    if let GroupByExpr::Expressions(list, _) = &mut select.group_by {
        let _ = VisitMut::visit(list, &mut marks);
    }
    if let Some(OrderBy { kind: OrderByKind::Expressions(list), .. }) = order {
        for by in list {
            // A name of the list is that column of the result.
            if !matches!(&by.expr, Expr::Identifier(name) if given.contains(&name.value)) {
                let _ = VisitMut::visit(&mut by.expr, &mut marks);
            }
        }
    }
}

fn using(operator: &JoinOperator) -> Option<&[ObjectName]> {
    match operator {
        JoinOperator::Join(JoinConstraint::Using(names))
        | JoinOperator::Inner(JoinConstraint::Using(names))
        | JoinOperator::Left(JoinConstraint::Using(names))
        | JoinOperator::LeftOuter(JoinConstraint::Using(names))
        | JoinOperator::Right(JoinConstraint::Using(names))
        | JoinOperator::RightOuter(JoinConstraint::Using(names))
        | JoinOperator::FullOuter(JoinConstraint::Using(names)) => Some(names),
        _ => None,
    }
}

fn last(name: &ObjectName) -> Option<&Ident> {
    name.0.last().and_then(ObjectNamePart::as_ident)
}

/// The columns of all USING clauses, each once.
fn keys(from: &TableWithJoins) -> Vec<Ident> {
    let mut keys: Vec<Ident> = Vec::new();
    for name in from.joins.iter().filter_map(|join| using(&join.join_operator)).flatten() {
        if let Some(name) = last(name)
            && !keys.iter().any(|key| key.value == name.value)
        {
            keys.push(name.clone());
        }
    }
    keys
}

/// Whether a row may be there without the left side of a join.
fn from_may_lack_left(from: &[TableWithJoins]) -> bool {
    from.iter().flat_map(|from| &from.joins).any(|join| {
        matches!(
            join.join_operator,
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_)
        )
    })
}

/// What `*` stands for; None where it is not known which side has a key.
fn all_columns(from: &mut TableWithJoins, keys: &[Ident]) -> Option<Vec<SelectItem>> {
    let mut sides: Vec<(Ident, Vec<Ident>)> = Vec::new();
    let first = name_of(&mut from.relation, 0)?;
    sides.push((first, Vec::new()));
    for (at, join) in from.joins.iter_mut().enumerate() {
        let names: Vec<Ident> = using(&join.join_operator)?.iter().filter_map(last).cloned().collect();
        for name in &names {
            let known = sides.iter().any(|(_, has)| has.iter().any(|key| key.value == name.value));
            match known {
                true => {}
                false if sides.len() == 1 => sides[0].1.push(name.clone()),
                false => return None,
            }
        }
        sides.push((name_of(&mut join.relation, at + 1)?, names));
    }
    let mut items: Vec<SelectItem> = keys
        .iter()
        .map(|key| SelectItem::ExprWithAlias { expr: Expr::Identifier(key.clone()), alias: key.clone() })
        .collect();
    for (side, has) in sides {
        let (first_element, rest) = has.split_first()?;
        let except =
            ExceptSelectItem { first_element: first_element.clone(), additional_elements: rest.to_vec() };
        let kind = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![side]));
        let options = WildcardAdditionalOptions { opt_except: Some(except), ..Default::default() };
        items.push(SelectItem::QualifiedWildcard(kind, options));
    }
    Some(items)
}

/// The name of a side of a join; a subquery without one gets one.
fn name_of(table: &mut TableFactor, at: usize) -> Option<Ident> {
    match table {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(alias.name.clone())
        }
        TableFactor::Table { name, args: None, .. } => last(name).cloned(),
        TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => {
            let name = Ident::with_quote('"', format!("__side_{at}"));
            *alias = Some(TableAlias { explicit: true, name: name.clone(), columns: vec![], at: None });
            Some(name)
        }
        _ => None,
    }
}

struct Marks<'a> {
    keys: &'a [Ident],
    /// Subqueries around.
    depth: usize,
    /// Parameters of the lambdas around.
    bound: Vec<String>,
}

impl VisitorMut for Marks<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Lambda(lambda) = expr {
            self.bound.extend(lambda.params.iter().map(|param| param.name.value.clone()));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Lambda(lambda) => {
                self.bound.truncate(self.bound.len().saturating_sub(lambda.params.len()));
            }
            Expr::Identifier(name)
                if self.depth == 0
                    && self.keys.iter().any(|key| key.value == name.value)
                    && !self.bound.contains(&name.value) =>
            {
                *expr = call(JOINED_KEY, vec![expr.clone()]);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
