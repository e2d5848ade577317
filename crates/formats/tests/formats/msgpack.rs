//! MsgPackColumns: every type, every form of a value, and messages that are wrong.

use std::sync::Arc;

use arrow::array::RecordBatch;
use zepto_common::limits::BLOCK_ROWS;
use zepto_common::schema::TableSchema;
use zepto_formats::{Format, FormatSettings, decoder};

use super::support::{read, read_in, table, write};

/// Writes MessagePack by hand.
#[derive(Default)]
struct Pack(Vec<u8>);

impl Pack {
    fn head(mut self, fix: u8, short: u8, count: usize) -> Self {
        match count {
            0..16 => self.0.push(fix | count as u8),
            _ => {
                self.0.push(short);
                self.0.extend((count as u16).to_be_bytes());
            }
        }
        self
    }
    fn map(self, count: usize) -> Self {
        self.head(0x80, 0xDE, count)
    }
    fn array(self, count: usize) -> Self {
        self.head(0x90, 0xDC, count)
    }
    fn text(mut self, text: &str) -> Self {
        self.0.extend([0xD9, text.len() as u8]);
        self.0.extend(text.as_bytes());
        self
    }
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
    fn column(self, name: &str, values: &[&[u8]]) -> Self {
        values.iter().fold(self.text(name).array(values.len()), |pack, value| pack.bytes(value))
    }
}

fn one(values: &[&[u8]]) -> Vec<u8> {
    Pack::default().map(1).column("a", values).0
}

fn text_of(table: &Arc<TableSchema>, rows: &[RecordBatch]) -> String {
    String::from_utf8(write(Format::TabSeparated, table, &FormatSettings::default(), rows)).unwrap()
}

/// Rows as TabSeparated, or the error's number.
fn outcome(columns: &str, data: &[u8]) -> Result<String, u32> {
    let table = table(columns);
    let found = read(Format::MsgPackColumns, &table, &FormatSettings::default(), data);
    found.map(|rows| text_of(&table, &rows)).map_err(|error| error.code.number())
}

/// Checks type, values, and what is read of them.
fn check(cases: &[(&str, &[&[u8]], &str)]) {
    for (ty, values, wanted) in cases {
        let found = outcome(&format!("a {ty}"), &one(values));
        let found =
            found.map_or_else(|code| code.to_string(), |text| text.trim_end_matches('\n').replace('\n', " "));
        assert_eq!(found, *wanted, "{ty}");
    }
}

