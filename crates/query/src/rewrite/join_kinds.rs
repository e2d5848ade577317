//! `ANY`, `SEMI` and `ANTI` joins. ClickHouse lets the columns of a SEMI or ANY join's right side be read, so these are
//! plain joins with at most one row per key on the sides whose rows must not multiply.
//!
//! The token pass over joins has put the kinds into operators that ClickHouse's grammar has no other use for:
//! `Semi` is ANY LEFT, `Anti` is ANY INNER, `Right` (not `RightOuter`) is ANY RIGHT.

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator, ObjectNamePart, Select, SelectItem, SetExpr,
    TableAlias, TableFactor, TableWithJoins, WindowSpec,
};
use zepto_common::error::{Error, ErrorCode, Result};

use super::limit_by::row_number;
use super::query_of;
use crate::functions::rewrites::number;

/// Rewrites the joins of a select.
///
/// # Errors
/// `NotImplemented` for conditions other than equalities of qualified columns, for `SELECT *` over an ANTI join.
pub(super) fn rewrite(select: &mut Select) -> Result<()> {
    let has_wildcard = select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
    for from in &mut select.from {
        for at in 0..from.joins.len() {
            rewrite_join(from, at, has_wildcard)?;
        }
    }
    Ok(())
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::NotImplemented, message.into())
}

/// A join without ON and USING would have all pairs of rows; only CROSS JOIN and the comma may.
fn check_condition(operator: &JoinOperator) -> Result<()> {
    use JoinOperator as J;
    let constraint = match operator {
        J::Join(constraint) | J::Inner(constraint) | J::Left(constraint) | J::LeftOuter(constraint) => {
            constraint
        }
        J::Right(constraint) | J::RightOuter(constraint) | J::FullOuter(constraint) => constraint,
        J::Semi(constraint) | J::LeftSemi(constraint) | J::RightSemi(constraint) => constraint,
        J::Anti(constraint) | J::LeftAnti(constraint) | J::RightAnti(constraint) => constraint,
        J::CrossJoin(JoinConstraint::None) => return Ok(()),
        J::CrossJoin(_) => {
            return Err(Error::new(
                ErrorCode::SyntaxError,
                "Syntax error: CROSS JOIN has no ON and no USING",
            ));
        }
        _ => return Ok(()),
    };
    match constraint {
        JoinConstraint::None => {
            Err(Error::new(ErrorCode::SyntaxError, "Syntax error: JOIN needs ON or USING"))
        }
        _ => Ok(()),
    }
}

fn rewrite_join(from: &mut TableWithJoins, at: usize, has_wildcard: bool) -> Result<()> {
    check_condition(&from.joins[at].join_operator)?;
    let (kind, constraint) = match &from.joins[at].join_operator {
        JoinOperator::Semi(constraint) => ("ANY LEFT", constraint.clone()),
        JoinOperator::Anti(constraint) => ("ANY INNER", constraint.clone()),
        JoinOperator::LeftSemi(constraint) => ("SEMI LEFT", constraint.clone()),
        // The right side's columns, which are not there, would be missing from the result.
        JoinOperator::LeftAnti(_) if has_wildcard => {
            return Err(refused("SELECT * over an ANTI JOIN is not supported; name the left side's columns"));
        }
        JoinOperator::Right(constraint) => ("ANY RIGHT", constraint.clone()),
        JoinOperator::RightSemi(constraint) => ("SEMI RIGHT", constraint.clone()),
        JoinOperator::RightAnti(_) if has_wildcard => {
            return Err(refused(
                "SELECT * over an ANTI JOIN is not supported; name the right side's columns",
            ));
        }
        _ => return Ok(()),
    };
    let right = alias_of(&from.joins[at].relation)
        .ok_or_else(|| refused(format!("{kind} JOIN needs a named right side")))?;
    let (left_keys, right_keys) = keys(&constraint, &right, kind)?;
    if matches!(kind, "ANY INNER" | "ANY RIGHT" | "SEMI RIGHT") {
        if at > 0 {
            return Err(refused(format!("{kind} JOIN behind another join needs a subquery around that one")));
        }
        let left = alias_of(&from.relation)
            .ok_or_else(|| refused(format!("{kind} JOIN needs a named left side")))?;
        one_per_key(&mut from.relation, left, left_keys);
    }
    let join = &mut from.joins[at];
    if !matches!(kind, "ANY RIGHT" | "SEMI RIGHT") {
        one_per_key(&mut join.relation, right, right_keys);
    }
    join.join_operator = match kind {
        "ANY LEFT" => JoinOperator::LeftOuter(constraint),
        "ANY RIGHT" => JoinOperator::RightOuter(constraint),
        _ => JoinOperator::Inner(constraint),
    };
    Ok(())
}

