//! The formats of rows. What is checked besides: however the bytes are cut, the same rows or the same error come out.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::{ColumnId, ErrorCode, SchemaVersion, TableId};
use zepto_formats::{Format, FormatSettings, ResultTotals, decoder, encoder};

use crate::target::Target;

/// The tables that inputs are for, by the high bits of the choice.
static TABLES: LazyLock<[Arc<TableSchema>; 3]> = LazyLock::new(|| {
    [
        table(&[("a", "UInt8"), ("s", "String")]),
        table(&[
            ("a", "Int16"),
            ("b", "UInt64"),
            ("c", "Float64"),
            ("d", "Bool"),
            ("e", "LowCardinality(String)"),
            ("f", "Date"),
            ("g", "DateTime('UTC')"),
            ("h", "DateTime64(9, 'Europe/Berlin')"),
            ("i", "UUID"),
            ("j", "Decimal(18, 4)"),
        ]),
        table(&[
            ("a", "Nullable(Int64)"),
            ("b", "Array(Nullable(Int32))"),
            ("c", "Map(String, Int64)"),
            ("d", "LowCardinality(Nullable(String))"),
            ("e", "Nullable(DateTime64(3))"),
            ("f", "Array(Array(String))"),
        ]),
    ]
});

/// Rows of each table as text of an INSERT.
const ROWS: [&str; 3] = [
    r"(1,'x'),(255,'it''s \t\\ ü€😀'),(0,'')",
    r"(-7,18446744073709551615,1.5e300,true,'sym','2024-01-02','2024-01-02 03:04:05','2024-07-02 03:04:05.123456789','61f0c404-5cb3-11e7-907b-a6006ad3dba0',-12.5),
      (32767,0,-0.0,false,'','2149-06-06','2106-02-07 06:28:15','1960-01-01 00:00:00.000000001','ffffffff-ffff-ffff-ffff-ffffffffffff',99999999999999.9999)",
    r"(NULL,[1,NULL,-3],{'k':1,'l\'':2},NULL,'2024-01-02 03:04:05.678',[['x','y\'z'],[]]),(-1,[],{},'NULL',NULL,[])",
];

/// What text formats mean something by.
const TEXT: &[&[u8]] = &[
    b"NULL",
    b"\\N",
    b"'",
    b"\"",
    b"\\",
    b"\n",
    b"\r\n",
    b"\t",
    b",",
    b"(",
    b")",
    b"[",
    b"]",
    b"{",
    b"}",
    b"{}",
    b":",
    b"nan",
    b"-inf",
    b"1e309",
    b"-0",
    b"0x1F",
    b"true",
    b"\\u0000",
    b"\\ud83d\\ude00",
    b"\\x41",
    b"\xFF\xFE",
    b"\xEF\xBB\xBF",
    b"99999999999999999999",
    b"2024-02-30",
    b"2024-01-02 03:04:05.9999999999",
    b"--",
    b"/*",
    b"now()",
    b"a\ts\nUInt8\tString\n",
    b"\"data\":",
    b"\"meta\":",
    b"\"rows\":",
    b"\"a\":",
    b"\"s\":",
];
/// What binary formats mean something by.
const BINARY: &[&[u8]] = &[
    b"\x02\x01a\x01s\x05UInt8\x06String",
    b"\x01a\x05UInt8",
    b"String",
    b"Array(",
    b"Nullable(",
    b"LowCardinality(String)",
    b"Tuple(",
    b"Map(String, Int64)",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\xFF\xFF\xFF\xFF\x0F",
    b"ARROW1",
    b"PAR1",
    b"\xDF",
    b"\xDD",
    b"\xC0",
    b"\xDB\xFF\xFF\xFF\xFF",
    b"\xFF\xFF\xFF\xFF\x00\x00\x00\x00",
];

/// Memory of a decoder and its columns, whatever comes; text that is read at once is held twice.
const MEMORY: usize = 2 << 20;
/// The shortest rows have two bytes of text and many columns, which have room for twice as much.
const MEMORY_PER_BYTE: usize = 512;
/// A column of Parquet or Arrow may be compressed: below this size the ratio is not judged.
const MEMORY_COMPRESSED: usize = 20 << 20;

