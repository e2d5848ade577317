//! Values of several types that become one column: branches of CASE and `if`, arguments of `coalesce`, parts of UNION ALL.
//! DataFusion holds a whole number beside a Float32 as Float32, which loses digits, makes DateTime64(9) of a day beside a
//! time, and finds nothing for a condition beside a number in a UNION.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Case, Expr, LogicalPlan, LogicalPlanBuilder, Union, cast};
use zepto_common::types::ColumnType;

use super::numbers::{bits_of, common, is_whole};
use super::operators::{as_arrow, type_of, whole_literal};
use crate::functions::rewrites::CASES;
use crate::functions::{branch_type, is_branch, scalar_function};

/// Casts what would become one column of too narrow a type.
pub(crate) fn supertypes(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| {
        if let LogicalPlan::Union(union) = node {
            return parts_of_union(union);
        }
        let names = NamePreserver::new(&node);
        let schemas: Vec<_> = node.inputs().into_iter().map(|input| Arc::clone(input.schema())).collect();
        let known = |expr: &Expr| schemas.iter().find_map(|schema| type_of(expr, schema));
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| branches(expr, &known))?;
            Ok(if changed.transformed { changed.update_data(|expr| name.restore(expr)) } else { changed })
        })?;
        match node.transformed {
            true => node.map_data(LogicalPlan::recompute_schema),
            false => Ok(node),
        }
    })?;
    // A node above one whose types changed has to learn of it.
    match changed.transformed {
        true => {
            changed.data.transform_up(|node| Ok(Transformed::yes(node.recompute_schema()?))).map(|t| t.data)
        }
        false => Ok(changed.data),
    }
}

/// Whether a Float32 stands beside whole numbers that it cannot hold.
fn needs_double<'a>(types: impl Iterator<Item = &'a ColumnType> + Clone) -> bool {
    types.clone().any(|ty| *ty.inner() == ColumnType::Float32)
        && types.clone().any(|ty| is_whole(ty) && bits_of(ty) > 16)
}

/// Whether a whole number beside a Float32 would be compared as another one: Float32 has 24 bits.
pub(super) fn loses_digits(whole: &Expr, ty: &ColumnType, other: &ColumnType) -> bool {
    let held = whole_literal(whole).is_some_and(|value| value as f32 as i64 == value);
    *other.inner() == ColumnType::Float32 && is_whole(ty) && bits_of(ty) > 16 && !held
}

/// The type that values of these types have to be cast to, if DataFusion would choose another.
fn wanted(types: &[ColumnType]) -> Option<ColumnType> {
    if needs_double(types.iter()) {
        return Some(ColumnType::Float64);
    }
    let mut known = types.iter().map(ColumnType::inner).filter(|ty| **ty != ColumnType::Nothing);
    let first = known.clone().next()?;
    let is_time = |ty: &ColumnType| ty.is_time() || *ty == ColumnType::Date;
    if !known.clone().all(is_time) || known.all(|ty| ty == first) {
        return None;
    }
    common(types).ok().map(|ty| ty.inner().clone())
}

/// A value as this type: numbers by Arrow, all else by our conversion, which knows zones and what a day is in them.
fn fitted(value: Expr, known: &dyn Fn(&Expr) -> Option<ColumnType>, ty: &ColumnType) -> Result<Expr> {
    let Some(is) = known(&value).filter(|is| is.inner() != ty) else { return Ok(value) };
    let plain = |ty: &ColumnType| ty.is_number() && !matches!(ty, ColumnType::Decimal(..));
    let wraps = *is.inner() == ColumnType::UInt64 && is_whole(ty);
    if *is.inner() == ColumnType::Nothing || plain(is.inner()) && plain(ty) && !wraps {
        return Ok(as_arrow(value, &ty.query_type()));
    }
    // A text is one with a dictionary or without.
    if *is.inner() == ColumnType::Symbol && *ty == ColumnType::String {
        return Ok(value);
    }
    let name = Expr::Literal(ScalarValue::Utf8View(Some(ty.to_string())), None);
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(scalar_function("CAST")?, vec![value, name])))
}

/// What is not NULL here but may be by its type.
fn as_nullable(value: Expr) -> Result<Expr> {
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(scalar_function("toNullable")?, vec![value])))
}

fn branches(expr: Expr, known: &dyn Fn(&Expr) -> Option<ColumnType>) -> Result<Transformed<Expr>> {
    let wanted = |values: &[&Expr]| {
        let types: Vec<ColumnType> = values.iter().filter_map(|value| known(value)).collect();
        wanted(&types)
    };
    Ok(match expr {
        Expr::Case(mut case) => {
            let thens = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let values: Vec<&Expr> = thens.chain(case.else_expr.as_deref()).collect();
            // DataFusion sees that a branch behind `x IS NOT NULL` is never NULL, but only as long as nothing else is told of x.
            let may_be_null = case.else_expr.is_none()
                || values.iter().any(|value| known(value).is_none_or(|ty| ty.is_nullable()));
            let ty = wanted(&values);
            let narrow = may_be_null && known(&Expr::Case(case.clone())).is_some_and(|ty| !ty.is_nullable());
            let as_nullable = |case: Expr| if narrow { as_nullable(case) } else { Ok(case) };
            let Some(ty) = ty else {
                let case = as_nullable(Expr::Case(case))?;
                return Ok(if narrow { Transformed::yes(case) } else { Transformed::no(case) });
            };
            for (_, then) in &mut case.when_then_expr {
                **then = fitted(then.as_ref().clone(), known, &ty)?;
            }
            case.else_expr = match case.else_expr {
                Some(other) => Some(Box::new(fitted(*other, known, &ty)?)),
                None => None,
            };
            Transformed::yes(as_nullable(Expr::Case(case))?)
        }
        Expr::ScalarFunction(call) if call.func.name() == CASES => case_of(call, known)?,
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => first_value(call, known)?,
        other => Transformed::no(other),
    })
}

