//! Measures what rows cost the processor from bytes to Parquet, without HTTP:
//! `cargo run --release -p zepto-engine --example ingest -- [format] [keys] [rows] [rounds]`, format `rowbinary`
//! or `arrow`. Four writers send blocks of 10,000 rows; each round opens a store of its own.
//!
//! The figures are nanoseconds of processor time per row by group of threads, medians of all rounds: the edge
//! (decoding, partitions, regrouping, IPC), the drain threads (log, memtable) and the background (sorting,
//! indexes, Parquet).

#[path = "shared/processor_time.rs"]
mod processor_time;
#[path = "shared/ticks.rs"]
mod ticks;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow::ipc::writer::StreamWriter;
use zepto_common::schema::TableSchema;
use zepto_common::service::{RowSink, WriteRequest};
use zepto_common::{Error, Result};
use zepto_engine::{Store, StoreOptions};
use zepto_formats::{Format, FormatSettings, decoder};

use processor_time::{nanos_of, nanos_of_threads};
use ticks::table;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WRITERS: usize = 4;
const BATCH_ROWS: usize = 10_000;
/// Bytes that the door hands to a decoder at once.
const PUSH_BYTES: usize = 256 << 10;
/// First tick.
const START: i64 = 1_704_205_800_000_000_000;

/// Made-up rows of one writer.
struct Maker {
    state: u64,
    keys: u64,
    next: i64,
}

impl Maker {
    fn random(&mut self, below: u64) -> u64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % below
    }

    fn body(&mut self, format: Format) -> Result<Vec<u8>> {
        let rows: Vec<(u64, i64, f64, i64)> = (0..BATCH_ROWS)
            .map(|_| {
                self.next += 1_000_000;
                let key = self.random(self.keys);
                (key, self.next, self.random(99_000) as f64 / 100.0, self.random(1_000) as i64)
            })
            .collect();
        if format != Format::RowBinary {
            return arrow_stream(&rows);
        }
        let mut body = Vec::with_capacity(BATCH_ROWS * 32);
        for (key, time, price, volume) in rows {
            let symbol = format!("S{key:05}");
            body.push(symbol.len() as u8);
            body.extend_from_slice(symbol.as_bytes());
            body.extend_from_slice(&time.to_le_bytes());
            body.extend_from_slice(&price.to_le_bytes());
            body.extend_from_slice(&volume.to_le_bytes());
        }
        Ok(body)
    }
}

fn arrow_stream(rows: &[(u64, i64, f64, i64)]) -> Result<Vec<u8>> {
    let mut keys: Vec<u64> = rows.iter().map(|row| row.0).collect();
    keys.sort_unstable();
    keys.dedup();
    let ids = rows.iter().map(|row| keys.binary_search(&row.0).unwrap_or_default() as i32);
    let names = StringArray::from_iter_values(keys.iter().map(|key| format!("S{key:05}")));
    let symbols = DictionaryArray::try_new(Int32Array::from_iter_values(ids), Arc::new(names))?;
    let times = TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.1));
    let columns: [(&str, ArrayRef); 4] = [
        ("symbol", Arc::new(symbols)),
        ("timestamp", Arc::new(times)),
        ("price", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.2)))),
        ("volume", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.3)))),
    ];
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

/// Sends the bodies of one writer; the processor time that its thread took.
fn write_all(store: &Store, schema: &Arc<TableSchema>, bodies: &[Vec<u8>], format: Format) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::internal(error.to_string()))?;
    let settings = FormatSettings::from_map(&BTreeMap::new())?;
    for body in bodies {
        let mut blocks = Vec::new();
        let mut decoder = decoder(format, schema, None, &settings, None)?;
        for bytes in body.chunks(PUSH_BYTES) {
            decoder.push(bytes, &mut blocks)?;
        }
        decoder.finish(&mut blocks)?;
        for (block, rows) in (0u32..).zip(blocks) {
            let request = WriteRequest { table: schema.clone(), batch: None, block, repeatable: true, rows };
            runtime.block_on(store.write(request, Instant::now() + Duration::from_secs(60)))?;
        }
    }
    Ok(nanos_of(Path::new("/proc/thread-self")))
}

