//! Comparisons of tuples: element by element, so that a NULL makes the answer NULL only where it decides.

use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};
use sqlparser::ast::BinaryOperator;

use super::operators::OperatorPlanner;
use crate::functions::scalar_function;

/// `(a, b) < (c, d)` is `a < c OR (a = c AND b < d)`.
pub(super) fn comparison(
    operator: Operator,
    expr: &RawBinaryExpr,
    length: usize,
    schema: &DFSchema,
) -> Result<Expr> {
    let (lefts, rights) = (elements(&expr.left, length)?, elements(&expr.right, length)?);
    let pairs: Vec<(Expr, Expr)> = lefts.into_iter().zip(rights).collect();
    let each = |op: BinaryOperator| -> Result<Vec<Expr>> {
        pairs.iter().map(|(left, right)| test(left.clone(), op.clone(), right.clone(), schema)).collect()
    };
    let join = |tests: Vec<Expr>, op: Operator| {
        let joined = tests.into_iter().reduce(|all, next| binary(all, op, next));
        joined.unwrap_or_else(|| lit(op == Operator::And))
    };
    Ok(match operator {
        Operator::Eq => join(each(BinaryOperator::Eq)?, Operator::And),
        Operator::NotEq => join(each(BinaryOperator::NotEq)?, Operator::Or),
        _ => {
            let (strict, last) = match operator {
                Operator::Lt => (BinaryOperator::Lt, BinaryOperator::Lt),
                Operator::LtEq => (BinaryOperator::Lt, BinaryOperator::LtEq),
                Operator::Gt => (BinaryOperator::Gt, BinaryOperator::Gt),
                _ => (BinaryOperator::Gt, BinaryOperator::GtEq),
            };
            let (strict, equal, last) = (each(strict)?, each(BinaryOperator::Eq)?, each(last)?);
            let mut tests = strict.into_iter().zip(equal).zip(last).rev().map(|((s, e), l)| (s, e, l));
            let Some((_, _, mut all)) = tests.next() else { return Ok(lit(true)) };
            for (strict, equal, _) in tests {
                all = binary(strict, Operator::Or, binary(equal, Operator::And, all));
            }
            all
        }
    })
}

fn elements(tuple: &Expr, length: usize) -> Result<Vec<Expr>> {
    if let Expr::ScalarFunction(call) = tuple
        && call.func.name() == "tuple"
        && call.args.len() == length
    {
        return Ok(call.args.clone());
    }
    let element = scalar_function("arrayElement")?;
    let at = |i: usize| {
        Expr::ScalarFunction(ScalarFunction::new_udf(element.clone(), vec![tuple.clone(), lit(i as i64 + 1)]))
    };
    Ok((0..length).map(at).collect())
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// A comparison of two elements as any other.
fn test(left: Expr, op: BinaryOperator, right: Expr, schema: &DFSchema) -> Result<Expr> {
    let plain = match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        _ => Operator::GtEq,
    };
    Ok(match OperatorPlanner.plan_binary_op(RawBinaryExpr { op, left, right }, schema)? {
        PlannerResult::Planned(expr) => expr,
        PlannerResult::Original(raw) => binary(raw.left, plain, raw.right),
    })
}
