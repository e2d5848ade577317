//! How fast the hot formats are read; run by hand: `cargo test -p zepto-formats --release -- --ignored --nocapture rates`.

use zepto_formats::{Format, FormatSettings};

use super::support::{read, read_in, table, write};

/// Processor time of this thread in seconds: neighbours on the machine do not count.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[test]
#[ignore = "a measurement, not a law"]
fn rates_of_a_trade_table() {
    const ROWS: usize = 1_000_000;
    let table = table("symbol LowCardinality(String), ts DateTime64(9), price Float64, volume Int64");
    let settings = FormatSettings::default();
    let row = |i: usize| {
        format!(
            "S{}\t{}\t{}.{:02}\t{}\n",
            i % 500,
            1_767_000_000_000_000_000u64 + i as u64 * 1_000,
            100 + i % 900,
            i % 100,
            i % 10_000
        )
    };
    let text: String = (0..ROWS).map(row).collect();
    let rows = read(Format::TabSeparated, &table, &settings, text.as_bytes()).unwrap();
    let ticks: String = (0..ROWS)
        .map(|i| {
            format!(
                "('S{}',{},{}.{:02},{}),",
                i % 500,
                1_767_000_000_000_000_000u64 + i as u64 * 1_000,
                100 + i % 900,
                i % 100,
                i % 10_000
            )
        })
        .collect();
    let json: String = (0..ROWS)
        .map(|i| {
            format!(
                "{{\"symbol\":\"S{}\",\"ts\":{},\"price\":{}.{:02},\"volume\":{}}}\n",
                i % 500,
                1_767_000_000_000_000_000u64 + i as u64 * 1_000,
                100 + i % 900,
                i % 100,
                i % 10_000
            )
        })
        .collect();
    let mut inputs = vec![
        ("Values, ticks", Format::Values, ticks.into_bytes()),
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
        inputs.push((format.name(), format, write(format, &table, &settings, &rows)));
    }
    for (name, format, data) in inputs {
        let best = (0..5).map(|_| {
            let start = processor_seconds();
            let read = read_in(format, &table, &settings, &data, 256 << 10).unwrap();
            assert_eq!(read.iter().map(|batch| batch.num_rows()).sum::<usize>(), ROWS);
            processor_seconds() - start
        });
        let best = best.fold(f64::MAX, f64::min);
        println!(
            "{name:20} read  {:6.1} M rows/s {:7.0} MB/s",
            ROWS as f64 / best / 1e6,
            data.len() as f64 / best / 1e6
        );
    }
    for format in [Format::TabSeparated, Format::JsonEachRow, Format::Csv, Format::RowBinary, Format::Json] {
        let start = processor_seconds();
        let size = write(format, &table, &settings, &rows).len();
        let seconds = processor_seconds() - start;
        println!(
            "{:20} write {:6.1} M rows/s {:7.0} MB/s",
            format.name(),
            ROWS as f64 / seconds / 1e6,
            size as f64 / seconds / 1e6
        );
    }
}
