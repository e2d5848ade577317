//! How fast each format is read and written; run by hand: `cargo test -p zepto-formats --release -- --ignored --nocapture rates`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use zepto_common::schema::TableSchema;
use zepto_formats::{Format, FormatSettings, ResultTotals, decoder, encoder};

use super::support::{read, table, write};

/// Processor time of this thread in seconds: neighbours on the machine do not count.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

const ROWS: usize = 1_000_000;

/// The example table in each format; VALUES and JSON also with times as bare ticks.
fn inputs(settings: &FormatSettings) -> Vec<(&'static str, Format, Vec<u8>)> {
    let ticks = |i: usize| 1_767_000_000_000_000_000 + i as u64 * 1_000;
    let price = |i: usize| format!("{}.{:02}", 100 + i % 900, i % 100);
    let values: String =
        (0..ROWS).map(|i| format!("('S{}',{},{},{}),", i % 500, ticks(i), price(i), i % 10_000)).collect();
    let json = |i: usize| {
        let (symbol, ts, price, volume) = (i % 500, ticks(i), price(i), i % 10_000);
        format!("{{\"symbol\":\"S{symbol}\",\"ts\":{ts},\"price\":{price},\"volume\":{volume}}}\n")
    };
    let json: String = (0..ROWS).map(json).collect();
    let rows = read(Format::Values, &table(COLUMNS), settings, values.as_bytes()).unwrap();
    let mut inputs = vec![
        ("Values, ticks", Format::Values, values.into_bytes()),
        ("JSONEachRow, ticks", Format::JsonEachRow, json.into_bytes()),
    ];
    for format in Format::ALL.iter().copied().filter(|format| format.can_read() && format.can_write()) {
        // A header is read once.
        if format.name().contains("With") {
            continue;
        }
        inputs.push((format.name(), format, write(format, &table(COLUMNS), settings, &rows)));
    }
    inputs
}

const COLUMNS: &str = "symbol LowCardinality(String), ts DateTime64(9), price Float64, volume Int64";

#[test]
#[ignore = "a measurement, not a law"]
fn rates_of_a_trade_table() {
    let (table, settings) = (table(COLUMNS), FormatSettings::default());
    for (name, format, data) in inputs(&settings) {
        let best = (0..5).map(|_| reading(format, &table, &settings, &data)).fold(f64::MAX, f64::min);
        let rows = read(format, &table, &settings, &data).unwrap();
        let wrote = writing(format, &table, &settings, &rows);
        let (read, wrote) = (ROWS as f64 / best / 1e6, ROWS as f64 / wrote / 1e6);
        println!("{name:26} read {read:6.1}, write {wrote:6.1} M rows/s of processor time");
    }
}

/// Seconds of processor time for reading; blocks are dropped as they come.
fn reading(format: Format, table: &Arc<TableSchema>, settings: &FormatSettings, data: &[u8]) -> f64 {
    let start = processor_seconds();
    let mut reader = decoder(format, table, None, settings, None).unwrap();
    let (mut rows, mut out) = (0, Vec::new());
    let mut count =
        |out: &mut Vec<RecordBatch>| rows += out.drain(..).map(|batch| batch.num_rows()).sum::<usize>();
    for piece in data.chunks(256 << 10) {
        reader.push(piece, &mut out).unwrap();
        count(&mut out);
    }
    reader.finish(&mut out).unwrap();
    count(&mut out);
    assert_eq!(rows, ROWS);
    processor_seconds() - start
}

/// Seconds of processor time for writing rows, at best.
fn writing(format: Format, table: &Arc<TableSchema>, settings: &FormatSettings, rows: &[RecordBatch]) -> f64 {
    let times = (0..5).map(|_| {
        // In blocks of a result, into a buffer that is sent and used again; the same again until the clock can see it.
        const AGAIN: usize = 8;
        let start = processor_seconds();
        let mut writer = encoder(format, rows[0].schema(), settings).unwrap();
        let mut out = Vec::new();
        writer.begin(&mut out).unwrap();
        for batch in std::iter::repeat_n(rows, AGAIN).flatten() {
            writer.batch(batch, &mut out).unwrap();
            out.clear();
        }
        writer.finish(&ResultTotals::default(), &mut out).unwrap();
        (processor_seconds() - start) / AGAIN as f64
    });
    assert_eq!(table.columns.len(), rows[0].num_columns());
    times.fold(f64::MAX, f64::min)
}

#[test]
#[ignore = "a measurement, not a law"]
fn rates_of_results_in_query_form() {
    let (table, settings) = (table(COLUMNS), FormatSettings::default());
    let fields: Vec<_> = table.columns.iter().map(|column| column.ty.query_field(&column.name)).collect();
    let schema = Arc::new(Schema::new(fields));
    let (_, _, values) =
        inputs(&settings).into_iter().find(|(_, format, _)| *format == Format::Native).unwrap();
    let query = |batch: &RecordBatch| {
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(array, field)| arrow::compute::cast(array, field.data_type()).unwrap());
        RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
    };
    let rows: Vec<_> = read(Format::Native, &table, &settings, &values).unwrap().iter().map(query).collect();
    // The formats for people show the first rows only.
    let people =
        |format: &Format| format.content_type().starts_with("text/plain") && *format != Format::Values;
    for format in Format::ALL.iter().copied().filter(|format| format.can_write() && !people(format)) {
        let wrote = ROWS as f64 / writing(format, &table, &settings, &rows) / 1e6;
        println!("{:42} write {wrote:6.1} M rows/s of processor time", format.name());
    }
}
