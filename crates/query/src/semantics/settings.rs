//! `getSetting('name')` with the value that the statement's settings have.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value, VisitMut, VisitorMut,
};

use crate::functions::SETTING;
use crate::functions::rewrites::text;

/// Puts the values behind the names; a setting that nobody set is left for its default.
pub(crate) fn put_settings(statement: &mut Statement, settings: &BTreeMap<String, String>) {
    let _ = VisitMut::visit(statement, &mut Values(settings));
}

struct Values<'a>(&'a BTreeMap<String, String>);

impl VisitorMut for Values<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && function.name.to_string().trim_matches('"') == SETTING
            && let FunctionArguments::List(list) = &mut function.args
            && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(name)))] = list.args.as_slice()
            && let Value::SingleQuotedString(name) = &name.value
            && let Some(value) = self.0.get(name)
        {
            list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(text(value.clone()))));
        }
        ControlFlow::Continue(())
    }
}
