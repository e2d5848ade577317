//! What stands for columns, and what is done with each: the parts of `t.COLUMNS('v') EXCEPT(a) REPLACE(…) APPLY(f)`.

use std::ops::ControlFlow;

use regex::Regex;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, SelectItem,
    SelectItemQualifiedWildcardKind, Value, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use zepto_common::error::{Error, ErrorCode, Result};

use super::columns::{Column, Columns};
use crate::functions::rewrites::plain_call;
use crate::statement::matchers as marks;

/// Which columns.
enum Which {
    All,
    Like(Regex),
    Named(Vec<Vec<Ident>>),
}

/// Names of columns in EXCEPT.
enum Names {
    Written(Vec<String>),
    Like(Regex),
}

impl Names {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::Written(names) => names.iter().any(|other| other == name),
            Self::Like(pattern) => pattern.is_match(name),
        }
    }
}

enum Step {
    Except(Names, bool),
    Replace(Vec<(Expr, String)>, bool),
    Apply(Box<Expr>),
}

/// What stands for columns.
pub(super) struct Matcher {
    of: Vec<String>,
    which: Which,
    steps: Vec<Step>,
}

/// A column that was found: what is computed, and its name in the result.
pub(super) struct Found {
    pub(super) expr: Expr,
    pub(super) name: String,
}

/// Whether the call stands for columns.
pub(super) fn is_mark(function: &Function) -> bool {
    function.name.to_string() == marks::MATCHER
}

/// The arguments of a call that are expressions.
pub(super) fn arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let args = list.args.iter().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    args.collect()
}

pub(super) fn bad(code: ErrorCode, message: impl Into<String>) -> Error {
    Error::new(code, message.into())
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn pattern(text: &str) -> Result<Regex> {
    Regex::new(text).map_err(|error| bad(ErrorCode::CannotCompileRegexp, format!("COLUMNS: {error}")))
}

impl Matcher {
    /// What a call of [`marks::MATCHER`] says.
    ///
    /// # Errors
    /// A pattern that is none, names that are none.
    pub(super) fn of_call(function: &Function) -> Result<Self> {
        let mut matcher = Self { of: Vec::new(), which: Which::All, steps: Vec::new() };
        for part in arguments(function) {
            let Expr::Function(part) = part else { continue };
            matcher.add(&part.name.to_string(), arguments(&part))?;
        }
        Ok(matcher)
    }

    fn add(&mut self, name: &str, args: Vec<Expr>) -> Result<()> {
        match name {
            marks::OF => self.of = args.iter().filter_map(text).map(str::to_owned).collect(),
            marks::LIKE => {
                self.which = Which::Like(pattern(args.first().and_then(text).unwrap_or_default())?)
            }
            marks::NAMED => {
                let names: Option<Vec<Vec<Ident>>> = args.into_iter().map(written).collect();
                let message = "COLUMNS takes a regular expression or names of columns";
                self.which = Which::Named(names.ok_or_else(|| bad(ErrorCode::SyntaxError, message))?);
            }
            marks::EXCEPT | marks::EXCEPT_STRICT => {
                let names = match args.first().and_then(text) {
                    Some(text) => Names::Like(pattern(text)?),
                    None => Names::Written(args.iter().map(ToString::to_string).map(unquoted).collect()),
                };
                self.steps.push(Step::Except(names, name == marks::EXCEPT_STRICT));
            }
            marks::REPLACE | marks::REPLACE_STRICT => {
                let pairs = args.chunks_exact(2);
                let pairs =
                    pairs.map(|pair| (pair[0].clone(), text(&pair[1]).unwrap_or_default().to_owned()));
                self.steps.push(Step::Replace(pairs.collect(), name == marks::REPLACE_STRICT));
            }
            _ => match <[Expr; 1]>::try_from(args) {
                Ok([apply]) => self.steps.push(Step::Apply(Box::new(apply))),
                Err(_) => return Err(bad(ErrorCode::SyntaxError, "APPLY takes one function")),
            },
        }
        Ok(())
    }

    /// What an asterisk of a select's list says; None for other items, and for options of other engines.
    pub(super) fn of_item(item: &SelectItem) -> Option<Self> {
        let (of, options) = match item {
            SelectItem::Wildcard(options) => (Vec::new(), options),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let parts = name.0.iter().map(|part| part.as_ident().map(|ident| ident.value.clone()));
                (parts.collect::<Option<Vec<String>>>()?, options)
            }
            _ => return None,
        };
        let WildcardAdditionalOptions { opt_ilike, opt_exclude, opt_rename, opt_alias, .. } = options;
        if opt_ilike.is_some() || opt_exclude.is_some() || opt_rename.is_some() || opt_alias.is_some() {
            return None;
        }
        let mut steps = Vec::new();
        if let Some(except) = &options.opt_except {
            let names = std::iter::once(&except.first_element).chain(&except.additional_elements);
            let names = names.map(|name| name.value.clone()).collect();
            steps.push(Step::Except(Names::Written(names), false));
        }
        if let Some(replace) = &options.opt_replace {
            let pair = |item: &sqlparser::ast::ReplaceSelectElement| {
                (item.expr.clone(), item.column_name.value.clone())
            };
            steps.push(Step::Replace(replace.items.iter().map(|item| pair(item)).collect(), false));
        }
        Some(Self { of, which: Which::All, steps })
    }

    /// The columns that it stands for.
    ///
    /// # Errors
    /// A name that no column has, where each must be there.
    pub(super) fn columns(&self, columns: &Columns) -> Result<Vec<Found>> {
        let chosen = self.chosen(columns)?;
        self.check(&chosen)?;
        let mut found = Vec::new();
        'columns: for column in chosen {
            let (mut expr, mut applied) = (column.expr(), false);
            for step in &self.steps {
                match step {
                    Step::Except(names, _) if names.has(&column.plain) => continue 'columns,
                    Step::Except(..) => {}
                    Step::Replace(pairs, _) => {
                        if let Some((value, _)) = pairs.iter().find(|(_, name)| *name == column.plain) {
                            expr = value.clone();
                        }
                    }
                    Step::Apply(function) => {
                        expr = put_around(function, expr)?;
                        applied = true;
                    }
                }
            }
            let name = if applied { columns.name(&expr) } else { column.shown.clone() };
            found.push(Found { expr, name });
        }
        Ok(found)
    }

    fn chosen<'a>(&self, columns: &'a Columns) -> Result<Vec<&'a Column>> {
        let here = columns.all.iter().filter(|column| self.of.is_empty() || column.is_of(&self.of));
        Ok(match &self.which {
            Which::All => here.collect(),
            Which::Like(pattern) => here.filter(|column| pattern.is_match(&column.plain)).collect(),
            Which::Named(names) => {
                let here: Vec<&Column> = here.collect();
                let one = |parts: &Vec<Ident>| {
                    let (name, table) = parts.split_last()?;
                    let table: Vec<String> = table.iter().map(|part| part.value.clone()).collect();
                    here.iter().copied().find(|column| {
                        column.plain == name.value && (table.is_empty() || column.is_of(&table))
                    })
                };
                let unknown = |parts: &Vec<Ident>| {
                    let name = parts.last().map_or("", |name| &name.value);
                    bad(ErrorCode::UnknownIdentifier, format!("Unknown identifier `{name}` inside COLUMNS"))
                };
                names.iter().map(|parts| one(parts).ok_or_else(|| unknown(parts))).collect::<Result<_>>()?
            }
        })
    }

    /// With STRICT each name has to be a column's.
    fn check(&self, chosen: &[&Column]) -> Result<()> {
        for step in &self.steps {
            let names: Vec<&String> = match step {
                Step::Except(Names::Written(names), true) => names.iter().collect(),
                Step::Replace(pairs, true) => pairs.iter().map(|(_, name)| name).collect(),
                _ => continue,
            };
            if let Some(name) = names.into_iter().find(|name| !chosen.iter().any(|c| c.plain == **name)) {
                return Err(bad(ErrorCode::BadArguments, format!("STRICT: there is no column {name}")));
            }
        }
        Ok(())
    }
}

