//! Rules of reading that golden files do not show: defaults, column lists, expressions, limits, columnar casts.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use zepto_common::schema::{ColumnDefault, TableSchema};
use zepto_common::service::ExpressionEvaluator;
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode, Result};
use zepto_formats::{Format, FormatSettings, decoder, encoder};

use super::support::{read, table, write};

fn tsv(table: &Arc<TableSchema>, rows: &[RecordBatch]) -> String {
    String::from_utf8(write(Format::TabSeparated, table, &FormatSettings::default(), rows)).unwrap()
}

fn read_into(format: Format, table: &Arc<TableSchema>, columns: &[&str], data: &[u8]) -> Result<String> {
    let names: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    let mut out = Vec::new();
    let mut reader = decoder(format, table, Some(&names), &FormatSettings::default(), None)?;
    reader.push(data, &mut out)?;
    reader.finish(&mut out)?;
    Ok(tsv(table, &out))
}

fn with_defaults() -> Arc<TableSchema> {
    let mut table = (*table("a Int32, s LowCardinality(String), f Float64, n Nullable(Int8), l Array(Int32), t DateTime64(3,'UTC')")).clone();
    table.columns[0].default = ColumnDefault::Constant("7".to_owned());
    table.columns[1].default = ColumnDefault::Constant("dflt".to_owned());
    table.columns[4].default = ColumnDefault::Constant("[1,2]".to_owned());
    table.columns[5].default = ColumnDefault::Constant("2024-01-02 03:04:05.678".to_owned());
    Arc::new(table)
}

#[test]
fn columns_left_out_get_their_defaults_in_every_format() {
    let table = with_defaults();
    let wanted = "7\tdflt\t1.5\t\\N\t[1,2]\t2024-01-02 03:04:05.678\n";
    assert_eq!(read_into(Format::Values, &table, &["f"], b"(1.5)").unwrap(), wanted);
    assert_eq!(read_into(Format::TabSeparated, &table, &["f"], b"1.5\n").unwrap(), wanted);
    assert_eq!(read_into(Format::Csv, &table, &["f"], b"1.5\n").unwrap(), wanted);
    assert_eq!(read_into(Format::JsonEachRow, &table, &["f"], b"{\"f\":1.5,\"a\":9}").unwrap(), wanted);
    assert_eq!(read_into(Format::RowBinary, &table, &["f"], &1.5f64.to_le_bytes()).unwrap(), wanted);
    assert_eq!(read_into(Format::Values, &table, &["f", "a"], b"(1.5, DEFAULT)").unwrap(), wanted);
    assert_eq!(read_into(Format::Values, &table, &["f", "a", "s"], b"(1.5, NULL, null)").unwrap(), wanted);
    let small = super::support::table("f Float64");
    let rows = read(Format::Values, &small, &FormatSettings::default(), b"(1.5)").unwrap();
    for format in [Format::ArrowStream, Format::Arrow, Format::Parquet] {
        let file = write(format, &small, &FormatSettings::default(), &rows);
        let read = read(format, &table, &FormatSettings::default(), &file).unwrap();
        assert_eq!(tsv(&table, &read), wanted, "{}", format.name());
    }
}

#[test]
fn null_becomes_the_default_only_where_the_settings_allow_it() {
    let table = with_defaults();
    let strict = FormatSettings { null_as_default: false, ..FormatSettings::default() };
    for (format, data) in [
        (Format::Values, "(NULL,'s',1,NULL,[],0)"),
        (Format::TabSeparated, "\\N\ts\t1\t\\N\t[]\t1704187800\n"),
        (Format::Csv, "\\N,s,1,\\N,[],1704187800\n"),
        (Format::JsonEachRow, "{\"a\":null}"),
        (Format::JsonCompactEachRow, "[null,\"s\",1,null,[],0]"),
    ] {
        let rows = read(format, &table, &FormatSettings::default(), data.as_bytes()).unwrap();
        assert!(tsv(&table, &rows).starts_with("7\t"), "{}", format.name());
        let error = read(format, &table, &strict, data.as_bytes()).unwrap_err();
        assert_eq!(error.code.number(), 349, "{}: {error}", format.name());
        assert!(error.message.contains("column a"), "{error}");
    }
}

