//! The members `totals` and `extremes` of a JSON document: what a result has beside its rows.

use arrow::array::RecordBatch;
use zepto_common::Result;

use crate::encode::{Fields, ResultTotals};
use crate::json_fields::Form;
use crate::json_value::write_json_string;

/// Writes them, if there are any, behind the member `data`.
pub(crate) fn write_beside(
    fields: &Fields,
    compact: bool,
    form: Form,
    result: &ResultTotals,
    out: &mut Vec<u8>,
) -> Result<()> {
    if let Some(totals) = &result.totals {
        member("totals", 1, fields, (compact, form), (totals, 0), out)?;
    }
    if let Some(extremes) = &result.extremes {
        out.extend_from_slice(b",\n\n\t\"extremes\":\n\t{");
        member("min", 2, fields, (compact, form), (extremes, 0), out)?;
        member("max", 2, fields, (compact, form), (extremes, 1), out)?;
        out.extend_from_slice(b"\n\t}");
    }
    Ok(())
}

/// A row under a name, `depth` tabs in.
fn member(
    name: &str,
    depth: usize,
    fields: &Fields,
    (compact, form): (bool, Form),
    (batch, row): (&RecordBatch, usize),
    out: &mut Vec<u8>,
) -> Result<()> {
    let cells = fields.cells(batch)?;
    let mut style = fields.json_style();
    let (mut scratch, tabs) = (Vec::new(), "\t".repeat(depth));
    let lead = match (depth, name) {
        (1, _) => ",\n\n",
        (_, "min") => "\n",
        _ => ",\n",
    };
    out.extend_from_slice(format!("{lead}{tabs}\"{name}\":").as_bytes());
    if compact {
        out.extend_from_slice(b" [");
        for (at, cell) in cells.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b", " } else { b"" });
            form.write(cell, row, style, &mut scratch, out);
        }
        out.push(b']');
        return Ok(());
    }
    style.indent = fields.settings().json_pretty_print.then_some(depth + 1);
    out.extend_from_slice(format!("\n{tabs}{{\n").as_bytes());
    for (at, (cell, name)) in cells.iter().zip(fields.names()).enumerate() {
        out.extend_from_slice(if at > 0 { b",\n" } else { b"" });
        out.extend_from_slice(format!("{tabs}\t").as_bytes());
        write_json_string(name.as_bytes(), fields.settings().escape_forward_slashes, out);
        out.extend_from_slice(b": ");
        form.write(cell, row, style, &mut scratch, out);
    }
    out.extend_from_slice(format!("\n{tabs}}}").as_bytes());
    Ok(())
}