pub(crate) fn all() -> Vec<Target> {
    use Format as F;
    let text = |name, formats| target(name, formats, TEXT, MEMORY);
    let binary = |name, formats, memory| target(name, formats, BINARY, memory);
    vec![
        text(
            "tab_separated",
            &[
                F::TabSeparated,
                F::TabSeparatedWithNames,
                F::TabSeparatedWithNamesAndTypes,
                F::TabSeparatedRaw,
            ],
        ),
        text("csv", &[F::Csv, F::CsvWithNames, F::CsvWithNamesAndTypes]),
        text("values", &[F::Values]),
        text("json", &[F::Json, F::JsonCompact]),
        text("json_columns", &[F::JsonColumns, F::JsonCompactColumns, F::JsonColumnsWithMetadata]),
        text("json_each_row", &[F::JsonEachRow, F::JsonStringsEachRow]),
        text(
            "json_compact_each_row",
            &[
                F::JsonCompactEachRow,
                F::JsonCompactEachRowWithNames,
                F::JsonCompactStringsEachRowWithNamesAndTypes,
            ],
        ),
        binary("row_binary", &[F::RowBinary, F::RowBinaryWithNames, F::RowBinaryWithNamesAndTypes], MEMORY),
        binary("native", &[F::Native], MEMORY),
        binary("msgpack", &[F::MsgPack, F::MsgPackColumns], MEMORY),
        binary("arrow", &[F::ArrowStream, F::Arrow], MEMORY_COMPRESSED),
        binary("parquet", &[F::Parquet], MEMORY_COMPRESSED),
    ]
}

fn target(name: &'static str, formats: &'static [Format], words: &[&'static [u8]], memory: usize) -> Target {
    Target {
        name,
        seeds: seeds(formats),
        words: words.to_vec(),
        memory,
        memory_per_byte: MEMORY_PER_BYTE,
        run: Box::new(|choice, data| run(formats, choice, data)),
    }
}

/// Rows of each table as this build writes them, and the golden inputs of the format.
fn seeds(formats: &[Format]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (at, format) in formats.iter().enumerate() {
        for (of, table) in TABLES.iter().enumerate() {
            let choice = (at + of * formats.len()) as u8;
            if let Some(data) = written(*format, table, ROWS[of]) {
                seeds.push([&[choice], &data[..]].concat());
            }
        }
        let golden = golden().filter(|case| Format::parse(&case.format).ok() == Some(*format));
        seeds.extend(
            golden.filter_map(|case| Some([&[at as u8], &STANDARD.decode(case.data).ok()?[..]].concat())),
        );
    }
    seeds
}

#[derive(serde::Deserialize)]
struct Golden {
    format: String,
    data: String,
}

fn golden() -> impl Iterator<Item = Golden> {
    let lines = include_str!("../../../../crates/formats/tests/golden/input.jsonl").lines();
    lines.filter_map(|line| serde_json::from_str(line).ok())
}

fn written(format: Format, table: &Arc<TableSchema>, rows: &str) -> Option<Vec<u8>> {
    let rows = read(Format::Values, table, rows.as_bytes(), usize::MAX).ok()?;
    let mut out = Vec::new();
    let mut writer = encoder(format, table.storage_schema(), &FormatSettings::default()).ok()?;
    writer.begin(&mut out).ok()?;
    for batch in &rows {
        writer.batch(batch, &mut out).ok()?;
    }
    writer.finish(&ResultTotals::default(), &mut out).ok()?;
    Some(out)
}

/// The number of pieces in which an input is read the second time.
const PIECES: usize = 7;

#[expect(clippy::panic, reason = "a broken promise is told by a panic")]
fn run(formats: &[Format], choice: u8, data: &[u8]) {
    let choice = usize::from(choice);
    let (format, table) = (formats[choice % formats.len()], &TABLES[choice / formats.len() % TABLES.len()]);
    let whole = read(format, table, data, usize::MAX);
    let cut = read(format, table, data, data.len() / PIECES + 1);
    if whole != cut {
        let rows = |read: &Result<Vec<RecordBatch>, ErrorCode>| {
            read.as_ref()
                .map(|all| all.iter().map(RecordBatch::num_rows).sum::<usize>())
                .map_err(|code| *code)
        };
        panic!("{} at once gives {:?}, in pieces {:?}", format.name(), rows(&whole), rows(&cut));
    }
}

fn read(
    format: Format,
    table: &Arc<TableSchema>,
    data: &[u8],
    piece: usize,
) -> Result<Vec<RecordBatch>, ErrorCode> {
    let read = || {
        let mut out = Vec::new();
        let mut reader = decoder(format, table, None, &FormatSettings::default(), None)?;
        for part in data.chunks(piece) {
            reader.push(part, &mut out)?;
        }
        reader.finish(&mut out)?;
        Ok(out)
    };
    read().map_err(|error: zepto_common::Error| error.code)
}

fn table(columns: &[(&str, &str)]) -> Arc<TableSchema> {
    #[expect(clippy::expect_used, reason = "the types above are written as they must be")]
    let columns = columns.iter().enumerate().map(|(at, (name, ty))| Column {
        id: ColumnId(at as u32),
        name: (*name).to_owned(),
        ty: ty.parse().expect("a type"),
        default: ColumnDefault::Zero,
        comment: String::new(),
    });
    Arc::new(TableSchema {
        id: TableId(1),
        version: SchemaVersion(1),
        name: TableName::new("default", "t"),
        columns: columns.collect(),
        key: None,
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: String::new(),
        comment: String::new(),
    })
}