#[test]
fn a_column_list_is_checked() {
    let table = table("a Int32, b Int32");
    assert_eq!(read_into(Format::Values, &table, &["x"], b"(1)").unwrap_err().code.number(), 16);
    assert_eq!(read_into(Format::Values, &table, &["a", "a"], b"(1,2)").unwrap_err().code.number(), 15);
    assert_eq!(read_into(Format::Values, &table, &["b", "a"], b"(1,2)").unwrap(), "2\t1\n");
    assert_eq!(read_into(Format::CsvWithNames, &table, &["b", "a"], b"a,b\n1,2\n").unwrap(), "1\t2\n");
}

struct Echo;

impl ExpressionEvaluator for Echo {
    fn evaluate(&self, expression: &str, ty: &ColumnType) -> Result<ArrayRef> {
        match (expression, ty.inner()) {
            ("1 + 2", ColumnType::Int64) => Ok(Arc::new(arrow::array::Int64Array::from(vec![3]))),
            ("concat('a,', \"(\")", ColumnType::String) => Ok(Arc::new(StringArray::from(vec!["a,\t("]))),
            ("nothing()", _) => Ok(arrow::array::new_null_array(&ty.storage_type(), 1)),
            _ => Err(Error::new(ErrorCode::UnknownFunction, expression)),
        }
    }
}

#[test]
fn what_is_no_literal_is_evaluated() {
    let table = table("a Int64, s String");
    let read = |data: &str, settings: &FormatSettings| {
        let mut out = Vec::new();
        let mut reader = decoder(Format::Values, &table, None, settings, Some(Arc::new(Echo))).unwrap();
        for byte in data.as_bytes() {
            reader.push(&[*byte], &mut out)?;
        }
        reader.finish(&mut out)?;
        Ok::<_, Error>(tsv(&table, &out))
    };
    let settings = FormatSettings::default();
    let wanted = "3\ta,\\t(\n5\tx\n0\ty\n";
    assert_eq!(read("( 1 + 2 , concat('a,', \"(\") ),(5,'x'),(nothing(),'y')", &settings).unwrap(), wanted);
    assert_eq!(read("(f(1,2),'x')", &settings).unwrap_err().code.number(), 46);
    let off = FormatSettings { interpret_expressions: false, ..settings };
    assert_eq!(read("(1 + 2,'x')", &off).unwrap_err().code.number(), 62);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let table = table("s String, y LowCardinality(String)");
    for data in [&b"\xff\tx\n"[..], b"x\t\xff\n", b"\xe2\x82\tx\n"] {
        let error = read(Format::TabSeparated, &table, &FormatSettings::default(), data).unwrap_err();
        assert_eq!(error.code.number(), 117, "{error}");
    }
    // Two halves of one letter in two values are not UTF-8 either.
    let error =
        read(Format::TabSeparated, &table, &FormatSettings::default(), b"\xc3\tx\n\xa9\tx\n").unwrap_err();
    assert_eq!(error.code.number(), 117);
}

#[test]
fn arrow_columns_are_matched_by_name_and_cast() {
    let table = table("ts DateTime64(9,'UTC'), n Int64, s LowCardinality(String), d DateTime, u UUID");
    let schema = Schema::new(vec![
        Field::new("s", DataType::LargeUtf8, true),
        Field::new("extra", DataType::Int32, true),
        Field::new("n", DataType::Int32, true),
        Field::new(
            "ts",
            DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("Europe/Berlin".into())),
            false,
        ),
        Field::new("u", DataType::Utf8, false),
    ]);
    let batch = RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(arrow::array::LargeStringArray::from(vec![Some("x"), None])),
            Arc::new(Int32Array::from(vec![1, 2])),
            Arc::new(Int32Array::from(vec![Some(-5), None])),
            Arc::new(
                TimestampMicrosecondArray::from(vec![1_704_187_800_123_456, 0])
                    .with_timezone("Europe/Berlin"),
            ),
            Arc::new(StringArray::from(vec!["61f0c404-5cb3-11e7-907b-a6006ad3dba0"; 2])),
        ],
    )
    .unwrap();
    let mut file = Vec::new();
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(&mut file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let rows = read(Format::ArrowStream, &table, &FormatSettings::default(), &file).unwrap();
    let wanted = "2024-01-02 09:30:00.123456000\t-5\tx\t1970-01-01 00:00:00\t61f0c404-5cb3-11e7-907b-a6006ad3dba0\n\
                  1970-01-01 00:00:00.000000000\t0\t\t1970-01-01 00:00:00\t61f0c404-5cb3-11e7-907b-a6006ad3dba0\n";
    assert_eq!(tsv(&table, &rows), wanted);
    let strict = FormatSettings { skip_unknown_fields: false, ..FormatSettings::default() };
    assert_eq!(read(Format::ArrowStream, &table, &strict, &file).unwrap_err().code.number(), 117);
    let narrow = super::support::table("n UInt8");
    assert_eq!(
        read(Format::ArrowStream, &narrow, &FormatSettings::default(), &file).unwrap_err().code.number(),
        321
    );
}

