//! Values in RowBinary's form.

use zepto_common::types::ColumnType;

use super::{Cells, Kind, span};
use crate::row_binary::{swap_halves, write_length, write_string};

impl Cells {
    /// Writes the value in RowBinary's form.
    pub(crate) fn write_binary(&self, row: usize, ty: &ColumnType, out: &mut Vec<u8>) {
        if ty.is_nullable() {
            out.push(u8::from(self.is_null(row)));
            if self.is_null(row) {
                return;
            }
        }
        match &self.kind {
            Kind::Bool(a) => out.push(u8::from(a.value(row))),
            Kind::I8(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
            Kind::I16(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
            Kind::I32(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
            Kind::I64(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
            Kind::U8(a) => out.push(a.value(row)),
            Kind::U16(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
            Kind::U32(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
            Kind::U64(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
            Kind::F32(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
            Kind::F64(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
            Kind::Text(a) => write_string(a.value(row).as_bytes(), out),
            // Outside the range of ClickHouse's types the nearest value is written.
            Kind::Date(a) => {
                let days = a.value(row).clamp(0, i32::from(u16::MAX)) as u16;
                out.extend_from_slice(&days.to_le_bytes());
            }
            Kind::Time(a, _) if matches!(ty.inner(), ColumnType::DateTime(_)) => {
                let seconds = a[row].clamp(0, i64::from(u32::MAX)) as u32;
                out.extend_from_slice(&seconds.to_le_bytes());
            }
            Kind::Time(a, clock) => out.extend_from_slice(&clock.to_binary(a[row]).to_le_bytes()),
            Kind::Uuid(a) => {
                let bytes = <[u8; 16]>::try_from(a.value(row)).unwrap_or_default();
                out.extend_from_slice(&swap_halves(bytes));
            }
            Kind::Decimal(a, ..) => {
                let value = a.value(row);
                match ty.inner() {
                    ColumnType::Decimal(..=9, _) => out.extend_from_slice(&(value as i32).to_le_bytes()),
                    ColumnType::Decimal(..=18, _) => out.extend_from_slice(&(value as i64).to_le_bytes()),
                    _ => out.extend_from_slice(&value.to_le_bytes()),
                }
            }
            Kind::Array(..) | Kind::Map(..) | Kind::Tuple(_) | Kind::Nothing => {
                self.write_binary_nested(row, ty, out)
            }
        }
    }

    fn write_binary_nested(&self, row: usize, ty: &ColumnType, out: &mut Vec<u8>) {
        match (&self.kind, ty.inner()) {
            (Kind::Array(offsets, item), ColumnType::Array(of)) => {
                let rows = span(offsets, row);
                write_length(rows.len(), out);
                rows.for_each(|at| item.write_binary(at, of, out));
            }
            (Kind::Map(offsets, pair), ColumnType::Map(key, value)) => {
                let rows = span(offsets, row);
                write_length(rows.len(), out);
                for at in rows {
                    pair.0.write_binary(at, key, out);
                    pair.1.write_binary(at, value, out);
                }
            }
            (Kind::Tuple(parts), ColumnType::Tuple(of)) => {
                parts.iter().zip(of).for_each(|(part, ty)| part.write_binary(row, ty, out));
            }
            _ => {}
        }
    }
}
