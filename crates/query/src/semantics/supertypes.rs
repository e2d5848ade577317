//! Values of several types that become one column: branches of CASE and `if`, arguments of `coalesce`, parts of UNION ALL.
//! DataFusion holds a whole number beside a Float32 as Float32, which loses digits, and finds nothing for a condition beside
//! a number in a UNION.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Union, cast};
use zepto_common::types::ColumnType;

use super::numbers::{bits_of, is_whole};
use super::operators::{as_arrow, type_of, whole_literal};

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
            let changed = expr.transform_up(|expr| Ok(branches(expr, &known)))?;
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

fn branches(expr: Expr, known: &dyn Fn(&Expr) -> Option<ColumnType>) -> Transformed<Expr> {
    let wide = |values: &[&Expr]| {
        let types: Vec<ColumnType> = values.iter().filter_map(|value| known(value)).collect();
        needs_double(types.iter())
    };
    let double = |value: Expr| as_arrow(value, &DataType::Float64);
    match expr {
        Expr::Case(mut case) => {
            let thens = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let values: Vec<&Expr> = thens.chain(case.else_expr.as_deref()).collect();
            if !wide(&values) {
                return Transformed::no(Expr::Case(case));
            }
            for (_, then) in &mut case.when_then_expr {
                **then = double(then.as_ref().clone());
            }
            case.else_expr = case.else_expr.map(|other| Box::new(double(*other)));
            Transformed::yes(Expr::Case(case))
        }
        Expr::ScalarFunction(mut call) if call.func.name() == "coalesce" => {
            if !wide(&call.args.iter().collect::<Vec<_>>()) {
                return Transformed::no(Expr::ScalarFunction(call));
            }
            call.args = call.args.into_iter().map(double).collect();
            Transformed::yes(Expr::ScalarFunction(call))
        }
        other => Transformed::no(other),
    }
}

/// The type that a column of a UNION has to be cast to, if DataFusion would choose another.
fn column_of_union(union: &Union, column: usize) -> Option<DataType> {
    let fields = || union.inputs.iter().filter_map(move |input| input.schema().fields().get(column));
    let types: Vec<ColumnType> = fields().map(|field| ColumnType::of_field(field)).collect();
    if needs_double(types.iter()) {
        return Some(DataType::Float64);
    }
    let flag = fields().any(|field| *field.data_type() == DataType::Boolean);
    (flag && fields().any(|field| field.data_type().is_numeric())).then_some(DataType::UInt8)
}

fn parts_of_union(union: Union) -> Result<Transformed<LogicalPlan>> {
    let wanted: Vec<Option<DataType>> =
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
                    let is = input.schema().field(at).data_type();
                    let (table, name) = (column.relation.clone(), column.name.clone());
                    match wanted {
                        // Conditions alone become UInt8: other numbers are wider.
                        Some(DataType::UInt8) if *is != DataType::Boolean => Expr::Column(column),
                        Some(ty) if is != ty => {
                            cast(Expr::Column(column), ty.clone()).alias_qualified(table, name)
                        }
                        _ => Expr::Column(column),
                    }
                })
                .collect();
            LogicalPlanBuilder::from(Arc::clone(input)).project(exprs)?.build().map(Arc::new)
        })
        .collect();
    Ok(Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(inputs?)?)))
}