/// The name by which a relation's columns are called.
fn alias_of(relation: &TableFactor) -> Option<Ident> {
    match relation {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(alias.name.clone())
        }
        TableFactor::Table { name, .. } => match name.0.last() {
            Some(ObjectNamePart::Identifier(name)) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The expressions of the left and of the right side that must be equal.
fn keys(constraint: &JoinConstraint, right: &Ident, kind: &str) -> Result<(Vec<Expr>, Vec<Expr>)> {
    let (mut lefts, mut rights) = (Vec::new(), Vec::new());
    match constraint {
        JoinConstraint::Using(columns) => {
            for column in columns {
                let Some(ObjectNamePart::Identifier(column)) = column.0.last() else { continue };
                lefts.push(Expr::Identifier(column.clone()));
                rights.push(Expr::Identifier(column.clone()));
            }
        }
        JoinConstraint::On(condition) => equalities(condition, right, &mut lefts, &mut rights)
            .ok_or_else(|| refused(format!("{kind} JOIN needs equalities of qualified columns in ON")))?,
        _ => return Err(refused(format!("{kind} JOIN needs ON or USING"))),
    }
    Ok((lefts, rights))
}

fn equalities(condition: &Expr, right: &Ident, lefts: &mut Vec<Expr>, rights: &mut Vec<Expr>) -> Option<()> {
    match condition {
        Expr::Nested(inner) => equalities(inner, right, lefts, rights),
        Expr::BinaryOp { left: a, op: BinaryOperator::And, right: b } => {
            equalities(a, right, lefts, rights)?;
            equalities(b, right, lefts, rights)
        }
        Expr::BinaryOp { left: a, op: BinaryOperator::Eq, right: b } => {
            let (left, other) = match (belongs(a, right)?, belongs(b, right)?) {
                (false, true) => (a, b),
                (true, false) => (b, a),
                _ => return None,
            };
            lefts.push((**left).clone());
            rights.push((**other).clone());
            Some(())
        }
        _ => None,
    }
}

/// Whether a qualified column is the relation's; nothing for other expressions.
fn belongs(expr: &Expr, relation: &Ident) -> Option<bool> {
    match expr {
        Expr::Nested(inner) => belongs(inner, relation),
        Expr::CompoundIdentifier(parts) => Some(parts.iter().rev().nth(1)?.value == relation.value),
        _ => None,
    }
}

/// `relation` becomes `(SELECT * FROM relation QUALIFY row_number() OVER (PARTITION BY keys) = 1) AS name`.
fn one_per_key(relation: &mut TableFactor, name: Ident, keys: Vec<Expr>) {
    let spec = WindowSpec { window_name: None, partition_by: keys, order_by: vec![], window_frame: None };
    let first = Expr::BinaryOp {
        left: Box::new(row_number(spec)),
        op: BinaryOperator::Eq,
        right: Box::new(number(1)),
    };
    let inner = Select { qualify: Some(first), ..crate::filters::rows_of(relation.clone(), None) };
    *relation = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(SetExpr::Select(Box::new(inner)))),
        alias: Some(TableAlias { explicit: true, name, columns: vec![], at: None }),
        sample: None,
    };
}
