//! How the input is cut into pieces changes nothing.

use std::sync::Arc;

use arrow::array::RecordBatch;
use zepto_common::Result;
use zepto_common::limits::BLOCK_ROWS;
use zepto_common::schema::TableSchema;
use zepto_formats::{Format, FormatSettings};

use super::golden::{bytes, input_cases};
use super::round_trip::{ROWS, TABLE};
use super::support::{read, read_in, settings, table, write};

fn summary(outcome: &Result<Vec<RecordBatch>>, table: &Arc<TableSchema>) -> String {
    match outcome {
        Ok(rows) => {
            let sizes: Vec<usize> = rows.iter().map(RecordBatch::num_rows).collect();
            let text = write(Format::TabSeparated, table, &FormatSettings::default(), rows);
            format!("{sizes:?} {}", String::from_utf8_lossy(&text))
        }
        Err(error) => format!("{} {}", error.code.number(), error.message),
    }
}

#[test]
fn every_golden_input_reads_the_same_in_pieces_of_any_size() {
    for case in input_cases() {
        let (table, settings, data) = (table(&case.columns), settings(&case.settings), bytes(&case.data));
        let format = Format::parse(&case.format).unwrap();
        let whole = summary(&read(format, &table, &settings, &data), &table);
        for piece in [1, 2, 3, 7, 16] {
            let pieces = summary(&read_in(format, &table, &settings, &data, piece), &table);
            assert_eq!(
                code(&pieces),
                code(&whole),
                "{} in pieces of {piece}: {:?}",
                case.format,
                String::from_utf8_lossy(&data)
            );
        }
    }
}

/// Rows in full; of an error the code only, because the excerpt in its message shows the bytes at hand.
fn code(summary: &str) -> &str {
    if summary.starts_with('[') { summary } else { summary.split(' ').next().unwrap() }
}

#[test]
fn every_format_reads_its_own_output_the_same_in_pieces_of_any_size() {
    let table = table(TABLE);
    let settings = FormatSettings::default();
    let rows = read(Format::Values, &table, &settings, ROWS.as_bytes()).unwrap();
    for format in Format::ALL.iter().copied().filter(|format| format.can_read() && format.can_write()) {
        let data = write(format, &table, &settings, &rows);
        let whole = summary(&read(format, &table, &settings, &data), &table);
        for piece in [1, 5, 11, 64, 1000] {
            let pieces = summary(&read_in(format, &table, &settings, &data, piece), &table);
            assert_eq!(code(&pieces), code(&whole), "{} in pieces of {piece}", format.name());
        }
    }
}

#[test]
fn blocks_are_cut_at_the_same_rows_whatever_the_pieces() {
    let table = table("a Int64, s LowCardinality(String)");
    let count = BLOCK_ROWS * 2 + 17;
    let text: String = (0..count).map(|i| format!("{i}\tS{}\n", i % 50)).collect();
    let settings = FormatSettings::default();
    let rows = read(Format::TabSeparated, &table, &settings, text.as_bytes()).unwrap();
    for format in [
        Format::Values,
        Format::JsonEachRow,
        Format::RowBinary,
        Format::Csv,
        Format::ArrowStream,
        Format::Parquet,
    ] {
        let data = write(format, &table, &settings, &rows);
        for piece in [4_099, 65_536, usize::MAX] {
            let read = read_in(format, &table, &settings, &data, piece.min(data.len())).unwrap();
            let sizes: Vec<usize> = read.iter().map(RecordBatch::num_rows).collect();
            assert_eq!(sizes, [BLOCK_ROWS, BLOCK_ROWS, 17], "{} in pieces of {piece}", format.name());
            assert_eq!(summary(&Ok(read), &table), summary(&Ok(rows.clone()), &table), "{}", format.name());
        }
    }
}

#[test]
fn nothing_of_a_block_behind_an_error_is_given() {
    let table = table("a Int64");
    let mut text: String = (0..BLOCK_ROWS + 5).map(|i| format!("{i}\n")).collect();
    text.push_str("not a number\n");
    let mut out = Vec::new();
    let mut reader =
        zepto_formats::decoder(Format::TabSeparated, &table, None, &FormatSettings::default(), None).unwrap();
    let error = reader.push(text.as_bytes(), &mut out).unwrap_err();
    assert_eq!(error.code.number(), 27, "{error}");
    assert!(
        error.message.contains(&format!("at row {}", BLOCK_ROWS + 6)) && error.message.contains("column a"),
        "{error}"
    );
    assert_eq!(out.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [BLOCK_ROWS]);
    assert_eq!(reader.push(b"1\n", &mut out).unwrap_err().code.number(), 27);
    assert_eq!(reader.finish(&mut out).unwrap_err().code.number(), 27);
    assert_eq!(out.len(), 1);
}