#[test]
fn a_row_that_never_ends_is_refused_in_bounded_memory_and_linear_time() {
    let table = table("s String");
    let mut reader = decoder(Format::JsonEachRow, &table, None, &FormatSettings::default(), None).unwrap();
    let mut out = Vec::new();
    reader.push(b"{\"s\":\"", &mut out).unwrap();
    let piece = vec![b'x'; 64 << 10];
    let error = (0..4_000).find_map(|_| reader.push(&piece, &mut out).err()).unwrap();
    assert_eq!(error.code.number(), 131, "{error}");
}

#[test]
fn a_wide_table_of_tiny_rows_is_cut_by_size() {
    let columns: Vec<String> = (0..2_000).map(|i| format!("c{i} Int64")).collect();
    let table = table(&columns.join(", "));
    let data = "{}".repeat(10_000);
    let rows = read(Format::JsonEachRow, &table, &FormatSettings::default(), data.as_bytes()).unwrap();
    assert!(rows.len() > 1 && rows.iter().all(|batch| batch.num_rows() < 5_000));
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 10_000);
}

#[test]
fn a_boolean_without_a_type_name_is_a_number() {
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Boolean, false)]));
    let array: ArrayRef = Arc::new(arrow::array::BooleanArray::from(vec![true, false]));
    let batch = RecordBatch::try_new(schema.clone(), vec![array]).unwrap();
    let mut writer =
        encoder(Format::TabSeparatedWithNamesAndTypes, schema, &FormatSettings::default()).unwrap();
    let mut out = Vec::new();
    writer.begin(&mut out).unwrap();
    writer.batch(&batch, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "x\nUInt8\n1\n0\n");
}

#[test]
fn format_names_are_found_in_any_case_nonsense_is_73_and_what_is_only_written_85() {
    for (name, format) in [
        ("TSV", "TabSeparated"),
        ("tsvwithnames", "TabSeparatedWithNames"),
        ("csv", "CSV"),
        ("JSONEACHROW", "JSONEachRow"),
        ("NDJSON", "JSONEachRow"),
        ("raw", "TabSeparatedRaw"),
    ] {
        assert_eq!(Format::parse(name).unwrap().name(), format);
    }
    assert_eq!(Format::parse("Excel").unwrap_err().code.number(), 73);
    let table = table("a Int8");
    assert_eq!(
        decoder(Format::Pretty, &table, None, &FormatSettings::default(), None).err().unwrap().code.number(),
        85
    );
}

#[test]
fn times_that_no_clock_shows_are_read_with_the_offset_before_the_gap() {
    let table = table("t DateTime('Europe/Berlin')");
    let rows = read(
        Format::TabSeparated,
        &table,
        &FormatSettings::default(),
        b"2024-03-31 02:30:00\n2024-10-27 02:30:00\n",
    )
    .unwrap();
    let seconds = rows[0].column(0).as_primitive::<arrow::datatypes::TimestampSecondType>().values().to_vec();
    assert_eq!(seconds, [1_711_848_600, 1_729_989_000]);
    let numbers = super::support::table("n Int64");
    let rows = read(Format::TabSeparated, &numbers, &FormatSettings::default(), b"5\n").unwrap();
    assert_eq!(rows[0].column(0).as_primitive::<Int64Type>().value(0), 5);
}
