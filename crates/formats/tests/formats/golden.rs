//! Each format does byte for byte what a real ClickHouse does (tests/oracle.py made the files).

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use base64::Engine;
use zepto_formats::{Format, FormatSettings};

use super::support::{read, settings, table, write};

#[derive(serde::Deserialize)]
struct Output {
    name: String,
    columns: String,
    rows: String,
    settings: BTreeMap<String, String>,
    expected: BTreeMap<String, String>,
    /// Rows as TabSeparated that ClickHouse reads from what it wrote, or its code; none where they are the rows.
    read_back: BTreeMap<String, Option<String>>,
}

#[derive(serde::Deserialize)]
pub(crate) struct Input {
    pub(crate) columns: String,
    pub(crate) format: String,
    pub(crate) data: String,
    pub(crate) settings: BTreeMap<String, String>,
    clickhouse: Outcome,
    ours: Option<Outcome>,
}

#[derive(serde::Deserialize, PartialEq, Debug)]
struct Outcome {
    rows: Option<String>,
    code: Option<u32>,
}

pub(crate) fn bytes(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

pub(crate) fn input_cases() -> Vec<Input> {
    include_str!("../golden/input.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The figures of a JSON document differ from run to run.
fn without_figures(data: &[u8]) -> String {
    let text = String::from_utf8_lossy(data).into_owned();
    match text.find("\"elapsed\"") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

#[test]
fn every_format_writes_what_clickhouse_writes() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for line in include_str!("../golden/output.jsonl").lines() {
        let case: Output = serde_json::from_str(line).unwrap();
        let table = table(&case.columns);
        let rows = read(Format::Values, &table, &FormatSettings::default(), case.rows.as_bytes());
        let rows = rows.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        for (format, expected) in &case.expected {
            if matches!(format.as_str(), "ArrowStream" | "Parquet") {
                checked += 1;
                wrong.extend(file_differs(&case, format, &bytes(expected), &rows));
                continue;
            }
            let ours = write(Format::parse(format).unwrap(), &table, &settings(&case.settings), &rows);
            let expected = bytes(expected);
            checked += 1;
            let same = if format.starts_with("JSON") && !format.ends_with("Row") {
                without_figures(&ours) == without_figures(&expected)
            } else {
                ours == expected
            };
            if !same {
                let (ours, expected) = (String::from_utf8_lossy(&ours), String::from_utf8_lossy(&expected));
                wrong.push(format!(
                    "{} as {format}\nours:\n{ours}\nClickHouse:\n{expected}\n{ours:?}\n{expected:?}",
                    case.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(checked > 400, "{checked}");
}

#[test]
fn what_clickhouse_writes_in_any_format_reads_as_the_rows_that_it_reads() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for line in include_str!("../golden/output.jsonl").lines() {
        let case: Output = serde_json::from_str(line).unwrap();
        let table = table(&case.columns);
        let plain = FormatSettings::default();
        let rows = read(Format::Values, &table, &plain, case.rows.as_bytes()).unwrap();
        let rows = String::from_utf8(write(Format::TabSeparated, &table, &plain, &rows)).unwrap();
        for (format, read_back) in &case.read_back {
            let settings = settings(&case.settings);
            let read_back = read_back.as_ref().unwrap_or(&rows);
            let found =
                match read(Format::parse(format).unwrap(), &table, &settings, &bytes(&case.expected[format]))
                {
                    Ok(rows) => {
                        String::from_utf8(write(Format::TabSeparated, &table, &plain, &rows)).unwrap()
                    }
                    Err(error) => format!("code {}", error.code.number()),
                };
            checked += 1;
            if found != *read_back {
                wrong.push(format!("{} as {format} reads as\n{found}\nClickHouse:\n{read_back}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(checked > 400, "{checked}");
}

/// A file of ClickHouse's reads as the same rows, and so does our own file of them.
fn file_differs(case: &Output, format: &str, theirs: &[u8], rows: &[RecordBatch]) -> Option<String> {
    let (table, settings) = (table(&case.columns), FormatSettings::default());
    let format = Format::parse(format).unwrap();
    let text = |rows: &[RecordBatch]| {
        String::from_utf8_lossy(&write(Format::TabSeparated, &table, &settings, rows)).into_owned()
    };
    let wanted = text(rows);
    let ours = write(format, &table, &settings, rows);
    for (whose, data) in [("ClickHouse's", theirs), ("our", &ours)] {
        let found =
            read(format, &table, &settings, data).map_or_else(|error| error.to_string(), |rows| text(&rows));
        if found != wanted {
            return Some(format!(
                "{}: {whose} {} reads as\n{found}\nnot\n{wanted}",
                case.name,
                format.name()
            ));
        }
    }
    None
}

#[test]
fn every_format_reads_what_clickhouse_reads() {
    let mut wrong = Vec::new();
    for case in input_cases() {
        let table = table(&case.columns);
        let data = bytes(&case.data);
        let read = read(Format::parse(&case.format).unwrap(), &table, &settings(&case.settings), &data);
        let found = match &read {
            Ok(rows) => {
                let text = write(Format::TabSeparated, &table, &FormatSettings::default(), rows);
                Outcome { rows: Some(String::from_utf8(text).unwrap()), code: None }
            }
            Err(error) => Outcome { rows: None, code: Some(error.code.number()) },
        };
        let wanted = case.ours.as_ref().unwrap_or(&case.clickhouse);
        if found != *wanted {
            let data = String::from_utf8_lossy(&data);
            let error = read.err().map(|e| e.message).unwrap_or_default();
            wrong.push(format!(
                "{} {} {data:?} {:?}:\n   {found:?} {error}\n   {wanted:?}",
                case.format, case.columns, case.settings
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