fn written(expr: Expr) -> Option<Vec<Ident>> {
    match expr {
        Expr::Identifier(name) => Some(vec![name]),
        Expr::CompoundIdentifier(parts) => Some(parts),
        _ => None,
    }
}

fn unquoted(name: String) -> String {
    name.trim_matches(['`', '"']).to_owned()
}

/// The function of APPLY around an expression: `f`, `f(parameters)` or `x -> …`.
fn put_around(function: &Expr, column: Expr) -> Result<Expr> {
    match function {
        Expr::Identifier(name) => Ok(plain_call(&name.value, vec![column])),
        Expr::Function(function) => {
            let args = FunctionArgumentList {
                duplicate_treatment: None,
                args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(column))],
                clauses: vec![],
            };
            let mut call = function.clone();
            call.parameters = std::mem::replace(&mut call.args, FunctionArguments::List(args));
            Ok(Expr::Function(call))
        }
        Expr::Lambda(lambda) => {
            let mut params = lambda.params.iter();
            let (Some(param), None) = (params.next(), params.next()) else {
                return Err(bad(ErrorCode::BadArguments, "A lambda in APPLY has one parameter"));
            };
            let mut body = lambda.body.as_ref().clone();
            let _ = VisitMut::visit(&mut body, &mut Parameter { name: &param.name.value, column });
            Ok(body)
        }
        _ => Err(bad(ErrorCode::SyntaxError, "APPLY takes a function or a lambda")),
    }
}

/// Puts a column in the place of a lambda's parameter.
struct Parameter<'a> {
    name: &'a str,
    column: Expr,
}

impl VisitorMut for Parameter<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Identifier(name) if name.value == self.name) {
            *expr = match self.column.clone() {
                simple @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Function(_)) => simple,
                other => Expr::Nested(Box::new(other)),
            };
        }
        ControlFlow::Continue(())
    }
}