/// What one round took, in nanoseconds per row.
struct Figures {
    edge: f64,
    drain: f64,
    background: f64,
    /// The wall clock until the last acknowledgement.
    acknowledged: f64,
    /// Bytes of the segments per row.
    stored: f64,
}

fn round(folder: &Path, bodies: &[Vec<Vec<u8>>], format: Format) -> Result<Figures> {
    let fault = |error: std::io::Error| Error::internal(error.to_string());
    let store = Store::open(StoreOptions::new(folder))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fault)?;
    let schema = runtime.block_on(store.create_table(table()))?;
    let start = Instant::now();
    let edge: Result<Vec<u64>> = std::thread::scope(|scope| {
        let (store, schema) = (&store, &schema);
        let writers: Vec<_> = bodies
            .iter()
            .map(|bodies| edge(scope, move || write_all(store, schema, bodies, format)))
            .collect();
        let lost = |_| Err(Error::internal("a writer ended early"));
        writers.into_iter().map(|writer| writer.join().unwrap_or_else(lost)).collect()
    });
    let acknowledged = start.elapsed();
    runtime.block_on(store.checkpoint())?;
    runtime.block_on(store.look_now())?;
    let rows = (bodies.iter().map(Vec::len).sum::<usize>() * BATCH_ROWS) as f64;
    let figures = Figures {
        edge: edge?.iter().sum::<u64>() as f64 / rows,
        drain: nanos_of_threads("zepto-drain") as f64 / rows,
        background: nanos_of_threads("zepto-backgroun") as f64 / rows,
        acknowledged: acknowledged.as_nanos() as f64 / rows,
        stored: bytes_in(&folder.join("segments")) as f64 / rows,
    };
    store.close()?;
    Ok(figures)
}

/// Starts a thread whose name a profile shows.
fn edge<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    work: impl FnOnce() -> Result<T> + Send + 'scope,
) -> std::thread::ScopedJoinHandle<'scope, Result<T>> {
    let thread = std::thread::Builder::new().name("edge".to_owned());
    #[expect(clippy::expect_used, reason = "without threads there is nothing to measure")]
    thread.spawn_scoped(scope, work).expect("a thread can be started")
}

fn bytes_in(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::print_stdout, reason = "the figures are this program's result")]
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, default: usize| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let format = match arguments.first().map(String::as_str) {
        Some("arrow") => Format::ArrowStream,
        _ => Format::RowBinary,
    };
    let (keys, rows, rounds) = (number(1, 100_000), number(2, 4_000_000), number(3, 3));
    let bodies: Result<Vec<Vec<Vec<u8>>>> = (0..WRITERS)
        .map(|writer| {
            let mut maker =
                Maker { state: writer as u64 + 1, keys: keys as u64, next: START + writer as i64 };
            (0..rows / WRITERS / BATCH_ROWS).map(|_| maker.body(format)).collect()
        })
        .collect();
    let bodies = bodies?;
    let folder = std::env::temp_dir().join(format!("zepto-ingest-{}", std::process::id()));
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.push(round(&folder, &bodies, format)?);
        std::fs::remove_dir_all(&folder).map_err(|error| Error::internal(error.to_string()))?;
    }
    let of = |pick: fn(&Figures) -> f64| median(all.iter().map(pick).collect());
    println!(
        "{} {keys} keys: edge {:.1} + drain {:.1} = {:.1} ns/row foreground; background {:.1}; in all {:.1}; \
         acknowledged after {:.1}; {:.1} B/row stored",
        format.name(),
        of(|f| f.edge),
        of(|f| f.drain),
        of(|f| f.edge + f.drain),
        of(|f| f.background),
        of(|f| f.edge + f.drain + f.background),
        of(|f| f.acknowledged),
        of(|f| f.stored)
    );
    Ok(())
}
