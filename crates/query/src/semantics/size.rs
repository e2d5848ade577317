//! How large a statement becomes before it runs.
//!
//! Named expressions, aliases and tables of WITH are put in where they are used, some functions use an argument more
//! than once, and the types of lambdas and of subqueries are found by looking at them again and again. What is nested
//! so grows by powers: forty levels would keep a thread busy for ever, and planning cannot be stopped. So the size is
//! counted first, in time linear in the statement, and refused as ClickHouse refuses it (`max_expanded_ast_elements`).

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArguments, ObjectName, Query, Select, SelectItem, Statement, Visit, Visitor,
};
use zepto_common::limits::STATEMENT_ELEMENTS_MAX;
use zepto_common::{Error, ErrorCode, Result};

use crate::functions::{self, Plan};

/// Refuses a statement that would grow too large.
///
/// # Errors
/// `TooBigAst`.
pub(crate) fn check_size(statement: &Statement) -> Result<()> {
    let mut sizer = Sizer::default();
    let _ = Visit::visit(statement, &mut sizer);
    if sizer.total <= STATEMENT_ELEMENTS_MAX {
        return Ok(());
    }
    let message = format!(
        "AST is too big after expansion of aliases and functions. Maximum: {STATEMENT_ELEMENTS_MAX}. Name a \
         repeated part in a subquery of FROM, or nest less"
    );
    Err(Error::new(ErrorCode::TooBigAst, message))
}

/// The size of an expression, and how often it has an alias of its select in it.
#[derive(Debug, Default)]
struct Sum {
    size: u64,
    aliases: HashMap<String, u64>,
    /// How often each of the next expressions directly in it counts; once after them.
    factors: VecDeque<u64>,
}

impl Sum {
    fn of(size: u64) -> Self {
        Self { size, ..Self::default() }
    }

    fn add(&mut self, other: Self) {
        self.size = self.size.saturating_add(other.size);
        for (name, times) in other.aliases {
            let sum = self.aliases.entry(name).or_default();
            *sum = sum.saturating_add(times);
        }
    }

    fn times(&mut self, factor: u64) {
        self.size = self.size.saturating_mul(factor);
        self.aliases.values_mut().for_each(|times| *times = times.saturating_mul(factor));
    }
}

/// A select that is being counted.
#[derive(Debug, Default)]
struct Scope {
    /// The alias of each item of the list that is an expression, in order.
    items: VecDeque<Option<String>>,
    names: HashSet<String>,
    parts: Vec<(Option<String>, Sum)>,
    /// Expressions around it.
    around: usize,
}

/// A query that is being counted.
#[derive(Debug, Default)]
struct Level {
    /// Names of WITH whose queries come next.
    pending: VecDeque<String>,
    named: HashMap<String, u64>,
    size: u64,
    /// Expressions and selects around it.
    around: (usize, usize),
}

#[derive(Debug, Default)]
struct Sizer {
    exprs: Vec<Sum>,
    scopes: Vec<Scope>,
    levels: Vec<Level>,
    total: u64,
}

impl Sizer {
    /// Adds to whatever is being counted.
    fn put(&mut self, sum: Sum, item: Option<String>) {
        let around = self.scopes.last().map_or(0, |scope| scope.around);
        if self.exprs.len() > around
            && let Some(outer) = self.exprs.last_mut()
        {
            outer.add(sum);
        } else if let Some(scope) = self.scopes.last_mut() {
            scope.parts.push((item, sum));
        } else if let Some(level) = self.levels.last_mut() {
            level.size = level.size.saturating_add(sum.size);
        }
    }

    fn named(&self, name: &str) -> Option<u64> {
        self.levels.iter().rev().find_map(|level| level.named.get(name).copied())
    }

    /// The next query is one of WITH, if its place is that.
    fn takes_name(&mut self) -> Option<String> {
        let place = (self.exprs.len(), self.scopes.len());
        let level = self.levels.last_mut()?;
        if level.around == place { level.pending.pop_front() } else { None }
    }
}

