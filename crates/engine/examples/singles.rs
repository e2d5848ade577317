//! Measures single rows from many writers, without HTTP:
//! `cargo run --release -p zepto-engine --example singles -- [rows per second] [seconds]`, 0 rows per second = as fast as
//! answers come. 64 writers send one row at a time by schedule; the figures are the time from when a row was due to its
//! acknowledgement, and the processor time per row of the drain threads and of the writers.

#[path = "shared/processor_time.rs"]
mod processor_time;
#[path = "shared/ticks.rs"]
mod ticks;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use zepto_common::schema::TableSchema;
use zepto_common::service::{RowSink, WriteRequest};
use zepto_common::{Error, Result};
use zepto_engine::{Store, StoreOptions};

use processor_time::nanos_of_threads;
use ticks::table;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WRITERS: u32 = 64;

fn row(schema: &TableSchema, writer: u32, tick: i64) -> Result<RecordBatch> {
    let storage = schema.storage_schema();
    let columns: [ArrayRef; 4] = [
        Arc::new(StringArray::from_iter_values([format!("S{:05}", writer % 100)])),
        Arc::new(Int64Array::from_iter_values([1_704_205_800_000_000_000 + tick])),
        Arc::new(Float64Array::from_iter_values([tick as f64 / 4.0])),
        Arc::new(Int64Array::from_iter_values([tick])),
    ];
    let columns: std::result::Result<Vec<ArrayRef>, _> =
        columns.iter().zip(storage.fields()).map(|(column, field)| cast(column, field.data_type())).collect();
    Ok(RecordBatch::try_new(storage.clone(), columns?)?)
}

/// One writer's times.
async fn write(
    store: Arc<Store>,
    schema: Arc<TableSchema>,
    writer: u32,
    step: Duration,
    end: Instant,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut due = Instant::now() + step * writer / WRITERS;
    while due < end {
        if step.is_zero() {
            due = Instant::now();
        }
        tokio::time::sleep_until(due.into()).await;
        let rows = row(&schema, writer, times.len() as i64)?;
        let request = WriteRequest { table: schema.clone(), batch: None, block: 0, repeatable: true, rows };
        store.write(request, Instant::now() + Duration::from_secs(60)).await?;
        times.push(due.elapsed());
        due += step;
    }
    Ok(times)
}

#[expect(clippy::print_stdout, reason = "the figures are this program's result")]
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, default: u32| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (rate, seconds) = (number(0, 6_000), number(1, 5));
    let fault = |error: std::io::Error| Error::internal(error.to_string());
    let folder = std::env::temp_dir().join(format!("zepto-singles-{}", std::process::id()));
    let store = Store::open(StoreOptions::new(&folder))?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).thread_name("writer").enable_all().build().map_err(fault)?;
    let schema = runtime.block_on(store.create_table(table()))?;
    let step = if rate == 0 { Duration::ZERO } else { Duration::from_secs(1) * WRITERS / rate };
    let start = Instant::now();
    let end = start + Duration::from_secs(u64::from(seconds));
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| runtime.spawn(write(store.clone(), schema.clone(), writer, step, end)))
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(runtime.block_on(task).map_err(|error| Error::internal(error.to_string()))??);
    }
    let took = start.elapsed();
    times.sort_unstable();
    let (rows, syncs) = (times.len() as f64, store.stats().syncs as f64);
    let at = |share: f64| times[((rows * share) as usize).min(times.len() - 1)].as_secs_f64() * 1e3;
    let micros = |name| nanos_of_threads(name) as f64 / rows / 1e3;
    println!(
        "{:.1} k/s: p50 {:.2} ms, p99 {:.2} ms; {:.1} rows per sync; drain {:.1} µs per row, writers {:.1}, background {:.1}",
        rows / took.as_secs_f64() / 1e3,
        at(0.5),
        at(0.99),
        rows / syncs,
        micros("zepto-drain"),
        micros("writer"),
        micros("zepto-backgroun"),
    );
    store.close()?;
    drop(store);
    std::fs::remove_dir_all(&folder).map_err(fault)
}
