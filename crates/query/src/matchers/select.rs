//! The list of one select: which columns have to be put in, and how.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::DFSchema;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, JoinOperator,
    OrderBy, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, Visit, VisitMut,
    Visitor, VisitorMut,
};
use zepto_common::error::{ErrorCode, Result};
use zepto_common::types::ColumnType;

use super::Mode;
use super::columns::{COLUMN_QUOTE, Columns, column_name};
use super::pattern::{Found, Matcher, arguments, bad, is_mark};
use super::walk::Stage;
use crate::functions::rewrites::{number, plain_call};
use crate::semantics::name_of;

/// The function whose call stands for the elements of a tuple.
const UNTUPLE: &str = "untuple";

/// Whether the columns of the FROM have to be known; true if nothing works without them.
pub(super) fn wants(select: &Select, stage: Stage, mode: Mode) -> Option<bool> {
    if stage == Stage::Tuples {
        return select.projection.iter().any(|item| tuple_of(item).is_some()).then_some(true);
    }
    let marked = |item: &SelectItem| expr_of(item).is_some_and(has_mark);
    if select.projection.iter().any(marked) {
        return Some(true);
    }
    let joins = joins(select);
    let asterisk = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::Wildcard(_)
                | SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), _)
        )
    };
    let asterisks = select.projection.iter().any(asterisk) && (joins > 0 || select.projection.len() > 1);
    let named = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => has_table(expr),
        _ => false,
    };
    let names = joins > 0 && select.projection.iter().any(named);
    let left = mode == Mode::PreferLeft && joins > 0;
    (!select.from.is_empty() && (asterisks || names || left)).then_some(false)
}

/// How many joins of tables there are.
fn joins(select: &Select) -> usize {
    let arrays = |operator: &JoinOperator| {
        matches!(
            operator,
            JoinOperator::ArrayJoin | JoinOperator::LeftArrayJoin | JoinOperator::InnerArrayJoin
        )
    };
    let joins = select.from.iter().flat_map(|from| &from.joins);
    joins.filter(|join| !arrays(&join.join_operator)).count() + select.from.len().saturating_sub(1)
}

fn expr_of(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// Whether an expression outside of subqueries is of this kind.
fn any(expr: &Expr, wanted: &dyn Fn(&Expr) -> bool) -> bool {
    struct Search<'a>(&'a dyn Fn(&Expr) -> bool, usize);
    impl Visitor for Search<'_> {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.1 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.1 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match self.1 == 0 && (self.0)(expr) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Search(wanted, 0)).is_break()
}

fn has_mark(expr: &Expr) -> bool {
    any(expr, &|expr| matches!(expr, Expr::Function(function) if is_mark(function)))
}

fn has_table(expr: &Expr) -> bool {
    any(expr, &|expr| matches!(expr, Expr::CompoundIdentifier(_)))
}

/// The argument of `untuple` and the alias behind it.
fn tuple_of(item: &SelectItem) -> Option<(Expr, Option<&Ident>)> {
    let alias = match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias),
        _ => None,
    };
    match expr_of(item)? {
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case(UNTUPLE) => {
            let [tuple] = <[Expr; 1]>::try_from(arguments(function)).ok()?;
            Some((tuple, alias))
        }
        _ => None,
    }
}

/// A select's list with `untuple(t)` as `t`: the columns keep their places.
pub(super) fn with_whole_tuples(list: &[SelectItem]) -> Vec<SelectItem> {
    let whole = |(at, item): (usize, &SelectItem)| match tuple_of(item) {
        Some((expr, _)) => {
            SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', format!("__tuple_{at}")) }
        }
        None => item.clone(),
    };
    list.iter().enumerate().map(whole).collect()
}

