//! `JOIN … USING (k)`: `k` alone is the joined key, which an unmatched row of the right side has too; `l.k` and `r.k` are
//! the cells of the sides. `*` gives the joined keys first and then the other columns of each side.
//!
//! Here the joined key becomes a call of [`JOINED_KEY`] on the column; [`super::outer_joins`] puts the value in.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, ExceptSelectItem, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName,
    ObjectNamePart, OrderBy, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    TableAlias, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

use crate::functions::rewrites::call;

/// The function around a column that stands for the joined key.
pub(crate) const JOINED_KEY: &str = "__joined_key";

/// A key and the side whose column stands for it.
struct Key {
    name: Ident,
    side: Ident,
}

/// What the joins of a FROM are.
struct Sides {
    /// Names of the sides, each with the keys that it has.
    sides: Vec<(Ident, Vec<Ident>)>,
    keys: Vec<Key>,
}

/// Marks the joined keys of a select. Where it is not known which side has a key, all stays as it is.
pub(super) fn resolve(select: &mut Select, order: Option<&mut OrderBy>) {
    let [from] = select.from.as_mut_slice() else { return };
    if !from.joins.iter().any(|join| using(&join.join_operator).is_some()) {
        return;
    }
    let Some(found) = sides(from) else { return };
    for (join, (side, _)) in from.joins.iter_mut().zip(&found.sides[1..]) {
        if let Some(constraint) = constraint(&mut join.join_operator)
            && let JoinConstraint::Using(names) = &*constraint
        {
            *constraint = JoinConstraint::On(condition(names, side, &found.keys));
        }
    }
    let wildcard = |item: &SelectItem| matches!(item, SelectItem::Wildcard(options) if *options == WildcardAdditionalOptions::default());
    let items = std::mem::take(&mut select.projection).into_iter();
    select.projection =
        items.flat_map(|item| if wildcard(&item) { all_columns(&found) } else { vec![item] }).collect();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item else { continue };
        *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(name.clone()), alias: name.clone() };
    }
    mark(select, order, &found.keys);
}

fn mark(select: &mut Select, order: Option<&mut OrderBy>, keys: &[Key]) {
    let mut marks = Marks { keys, depth: 0, bound: Vec::new() };
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

fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
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

/// The sides of the joins and the columns of all USING clauses, each once.
fn sides(from: &mut TableWithJoins) -> Option<Sides> {
    let mut found = Sides { sides: vec![(name_of(&mut from.relation, 0)?, Vec::new())], keys: Vec::new() };
    for (at, join) in from.joins.iter_mut().enumerate() {
        let names: Vec<Ident> =
            using(&join.join_operator).unwrap_or_default().iter().filter_map(last).cloned().collect();
        for name in &names {
            if found.keys.iter().any(|key| key.name.value == name.value) {
                continue;
            }
            let [(side, has)] = found.sides.as_mut_slice() else { return None };
            has.push(name.clone());
            found.keys.push(Key { name: name.clone(), side: side.clone() });
        }
        let side = name_of(&mut join.relation, at + 1)?;
        if found.sides.iter().any(|(other, _)| other.value == side.value) {
            return None;
        }
        found.sides.push((side, names));
    }
    Some(found)
}

/// `k = r.k AND …` for the joined keys.
fn condition(names: &[ObjectName], side: &Ident, keys: &[Key]) -> Expr {
    let equal = |key: &Key| Expr::BinaryOp {
        left: Box::new(joined(key)),
        op: BinaryOperator::Eq,
        right: Box::new(Expr::CompoundIdentifier(vec![side.clone(), key.name.clone()])),
    };
    let known =
        names.iter().filter_map(last).filter_map(|name| keys.iter().find(|key| key.name.value == name.value));
    let all = known.map(equal).reduce(|all, next| Expr::BinaryOp {
        left: Box::new(all),
        op: BinaryOperator::And,
        right: Box::new(next),
    });
    all.unwrap_or_else(|| Expr::value(Value::Boolean(true)))
}

fn joined(key: &Key) -> Expr {
    call(JOINED_KEY, vec![Expr::CompoundIdentifier(vec![key.side.clone(), key.name.clone()])])
}

/// What `*` stands for.
fn all_columns(found: &Sides) -> Vec<SelectItem> {
    let key = |key: &Key| SelectItem::ExprWithAlias {
        expr: Expr::Identifier(key.name.clone()),
        alias: key.name.clone(),
    };
    let mut items: Vec<SelectItem> = found.keys.iter().map(key).collect();
    for (side, has) in &found.sides {
        let except = has.split_first().map(|(first, rest)| ExceptSelectItem {
            first_element: first.clone(),
            additional_elements: rest.to_vec(),
        });
        let kind = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![side.clone()]));
        let options = WildcardAdditionalOptions { opt_except: except, ..Default::default() };
        items.push(SelectItem::QualifiedWildcard(kind, options));
    }
    items
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
    keys: &'a [Key],
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
            Expr::Identifier(name) if self.depth == 0 && !self.bound.contains(&name.value) => {
                if let Some(key) = self.keys.iter().find(|key| key.name.value == name.value) {
                    *expr = joined(key);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
