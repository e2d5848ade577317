//! Native: what the golden files cannot show, because the oracle speaks revision 0 only.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use zepto_common::limits::{BLOCK_ROWS, RESULT_BLOCK_ROWS};
use zepto_formats::{Format, FormatSettings, encoder};

use super::round_trip::{ROWS, TABLE};
use super::support::{read, read_in, table, write};

fn at(revision: u64) -> FormatSettings {
    FormatSettings { client_protocol_version: revision, ..FormatSettings::default() }
}

/// One row of these columns, written for a revision.
fn row(columns: &str, values: &str, revision: u64) -> Vec<u8> {
    let table = table(columns);
    let rows = read(Format::Values, &table, &FormatSettings::default(), values.as_bytes()).unwrap();
    write(Format::Native, &table, &at(revision), &rows)
}

const INFO: &[u8] = b"\x01\x00\x02\xFF\xFF\xFF\xFF\x00";
const LOW: &[u8] = b"\x01\0\0\0\0\0\0\0\x00\x06\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x00\x01x\x01\0\0\0\0\0\0\0\x01";

#[test]
fn block_info_comes_with_every_revision_but_zero() {
    assert_eq!(row("a UInt8", "(5)", 0), b"\x01\x01\x01a\x05UInt8\x05");
    for revision in [1, 54_336, 54_405, 54_453] {
        assert_eq!(
            row("a UInt8", "(5)", revision),
            [INFO, b"\x01\x01\x01a\x05UInt8\x05"].concat(),
            "{revision}"
        );
    }
}

#[test]
fn the_custom_serialization_byte_comes_from_54454_on() {
    for revision in [54_454, 54_460, 54_479] {
        assert_eq!(
            row("a UInt8", "(5)", revision),
            [INFO, b"\x01\x01\x01a\x05UInt8\x00\x05"].concat(),
            "{revision}"
        );
    }
}

#[test]
fn out_of_order_buckets_are_none_from_54480_on() {
    let info = b"\x01\x00\x02\xFF\xFF\xFF\xFF\x03\x00\x00";
    assert_eq!(row("a UInt8", "(5)", 54_480), [&info[..], b"\x01\x01\x01a\x05UInt8\x00\x05"].concat());
}

#[test]
fn a_datetime_has_a_zone_from_54337_on() {
    let time = b"\x80\x00\x92e";
    for (revision, name) in [
        (0, "\x08DateTime"),
        (54_336, "\x08DateTime"),
        (54_337, "\x0fDateTime('UTC')"),
        (54_453, "\x0fDateTime('UTC')"),
    ] {
        let info = if revision > 0 { INFO } else { b"" };
        let wanted = [info, b"\x01\x01\x01t", name.as_bytes(), time].concat();
        assert_eq!(row("t DateTime('UTC')", "('2024-01-01 00:00:00')", revision), wanted, "{revision}");
    }
    // Only the name of a whole column is cut.
    let name = b"\x19Nullable(DateTime('UTC'))\x00";
    let wanted = [b"\x01\x01\x01t", &name[..], time].concat();
    assert_eq!(row("t Nullable(DateTime('UTC'))", "('2024-01-01 00:00:00')", 0), wanted);
    let wanted = [b"\x01\x01\x01t\x14DateTime64(3, 'UTC')", &1_704_067_200_000i64.to_le_bytes()[..]].concat();
    assert_eq!(row("t DateTime64(3, 'UTC')", "('2024-01-01 00:00:00')", 0), wanted);
}

#[test]
fn low_cardinality_is_plain_text_before_54405_but_not_at_zero() {
    let wanted = [b"\x01\x01\x01s\x16LowCardinality(String)", LOW].concat();
    assert_eq!(row("s LowCardinality(String)", "('x')", 0), wanted);
    assert_eq!(row("s LowCardinality(String)", "('x')", 54_405), [INFO, &wanted].concat());
    let wanted = [INFO, b"\x01\x01\x01s\x16LowCardinality(String)\x00", LOW].concat();
    assert_eq!(row("s LowCardinality(String)", "('x')", 54_460), wanted);
    let wanted = [INFO, b"\x01\x01\x01s\x06String\x01x"].concat();
    assert_eq!(row("s LowCardinality(String)", "('x')", 54_404), wanted);
    let wanted = [INFO, b"\x01\x01\x01s\x10Nullable(String)\x00\x01x"].concat();
    assert_eq!(row("s LowCardinality(Nullable(String))", "('x')", 54_404), wanted);
}

