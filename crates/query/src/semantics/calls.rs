//! Function calls: ClickHouse's names in any case, and parameters.

use std::ops::ControlFlow;

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Value, VisitMut, VisitorMut, WindowType,
};
use zepto_common::{Error, ErrorCode, Result};

use super::null_last;
use super::syntax::typed;
use crate::functions::rewrites::{self, call};
use crate::functions::{self, Plan, ROW_KEY, Row, parameters as parameters_of};

/// Aggregates to which it matters how often a value is there, and which cannot leave the repetitions out.
const COUNTS_EACH: [&str; 8] =
    ["quantile", "quantiles", "quantileExact", "median", "percentile", "vwap", "avgWeighted", "twap"];

pub(super) fn list(arguments: &mut FunctionArguments) -> Option<&mut FunctionArgumentList> {
    match arguments {
        FunctionArguments::List(list) => Some(list),
        _ => None,
    }
}

/// Adds an argument at the end.
pub(super) fn push_argument(function: &mut Function, arg: Expr) {
    if let Some(list) = list(&mut function.args) {
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
    }
}

fn rename(function: &mut Function, name: &str) {
    function.name = ObjectName::from(vec![Ident::with_quote('"', name)]);
}

/// The arguments that are expressions. A `*` is left out.
pub(super) fn expressions(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    list.args.iter().filter_map(expression).collect()
}

fn expression(arg: &FunctionArg) -> Option<Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. } => Some(expr.clone()),
        _ => None,
    }
}

pub(super) fn set_expressions(function: &mut Function, args: Vec<Expr>) {
    let args: Vec<FunctionArg> =
        args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    match list(&mut function.args) {
        Some(list) => list.args = args,
        None => {
            let list = FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] };
            function.args = FunctionArguments::List(list);
        }
    }
}

/// A call as DataFusion can plan it.
pub(super) fn rewritten(mut function: Function) -> Result<Expr> {
    if let Some(WindowType::WindowSpec(spec)) = &mut function.over {
        spec.order_by.iter_mut().for_each(null_last);
    }
    let [part] = function.name.0.as_slice() else { return Ok(Expr::Function(function)) };
    let Some(name) = part.as_ident().filter(|name| name.quote_style.is_none()).map(|name| name.value.clone())
    else {
        return Ok(Expr::Function(function));
    };
    let args = expressions(&function);
    if let Some(interval) = rewrites::interval_call(&name, &args) {
        return Ok(interval);
    }
    if let Some(shifted) = rewrites::shift_call(&name, &args) {
        return Ok(shifted);
    }
    if let Some(shifted) = rewrites::date_add(&name, &args)? {
        return Ok(shifted);
    }
    if let Some(made) = functions::with_lambda(&name, &args)? {
        return Ok(made);
    }
    // `quantile(0.9)(x)` has its parameters after the arguments here.
    let mut parameters = 0;
    if let FunctionArguments::List(given) =
        std::mem::replace(&mut function.parameters, FunctionArguments::None)
    {
        parameters = given.args.len();
        let exprs: Vec<Expr> = given.args.iter().filter_map(expression).collect();
        parameters_of::check_parameters(&name, &exprs)?;
        for parameter in given.args {
            if let Some(list) = list(&mut function.args) {
                list.args.push(parameter);
            }
        }
    }
    let name = if parameters > 0 { parameters_of::with_parameters(&name) } else { &name };
    match functions::find(name) {
        Some(row) => planned(function, row),
        None => super::combinators::combined(function, name, parameters),
    }
}

/// What stands with OVER that is no window function, and the other way round.
fn check_window(function: &Function, row: &Row) -> Result<()> {
    let name = row.name();
    match row.plan() {
        Plan::Scalar(_) | Plan::Sql(_) if function.over.is_some() => {
            let message = format!("Aggregate function with name {name} does not exist");
            Err(Error::new(ErrorCode::UnknownAggregateFunction, message))
        }
        Plan::Known if function.over.is_none() && row.is_window() => {
            let message = format!("Function {name} needs OVER (… ORDER BY …)");
            Err(Error::new(ErrorCode::BadArguments, message))
        }
        _ => Ok(()),
    }
}

fn typed_arguments(args: Vec<Expr>) -> Result<Vec<Expr>> {
    let typed = |arg| match &arg {
        Expr::Interval(interval) => rewrites::interval_text(interval),
        _ => Ok(typed(arg)),
    };
    args.into_iter().map(typed).collect()
}