/// Puts the elements of tuples in, by the types in the plan of [`with_whole_tuples`].
///
/// # Errors
/// `untuple` of something that is no tuple.
pub(super) fn untuple(select: &mut Select, schema: &DFSchema) -> Result<()> {
    let mut list = Vec::new();
    for (at, item) in std::mem::take(&mut select.projection).into_iter().enumerate() {
        let Some((tuple, alias)) = tuple_of(&item) else {
            list.push(item);
            continue;
        };
        let name = format!("__tuple_{at}");
        let field = schema.fields().iter().find(|field| *field.name() == name);
        let Some(ColumnType::Tuple(elements)) =
            field.map(|field| ColumnType::of_field(field).inner().clone())
        else {
            let message = "Function untuple takes a tuple";
            return Err(bad(ErrorCode::IllegalTypeOfArgument, message));
        };
        for place in 1..=elements.len() {
            let expr = plain_call("tupleElement", vec![tuple.clone(), number(place)]);
            let name = match alias {
                Some(alias) => format!("{}.{place}", alias.value),
                None => format!("tupleElement({}, '{place}')", name_of(&tuple)),
            };
            list.push(SelectItem::ExprWithAlias { expr, alias: column_name(&name) });
        }
    }
    select.projection = list;
    Ok(())
}

/// Puts columns and names into the list, by the columns of the FROM.
///
/// # Errors
/// A matcher that is wrong or that matches nothing.
pub(super) fn expand(
    select: &mut Select,
    order: Option<&mut OrderBy>,
    schema: &DFSchema,
    mode: Mode,
) -> Result<()> {
    if has_right_anti(select) && select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)))
    {
        let message = "SELECT * over an ANTI JOIN is not supported; name the right side's columns";
        return Err(bad(ErrorCode::NotImplemented, message));
    }
    let aliases: HashSet<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
            _ => None,
        })
        .collect();
    let joins = joins(select);
    let columns = Columns::new(schema, joins, &aliases);
    if mode == Mode::PreferLeft && joins > 0 {
        prefer_left(select, order, &columns, aliases);
    }
    let mut list = List { items: Vec::new(), seen: HashSet::new(), changed: false };
    for item in &select.projection {
        list.add(item, &columns, joins > 0)?;
    }
    if list.items.is_empty() {
        return Err(bad(ErrorCode::EmptyListOfColumnsQueried, "Empty list of columns in projection"));
    }
    if list.changed {
        select.projection = list.items;
    }
    Ok(())
}

fn has_right_anti(select: &Select) -> bool {
    let mut joins = select.from.iter().flat_map(|from| &from.joins);
    joins.any(|join| matches!(join.join_operator, JoinOperator::RightAnti(_)))
}

/// A list that is written anew.
struct List {
    items: Vec<SelectItem>,
    seen: HashSet<String>,
    /// Whether it says something else than the old one.
    changed: bool,
}

impl List {
    fn add(&mut self, item: &SelectItem, columns: &Columns, joined: bool) -> Result<()> {
        if let Some(matcher) = Matcher::of_item(item) {
            for found in matcher.columns(columns)? {
                // The planner gives the same, unless names meet or have a table's name before them.
                let other = match &found.expr {
                    Expr::Identifier(column) => column.value != found.name,
                    Expr::CompoundIdentifier(parts) => {
                        parts.last().is_none_or(|column| column.value != found.name)
                    }
                    _ => false,
                };
                self.changed |= other || self.seen.contains(&found.name);
                self.push(found);
            }
            return Ok(());
        }
        match item {
            SelectItem::UnnamedExpr(Expr::Function(function)) if is_mark(function) => {
                self.changed = true;
                for found in Matcher::of_call(function)?.columns(columns)? {
                    self.push(found);
                }
            }
            SelectItem::UnnamedExpr(expr) => {
                let marked = has_mark(expr);
                let expr = if marked { filled(expr, columns)? } else { expr.clone() };
                let name = columns.name(&expr);
                self.changed |= marked || self.seen.contains(&name) || joined && name != name_of(&expr);
                self.push(Found { expr, name });
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let marked = has_mark(expr);
                self.changed |= marked;
                let expr = if marked { filled(expr, columns)? } else { expr.clone() };
                self.seen.insert(alias.value.clone());
                self.items.push(SelectItem::ExprWithAlias { expr, alias: alias.clone() });
            }
            other => self.items.push(other.clone()),
        }
        Ok(())
    }

    /// A column under its own name stays as it is: so it can still be called by its table's name.
    fn push(&mut self, found: Found) {
        let Found { expr, name } = found;
        let own = match &expr {
            Expr::Identifier(column) => column.value == name,
            Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|column| column.value == name),
            other => name_of(other) == name,
        };
        let fresh = self.seen.insert(name.clone());
        self.items.push(match own && fresh {
            true => SelectItem::UnnamedExpr(expr),
            false => SelectItem::ExprWithAlias { expr, alias: column_name(&name) },
        });
    }
}

