//! Values in MessagePack's form, as ClickHouse writes them.

use zepto_common::types::ColumnType;

use super::{Cells, Kind, span};
use crate::msgpack_rows::UUID;

impl Cells {
    /// Writes the value as MessagePack.
    pub(crate) fn write_msgpack(&self, row: usize, ty: &ColumnType, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.push(0xC0);
            return;
        }
        match &self.kind {
            Kind::Bool(a) => out.push(u8::from(a.value(row))),
            Kind::I8(a) => signed(i64::from(a.value(row)), out),
            Kind::I16(a) => signed(i64::from(a.value(row)), out),
            Kind::I32(a) => signed(i64::from(a.value(row)), out),
            Kind::I64(a) => signed(a.value(row), out),
            Kind::U8(a) => unsigned(u64::from(a.value(row)), out),
            Kind::U16(a) => unsigned(u64::from(a.value(row)), out),
            Kind::U32(a) => unsigned(u64::from(a.value(row)), out),
            Kind::U64(a) => unsigned(a.value(row), out),
            Kind::F32(a) => {
                out.push(0xCA);
                out.extend_from_slice(&a.value(row).to_be_bytes());
            }
            Kind::F64(a) => {
                out.push(0xCB);
                out.extend_from_slice(&a.value(row).to_be_bytes());
            }
            Kind::Text(a) => binary(a.value(row).as_bytes(), out),
            // Outside the range of ClickHouse's types the nearest value is written.
            Kind::Date(a) => unsigned(a.value(row).clamp(0, i32::from(u16::MAX)) as u64, out),
            Kind::Time(a, _) if matches!(ty.inner(), ColumnType::DateTime(_)) => {
                unsigned(a[row].clamp(0, i64::from(u32::MAX)) as u64, out);
            }
            Kind::Time(a, clock) => unsigned(clock.to_binary(a[row]).cast_unsigned(), out),
            Kind::Uuid(a) => {
                out.extend_from_slice(&[0xD8, UUID.cast_unsigned()]);
                out.extend_from_slice(a.value(row));
            }
            Kind::Decimal(a, ..) => match ty.inner() {
                ColumnType::Decimal(..=18, _) => signed(a.value(row) as i64, out),
                _ => binary(&a.value(row).to_le_bytes(), out),
            },
            Kind::Array(..) | Kind::Map(..) | Kind::Tuple(_) | Kind::Nothing => {
                self.write_msgpack_nested(row, ty, out);
            }
        }
    }

    fn write_msgpack_nested(&self, row: usize, ty: &ColumnType, out: &mut Vec<u8>) {
        match (&self.kind, ty.inner()) {
            (Kind::Array(offsets, item), ColumnType::Array(of)) => {
                let rows = span(offsets, row);
                counted(rows.len(), 0x90, 0xDC, out);
                rows.for_each(|at| item.write_msgpack(at, of, out));
            }
            (Kind::Map(offsets, pair), ColumnType::Map(key, value)) => {
                let rows = span(offsets, row);
                counted(rows.len(), 0x80, 0xDE, out);
                for at in rows {
                    pair.0.write_msgpack(at, key, out);
                    pair.1.write_msgpack(at, value, out);
                }
            }
            (Kind::Tuple(parts), ColumnType::Tuple(of)) => {
                counted(parts.len(), 0x90, 0xDC, out);
                parts.iter().zip(of).for_each(|(part, ty)| part.write_msgpack(row, ty, out));
            }
            _ => out.push(0xC0),
        }
    }
}

/// The count of a list (`small` with the count in it up to 15) or map.
fn counted(count: usize, small: u8, large: u8, out: &mut Vec<u8>) {
    match count {
        ..=15 => out.push(small | count as u8),
        16..=0xFFFF => {
            out.push(large);
            out.extend_from_slice(&(count as u16).to_be_bytes());
        }
        _ => {
            out.push(large + 1);
            out.extend_from_slice(&(count as u32).to_be_bytes());
        }
    }
}

fn binary(bytes: &[u8], out: &mut Vec<u8>) {
    match bytes.len() {
        size @ ..=0xFF => out.extend_from_slice(&[0xC4, size as u8]),
        size @ 0x100..=0xFFFF => {
            out.push(0xC5);
            out.extend_from_slice(&(size as u16).to_be_bytes());
        }
        size => {
            out.push(0xC6);
            out.extend_from_slice(&(size as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

fn unsigned(value: u64, out: &mut Vec<u8>) {
    match value {
        ..=0x7F => out.push(value as u8),
        0x80..=0xFF => out.extend_from_slice(&[0xCC, value as u8]),
        0x100..=0xFFFF => {
            out.push(0xCD);
            out.extend_from_slice(&(value as u16).to_be_bytes());
        }
        0x1_0000..=0xFFFF_FFFF => {
            out.push(0xCE);
            out.extend_from_slice(&(value as u32).to_be_bytes());
        }
        _ => {
            out.push(0xCF);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

fn signed(value: i64, out: &mut Vec<u8>) {
    match value {
        0.. => unsigned(value.cast_unsigned(), out),
        -32..0 => out.push(value as u8),
        -0x80..-32 => out.extend_from_slice(&[0xD0, value as u8]),
        -0x8000..-0x80 => {
            out.push(0xD1);
            out.extend_from_slice(&(value as i16).to_be_bytes());
        }
        -0x8000_0000..-0x8000 => {
            out.push(0xD2);
            out.extend_from_slice(&(value as i32).to_be_bytes());
        }
        _ => {
            out.push(0xD3);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}
