//! The names of several parts in an expression or a select, without those in its subqueries: these may mean the tables of a
//! FROM of their own.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, Query, VisitMut, VisitorMut};

/// Puts what `with` makes of a name in its place; None leaves it.
pub(crate) fn replace(node: &mut impl VisitMut, with: impl FnMut(&[Ident]) -> Option<Expr>) {
    let _never_breaks = node.visit(&mut Names { with, depth: 0 });
}

struct Names<F> {
    with: F,
    /// Subqueries around the place.
    depth: usize,
}

impl<F: FnMut(&[Ident]) -> Option<Expr>> VisitorMut for Names<F> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && self.depth == 0
            && let Some(other) = (self.with)(parts)
        {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}
