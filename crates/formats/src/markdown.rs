//! Markdown: a table, numbers to the right.

use arrow::array::RecordBatch;
use zepto_common::Result;
use zepto_common::types::ColumnType;

use crate::cells::Style;
use crate::encode::{Encoder, Fields, ResultTotals};

/// Writes a table.
pub(crate) struct MarkdownWriter {
    fields: Fields,
}

impl MarkdownWriter {
    pub(crate) fn new(fields: Fields) -> Self {
        Self { fields }
    }
}

/// Whether values stand at the right.
fn is_right(ty: &ColumnType) -> bool {
    matches!(ty.inner(), ColumnType::Date) || ty.is_number() || ty.inner().is_time()
}

impl Encoder for MarkdownWriter {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'|');
        for name in self.fields.names() {
            out.push(b' ');
            crate::tab_separated::escape(name.as_bytes(), out);
            out.extend_from_slice(b" |");
        }
        out.extend_from_slice(b"\n|");
        for ty in self.fields.types() {
            out.extend_from_slice(if is_right(ty) { b"-:|" } else { b":-|" });
        }
        out.push(b'\n');
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let cells = self.fields.cells(batch)?;
        for row in 0..batch.num_rows() {
            out.push(b'|');
            for cell in &cells {
                out.push(b' ');
                cell.write(row, Style::Escaped, out);
                out.extend_from_slice(b" |");
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn finish(&mut self, _: &ResultTotals, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}