impl Visitor for Sizer {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        let pending = tables.map(|table| table.alias.name.value.clone()).collect();
        let around = (self.exprs.len(), self.scopes.len());
        self.levels.push(Level { pending, around, ..Level::default() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        let size = self.levels.pop().map_or(0, |level| level.size);
        if self.levels.is_empty() {
            self.total = self.total.saturating_add(size);
        } else if let Some(name) = self.takes_name() {
            if let Some(level) = self.levels.last_mut() {
                level.named.insert(name, size);
            }
        } else {
            self.put(Sum::of(size), None);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let items: VecDeque<Option<String>> = select
            .projection
            .iter()
            .filter_map(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => Some(Some(alias.value.clone())),
                SelectItem::UnnamedExpr(_) => Some(None),
                _ => None,
            })
            .collect();
        let names = items.iter().flatten().cloned().collect();
        self.scopes.push(Scope { items, names, parts: Vec::new(), around: self.exprs.len() });
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &Select) -> ControlFlow<()> {
        let Some(scope) = self.scopes.pop() else { return ControlFlow::Continue(()) };
        let size = with_aliases(&scope.parts).saturating_add(1);
        if let Some(level) = self.levels.last_mut() {
            level.size = level.size.saturating_add(size);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let size = match relation.0.as_slice() {
            [part] => part.as_ident().and_then(|name| self.named(&name.value)),
            _ => None,
        };
        if let Some(size) = size {
            self.put(Sum::of(size), None);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.exprs.push(Sum { factors: factors(expr), ..Sum::default() });
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Some(mut sum) = self.exprs.pop() else { return ControlFlow::Continue(()) };
        match expr {
            Expr::Value(_) => {}
            Expr::Identifier(name) => match self.named(&name.value) {
                Some(size) => sum.size = size,
                None if self.scopes.last().is_some_and(|scope| scope.names.contains(&name.value)) => {
                    sum.aliases.insert(name.value.clone(), 1);
                }
                None => {}
            },
            other => {
                sum.size = sum.size.saturating_add(1);
                if matches!(other, Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. }) {
                    sum.times(2);
                }
            }
        }
        let factor = self.exprs.last_mut().and_then(|outer| outer.factors.pop_front());
        sum.times(factor.unwrap_or(1));
        let around = self.scopes.last().map_or(0, |scope| scope.around);
        let item = match self.scopes.last_mut() {
            Some(scope) if self.exprs.len() == around => scope.items.pop_front().flatten(),
            _ => None,
        };
        self.put(sum, item);
        ControlFlow::Continue(())
    }
}

/// How often each expression directly in another is looked at, or is in what that becomes.
fn factors(expr: &Expr) -> VecDeque<u64> {
    match expr {
        Expr::Lambda(_) => VecDeque::from([2]),
        Expr::Case { operand, conditions, .. } => {
            // Whether a result can be NULL is asked together with its condition.
            let operands = operand.iter().map(|_| conditions.len() as u64);
            operands.chain(conditions.iter().flat_map(|_| [1, 2])).collect()
        }
        Expr::Function(function) => factors_of_call(function),
        _ => VecDeque::new(),
    }
}

fn factors_of_call(function: &Function) -> VecDeque<u64> {
    let [part] = function.name.0.as_slice() else { return VecDeque::new() };
    let Some(row) = part.as_ident().and_then(|name| functions::find(&name.value)) else {
        return VecDeque::new();
    };
    let args = match &function.args {
        FunctionArguments::List(list) => list.args.len(),
        _ => 0,
    };
    let results = |n: usize| if n % 2 == 1 && n + 1 < args { 2 } else { 1 };
    match (row.name(), row.plan()) {
        ("if" | "multiIf", _) => (0..args).map(results).collect(),
        // A CASE that has all but the last in a condition and as a result.
        ("coalesce", _) => (0..args).map(|n| if n + 1 < args { 3 } else { 1 }).collect(),
        (_, Plan::Sql(template) | Plan::AggregateSql(template)) => {
            let condition = u64::from(template.contains("CASE") || template.contains("coalesce"));
            let uses = |n: usize| template.matches(&format!("${n}")).count() as u64;
            (1..=args.min(9)).map(|n| (uses(n) + condition).max(1)).collect()
        }
        _ => VecDeque::new(),
    }
}

/// The size of a select's parts once their aliases are put in.
fn with_aliases(parts: &[(Option<String>, Sum)]) -> u64 {
    let mut sizes: HashMap<&str, Option<u64>> = HashMap::new();
    let sums = parts.iter().map(|(own, sum)| whole(sum, own.as_deref(), parts, &mut sizes, 0));
    sums.fold(0, u64::saturating_add)
}

fn whole<'a>(
    sum: &Sum,
    own: Option<&str>,
    parts: &'a [(Option<String>, Sum)],
    sizes: &mut HashMap<&'a str, Option<u64>>,
    depth: usize,
) -> u64 {
    let mut size = sum.size;
    // Inside an alias' own expression its name is the column.
    for (name, times) in sum.aliases.iter().filter(|(name, _)| Some(name.as_str()) != own) {
        let of_alias = alias_size(name, parts, sizes, depth);
        size = size.saturating_add(of_alias.saturating_mul(*times));
    }
    size
}

fn alias_size<'a>(
    name: &str,
    parts: &'a [(Option<String>, Sum)],
    sizes: &mut HashMap<&'a str, Option<u64>>,
    depth: usize,
) -> u64 {
    let found = parts.iter().find_map(|(own, sum)| own.as_deref().filter(|own| *own == name).zip(Some(sum)));
    let Some((own, sum)) = found else { return 0 };
    match sizes.get(own) {
        Some(Some(size)) => *size,
        // An alias that needs itself is refused later.
        Some(None) => 0,
        None if depth > zepto_common::limits::DEPTH_MAX => u64::MAX,
        None => {
            sizes.insert(own, None);
            let size = whole(sum, Some(own), parts, sizes, depth + 1);
            sizes.insert(own, Some(size));
            size
        }
    }
}

#[cfg(test)]
mod tests;