/// The expression with columns in the places of matchers: several where arguments stand, one elsewhere.
fn filled(expr: &Expr, columns: &Columns) -> Result<Expr> {
    struct Fill<'a>(&'a Columns, Result<()>);
    impl Fill<'_> {
        fn of(&self, function: &Function) -> Result<Vec<Expr>> {
            let found = Matcher::of_call(function)?.columns(self.0)?;
            Ok(found.into_iter().map(|found| found.expr).collect())
        }

        fn spread(&self, function: &mut Function) -> Result<()> {
            let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
            let mut args = Vec::new();
            for arg in std::mem::take(&mut list.args) {
                match &arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(inner))) if is_mark(inner) => {
                        let found = self.of(inner)?.into_iter();
                        args.extend(found.map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))));
                    }
                    _ => args.push(arg),
                }
            }
            list.args = args;
            Ok(())
        }
    }
    impl VisitorMut for Fill<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            let made = match expr {
                Expr::Function(function) if is_mark(function) => self.of(function).and_then(|mut found| {
                    let count = found.len();
                    match found.pop() {
                        Some(one) if count == 1 => {
                            *expr = one;
                            Ok(())
                        }
                        _ => Err(bad(
                            ErrorCode::NumberOfArgumentsDoesntMatch,
                            format!("{count} columns are matched where one expression stands"),
                        )),
                    }
                }),
                Expr::Function(function) => self.spread(function),
                _ => Ok(()),
            };
            match made {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    self.1 = Err(error);
                    ControlFlow::Break(())
                }
            }
        }
    }
    let mut expr = expr.clone();
    let mut fill = Fill(columns, Ok(()));
    let _ = VisitMut::visit(&mut expr, &mut fill);
    fill.1.map(|()| expr)
}

/// A name that several tables of a join have is the left one's column.
fn prefer_left(
    select: &mut Select,
    order: Option<&mut OrderBy>,
    columns: &Columns,
    aliases: HashSet<String>,
) {
    let listed: HashSet<String> = select.projection.iter().filter_map(expr_of).map(name_of).collect();
    let mut left = Left { columns, hidden: aliases.into_iter().collect(), depth: 0 };
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let before = expr.clone();
                let _ = VisitMut::visit(expr, &mut left);
                if *expr != before {
                    // It keeps the name that was written.
                    let alias = column_name(&columns.name(&before));
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                }
            }
            SelectItem::ExprWithAlias { expr, .. } => {
                let _ = VisitMut::visit(expr, &mut left);
            }
            _ => {}
        }
    }
    let conditions = select.prewhere.iter_mut().chain(&mut select.selection).chain(&mut select.having);
    for expr in conditions.chain(&mut select.qualify) {
        let _ = VisitMut::visit(expr, &mut left);
    }
    if let GroupByExpr::Expressions(list, _) = &mut select.group_by {
        let _ = VisitMut::visit(list, &mut left);
    }
    if let Some(OrderBy { kind: OrderByKind::Expressions(list), .. }) = order {
        // A name of the list is that column of the result.
        for by in list.iter_mut().filter(|by| !listed.contains(&name_of(&by.expr))) {
            let _ = VisitMut::visit(&mut by.expr, &mut left);
        }
    }
}

struct Left<'a> {
    columns: &'a Columns,
    /// Aliases, and the parameters of the lambdas around.
    hidden: Vec<String>,
    depth: usize,
}

impl VisitorMut for Left<'_> {
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
            self.hidden.extend(lambda.params.iter().map(|param| param.name.value.clone()));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Lambda(lambda) => {
                self.hidden.truncate(self.hidden.len().saturating_sub(lambda.params.len()));
            }
            Expr::Identifier(name)
                if self.depth == 0
                    && name.quote_style != Some(COLUMN_QUOTE)
                    && !self.hidden.contains(&name.value) =>
            {
                if let Some(table) = self.columns.left_of(&name.value).filter(|table| !table.is_empty()) {
                    let parts = table.iter().chain([&name.value]);
                    *expr =
                        Expr::CompoundIdentifier(parts.map(|part| Ident::with_quote('"', part)).collect());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
