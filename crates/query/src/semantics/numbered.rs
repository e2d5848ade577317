//! ClickHouse calls a subquery within an expression by its number in the statement: those of FROM come first, then those of
//! the columns in their order, each before the ones within it.

use std::ops::ControlFlow;

use sqlparser::ast::{Query, SelectItem, TableWithJoins, Visit, Visitor};

/// What stands for each in a name that has no numbers yet.
pub(super) const SUBQUERY: &str = "_subquery_1";

/// Counts the subqueries of one select.
pub(super) struct Numbers {
    next: usize,
}

/// The numbers of one column's subqueries.
pub(super) struct Numbered(Vec<usize>);

impl Numbers {
    /// After those of FROM.
    pub(super) fn behind(from: &[TableWithJoins]) -> Self {
        let mut walk = Walk { next: 1, depth: 0, outermost: Vec::new() };
        for table in from {
            let _ = Visit::visit(table, &mut walk);
        }
        Self { next: walk.next }
    }

    /// The next column's.
    pub(super) fn of(&mut self, item: &SelectItem) -> Numbered {
        let mut walk = Walk { next: self.next, depth: 0, outermost: Vec::new() };
        let _ = Visit::visit(item, &mut walk);
        self.next = walk.next;
        Numbered(walk.outermost)
    }
}

impl Numbered {
    /// Puts them into the column's name.
    pub(super) fn put_in(&self, name: String) -> String {
        if self.0.is_empty() || !name.contains(SUBQUERY) {
            return name;
        }
        let mut numbers = self.0.iter();
        let mut parts = name.split(SUBQUERY);
        let mut numbered = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let number = numbers.next().map_or(1, |number| *number);
            numbered.push_str(&format!("_subquery_{number}{part}"));
        }
        numbered
    }
}

struct Walk {
    next: usize,
    depth: usize,
    /// Numbers of those that are in no other one.
    outermost: Vec<usize>,
}

impl Visitor for Walk {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.outermost.push(self.next);
        }
        self.next += 1;
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}
