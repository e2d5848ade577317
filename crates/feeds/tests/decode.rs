//! Messages of every format to rows: what is taken, what is dead, and where each column comes from.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampNanosecondType;
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
        from: SourcePartition { topic: "one".into(), number: 3 },
        topic: "one".into(),
        retained: false,
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
    (decoded.blocks.iter().flat_map(|block| shown(table, block)).collect(), dead)
}

fn shown(table: &TableSchema, block: &RecordBatch) -> Vec<String> {
    let (rows, offsets) = split_offsets(block).unwrap();
    assert_eq!(rows.schema(), table.storage_schema());
    let text = |row: usize| {
        let cells = rows.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
        format!("{}: {}", offsets.value(row), cells.collect::<Vec<_>>().join(" "))
    };
    (0..rows.num_rows()).map(text).collect()
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
fn columns_come_from_levels_of_the_topic_and_what_is_retained() {
    let table =
        table(&[("a", "String"), ("b", "String"), ("c", "UInt8"), ("d", "Nullable(String)"), ("x", "Int64")]);
    let columns =
        ", columns: { a: {topicLevel: 1}, b: {topicLevel: 3}, c: {from: retained}, d: {topicLevel: 4} }";
    let feed = feed("JSONEachRow", columns);
    let mut messages = messages(&[b"{\"x\":1}", b"{\"x\":2}"]);
    messages[0].topic = "plant/line 1/te\tmp".into();
    messages[0].retained = true;
    messages[1].topic = "/b//d".into();
    let decoded = Decoder::new(&feed, &table).unwrap().read(&messages).unwrap();
    let rows: Vec<String> = decoded.blocks.iter().flat_map(|block| shown(&table, block)).collect();
    assert_eq!(rows, ["100: plant te\tmp 1  1", "101:   0 d 2"]);
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
        ", columns: { s: {from: topic}, n: {from: partition}, o: {from: offset}, k: {from: key}, h: {header: unit}, c: {constant: q} }",
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

/// The stored times of the first column.
fn ticks(
    feed: &FeedConfig,
    table: &Arc<TableSchema>,
    payloads: &[&[u8]],
) -> (Vec<i64>, Vec<(usize, String)>) {
    let decoded = Decoder::new(feed, table).unwrap().read(&messages(payloads)).unwrap();
    let of =
        |block: &RecordBatch| block.column(0).as_primitive::<TimestampNanosecondType>().values().to_vec();
    (decoded.blocks.iter().flat_map(of).collect(), decoded.dead)
}

#[test]
fn a_number_is_the_same_moment_in_every_zone() {
    for ty in ["DateTime64(9)", "DateTime64(9, 'Europe/Berlin')", "DateTime64(9, 'America/New_York')"] {
        let table = table(&[("time", ty)]);
        let json = feed("JSONEachRow", ", units: { time: ms }");
        let (times, dead) = ticks(&json, &table, &[b"{\"time\":1700000000456}"]);
        assert_eq!((times, dead), (vec![1_700_000_000_456_000_000], vec![]), "{ty}");
        let mut tick = vec![0u8; 64];
        tick[16..24].copy_from_slice(&1_700_000_000_000_000_001i64.to_le_bytes());
        let (times, dead) = ticks(&feed("tick", ""), &table, &[&tick]);
        assert_eq!((times, dead), (vec![1_700_000_000_000_000_001], vec![]), "{ty}");
    }
}

#[test]
fn a_number_that_its_column_cannot_hold_is_a_fault_of_its_message_alone() {
    let table = table(&[("time", "DateTime64(9)")]);
    // Milliseconds where seconds are said: the year 55,000.
    let feed = feed("JSONEachRow", ", units: { time: s }");
    let payloads: [&[u8]; 4] = [
        b"{\"time\":1700000000}",
        b"{\"time\":1700000000456}",
        b"{\"time\":1}{\"time\":1700000000456}{\"time\":3}",
        b"[{\"time\":4},{\"time\":5}]",
    ];
    let (times, dead) = ticks(&feed, &table, &payloads);
    assert_eq!(times, [1_700_000_000, 4, 5].map(|seconds| seconds * 1_000_000_000));
    assert_eq!(dead.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2]);
    assert!(dead[0].1.contains("column time: a value does not fit DateTime64(9)"), "{dead:?}");
}

#[test]
fn a_column_holds_a_field_of_a_tick_whole_or_is_refused() {
    let taken = [
        ("symbol", "String"),
        ("symbol", "Nullable(String)"),
        ("time", "Int64"),
        ("time", "DateTime64(3)"),
        ("bid", "Nullable(Float64)"),
        ("sequence", "Int64"),
    ];
    let refused = [
        ("symbol", "UUID"),
        ("time", "Float64"),
        ("time", "DateTime"),
        ("price", "Int64"),
        ("price", "Float32"),
        ("size", "Decimal(18, 2)"),
        ("sequence", "UInt32"),
    ];
    for (field, ty) in taken {
        let mut tick = vec![0u8; 64];
        tick[0] = b'A';
        assert_eq!(read(&feed("tick", ""), &table(&[(field, ty)]), &[&tick]).0.len(), 1, "{field} {ty}");
    }
    for (field, ty) in refused {
        let error = Decoder::new(&feed("tick", ""), &table(&[(field, ty)])).err().unwrap().to_string();
        assert!(error.contains(&format!("column {field} of type {ty} cannot hold")), "{error}");
    }
    let mut large = vec![0u8; 64];
    large[56..].fill(0xff);
    let (rows, dead) = read(&feed("tick", ""), &table(&[("sequence", "Int64")]), &[&large, &[0; 64]]);
    assert_eq!((rows, dead), (vec!["101: 0".to_owned()], vec![0]));
}

#[test]
fn space_around_a_message_harms_neither_it_nor_the_next() {
    let table = table(&[("a", "Int64")]);
    let space = " \n".repeat(40);
    let padded = |text: &str| format!("{space}{text}{space}").into_bytes();
    let texts = |all: [&str; 4]| all.map(padded);
    let payloads = texts(["{\"a\":1}", "{\"a\":2}", &format!("[{{\"a\":3}}{space}]"), "{\"a\":4}"]);
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    let expected = ["100: 1", "101: 2", "102: 3", "103: 4"].map(str::to_owned).to_vec();
    assert_eq!(read(&feed("JSONEachRow", ""), &table, &payloads), (expected.clone(), vec![]));
    assert_eq!(
        read(&feed("JSONEachRow", ", fields: { a: a }"), &table, &payloads),
        (expected.clone(), vec![])
    );
    let payloads = texts(["[1]", "[2]", "[3]", "[4]"]);
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    assert_eq!(read(&feed("JSONCompactEachRow", ""), &table, &payloads), (expected, vec![]));
}

#[test]
fn whether_a_message_is_good_does_not_depend_on_those_before_it() {
    let table = table(&[("a", "Int64")]);
    for (format, good, odd) in [
        ("JSONEachRow", "{\"a\":1}", vec![",{\"a\":2}", "[,{\"a\":2}]", "[[{\"a\":2}]]", "{\"a\":2},"]),
        ("JSONCompactEachRow", "[1]", vec![",[2]", "[2],", "[[2]]"]),
    ] {
        for odd in odd {
            let [good, odd] = [good, odd].map(str::as_bytes);
            let (rows, dead) = read(&feed(format, ""), &table, &[odd, good, odd, good]);
            assert_eq!((rows.len(), dead), (2, vec![0, 2]), "{format} {odd:?}");
        }
    }
}

#[test]
fn rows_of_many_messages_are_cut_into_blocks_and_a_message_too_large_for_any_is_dead() {
    let table = table(&[("a", "UInt32"), ("c", "String")]);
    let constant = "x".repeat(4_096);
    let feed = feed("CSV", &format!(", columns: {{ c: {{constant: {constant}}} }}"));
    let rows = |count: usize| "7\n".repeat(count).into_bytes();
    // Four kilobytes beside each row: 48 MiB, 48 MiB, 144 MiB, 4 KiB.
    let payloads = [rows(12_288), rows(12_288), rows(36_864), rows(1)];
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    let decoded = Decoder::new(&feed, &table).unwrap().read(&messages(&payloads)).unwrap();
    let shape = |block: &RecordBatch| {
        let (rows, offsets) = split_offsets(block).unwrap();
        (rows.num_rows(), offsets.value(0), offsets.value(rows.num_rows() - 1))
    };
    let shapes: Vec<_> = decoded.blocks.iter().map(shape).collect();
    assert_eq!(shapes, [(12_288, 100, 100), (12_289, 101, 103)]);
    assert_eq!(decoded.dead.len(), 1);
    assert_eq!(decoded.dead[0].0, 2);
    assert!(decoded.dead[0].1.contains("at most 134217728 are taken"), "{:?}", decoded.dead);
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
    let table = table(&[("a", "Int64"), ("c", "String")]);
    for (format, more) in [
        ("JSONEachRow", ", fields: { b: x }"),
        ("JSONEachRow", ", columns: { b: {from: key} }"),
        ("JSONEachRow", ", units: { a: ms }"),
        ("JSONEachRow", ", columns: { a: {constant: text} }"),
        ("JSONEachRow", ", columns: { a: {from: key}, c: {from: key} }"),
        ("tick", ""),
    ] {
        assert!(Decoder::new(&feed(format, more), &table).is_err(), "{format} {more}");
    }
}

#[test]
fn a_partition_key_that_is_another_one_when_a_message_is_read_again_is_refused() {
    let of = |default, key| {
        let mut table = TableSchema::clone(&table(&[("a", "Int64"), ("at", "DateTime64(3)")]));
        table.columns[1].default = default;
        table.key = Some(ColumnId(key));
        Arc::new(table)
    };
    let arrival = ", columns: { at: {from: arrival} }";
    let fits = |more, table: Arc<TableSchema>| Decoder::new(&feed("JSONEachRow", more), &table).is_ok();
    assert!(fits(arrival, of(ColumnDefault::Now, 1)));
    assert!(fits("", of(ColumnDefault::Now, 1)));
    assert!(fits("", of(ColumnDefault::Zero, 2)));
    assert!(fits(", columns: { at: {from: timestamp} }", of(ColumnDefault::Zero, 2)));
    assert!(!fits(arrival, of(ColumnDefault::Zero, 2)));
    assert!(!fits("", of(ColumnDefault::Now, 2)));
}

#[test]
fn faults_of_a_configuration_are_told_all_at_once() {
    let good = feed("JSONEachRow", "");
    let mut faults = Vec::new();
    config::validate(std::slice::from_ref(&good), &mut faults);
    assert_eq!(faults, Vec::<String>::new());
    let mut bad =
        FeedConfig { name: "a b".into(), dead_letter: "t".into(), format: "Parquet".into(), ..good.clone() };
    let kafka = bad.kafka.as_mut().unwrap();
    kafka.topics.clear();
    kafka.options.insert("ssl.ca.location".into(), "x".into());
    kafka.options.insert("group.id".into(), "x".into());
    bad.columns.insert("c".into(), ColumnSource::Constant("x".repeat(5_000)));
    kafka.options.insert("some.password".into(), "hidden".into());
    config::validate(&[bad, good.clone(), good], &mut faults);
    for part in [
        "1 to 64",
        "own table",
        "Parquet",
        "topics",
        "TLS",
        "sets it itself",
        "at most 4096",
        "another feed",
        "feeds.f: kafka.groupId is that of feeds.a b",
        "some.password",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
    }
    assert!(!faults.iter().any(|fault| fault.contains("hidden")), "a secret is shown: {faults:?}");
}

#[test]
fn options_are_texts_or_plain_numbers_and_no_fault_shows_their_value() {
    let of = |options: &str| {
        let kafka = format!("kafka: {{ brokers: [b], topics: [x], groupId: g, options: {options} }}");
        serde_yaml_ng::from_str::<FeedConfig>(&format!(
            "{{ name: f, table: t, deadLetter: d, format: CSV, {kafka} }}"
        ))
    };
    let options = of("{ a.b: 12, c: -1, d: false, e: text, f: '1.5' }").unwrap().kafka.unwrap().options;
    let texts: Vec<&str> = options.values().map(String::as_str).collect();
    assert_eq!(texts, ["12", "-1", "false", "text", "1.5"]);
    for hidden in ["4711.25", "[4711.25]", "{ x: 4711.25 }", "~"] {
        let error = of(&format!("{{ a: {hidden} }}")).unwrap_err().to_string();
        assert!(!error.contains("4711"), "{error}");
    }
}

#[test]
fn a_source_that_is_not_there_is_refused_by_its_name() {
    let text = "name: f\ntable: t\nformat: tick\ndeadLetter: d\nopcua: { a: b }\n";
    let error = serde_yaml_ng::from_str::<FeedConfig>(text).unwrap_err().to_string();
    assert!(error.contains("unknown field `opcua`"), "{error}");
}

/// The one feed of an example, whose file has no faults.
fn example(name: &str) -> FeedConfig {
    let text = std::fs::read_to_string(format!("../../examples/feeds/{name}.yaml")).unwrap();
    let mut file: std::collections::BTreeMap<String, Vec<FeedConfig>> =
        serde_yaml_ng::from_str(&text).unwrap();
    let mut faults = Vec::new();
    config::validate(&file["feeds"], &mut faults);
    assert_eq!(faults, Vec::<String>::new());
    file.remove("feeds").unwrap().remove(0)
}

#[test]
fn the_example_is_a_configuration_without_faults() {
    let feed = example("ticks");
    let table = table(&[
        ("symbol", "Symbol"),
        ("time", "DateTime64(9)"),
        ("price", "Float64"),
        ("size", "Float64"),
        ("source", "UInt32"),
        ("arrived", "DateTime64(9)"),
    ]);
    let message = br#"{"s": "ABC", "t": 1700000000123, "data": {"px": 190.5, "qty": 100}}"#;
    let (rows, dead) = read(&feed, &table, &[message, b"not an object"]);
    assert_eq!(dead, [1]);
    let first = "100: ABC 2023-11-14T22:13:20.123 190.5 100.0 3 ";
    assert!(rows[0].starts_with(first), "{rows:?}");
}

#[test]
fn the_example_of_mqtt_is_a_configuration_without_faults() {
    let feed = example("weather");
    let columns =
        [("place", "Symbol"), ("quantity", "Symbol"), ("at", "DateTime64(9)"), ("value", "Float64")];
    let mut messages = messages(&[b"{\"value\": 21.5}"]);
    messages[0].topic = "weather/rome/temperature".into();
    let decoder = Decoder::new(&feed, &table(&columns)).unwrap();
    let decoded = decoder.read(&messages).unwrap();
    let rows: Vec<String> = decoded.blocks.iter().flat_map(|block| shown(&table(&columns), block)).collect();
    assert!(rows[0].starts_with("100: rome temperature ") && rows[0].ends_with(" 21.5"), "{rows:?}");
}