/// The CASE that the function of conditions and values stands for.
fn case_of(call: ScalarFunction, known: &dyn Fn(&Expr) -> Option<ColumnType>) -> Result<Transformed<Expr>> {
    let count = call.args.len();
    let branch = |at: &usize| is_branch(*at, count);
    let types: Option<Vec<ColumnType>> = (0..count).filter(branch).map(|at| known(&call.args[at])).collect();
    let ty = match types {
        Some(types) => branch_type(&types)?,
        None => return Ok(Transformed::no(Expr::ScalarFunction(call))),
    };
    let may_be_null = ty.is_nullable();
    let mut args = call.args.into_iter();
    let (mut conditions, mut otherwise) = (Vec::with_capacity(count / 2), None);
    while let Some(first) = args.next() {
        match args.next() {
            Some(then) => conditions.push((Box::new(first), Box::new(fitted(then, known, ty.inner())?))),
            None => otherwise = Some(Box::new(fitted(first, known, ty.inner())?)),
        }
    }
    let case = Expr::Case(Case { expr: None, when_then_expr: conditions, else_expr: otherwise });
    let narrow = may_be_null && known(&case).is_some_and(|ty| !ty.is_nullable());
    Ok(Transformed::yes(if narrow { as_nullable(case)? } else { case }))
}

/// `coalesce`: what stands behind a value that is never NULL has no part in it.
fn first_value(
    mut call: ScalarFunction,
    known: &dyn Fn(&Expr) -> Option<ColumnType>,
) -> Result<Transformed<Expr>> {
    let never_null = |value: &Expr| known(value).is_some_and(|ty| !ty.is_nullable());
    // What stands behind a value that is never NULL has no part in the result, nor in its type.
    let last = call.args.iter().position(never_null).map_or(call.args.len(), |at| at + 1);
    let cut = last < call.args.len();
    call.args.truncate(last);
    if cut && last == 1 {
        return Ok(Transformed::yes(call.args.remove(0)));
    }
    let types: Vec<ColumnType> = call.args.iter().filter_map(known).collect();
    let ty = wanted(&types);
    if let Some(ty) = &ty {
        call.args = call.args.into_iter().map(|value| fitted(value, known, ty)).collect::<Result<_>>()?;
    }
    let ends = call.args.last().is_some_and(never_null);
    let changed = cut || ty.is_some() || ends;
    let mut call = Expr::ScalarFunction(call);
    if ends {
        call = Expr::ScalarFunction(ScalarFunction::new_udf(scalar_function("assumeNotNull")?, vec![call]));
    }
    Ok(if changed { Transformed::yes(call) } else { Transformed::no(call) })
}

/// The type that a column of a UNION has to be cast to, if DataFusion would choose another.
fn column_of_union(union: &Union, column: usize) -> Option<ColumnType> {
    let fields = || union.inputs.iter().filter_map(move |input| input.schema().fields().get(column));
    let types: Vec<ColumnType> = fields().map(|field| ColumnType::of_field(field)).collect();
    if let Some(ty) = wanted(&types) {
        return Some(ty);
    }
    let flag = fields().any(|field| *field.data_type() == DataType::Boolean);
    (flag && fields().any(|field| field.data_type().is_numeric())).then_some(ColumnType::UInt8)
}

fn parts_of_union(union: Union) -> Result<Transformed<LogicalPlan>> {
    let wanted: Vec<Option<ColumnType>> =
        (0..union.schema.fields().len()).map(|column| column_of_union(&union, column)).collect();
    if wanted.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let inputs: Result<Vec<Arc<LogicalPlan>>> = union
        .inputs
        .iter()
        .map(|input| {
            let columns = input.schema().columns().into_iter().zip(&wanted).enumerate();
            let exprs: Vec<Expr> = columns
                .map(|(at, (column, wanted))| {
                    let is = input.schema().field(at);
                    let (table, name) = (column.relation.clone(), column.name.clone());
                    let is_of = |_: &Expr| Some(ColumnType::of_field(is));
                    Ok(match wanted {
                        // Conditions alone become UInt8: other numbers are wider.
                        Some(ColumnType::UInt8) if *is.data_type() == DataType::Boolean => {
                            cast(Expr::Column(column), DataType::UInt8).alias_qualified(table, name)
                        }
                        Some(ColumnType::UInt8) => Expr::Column(column),
                        Some(ty) if *is.data_type() != ty.query_type() => {
                            fitted(Expr::Column(column), &is_of, ty)?.alias_qualified(table, name)
                        }
                        _ => Expr::Column(column),
                    })
                })
                .collect::<Result<_>>()?;
            LogicalPlanBuilder::from(Arc::clone(input)).project(exprs)?.build().map(Arc::new)
        })
        .collect();
    Ok(Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(inputs?)?)))
}
