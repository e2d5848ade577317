//! The selects of a statement from the inside out, each with the common tables that it sees.

use std::ops::ControlFlow;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{Cte, OrderBy, Query, Select, SetExpr, Statement, VisitMut, VisitorMut, With};

/// What a select is looked at for, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Columns that are not written out, and names.
    Columns,
    /// Tuples whose elements are columns.
    Tuples,
}

const STAGES: [Stage; 2] = [Stage::Columns, Stage::Tuples];

/// Called for each select: its ORDER BY if it is a query's only one, and the common tables before it.
pub(super) type Action<'a> =
    dyn FnMut(Stage, &mut Select, Option<&mut OrderBy>, &dyn Fn() -> Option<With>) -> ControlFlow<()> + 'a;

pub(super) struct Walk<'a, 'b> {
    /// How many stages were done; goes up as long as the action continues.
    done: &'a mut usize,
    at: usize,
    frames: Vec<Frame>,
    action: &'a mut Action<'b>,
}

/// The common tables of a query around this place, and how many of them were passed.
struct Frame {
    recursive: bool,
    tables: Vec<Cte>,
    passed: usize,
}

impl<'a, 'b> Walk<'a, 'b> {
    /// Calls the action for what is not done yet, until it breaks off.
    pub(super) fn over(tree: &mut Statement, done: &'a mut usize, action: &'a mut Action<'b>) {
        let _ = VisitMut::visit(tree, &mut Self { done, at: 0, frames: Vec::new(), action });
    }

    fn each(&mut self, select: &mut Select, mut order: Option<&mut OrderBy>) -> ControlFlow<()> {
        for stage in STAGES {
            self.at += 1;
            if self.at <= *self.done {
                continue;
            }
            let frames = &self.frames;
            (self.action)(stage, select, order.as_deref_mut(), &|| in_sight(frames))?;
            *self.done = self.at;
        }
        ControlFlow::Continue(())
    }

    fn body(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            return self.each(select, query.order_by.as_mut());
        }
        // A chain of set operations leans left.
        let mut waiting = vec![query.body.as_mut()];
        while let Some(body) = waiting.pop() {
            match body {
                SetExpr::Select(select) => self.each(select, None)?,
                SetExpr::SetOperation { left, right, .. } => waiting.extend([left.as_mut(), right.as_mut()]),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// The common tables in sight; the innermost of a name.
fn in_sight(frames: &[Frame]) -> Option<With> {
    let mut seen: Vec<Cte> = Vec::new();
    for table in frames.iter().flat_map(|frame| &frame.tables[..frame.passed]) {
        seen.retain(|other| other.alias.name.value != table.alias.name.value);
        seen.push(table.clone());
    }
    let recursive = frames.iter().any(|frame| frame.recursive);
    (!seen.is_empty()).then(|| With { with_token: AttachedToken::empty(), recursive, cte_tables: seen })
}

impl VisitorMut for Walk<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let (recursive, tables) = match &query.with {
            Some(with) => (with.recursive, with.cte_tables.clone()),
            None => (false, Vec::new()),
        };
        self.frames.push(Frame { recursive, tables, passed: 0 });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.body(query)?;
        self.frames.pop();
        // A query whose common tables are not all passed is at the next of them.
        if let Some(around) = self.frames.last_mut()
            && let Some(table) = around.tables.get_mut(around.passed)
        {
            *table.query = query.clone();
            around.passed += 1;
        }
        ControlFlow::Continue(())
    }
}
