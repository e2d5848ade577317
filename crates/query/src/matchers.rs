//! Result columns that only the tables can tell: `COLUMNS('regex')`, `* APPLY(f)`, `untuple(t)`, an asterisk beside other
//! columns, and the names of a join's columns (`b.k` where `k` alone is another table's).
//!
//! Works on the parsed tree, before everything else. The columns of a FROM are those of the plan of `SELECT *` over it, which is
//! made only for selects that need it. Selects are counted from the inside out, so each is looked at once.

mod columns;
mod pattern;
mod select;
mod walk;

use std::ops::ControlFlow;

use datafusion::common::DFSchema;
use datafusion::execution::session_state::SessionState;
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    GroupByExpr, JoinOperator, Select, SelectItem, SetExpr, Statement, WildcardAdditionalOptions, With,
};
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::limits::MATCHED_SELECTS_MAX;

use crate::planner::{plan_tree, rewrite_tree};
use crate::rewrite::query_of;

pub(crate) use columns::COLUMN_QUOTE;

use walk::{Stage, Walk};

/// What is to be put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Columns that are not written out, and names.
    Matchers,
    /// Also the left table's name before columns that several tables of a join have.
    PreferLeft,
}

/// Puts columns into the selects of a query.
///
/// # Errors
/// A matcher that is wrong, or faults of the FROM below one.
pub(crate) async fn expand(state: &SessionState, tree: &mut Statement, mode: Mode) -> Result<()> {
    let mut done = 0;
    for _ in 0..MATCHED_SELECTS_MAX {
        let mut found = None;
        Walk::over(tree, &mut done, &mut |stage, select, _, with| {
            let Some(needed) = select::wants(select, stage, mode) else { return ControlFlow::Continue(()) };
            found = Some((needed, probe(select, stage, with())));
            ControlFlow::Break(())
        });
        let Some((needed, probe)) = found else { return Ok(()) };
        let schema = match Box::pin(plan(state, probe)).await {
            Ok(schema) => Some(schema),
            // Whoever plans the statement meets the fault again and tells it.
            Err(_) if !needed => None,
            Err(error) => return Err(error),
        };
        let mut result = Ok(());
        Walk::over(tree, &mut done, &mut |stage, select, order, _| {
            if let Some(schema) = &schema {
                result = match stage {
                    Stage::Columns => select::expand(select, order, schema, mode),
                    Stage::Tuples => select::untuple(select, schema),
                };
            }
            ControlFlow::Break(())
        });
        result?;
        done += 1;
    }
    let message = format!("More than {MATCHED_SELECTS_MAX} selects whose columns are not written out");
    Err(Error::new(ErrorCode::TooBigAst, message))
}

async fn plan(state: &SessionState, probe: Statement) -> Result<DFSchema> {
    let plan = plan_tree(state, rewrite_tree(probe)?).await?;
    Ok(plan.schema().as_ref().clone())
}

/// The query whose columns are asked for: `WITH … SELECT * FROM …`, or the select with its tuples whole.
fn probe(select: &Select, stage: Stage, with: Option<With>) -> Statement {
    let mut inner = Select {
        distinct: None,
        prewhere: None,
        selection: None,
        having: None,
        qualify: None,
        ..select.clone()
    };
    match stage {
        Stage::Columns => {
            // Its left columns have names too, which the right ones must not have.
            for join in inner.from.iter_mut().flat_map(|from| &mut from.joins) {
                if let JoinOperator::RightAnti(constraint) = &join.join_operator {
                    join.join_operator = JoinOperator::RightOuter(constraint.clone());
                }
            }
            inner.group_by = GroupByExpr::Expressions(vec![], vec![]);
            inner.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions {
                wildcard_token: AttachedToken::empty(),
                ..WildcardAdditionalOptions::default()
            })];
        }
        Stage::Tuples => inner.projection = select::with_whole_tuples(&select.projection),
    }
    let mut query = query_of(SetExpr::Select(Box::new(inner)));
    query.with = with;
    Statement::Query(Box::new(query))
}