fn planned(mut function: Function, row: &'static Row) -> Result<Expr> {
    check_window(&function, row)?;
    let mut args = expressions(&function);
    // What stands for a row that is not there does not widen the values.
    if let ("lag" | "lead" | "lagInFrame" | "leadInFrame", [_, _, default]) =
        (row.name(), args.as_mut_slice())
    {
        *default = typed(std::mem::replace(default, Expr::Value(Value::Null.into())));
        set_expressions(&mut function, args.clone());
    }
    match row.plan() {
        // A zone is a text; anything else is the moment from which intervals are counted.
        Plan::Scalar(_) if row.name() == "toStartOfInterval" && args.len() == 3 && !is_text(&args[2]) => {
            Ok(call("__date_bin", typed_arguments(args)?))
        }
        Plan::Scalar(_) => Ok(call(row.name(), typed_arguments(args)?)),
        Plan::Sql(template) => rewrites::parse_template(row.name(), template, &typed_arguments(args)?),
        Plan::Ast(make) => make(typed_arguments(args)?),
        Plan::Aggregate(_) => aggregate(function, row, args),
        Plan::AggregateSql(template) => {
            check_distinct(&function, row)?;
            let of_rows = args.len() > 1 || args.first().is_some_and(is_tuple);
            let counts = matches!(row.name(), "uniqExact" | "uniqCombined" | "uniqUpTo");
            let mut args = args;
            if let Some(first) = args.first_mut() {
                *first = typed(std::mem::replace(first, Expr::Value(Value::Null.into())));
            }
            let args = match row.name() {
                _ if counts && of_rows => vec![call(ROW_KEY, args)],
                name if functions::OF_TUPLES.contains(&name) && args.len() > 1 => vec![call("tuple", args)],
                _ => args,
            };
            let mut expr = rewrites::parse_template(row.name(), template, &args)?;
            hand_over(&mut expr, &function);
            Ok(expr)
        }
        Plan::Framed(make) => make(&function, args),
        Plan::Higher(_) => Ok(call(row.name(), functions::lambda_args(args))),
        Plan::Window(_) => {
            rename(&mut function, row.name());
            Ok(Expr::Function(function))
        }
        Plan::Known => {
            if row.name() == "coalesce" {
                set_expressions(
                    &mut function,
                    args.into_iter().map(|arg| typed(rewrites::flag(arg))).collect(),
                );
            }
            rename(&mut function, &row.name().to_ascii_lowercase());
            Ok(Expr::Function(function))
        }
    }
}

fn aggregate(mut function: Function, row: &'static Row, mut args: Vec<Expr>) -> Result<Expr> {
    check_distinct(&function, row)?;
    let of_rows = match args.as_slice() {
        [argument] => is_distinct(&function) && is_tuple(argument),
        _ => args.len() > 1,
    };
    if row.name() == "count" && of_rows {
        set_expressions(&mut function, vec![call(ROW_KEY, args)]);
    } else if row.name() != "count"
        && let Some(first) = args.first_mut()
    {
        *first = typed(std::mem::replace(first, Expr::Value(Value::Null.into())));
        set_expressions(&mut function, args);
    }
    rename(&mut function, row.name());
    Ok(Expr::Function(function))
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

fn is_distinct(function: &Function) -> bool {
    match &function.args {
        FunctionArguments::List(list) => list.duplicate_treatment == Some(DuplicateTreatment::Distinct),
        _ => false,
    }
}

fn check_distinct(function: &Function, row: &Row) -> Result<()> {
    if is_distinct(function) && COUNTS_EACH.contains(&row.name()) {
        let message = format!("{} of DISTINCT values is not supported", row.name());
        return Err(Error::new(ErrorCode::NotImplemented, message));
    }
    Ok(())
}

fn is_tuple(expr: &Expr) -> bool {
    match expr {
        Expr::Tuple(_) => true,
        Expr::Function(function) => function.name.to_string().trim_matches('"') == "tuple",
        _ => false,
    }
}

/// DISTINCT, FILTER and OVER of a call go to the aggregates that it stands for, not to those in its arguments.
fn hand_over(expr: &mut Expr, outer: &Function) {
    struct Hand<'a> {
        outer: &'a Function,
        depth: usize,
    }
    impl VisitorMut for Hand<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
            if !functions::is_aggregate(&function.name) {
                return ControlFlow::Continue(());
            }
            if self.depth == 0 {
                function.filter.clone_from(&self.outer.filter);
                function.over.clone_from(&self.outer.over);
                if is_distinct(self.outer)
                    && let Some(list) = list(&mut function.args)
                {
                    list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
                }
            }
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr
                && functions::is_aggregate(&function.name)
            {
                self.depth -= 1;
            }
            ControlFlow::Continue(())
        }
    }
    let _ = VisitMut::visit(expr, &mut Hand { outer, depth: 0 });
}
