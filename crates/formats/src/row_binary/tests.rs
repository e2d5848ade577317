use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use proptest::prelude::*;
use zepto_common::limits::BLOCK_ROWS;
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::types::ColumnType as T;
use zepto_common::{ColumnId, Result, SchemaVersion, TableId};

use super::{write_length, write_string};
use crate::{Format, FormatSettings, ResultTotals, decoder, encoder};

fn table(types: &[T]) -> Arc<TableSchema> {
    let column = |(at, ty): (usize, &T)| Column {
        id: ColumnId(at as u32 + 1),
        name: format!("c{at}"),
        ty: ty.clone(),
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    Arc::new(TableSchema {
        id: TableId(1),
        version: SchemaVersion(1),
        name: TableName::new("default", "t"),
        columns: types.iter().enumerate().map(column).collect(),
        key: None,
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: String::new(),
        comment: String::new(),
    })
}

fn read(table: &Arc<TableSchema>, format: Format, body: &[u8], cut: usize) -> Result<Vec<RecordBatch>> {
    let settings = FormatSettings::from_map(&BTreeMap::new())?;
    let mut decoder = decoder(format, table, None, &settings, None)?;
    let mut blocks = Vec::new();
    for bytes in body.chunks(cut.max(1)) {
        decoder.push(bytes, &mut blocks)?;
    }
    decoder.finish(&mut blocks)?;
    Ok(blocks)
}

/// The same rows behind a line of names, with which they are read one by one.
fn with_names(table: &TableSchema, body: &[u8]) -> Vec<u8> {
    let mut named = Vec::new();
    write_length(table.columns.len(), &mut named);
    table.columns.iter().for_each(|column| write_string(column.name.as_bytes(), &mut named));
    named.extend_from_slice(body);
    named
}

fn check(types: &[T], body: &[u8], cut: usize) -> std::result::Result<(), TestCaseError> {
    let table = table(types);
    let at_once = read(&table, Format::RowBinary, body, cut);
    let one_by_one = read(&table, Format::RowBinaryWithNames, &with_names(&table, body), body.len() + 64);
    let told = |error: zepto_common::Error| (error.code, error.message);
    prop_assert_eq!(at_once.map_err(told), one_by_one.map_err(told));
    Ok(())
}

fn plain() -> Vec<T> {
    vec![
        T::Symbol,
        T::String,
        T::Int64,
        T::Float64,
        T::DateTime64(9, None),
        T::DateTime64(1, None),
        T::DateTime(None),
        T::Date,
        T::Uuid,
        T::UInt8,
        T::Int8,
        T::Int16,
        T::UInt16,
        T::Int32,
        T::UInt32,
        T::UInt64,
        T::Float32,
        T::Bool,
        T::Int32.nullable(),
        T::Decimal(9, 2),
    ]
}

/// A value's bytes; a seed that is a multiple of 97 makes some that no value has.
fn value(ty: &T, seed: u64, out: &mut Vec<u8>) {
    let wrong = seed.is_multiple_of(97);
    let number = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 8;
    match ty {
        T::Symbol => write_string(format!("S{}", number % 50).as_bytes(), out),
        // Lengths of none, one and two bytes.
        T::String => write_string("ä".repeat((number % 150) as usize).as_bytes(), out),
        T::Bool => out.push(if wrong { 7 } else { (number % 2) as u8 }),
        T::DateTime64(1, _) if wrong => out.extend_from_slice(&i64::MAX.to_le_bytes()),
        T::Date | T::Int16 | T::UInt16 => out.extend_from_slice(&(number as u16).to_le_bytes()),
        T::Int8 | T::UInt8 => out.push(number as u8),
        T::Int32 | T::UInt32 | T::Float32 | T::DateTime(_) => {
            out.extend_from_slice(&(number as u32).to_le_bytes());
        }
        T::Decimal(..) => out.extend_from_slice(&((number % 1000) as i32).to_le_bytes()),
        T::Nullable(_) if wrong => out.push(1),
        T::Nullable(_) => out.extend_from_slice(&[0, number as u8, 0, 0, 0]),
        T::Uuid => out.extend_from_slice(&[number as u8; 16]),
        _ => out.extend_from_slice(&number.to_le_bytes()),
    }
}

proptest! {
    #[test]
    fn rows_read_at_once_are_those_read_one_by_one(
        picks in prop::collection::vec(0usize..20, 1..6), rows in 0u64..1_500, cut in 1usize..20_000,
        offset in 1u64..40_000, lost in 0usize..3
    ) {
        let types: Vec<T> = picks.iter().map(|&pick| plain()[pick].clone()).collect();
        let mut body = Vec::new();
        for row in 0..rows {
            // Wrong values are rare: most bodies are read to their end.
            let seed = (offset + row) * 97 + u64::from((offset + row) % 4_000 != 0);
            types.iter().for_each(|ty| value(ty, seed, &mut body));
        }
        body.truncate(body.len().saturating_sub(lost));
        check(&types, &body, cut)?;
    }

    #[test]
    fn rows_that_were_read_are_written_as_they_came(
        picks in prop::collection::vec(0usize..20, 1..6), rows in 0u64..1_500, offset in 1u64..40_000
    ) {
        let types: Vec<T> = picks.iter().map(|&pick| plain()[pick].clone()).collect();
        let mut body = Vec::new();
        for row in 0..rows {
            types.iter().for_each(|ty| value(ty, (offset + row) * 97 + 1, &mut body));
        }
        prop_assert_eq!(write(&table(&types), &body), body);
    }
}

/// What becomes of a body that is read and written again.
fn write(table: &Arc<TableSchema>, body: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    let settings = FormatSettings::default();
    let mut writer = encoder(Format::RowBinary, table.storage_schema(), &settings).unwrap();
    for batch in read(table, Format::RowBinary, body, body.len()).unwrap() {
        writer.batch(&batch, &mut written).unwrap();
    }
    writer.finish(&ResultTotals::default(), &mut written).unwrap();
    written
}

#[test]
fn blocks_are_cut_at_the_same_row_however_rows_are_read() {
    let types = [T::Symbol, T::Int8];
    let mut body = Vec::new();
    for row in 0..BLOCK_ROWS as u64 * 2 + 77 {
        types.iter().for_each(|ty| value(ty, row * 97 + 1, &mut body));
    }
    check(&types, &body, 100_000).unwrap();
    let blocks = read(&table(&types), Format::RowBinary, &body, 256 << 10).unwrap();
    assert_eq!(blocks.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [BLOCK_ROWS, BLOCK_ROWS, 77]);
}

#[test]
fn what_is_wrong_with_a_row_is_said_with_its_number() {
    let mut body = [1, b'a', 0].repeat(700);
    body.extend_from_slice(&[1, b'b', 9]);
    let error = read(&table(&[T::String, T::Bool]), Format::RowBinary, &body, 4096).unwrap_err();
    assert!(error.message.ends_with("while reading column c1 (at row 701)"), "{}", error.message);
    // A length that no value may have, and a text that is cut off.
    for end in [&[0xFF, 0xFF, 0xFF, 0xFF, 0x7F][..], &[5, b'x'][..], &[0x80; 11][..]] {
        let mut body = [1, b'a', 0].repeat(700);
        body.extend_from_slice(end);
        check(&[T::String, T::Bool], &body, 1000).unwrap();
    }
}

#[test]
fn symbols_that_hardly_repeat_and_long_texts_are_read() {
    let mut body = Vec::new();
    for row in 0..5_000u64 {
        write_string(format!("K{row}").as_bytes(), &mut body);
        write_string(&vec![b'x'; if row % 1_000 == 0 { 10_000 } else { 0 }], &mut body);
    }
    check(&[T::Symbol, T::String], &body, 7_777).unwrap();
    assert!(write(&table(&[T::Symbol, T::String]), &body) == body);
}
