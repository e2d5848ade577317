//! Named windows: `OVER w` becomes the window's definition, so that functions over frames can change it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, NamedWindowExpr, OrderBy, Select, VisitMut, VisitorMut, WindowSpec, WindowType};
use zepto_common::{Error, ErrorCode, Result};

/// Puts the definitions of a select's windows in.
pub(super) fn resolve(select: &mut Select, order: Option<&mut OrderBy>) -> Result<()> {
    if select.named_window.is_empty() {
        return Ok(());
    }
    let mut windows: HashMap<String, WindowSpec> = HashMap::new();
    for definition in std::mem::take(&mut select.named_window) {
        let spec = match definition.1 {
            NamedWindowExpr::WindowSpec(spec) => spec,
            NamedWindowExpr::NamedWindow(name) => found(&windows, &name.value)?,
        };
        windows.insert(definition.0.value, spec);
    }
    let mut resolver = Resolver(&windows);
    let mut flow = VisitMut::visit(&mut select.projection, &mut resolver);
    for expr in select.qualify.iter_mut().chain(&mut select.having) {
        if flow.is_continue() {
            flow = VisitMut::visit(expr, &mut resolver);
        }
    }
    if let (Some(order), true) = (order, flow.is_continue()) {
        flow = VisitMut::visit(order, &mut resolver);
    }
    match flow {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn found(windows: &HashMap<String, WindowSpec>, name: &str) -> Result<WindowSpec> {
    let missing = || Error::new(ErrorCode::BadArguments, format!("Window '{name}' does not exist"));
    windows.get(name).cloned().ok_or_else(missing)
}

struct Resolver<'a>(&'a HashMap<String, WindowSpec>);

impl VisitorMut for Resolver<'_> {
    type Break = Error;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let resolved = match &function.over {
            Some(WindowType::NamedWindow(name)) => found(self.0, &name.value),
            Some(WindowType::WindowSpec(spec)) => match &spec.window_name {
                Some(name) => found(self.0, &name.value).map(|base| joined(base, spec)),
                None => return ControlFlow::Continue(()),
            },
            None => return ControlFlow::Continue(()),
        };
        match resolved {
            Ok(spec) => {
                function.over = Some(WindowType::WindowSpec(spec));
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// `OVER (w ORDER BY …)`: what is said beside the name adds to it.
fn joined(mut base: WindowSpec, more: &WindowSpec) -> WindowSpec {
    if !more.order_by.is_empty() {
        base.order_by.clone_from(&more.order_by);
    }
    if more.window_frame.is_some() {
        base.window_frame.clone_from(&more.window_frame);
    }
    base
}