#[test]
fn an_empty_result_has_an_empty_body_at_every_revision() {
    for revision in [0, 54_405, 54_460] {
        let table = table("a UInt8, s String");
        assert_eq!(write(Format::Native, &table, &at(revision), &[]), b"");
        assert_eq!(
            write(Format::Native, &table, &at(revision), &[RecordBatch::new_empty(table.storage_schema())]),
            b""
        );
    }
}

fn numbers(count: usize) -> (Arc<zepto_common::schema::TableSchema>, Vec<RecordBatch>) {
    let table = table("a Int64, s LowCardinality(String), t String, n Nullable(Int32)");
    let text: String = (0..count).map(|i| format!("{i}\tS{}\ttext{i}\t\\N\n", i % 300)).collect();
    let rows = read(Format::TabSeparated, &table, &FormatSettings::default(), text.as_bytes()).unwrap();
    (table, rows)
}

#[test]
fn blocks_have_at_most_65409_rows() {
    let (table, rows) = numbers(BLOCK_ROWS);
    let data = write(Format::Native, &table, &FormatSettings::default(), &rows);
    assert_eq!(data[..4], [4, 0x81, 0xFF, 0x03]);
    let again = read(Format::Native, &table, &FormatSettings::default(), &data).unwrap();
    let sizes: Vec<usize> = again.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes, [RESULT_BLOCK_ROWS, BLOCK_ROWS - RESULT_BLOCK_ROWS]);
}

#[test]
fn blocks_of_any_size_become_the_same_rows_whatever_the_pieces() {
    let (table, rows) = numbers(150_000);
    let all = arrow::compute::concat_batches(rows[0].schema_ref(), &rows).unwrap();
    let settings = FormatSettings::default();
    for size in [1_000, 20_000, 40_000, 150_000] {
        let starts = (0..all.num_rows()).step_by(size);
        let batches: Vec<_> = starts.map(|at| all.slice(at, size.min(all.num_rows() - at))).collect();
        let data = write(Format::Native, &table, &settings, &batches);
        let whole = read(Format::Native, &table, &settings, &data).unwrap();
        assert!(whole.iter().all(|batch| batch.num_rows() <= BLOCK_ROWS));
        for piece in [4_099, 65_536, data.len()] {
            let pieces = read_in(Format::Native, &table, &settings, &data, piece).unwrap();
            assert_eq!(pieces, whole, "blocks of {size} in pieces of {piece}");
        }
        assert_eq!(arrow::compute::concat_batches(all.schema_ref(), &whole).unwrap(), all, "{size}");
    }
}

#[test]
fn a_result_in_query_form_is_written_as_the_stored_one() {
    let (table, rows) = numbers(70_000);
    let settings = FormatSettings::default();
    let out: Vec<u8> = rows.iter().flat_map(|batch| native(&in_query_form(&table, batch))).collect();
    assert!(out == write(Format::Native, &table, &settings, &rows));
}

#[test]
fn few_long_words_of_a_dictionary_do_not_fill_the_memory() {
    // A word of 64 KiB, a million times: 64 GiB when written out.
    let word = "w".repeat(1 << 16);
    let rows = 1_000_000u64;
    for (name, ends) in [("LowCardinality(String)", false), ("Array(LowCardinality(String))", true)] {
        let mut data = vec![1];
        let count = if ends { 1 } else { rows };
        write_length(count, &mut data);
        data.extend_from_slice(b"\x01s");
        data.push(name.len() as u8);
        data.extend_from_slice(name.as_bytes());
        data.extend_from_slice(&1u64.to_le_bytes());
        if ends {
            data.extend_from_slice(&rows.to_le_bytes());
        }
        data.extend_from_slice(&0x600u64.to_le_bytes());
        data.extend_from_slice(&1u64.to_le_bytes());
        write_length(word.len() as u64, &mut data);
        data.extend_from_slice(word.as_bytes());
        data.extend_from_slice(&rows.to_le_bytes());
        data.resize(data.len() + rows as usize, 0);
        let columns = if ends { "s Array(String)" } else { "s String" };
        let error = read(Format::Native, &table(columns), &FormatSettings::default(), &data).unwrap_err();
        assert_eq!(error.code.number(), 131, "{error}");
    }
}