#[test]
fn numbers_and_text_take_the_values_that_mean_them() {
    check(&[
        ("Int8", &[b"\x05", b"\xff", b"\xd0\x80", b"\xcc\x7f", b"\xa3-12", b"\xc3"], "5 -1 -128 127 -12 1"),
        ("Int16", &[b"\xd1\x80\x00", b"\xcd\x7f\xff"], "-32768 32767"),
        ("Int32", &[b"\xd2\x80\x00\x00\x00", b"\xce\x7f\xff\xff\xff"], "-2147483648 2147483647"),
        (
            "Int64",
            &[b"\xd3\x80\0\0\0\0\0\0\0", b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"],
            "-9223372036854775808 9223372036854775807",
        ),
        ("UInt8", &[b"\x7f", b"\xcc\xff"], "127 255"),
        ("UInt64", &[b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"], "18446744073709551615"),
        (
            "Float64",
            &[b"\xcb\x3f\xf8\0\0\0\0\0\0", b"\xca\x3f\x00\x00\x00", b"\x03", b"\xa41e-3"],
            "1.5 0.5 3 0.001",
        ),
        ("Float32", &[b"\xca\x3f\x8c\xcc\xcd", b"\xff"], "1.1 -1"),
        ("Bool", &[b"\xc2", b"\xc3", b"\x01", b"\xa5false"], "false true true false"),
        ("String", &[b"\xa0", b"\xa3abc", b"\xc4\x02de", b"\xc7\x00\x00"], "53"),
        (
            "String",
            &[b"\xa0", b"\xa3abc", b"\xc4\x02de", b"\xda\x00\x01z", b"\xdb\x00\x00\x00\x01y"],
            " abc de z y",
        ),
        (
            "LowCardinality(String)",
            &[b"\xa1x", b"\xa1y", b"\xa1x", b"\xc5\x00\x01w", b"\xc6\0\0\0\x01v"],
            "x y x w v",
        ),
    ]);
}

#[test]
fn times_and_nested_types_take_the_values_that_mean_them() {
    let uuid: Vec<u8> = [&[0xC4, 16][..], &(0..16).collect::<Vec<u8>>()].concat();
    check(&[
        ("Decimal(9, 2)", &[b"\x07", b"\xcb\x3f\xf8\0\0\0\0\0\0", b"\xa4-1.2"], "7 1.5 -1.2"),
        (
            "Date",
            &[b"\x01", b"\xaa2024-02-29", b"\xd6\xff\x00\x01\x51\x80"],
            "1970-01-02 2024-02-29 1970-01-02",
        ),
        (
            "DateTime('UTC')",
            &[b"\x0a", b"\xd6\xff\0\0\0\x0b", b"\xb31970-01-01 00:00:12"],
            "1970-01-01 00:00:10 1970-01-01 00:00:11 1970-01-01 00:00:12",
        ),
        (
            "DateTime64(3, 'UTC')",
            &[
                b"\xcb\x3f\xf8\0\0\0\0\0\0",
                b"\xd7\xff\x77\x35\x94\x00\0\0\0\x02",
                b"\xc7\x0c\xff\x1d\xcd\x65\0\xff\xff\xff\xff\xff\xff\xff\xff",
            ],
            "1970-01-01 00:00:01.500 1970-01-01 00:00:02.500 1969-12-31 23:59:59.500",
        ),
        ("UUID", &[&uuid], "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        ("Nullable(Int32)", &[b"\xc0", b"\x01"], "\\N 1"),
        ("Int32", &[b"\xc0"], "0"),
        (
            "Array(Int32)",
            &[b"\x90", b"\x92\x01\xff", b"\xdc\x00\x01\x05", b"\xdd\0\0\0\x01\x06"],
            "[] [1,-1] [5] [6]",
        ),
        ("Array(Nullable(Int8))", &[b"\x92\xc0\x01"], "[NULL,1]"),
        (
            "Map(String, Int8)",
            &[b"\x81\xa1k\x02", b"\xde\x00\x01\xa1l\x03", b"\xdf\0\0\0\x01\xa1m\x04"],
            "{'k':2} {'l':3} {'m':4}",
        ),
        ("Tuple(Int8, String)", &[b"\x92\x01\xa1x"], "(1,'x')"),
    ]);
}

#[test]
fn columns_are_matched_by_name_and_the_missing_ones_get_their_defaults() {
    let columns = "a Int32, s String, n Nullable(Int8)";
    let data = Pack::default()
        .map(3)
        .column("n", &[b"\x01", b"\xc0"])
        .column("other", &[b"\x81\xa1x\x92\x01\xc0", b"\x02"]);
    let data = data.column("a", &[b"\x05", b"\x06"]).0;
    assert_eq!(outcome(columns, &data).unwrap(), "5\t\t1\n6\t\t\\N\n");
    let strict = FormatSettings { skip_unknown_fields: false, ..FormatSettings::default() };
    let error = read(Format::MsgPackColumns, &table(columns), &strict, &data).unwrap_err();
    assert_eq!((error.code.number(), error.message.contains("'other'")), (117, true), "{error}");
    let strict = FormatSettings { null_as_default: false, ..FormatSettings::default() };
    let error =
        read(Format::MsgPackColumns, &table("a Int32"), &strict, &one(&[b"\x01", b"\xc0"])).unwrap_err();
    assert_eq!(error.code.number(), 349);
    assert!(error.message.contains("column a") && error.message.contains("row 2"), "{error}");
    assert_eq!(outcome(columns, &Pack::default().map(0).0).unwrap(), "");
    assert_eq!(outcome(columns, &one(&[])).unwrap(), "");
}

#[test]
fn pieces_change_nothing_and_blocks_are_cut_as_ever() {
    let table = table("a Int32, s LowCardinality(String)");
    let count = BLOCK_ROWS + 10;
    let mut data = b"\x82\xa1a\xdd".to_vec();
    data.extend((count as u32).to_be_bytes());
    (0..count).for_each(|row| data.extend([&[0xD2][..], &(row as i32).to_be_bytes()].concat()));
    data.extend(b"\xa1s\xdd");
    data.extend((count as u32).to_be_bytes());
    (0..count).for_each(|row| data.extend([0xA1, b'a' + (row % 26) as u8]));
    let wanted: String =
        (0..count).map(|row| format!("{row}\t{}\n", char::from(b'a' + (row % 26) as u8))).collect();
    for piece in [4_099, 65_536, usize::MAX] {
        let rows = read_in(Format::MsgPackColumns, &table, &FormatSettings::default(), &data, piece).unwrap();
        assert_eq!(rows.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [BLOCK_ROWS, 10]);
        assert_eq!(text_of(&table, &rows), wanted);
    }
}

#[test]
fn wrong_messages_are_refused_by_code() {
    let deep = [&b"\x81\xa1a\x91"[..], &[0x91; 1_000_000], b"\xc0"].concat();
    let nested = format!("a {}Int8{}", "Array(".repeat(20), ")".repeat(20));
    let cases: &[(&str, &[u8], u32)] = &[
        ("a Int32", b"", 33),
        ("a Int32", b"\xc0", 53),
        ("a Int32", b"\x91\x01", 53),
        ("a Int32", b"\x81\x01\x90", 53),
        ("a Int32", b"\x81\xa1a\x01", 53),
        ("a Int32", b"\x81\xa1a", 33),
        ("a Int32", b"\x81\xa1a\x91", 33),
        ("a Int32", b"\x81\xa1a\x91\xc1", 117),
        ("a Int32", b"\x81\xa1a\x91\xd2\x00\x00", 33),
        ("a Int32", b"\x81\xa1a\x91\x01\x00", 117),
        ("a Int32", b"\x82\xa1a\x91\x01\xa1a\x91\x01", 117),
        ("a Int32, b Int32", b"\x82\xa1a\x91\x01\xa1b\x90", 117),
        ("a Int32", b"\xdf\xff\xff\xff\xff", 33),
        ("a Int32", &[&b"\xde\x10\x01"[..], &[0; 9_000]].concat(), 131),
        ("a Int32", b"\x81\xa1a\xdd\xff\xff\xff\xff\x01", 33),
        ("a String", b"\x81\xa1a\x91\xdb\xff\xff\xff\xff\x01", 33),
        ("a String", b"\x81\xa1a\x91\xc6\xff\xff\xff\xff\x01", 33),
        ("a String", b"\x81\xa1a\x91\xc9\xff\xff\xff\xff\x01", 33),
        ("a Array(Int8)", b"\x81\xa1a\x91\xdd\xff\xff\xff\xff\x01", 33),
        ("a Map(String, Int8)", b"\x81\xa1a\x91\xdf\xff\xff\xff\xff\x01", 33),
        ("a Int8", b"\x81\xa1a\x91\xcc\xff", 321),
        ("a UInt8", b"\x81\xa1a\x91\xff", 321),
        ("a Int32", b"\x81\xa1a\x91\xcb\x3f\xf8\0\0\0\0\0\0", 53),
        ("a Int32", b"\x81\xa1a\x91\xa3abc", 27),
        ("a Int32", b"\x81\xa1a\x91\x90", 53),
        ("a String", b"\x81\xa1a\x91\x01", 53),
        ("a String", b"\x81\xa1a\x91\xa1\xff", 117),
        ("a Bool", b"\x81\xa1a\x91\x02", 467),
        ("a UUID", b"\x81\xa1a\x91\xc4\x02ab", 376),
        ("a DateTime64(9)", b"\x81\xa1a\x91\xc7\x0c\xff\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 321),
        ("a DateTime64(9)", b"\x81\xa1a\x91\xd7\xff\xff\xff\xff\xff\0\0\0\x02", 117),
        ("a DateTime64(9)", b"\x81\xa1a\x91\xd4\xff\x01", 117),
        ("a DateTime64(9)", b"\x81\xa1a\x91\xd4\x05\x01", 53),
        ("a DateTime64(9)", b"\x81\xa1a\x91\xcb\x7f\xf8\0\0\0\0\0\0", 321),
        ("a DateTime64(9)", b"\x81\xa1a\x91\xcb\xc7\xef\xff\xff\xe0\0\0\0", 321),
        ("a Decimal(3, 1)", b"\x81\xa1a\x91\xcd\x03\xe9", 69),
        ("a Decimal(3, 1)", b"\x81\xa1a\x91\xcb\x7f\xf8\0\0\0\0\0\0", 72),
        ("a Tuple(Int8, Int8)", b"\x81\xa1a\x91\x91\x01", 117),
        ("a Int8", &deep, 53),
        (&nested, &deep, 53),
    ];
    for (columns, data, code) in cases {
        let found = outcome(columns, data);
        assert_eq!(
            found.as_ref().err(),
            Some(code),
            "{columns} {:02x?}: {found:?}",
            &data[..data.len().min(24)]
        );
    }
}

#[test]
fn one_byte_a_row_cannot_fill_the_memory_with_defaults() {
    let columns: Vec<String> = (0..500).map(|at| format!("c{at} Int64")).collect();
    let rows = 400_000u32;
    let mut data = b"\x81\xa2c0\xdd".to_vec();
    data.extend(rows.to_be_bytes());
    data.resize(data.len() + rows as usize, 0);
    assert_eq!(outcome(&columns.join(", "), &data).unwrap_err(), 241);
}

#[test]
fn damaged_messages_are_read_or_refused() {
    let table = table(
        "a Nullable(Int32), s String, l Array(Map(String, Nullable(Float64))), t DateTime64(9), d Decimal(9, 3)",
    );
    let values =
        Pack::default().map(5).column("a", &[b"\x01", b"\xc0"]).column("s", &[b"\xa2hi", b"\xc4\x01x"]);
    let values = values.column("l", &[b"\x91\x81\xa1k\xca\x3f\x80\0\0", b"\x90"]);
    let values = values
        .column("t", &[b"\xd7\xff\x77\x35\x94\0\0\0\0\x02", b"\x05"])
        .column("d", &[b"\x07", b"\xa31.5"]);
    let whole = values.0;
    read(Format::MsgPackColumns, &table, &FormatSettings::default(), &whole).unwrap();
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20_000 {
        let mut data = whole.clone();
        for _ in 0..=next() % 3 {
            let at = next() as usize % data.len();
            match next() % 4 {
                0 => data.truncate(at.max(1)),
                1 => data[at] = next() as u8,
                2 => data[at] ^= 1 << (next() % 8),
                _ => data.insert(at, next() as u8),
            }
        }
        let mut out = Vec::new();
        let mut reader =
            decoder(Format::MsgPackColumns, &table, None, &FormatSettings::default(), None).unwrap();
        if reader.push(&data, &mut out).is_ok() {
            let _read_or_refused = reader.finish(&mut out);
        }
    }
}
