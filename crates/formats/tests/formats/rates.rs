//! How fast the hot formats are read; run by hand: `cargo test -p zepto-formats --release -- --ignored --nocapture rates`.

use zepto_formats::{Format, FormatSettings};

use super::support::{read, read_in, table, write};

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
    for format in [
        Format::Values,
        Format::JsonEachRow,
        Format::TabSeparated,
        Format::Csv,
        Format::RowBinary,
        Format::ArrowStream,
        Format::Parquet,
    ] {
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
        let mut best = f64::MAX;
        let mut rows = Vec::new();
        for _ in 0..5 {
            let start = processor_seconds();
            rows = read_in(format, &table, &settings, &data, 256 << 10).unwrap();
            best = best.min(processor_seconds() - start);
        }
        assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), ROWS);
        let start = processor_seconds();
        write(format, &table, &settings, &rows);
        let wrote = processor_seconds() - start;
        let (read, wrote) = (ROWS as f64 / best / 1e6, ROWS as f64 / wrote / 1e6);
        println!("{name:20} read {read:6.1}, write {wrote:6.1} M rows/s of processor time");
    }
}
