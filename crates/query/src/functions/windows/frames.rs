//! `lagInFrame` and `leadInFrame`: rows before and behind, as far as the frame goes.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Function, Value, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowSpec, WindowType,
};

use super::super::rewrites::{call, number};
use super::{binary, one, over, shifted, spec};

/// `lagInFrame` and `leadInFrame`: what lies outside of the frame is not there.
pub(super) fn in_frame(function: &Function, args: Vec<Expr>, name: &str) -> zepto_common::Result<Expr> {
    let spec = spec(function)?;
    let offset = match args.get(1) {
        None => Some(1),
        Some(Expr::Value(value)) => match &value.value {
            Value::Number(digits, _) => digits.parse::<u64>().ok(),
            _ => None,
        },
        _ => None,
    };
    if !spans_rows(&spec, name) {
        return in_any_frame(function, args, name);
    }
    let reach = match (&spec.window_frame, name) {
        (Some(frame), "lag") => reached(Some(&frame.start_bound)),
        (Some(frame), _) => reached(frame.end_bound.as_ref()),
        (None, "lag") => None,
        // Up to the current row when there is an order, else the whole partition.
        (None, _) => (!spec.order_by.is_empty()).then_some(0),
    };
    match (reach, offset) {
        (Some(reach), Some(offset)) if offset > reach => {}
        _ => return shifted(function, args, name),
    }
    match (args.get(2).cloned(), args.first().cloned()) {
        (Some(default), Some(value)) => {
            // Out of reach, but of the value's type.
            let none = CaseWhen { condition: Expr::value(Value::Boolean(true)), result: default };
            Ok(Expr::Case {
                case_token: AttachedToken::empty(),
                end_token: AttachedToken::empty(),
                operand: None,
                conditions: vec![none],
                else_result: Some(Box::new(value)),
            })
        }
        (None, Some(value)) => Ok(call("__zero_like", vec![value])),
        _ => one(function, args),
    }
}

/// Whether the frame is told in rows and holds the current one, or is all that lies in the function's direction.
fn spans_rows(spec: &WindowSpec, name: &str) -> bool {
    use WindowFrameBound as B;
    let Some(frame) = &spec.window_frame else { return spec.order_by.is_empty() || name == "lag" };
    let holds_current = matches!(frame.start_bound, B::Preceding(_) | B::CurrentRow)
        && matches!(frame.end_bound, None | Some(B::Following(_) | B::CurrentRow));
    let open = match name {
        "lag" => matches!(frame.start_bound, B::Preceding(None)),
        _ => matches!(frame.end_bound, Some(B::Following(None))),
    };
    holds_current && (frame.units == WindowFrameUnits::Rows || open)
}

/// `lagInFrame` and `leadInFrame` over any frame, whose first and last row are found by counting: up to its last row there
/// are as many rows as in the frame that begins with the partition.
fn in_any_frame(function: &Function, args: Vec<Expr>, name: &str) -> zepto_common::Result<Expr> {
    use BinaryOperator as B;
    let Some(value) = args.first().cloned() else { return one(function, args) };
    let (offset, default) = (args.get(1).cloned().unwrap_or_else(|| number(1)), args.get(2).cloned());
    let mut spec = spec(function)?;
    let frame = spec.window_frame.take().unwrap_or(WindowFrame {
        units: WindowFrameUnits::Range,
        start_bound: WindowFrameBound::Preceding(None),
        end_bound: Some(WindowFrameBound::CurrentRow),
    });
    let counted = |frame: Option<WindowFrame>, count: &str, of: Vec<Expr>| {
        let over_frame = WindowSpec { window_frame: frame, ..spec.clone() };
        let over_frame = Function { over: Some(WindowType::WindowSpec(over_frame)), ..function.clone() };
        over(&over_frame, count, of, None)
    };
    let until = WindowFrame { start_bound: WindowFrameBound::Preceding(None), ..frame.clone() };
    let (in_frame, until) =
        (counted(Some(frame), "count", vec![number(1)])?, counted(Some(until), "count", vec![number(1)])?);
    let row = counted(None, "row_number", vec![])?;
    // The row that is meant, and the last of the frame, both moved by the offset where that saves a negative number.
    let (meant, last) = match name {
        "lag" => (row, binary(until, B::Plus, offset)),
        _ => (binary(row, B::Plus, offset), until),
    };
    let behind_first = binary(binary(meant.clone(), B::Plus, in_frame), B::Gt, last.clone());
    let is_there = binary(behind_first, B::And, binary(meant, B::LtEq, last));
    let there = CaseWhen { condition: is_there, result: shifted(function, args, name)? };
    Ok(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![there],
        else_result: Some(Box::new(default.unwrap_or_else(|| call("__zero_like", vec![value])))),
    })
}

/// How many rows a bound lies away; None for all rows. A bound of another kind is taken for all.
fn reached(bound: Option<&WindowFrameBound>) -> Option<u64> {
    let number = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<u64>().ok(),
            _ => None,
        },
        _ => None,
    };
    match bound {
        None | Some(WindowFrameBound::CurrentRow) => Some(0),
        Some(WindowFrameBound::Preceding(Some(rows)) | WindowFrameBound::Following(Some(rows))) => {
            number(rows)
        }
        Some(_) => None,
    }
}