fn write_length(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[test]
fn declared_counts_allocate_nothing() {
    let table = table("s String, a Array(Int64)");
    // 2^30 rows, and then only a few bytes of them.
    for (name, rest) in [
        ("String", &b"\x01x"[..]),
        ("Int64", &[0; 8]),
        ("Array(Int64)", &[0; 16]),
        ("LowCardinality(String)", LOW),
    ] {
        let mut data = vec![1];
        write_length(1 << 30, &mut data);
        data.extend_from_slice(b"\x01s");
        data.push(name.len() as u8);
        data.extend_from_slice(name.as_bytes());
        data.extend_from_slice(rest);
        let error = read(Format::Native, &table, &FormatSettings::default(), &data).unwrap_err();
        assert!(matches!(error.code.number(), 33 | 117), "{name}: {error}");
    }
}

#[test]
fn names_of_types_are_taken_in_any_case() {
    let table = table("a Nullable(UInt8)");
    let columns =
        |name: &str, rest: &[u8]| [b"\x01\x01\x01a", &[name.len() as u8][..], name.as_bytes(), rest].concat();
    for name in ["Nullable(UInt8)", "NullaBle(UInt8)", "nullable(uint8)", "NULLABLE (UInt8)"] {
        let rows =
            read(Format::Native, &table, &FormatSettings::default(), &columns(name, b"\x00\x05")).unwrap();
        assert_eq!(write(Format::TabSeparated, &table, &FormatSettings::default(), &rows), b"5\n", "{name}");
    }
    // A name of our own that Native has no layout for.
    let error =
        read(Format::Native, &table, &FormatSettings::default(), &columns("symbol", b"\x01x")).unwrap_err();
    assert_eq!(error.code.number(), 50, "{error}");
}

/// The rows in the form that queries give.
fn in_query_form(table: &zepto_common::schema::TableSchema, rows: &RecordBatch) -> RecordBatch {
    let fields: Vec<_> = table.columns.iter().map(|column| column.ty.query_field(&column.name)).collect();
    let schema = Arc::new(Schema::new(fields));
    let columns = rows.columns().iter().zip(schema.fields());
    let columns = columns.map(|(array, field)| arrow::compute::cast(array, field.data_type()).unwrap());
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}

fn native(batch: &RecordBatch) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = encoder(Format::Native, batch.schema(), &FormatSettings::default()).unwrap();
    writer.batch(batch, &mut out).unwrap();
    out
}

#[test]
fn a_slice_is_written_as_its_rows_in_both_forms() {
    let table = table(TABLE);
    let settings = FormatSettings::default();
    let all = read(Format::Values, &table, &settings, ROWS.as_bytes()).unwrap().remove(0);
    for start in 0..all.num_rows() {
        let rows = ROWS.split("),\n").nth(start).unwrap();
        let rows = if rows.ends_with(')') { rows.to_owned() } else { format!("{rows})") };
        let one = read(Format::Values, &table, &settings, rows.as_bytes()).unwrap().remove(0);
        let wanted = native(&one);
        assert!(native(&all.slice(start, 1)) == wanted, "row {start}");
        assert!(native(&in_query_form(&table, &one)) == wanted, "row {start} in query form");
        assert!(native(&in_query_form(&table, &all).slice(start, 1)) == wanted, "row {start} of query form");
    }
}

#[test]
fn a_bare_null_and_a_comparison_have_their_own_bytes() {
    let fields = vec![Field::new("n", DataType::Null, true), Field::new("c", DataType::Boolean, false)];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(arrow::array::NullArray::new(2)),
        Arc::new(arrow::array::BooleanArray::from(vec![true, false])),
    ];
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    assert_eq!(native(&batch), b"\x02\x02\x01n\x11Nullable(Nothing)\x01\x0100\x01c\x05UInt8\x01\x00");
}

#[test]
fn what_lies_under_a_null_is_not_shown() {
    let nulls = || Some(arrow::buffer::NullBuffer::from(vec![true, false]));
    let numbers = arrow::array::Int32Array::new(vec![5, 6].into(), nulls());
    let words = arrow::array::StringArray::new(
        arrow::buffer::OffsetBuffer::from_lengths([1, 6]),
        arrow::buffer::Buffer::from(b"xsecret"),
        nulls(),
    );
    let fields = vec![Field::new("n", DataType::Int32, true), Field::new("s", DataType::Utf8, true)];
    let columns: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::new(words)];
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let wanted = b"\x02\x02\x01n\x0fNullable(Int32)\x00\x01\x05\0\0\0\0\0\0\0\x01s\x10Nullable(String)\x00\x01\x01x\x00";
    assert_eq!(native(&batch), wanted);
}
