//! Measures the processor time of sealing, flushing and reading of one million rows: `cargo run -p zepto-engine --example seal`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::compute::cast;
use rustix::time::{ClockId, clock_gettime};
use zepto_common::partition::{group_rows, partitions_of};
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::types::ColumnType;
use zepto_common::{ColumnId, Result, SchemaVersion, TableId};
use zepto_engine::chunk::Chunk;
use zepto_engine::disk::RealDisk;
use zepto_engine::part::{Part, Selection};
use zepto_engine::run::Run;
use zepto_engine::segment::{Codec, Segment};

const ROWS: usize = 1 << 20;
const CHUNK_ROWS: usize = 65_536;

fn schema() -> Arc<TableSchema> {
    let types = [ColumnType::Symbol, ColumnType::Float64, ColumnType::Int64, ColumnType::DateTime64(9, None)];
    let names = ["symbol", "price", "volume", "timestamp"];
    let column = |(i, (ty, name)): (usize, (ColumnType, &str))| Column {
        id: ColumnId(i as u32 + 1),
        name: name.to_owned(),
        ty,
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    Arc::new(TableSchema {
        id: TableId(1),
        version: SchemaVersion(1),
        name: TableName::new("default", "trades"),
        columns: types.into_iter().zip(names).enumerate().map(column).collect(),
        key: Some(ColumnId(1)),
        time: Some(ColumnId(4)),
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: String::new(),
        comment: String::new(),
    })
}

fn chunks(schema: &Arc<TableSchema>, keys: usize) -> Result<Vec<Arc<Chunk>>> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    (0..ROWS / CHUNK_ROWS)
        .map(|block| {
            let symbols: Vec<String> = (0..CHUNK_ROWS).map(|_| format!("SYM{:06}", next() % keys)).collect();
            let prices = (0..CHUNK_ROWS).map(|_| 100.0 + (next() % 10_000) as f64 / 100.0);
            let price: ArrayRef = Arc::new(Float64Array::from_iter_values(prices));
            let volume: ArrayRef =
                Arc::new(Int64Array::from_iter_values((0..CHUNK_ROWS).map(|_| (next() % 1000) as i64)));
            let start = 1_700_000_000_000_000_000 + (block * CHUNK_ROWS) as i64 * 1000;
            let ticks = (0..CHUNK_ROWS as i64).map(|i| start + i * 1000 + (next() % 1000) as i64);
            let time: ArrayRef = Arc::new(TimestampNanosecondArray::from_iter_values(ticks));
            let symbol = cast(&StringArray::from(symbols), &ColumnType::Symbol.storage_type())?;
            let partitions = partitions_of(&symbol, 256)?;
            let batch = RecordBatch::try_new(schema.storage_schema(), vec![symbol, price, volume, time])?;
            let grouped = group_rows(&batch, &partitions, 256, 1, |_| 0)?.remove(0);
            Ok(Arc::new(Chunk::new(Arc::clone(schema), grouped.rows, grouped.parts)?))
        })
        .collect()
}

/// Processor time of this thread: what other programs do counts less than by the clock on the wall.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[expect(clippy::print_stdout, reason = "the figures are this program's result")]
fn say(what: &str, start: Duration, rows: usize) {
    println!("{what:40} {:8.1} ns/row", (cpu() - start).as_nanos() as f64 / rows.max(1) as f64);
}

fn read(part: &Part, schema: &Arc<TableSchema>, selection: &Selection) -> Result<usize> {
    let all: Vec<usize> = (0..schema.columns.len()).collect();
    let ranges = part.select(selection);
    part.scan(schema, &all, &ranges, 8192).map(|batch| batch.map(|batch| batch.num_rows())).sum()
}

fn main() -> Result<()> {
    let schema = schema();
    let folder = std::env::temp_dir().join(format!("zepto-seal-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| zepto_common::Error::internal(error.to_string()))?;
    for keys in [1, 100, 10_000, 100_000] {
        let chunks = chunks(&schema, keys)?;
        let start = cpu();
        let run = Arc::new(Run::build(&schema, &chunks)?);
        say(&format!("{keys} keys: build"), start, ROWS);
        let halves = [
            Part::Run(Arc::new(Run::build(&schema, &chunks[..8])?)),
            Part::Run(Arc::new(Run::build(&schema, &chunks[8..])?)),
        ];
        let start = cpu();
        Run::merge(&schema, &halves)?;
        say(&format!("{keys} keys: merge two halves"), start, ROWS);
        let start = cpu();
        let rows = read(&Part::Run(Arc::clone(&run)), &schema, &Selection::default())?;
        say(&format!("{keys} keys: scan the run"), start, rows);
        for codec in [Codec::None, Codec::Lz4, Codec::Zstd, Codec::Snappy] {
            flush(&schema, &run, codec, &folder, keys)?;
        }
    }
    std::fs::remove_dir_all(&folder).map_err(|error| zepto_common::Error::internal(error.to_string()))
}

#[expect(clippy::print_stdout, reason = "the figures are this program's result")]
fn flush(schema: &Arc<TableSchema>, run: &Arc<Run>, codec: Codec, folder: &Path, keys: usize) -> Result<()> {
    let path = folder.join(format!("{keys}-{codec:?}.parquet"));
    let start = cpu();
    let segment = Segment::write(&RealDisk, &path, run, codec)?;
    say(&format!("{keys} keys: write {codec:?}"), start, ROWS);
    println!("{:40} {:8.1} B/row", "", segment.file_bytes() as f64 / ROWS as f64);
    segment.cool();
    let start = cpu();
    let segment = Arc::new(Segment::open(&RealDisk, &path)?);
    println!(
        "{:40} {:8.2} ms",
        format!("{keys} keys: open {codec:?}"),
        (cpu() - start).as_secs_f64() * 1000.0
    );
    let start = cpu();
    let rows = read(&Part::Segment(Arc::clone(&segment)), schema, &Selection::default())?;
    say(&format!("{keys} keys: scan the file {codec:?}"), start, rows);
    let start = cpu();
    segment.load()?;
    say(&format!("{keys} keys: load {codec:?}"), start, ROWS);
    Ok(())
}
