//! The example data: carried in the program, sent to the node as Arrow through its HTTP door.

use anyhow::{Context, Result, bail};
use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use zepto_harness::{Connection, Request};

/// Rows of one INSERT.
const BATCH_ROWS: usize = 16_384;

/// One table of the example data.
pub(super) struct Table {
    name: &'static str,
    columns: &'static str,
    parquet: &'static [u8],
}

/// Both tables. Nullable where the data have nulls.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "departures",
        columns: "ts DateTime64(9), origin LowCardinality(String), dest LowCardinality(String), \
                  carrier LowCardinality(String), flight Int32, tailnum Nullable(String), dep_delay Nullable(Int16), \
                  arr_delay Nullable(Int16), air_time Nullable(Int16), distance Int16",
        parquet: include_bytes!("../../../../examples/data/departures.parquet"),
    },
    Table {
        name: "weather",
        columns: "ts DateTime64(9), origin LowCardinality(String), temp Nullable(Float64), dewp Nullable(Float64), \
                  humid Nullable(Float64), wind_dir Nullable(Int16), wind_speed Nullable(Float64), \
                  wind_gust Nullable(Float64), precip Float64, pressure Nullable(Float64), visib Float64",
        parquet: include_bytes!("../../../../examples/data/weather.parquet"),
    },
];

/// Makes a table and loads it, unless a former run has; `limit` bounds the rows.
pub(super) fn load(connection: &mut Connection, table: &Table, limit: Option<usize>) -> Result<()> {
    let name = table.name;
    create(connection, table)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from_static(table.parquet))?;
    let whole = usize::try_from(reader.metadata().file_metadata().num_rows())?;
    let wanted = limit.unwrap_or(whole).min(whole);
    let present: usize = connection.query(&format!("SELECT count() FROM {name}"))?.trim().parse()?;
    if present >= wanted {
        println!("{name}: {present} rows are there already");
        return Ok(());
    }
    if present > 0 {
        // A former load was cut short. Its rows have no marks of their own, so the load begins again.
        connection.query(&format!("DROP TABLE {name}"))?;
        create(connection, table)?;
    }
    let style = "{msg:12} {wide_bar} {human_pos}/{human_len} rows  {per_sec}";
    let bar =
        ProgressBar::new(wanted as u64).with_style(ProgressStyle::with_template(style)?).with_message(name);
    let reader = reader.with_batch_size(BATCH_ROWS).with_limit(wanted).build()?;
    for batch in reader {
        let batch = batch?;
        send(connection, name, &batch)?;
        bar.inc(batch.num_rows() as u64);
    }
    bar.finish();
    let stored: usize = connection.query(&format!("SELECT count() FROM {name}"))?.trim().parse()?;
    if stored != wanted {
        bail!("{name}: {wanted} rows were sent, {stored} are there");
    }
    println!("{name}: {stored} rows loaded in {:.1} s", bar.elapsed().as_secs_f64());
    Ok(())
}

fn create(connection: &mut Connection, Table { name, columns, .. }: &Table) -> Result<()> {
    connection.query(&format!(
        "CREATE TABLE IF NOT EXISTS {name} ({columns}) ENGINE = MergeTree ORDER BY (origin, ts)"
    ))?;
    Ok(())
}

fn send(connection: &mut Connection, table: &str, batch: &RecordBatch) -> Result<()> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    let request = Request::insert(&format!("INSERT INTO {table} FORMAT ArrowStream"), writer.into_inner()?);
    let response = connection.send(&request).context("the node did not answer")?;
    if response.status != 200 {
        bail!("{}: {}", response.status, response.text());
    }
    Ok(())
}
