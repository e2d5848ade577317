//! Messages of every format to rows: what is taken, what is dead, and where each column comes from.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::source::split_offsets;
use zepto_common::{ColumnId, SchemaVersion, TableId};
use zepto_feeds::FeedConfig;
use zepto_feeds::config::{self, ColumnSource};
use zepto_feeds::decode::Decoder;
use zepto_feeds::source::{Message, SourcePartition};

fn table(columns: &[(&str, &str)]) -> Arc<TableSchema> {
    let column = |(at, (name, ty)): (usize, &(&str, &str))| Column {
        id: ColumnId(at as u32 + 1),
        name: (*name).to_owned(),
        ty: ty.parse().unwrap(),
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    Arc::new(TableSchema {
        id: TableId(1),
        version: SchemaVersion(1),
        name: TableName::new("default", "t"),
        columns: columns.iter().enumerate().map(column).collect(),
        key: None,
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: "MergeTree".to_owned(),
        comment: String::new(),
    })
}

fn feed(format: &str, more: &str) -> FeedConfig {
    let text = format!(
        "{{ name: f, table: t, deadLetter: dead, format: {format}, \
         kafka: {{ brokers: [b], topics: [x], groupId: g }} {more} }}"
    );
    serde_yaml_ng::from_str(&text).unwrap()
}

fn messages(payloads: &[&[u8]]) -> Vec<Message> {
    let message = |(at, payload): (usize, &&[u8])| Message {
        from: SourcePartition { topic: "plant/one".into(), number: 3 },
        offset: 100 + at as u64,
        timestamp_ms: Some(1_700_000_000_123),
        key: Some(Bytes::from_static(b"a\tkey")),
        headers: vec![("unit".to_owned(), Bytes::from_static(b"C"))],
        payload: Some(Bytes::copy_from_slice(payload)),
    };
    payloads.iter().enumerate().map(message).collect()
}

/// Each row as text with its offset, and the indexes of the dead.
fn read(feed: &FeedConfig, table: &Arc<TableSchema>, payloads: &[&[u8]]) -> (Vec<String>, Vec<usize>) {
    let messages = messages(payloads);
    let decoded = Decoder::new(feed, table).unwrap().read(&messages).unwrap();
    let dead = decoded.dead.iter().map(|(at, _)| *at).collect();
    let Some(rows) = decoded.rows else { return (Vec::new(), dead) };
    let (rows, offsets) = split_offsets(&rows).unwrap();
    assert_eq!(rows.schema(), table.storage_schema());
    let text = |row: usize| {
        let cells = rows.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
        format!("{}: {}", offsets.value(row), cells.collect::<Vec<_>>().join(" "))
    };
    ((0..rows.num_rows()).map(text).collect(), dead)
}

#[test]
fn a_message_is_taken_whole_or_not_at_all() {
    let table = table(&[("a", "Int64"), ("b", "String")]);
    let good: &[u8] = b"{\"a\":1,\"b\":\"x\"}";
    let payloads: [&[u8]; 8] = [
        good,
        b"{\"a\":2}\n{\"a\":3}",
        b"{\"a\":4}\n{\"a\":\"no\"}",
        b"[{\"a\":5},{\"a\":6}]",
        b"",
        b"{\"a\":7",
        good,
        b"[{\"a\":8}",
    ];
    let (rows, dead) = read(&feed("JSONEachRow", ""), &table, &payloads);
    assert_eq!(rows, ["100: 1 x", "101: 2 ", "101: 3 ", "103: 5 ", "103: 6 ", "106: 1 x"]);
    assert_eq!(dead, [2, 4, 5, 7]);
}

#[test]
fn every_message_may_be_dead() {
    let table = table(&[("a", "Int64")]);
    assert_eq!(read(&feed("JSONEachRow", ""), &table, &[b"x", b"{", b""]), (vec![], vec![0, 1, 2]));
}

#[test]
fn values_deep_in_an_object_are_found_by_their_paths() {
    let table = table(&[("price", "Decimal(18, 6)"), ("venue", "String")]);
    let feed = feed("JSONEachRow", ", fields: { price: data.px.last, venue: venue }");
    let payloads: [&[u8]; 5] = [
        b"{\"venue\":\"X\",\"data\":{\"px\":{\"last\":1.000001}}}",
        b"{\"venue\":\"Y\",\"data\":null}",
        b"{\"venue\":\"Z\",\"data\":7}",
        b"[{\"venue\":\"V\"},{\"venue\":\"W\",\"data\":{\"px\":{\"last\":2}}}]",
        b"{\"venue\"",
    ];
    let (rows, dead) = read(&feed, &table, &payloads);
    assert_eq!(rows, ["100: 1.000001 X", "101: 0.000000 Y", "103: 0.000000 V", "103: 2.000000 W"]);
    assert_eq!(dead, [2, 4]);
}

#[test]
fn columns_come_from_topic_key_header_and_constants() {
    let table = table(&[
        ("a", "Int64"),
        ("s", "String"),
        ("n", "UInt32"),
        ("o", "UInt64"),
        ("k", "String"),
        ("h", "String"),
        ("c", "Symbol"),
    ]);
    let feed = feed(
        "CSV",
        ", columns: { s: {topicLevel: 2}, n: {from: partition}, o: {from: offset}, k: {from: key}, h: {header: unit}, c: {constant: q} }",
    );
    let (rows, dead) = read(&feed, &table, &[b"7", b"no", b"8\r\n", b"9\n10\n"]);
    let tail = |offset| format!("one 3 {offset} a\tkey C q");
    let expected = [(100, 7), (102, 8), (103, 9), (103, 10)].map(|(at, a)| format!("{at}: {a} {}", tail(at)));
    assert_eq!(rows, expected);
    assert_eq!(dead, [1]);
}

#[test]
fn times_come_from_the_payload_in_its_unit_or_from_the_source() {
    let table = table(&[("t", "DateTime64(9)"), ("at", "DateTime64(3)")]);
    let feed = feed("JSONEachRow", ", units: { t: ms }, columns: { at: {from: timestamp} }");
    let (rows, dead) = read(&feed, &table, &[b"{\"t\":1700000000456}", b"{\"t\":\"soon\"}"]);
    assert_eq!(dead, [1]);
    assert_eq!(rows.len(), 1);
    assert!(rows[0].starts_with("100: 2023-11-14T22:13:20.456"), "{rows:?}");
    assert!(rows[0].contains(" 2023-11-14T22:13:20.123"), "{rows:?}");
}

#[test]
fn ticks_are_read_by_their_layout() {
    let table =
        table(&[("sym", "Symbol"), ("time", "DateTime64(9)"), ("price", "Float64"), ("sequence", "UInt64")]);
    let mut tick = vec![0u8; 64];
    tick[..3].copy_from_slice(b"ABC");
    tick[16..24].copy_from_slice(&1_700_000_000_000_000_001i64.to_le_bytes());
    tick[24..32].copy_from_slice(&2.5f64.to_le_bytes());
    tick[56..].copy_from_slice(&9u64.to_le_bytes());
    let two = [tick.clone(), tick.clone()].concat();
    let mut bad = tick.clone();
    bad[5] = b'x';
    let (rows, dead) =
        read(&feed("tick", ", fields: { sym: symbol }"), &table, &[&tick, &tick[1..], &two, &bad, b""]);
    let row = "ABC 2023-11-14T22:13:20.000000001 2.5 9";
    assert_eq!(rows, [format!("100: {row}"), format!("102: {row}"), format!("102: {row}")]);
    assert_eq!(dead, [1, 3, 4]);
}

#[test]
fn binary_rows_are_held_apart_by_their_own_ends() {
    let table = table(&[("a", "UInt16"), ("b", "String")]);
    let row: &[u8] = b"\x01\x00\x02hi";
    let (rows, dead) = read(&feed("RowBinary", ""), &table, &[row, &row[..4], row, b"\x20"]);
    assert_eq!(rows, ["100: 1 hi", "102: 1 hi"]);
    assert_eq!(dead, [1, 3]);
    let (rows, dead) = read(&feed("MsgPack", ""), &table, &[b"\x05\xa1x", b"\x05", b"\x06\xa1y"]);
    assert_eq!(rows, ["100: 5 x", "102: 6 y"]);
    assert_eq!(dead, [1]);
}

#[test]
fn a_text_that_is_none_harms_only_its_own_message() {
    let table = table(&[("a", "UInt16"), ("b", "String")]);
    let row: &[u8] = b"\x01\x00\x02hi";
    let bad: &[u8] = b"\x01\x00\x02\xc3\x28";
    let (rows, dead) = read(&feed("RowBinary", ""), &table, &[row, bad, row, b"\x20", bad, row]);
    assert_eq!(rows, ["100: 1 hi", "102: 1 hi", "105: 1 hi"]);
    assert_eq!(dead, [1, 3, 4]);
    let json: &[u8] = b"{\"a\":1,\"b\":\"hi\"}";
    let (rows, dead) = read(&feed("JSONEachRow", ""), &table, &[json, b"{\"a\":2,\"b\":\"\xc3\x28\"}", json]);
    assert_eq!(rows, ["100: 1 hi", "102: 1 hi"]);
    assert_eq!(dead, [1]);
}

#[test]
fn a_mapping_that_does_not_fit_the_table_is_refused() {
    let table = table(&[("a", "Int64")]);
    for (format, more) in [
        ("JSONEachRow", ", fields: { b: x }"),
        ("JSONEachRow", ", columns: { b: {from: key} }"),
        ("JSONEachRow", ", units: { a: ms }"),
        ("tick", ""),
    ] {
        assert!(Decoder::new(&feed(format, more), &table).is_err(), "{format} {more}");
    }
}

#[test]
fn faults_of_a_configuration_are_told_all_at_once() {
    let good = feed("JSONEachRow", "");
    let mut faults = Vec::new();
    config::validate(std::slice::from_ref(&good), &mut faults);
    assert_eq!(faults, Vec::<String>::new());
    let mut bad =
        FeedConfig { name: "a b".into(), dead_letter: "t".into(), format: "Parquet".into(), ..good.clone() };
    bad.kafka.topics.clear();
    bad.kafka.options.insert("ssl.ca.location".into(), "x".into());
    bad.kafka.options.insert("group.id".into(), "x".into());
    bad.columns.insert("c".into(), ColumnSource::TopicLevel(0));
    bad.kafka.options.insert("some.password".into(), "hidden".into());
    config::validate(&[bad, good.clone(), good], &mut faults);
    for part in [
        "1 to 64",
        "own table",
        "Parquet",
        "topics",
        "TLS",
        "sets it itself",
        "from 1",
        "another feed",
        "some.password",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
    }
    assert!(!faults.iter().any(|fault| fault.contains("hidden")), "a secret is shown: {faults:?}");
}

#[test]
fn a_source_that_is_not_there_is_refused_by_its_name() {
    for key in ["mqtt", "opcua"] {
        let text = format!("name: f\ntable: t\nformat: tick\ndeadLetter: d\n{key}: {{ a: b }}\n");
        let error = serde_yaml_ng::from_str::<FeedConfig>(&text).unwrap_err().to_string();
        assert!(error.contains(&format!("unknown field `{key}`")), "{error}");
    }
}

#[test]
fn the_example_is_a_configuration_without_faults() {
    let text = std::fs::read_to_string("../../examples/feeds/ticks.yaml").unwrap();
    let file: std::collections::BTreeMap<String, Vec<FeedConfig>> = serde_yaml_ng::from_str(&text).unwrap();
    let mut faults = Vec::new();
    config::validate(&file["feeds"], &mut faults);
    assert_eq!(faults, Vec::<String>::new());
    let table = table(&[
        ("symbol", "Symbol"),
        ("time", "DateTime64(9)"),
        ("price", "Float64"),
        ("size", "Float64"),
        ("source", "UInt32"),
        ("arrived", "DateTime64(9)"),
    ]);
    let message = br#"{"s": "ABC", "t": 1700000000123, "data": {"px": 190.5, "qty": 100}}"#;
    let (rows, dead) = read(&file["feeds"][0], &table, &[message, b"not an object"]);
    assert_eq!(dead, [1]);
    let first = "100: ABC 2023-11-14T22:13:20.123 190.5 100.0 3 ";
    assert!(rows[0].starts_with(first), "{rows:?}");
}
