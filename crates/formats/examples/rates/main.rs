//! How fast each format is written and read on one thread, beside a real ClickHouse: `cargo xtask bench formats`.
//!
//! The same rows and files for both. Times are processor time of the working thread, medians of five turns or more after one
//! that is not counted. Ours writes batches of a result into a buffer that is used again, and reads a file in memory in
//! pieces of 256 KiB; `oracle.py` beside this file says what ClickHouse does. Without an argument only ours is measured;
//! the first argument is the Python interpreter that has ClickHouse (`chdb`), or `-` for none, and more arguments are the
//! names of the formats that are measured.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that speaks to its terminal")]

mod data;

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::RecordBatch;
use zepto_common::schema::TableSchema;
use zepto_formats::{Format, FormatSettings, ResultTotals, decoder, encoder};

use data::DataSet;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Turns of which the median counts: at least so many, and more until they took this long together, at most so many. What
/// takes a few milliseconds varies most.
const TURNS: usize = 5;
const TURNS_MAX: usize = 41;
const TURNS_SECONDS: f64 = 0.5;
/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// Seconds for all rows; None where the format has no such direction.
#[derive(Clone, Copy, Default)]
struct Seconds {
    write: Option<f64>,
    read: Option<f64>,
}

fn main() -> Result<()> {
    let oracle = std::env::args().nth(1).filter(|python| python != "-");
    let only: Vec<String> = std::env::args().skip(2).collect();
    let formats = formats(&only)?;
    for set in data::sets() {
        let folder = tempfile::Builder::new().prefix("formats-").tempdir_in(memory_folder())?;
        let (storage, rows) = set.rows()?;
        let mut ours = Vec::new();
        for format in &formats {
            ours.push(measure(*format, &set, &storage, &rows, folder.path())?);
            eprintln!("{}: {}", set.name, format.name());
        }
        let theirs = match &oracle {
            Some(python) => ask_oracle(python, folder.path(), &set, &formats)?,
            None => HashMap::new(),
        };
        print_table(&set, &formats, &ours, &theirs);
    }
    Ok(())
}

/// A folder whose files are in memory, where there is one.
fn memory_folder() -> &'static Path {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared } else { Path::new("/tmp") }
}

/// What is measured. A header is written once, so the forms with names are left out; formats for people show the first
/// rows only.
fn formats(only: &[String]) -> Result<Vec<Format>> {
    let write_only = ["JSONStrings", "JSONCompactStrings", "Markdown"];
    let wanted = |format: &Format| {
        let both = format.can_read() && format.can_write() && !format.name().contains("With");
        both || write_only.contains(&format.name())
    };
    let all: Vec<Format> = Format::ALL.iter().copied().filter(wanted).collect();
    if only.is_empty() {
        return Ok(all);
    }
    let named = |name: &String| {
        let found = all.iter().find(|format| format.name() == name).copied();
        found.ok_or_else(|| format!("{name} is no format that is measured").into())
    };
    only.iter().map(named).collect()
}

/// Measures one format and leaves its file in the folder if it can be read.
fn measure(
    format: Format,
    set: &DataSet,
    storage: &[RecordBatch],
    rows: &[RecordBatch],
    folder: &Path,
) -> Result<Seconds> {
    let settings = FormatSettings::default();
    let write = median(|| writing(format, &settings, rows))?;
    if !format.can_read() {
        return Ok(Seconds { write: Some(write), read: None });
    }
    let path = folder.join(format.name());
    std::fs::write(&path, whole(format, &settings, storage)?)?;
    let read = median(|| reading(format, &set.table(), &settings, &path, set.rows))?;
    Ok(Seconds { write: Some(write), read: Some(read) })
}

/// The median of the turns after the first.
fn median(mut turn: impl FnMut() -> Result<f64>) -> Result<f64> {
    turn()?;
    let mut times = Vec::new();
    while times.len() < TURNS || (times.len() < TURNS_MAX && times.iter().sum::<f64>() < TURNS_SECONDS) {
        times.push(turn()?);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Seconds of processor time of this thread.
fn processor_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn whole(format: Format, settings: &FormatSettings, rows: &[RecordBatch]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = encoder(format, rows[0].schema(), settings)?;
    writer.begin(&mut out)?;
    for batch in rows {
        writer.batch(batch, &mut out)?;
    }
    writer.finish(&ResultTotals::default(), &mut out)?;
    Ok(out)
}

fn writing(format: Format, settings: &FormatSettings, rows: &[RecordBatch]) -> Result<f64> {
    let start = processor_seconds();
    let mut out = Vec::new();
    let mut writer = encoder(format, rows[0].schema(), settings)?;
    writer.begin(&mut out)?;
    for batch in rows {
        writer.batch(batch, &mut out)?;
        std::hint::black_box(&out);
        out.clear();
    }
    writer.finish(&ResultTotals::default(), &mut out)?;
    Ok(processor_seconds() - start)
}

fn reading(
    format: Format,
    table: &Arc<TableSchema>,
    settings: &FormatSettings,
    path: &Path,
    rows: usize,
) -> Result<f64> {
    let start = processor_seconds();
    let mut file = File::open(path)?;
    let mut reader = decoder(format, table, None, settings, None)?;
    let (mut piece, mut out, mut found) = (vec![0; PIECE], Vec::new(), 0);
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            break;
        }
        reader.push(&piece[..length], &mut out)?;
        found += out.drain(..).map(|batch: RecordBatch| batch.num_rows()).sum::<usize>();
    }
    reader.finish(&mut out)?;
    found += out.iter().map(RecordBatch::num_rows).sum::<usize>();
    if found != rows {
        return Err(format!("{}: {found} rows of {rows}", format.name()).into());
    }
    Ok(processor_seconds() - start)
}

/// ClickHouse's seconds by format.
fn ask_oracle(
    python: &str,
    folder: &Path,
    set: &DataSet,
    formats: &[Format],
) -> Result<HashMap<String, Seconds>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rates/oracle.py");
    let mut command = Command::new(python);
    command.arg(script).arg(folder).arg(set.columns).args(formats.iter().map(|format| format.name()));
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the oracle ended with {}", output.status).into());
    }
    let mut found = HashMap::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let mut parts = line.split('\t');
        let (Some(name), Some(write), Some(read)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!("the oracle says {line:?}").into());
        };
        let number = |text: &str| text.parse::<f64>().map(|seconds| Some(seconds).filter(|s| s.is_finite()));
        found.insert(name.to_owned(), Seconds { write: number(write)?, read: number(read)? });
    }
    Ok(found)
}

fn print_table(set: &DataSet, formats: &[Format], ours: &[Seconds], theirs: &HashMap<String, Seconds>) {
    println!("\n{}: {} rows of {}; M rows/s of one core\n", set.name, set.rows, set.columns);
    println!("| format | write: ours | ClickHouse | ratio | read: ours | ClickHouse | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for (format, ours) in formats.iter().zip(ours) {
        let theirs = theirs.get(format.name()).copied().unwrap_or_default();
        let write = cells(set.rows, ours.write, theirs.write);
        let read = cells(set.rows, ours.read, theirs.read);
        println!("| {} | {write} | {read} |", format.name());
    }
}

/// Both rates and what ours is of theirs. Work that costs the oracle less than can be told from its scan has no rate.
fn cells(rows: usize, ours: Option<f64>, theirs: Option<f64>) -> String {
    let rate = |seconds: f64| format!("{:.2}", rows as f64 / seconds / 1e6);
    let theirs = theirs.filter(|seconds| *seconds > 0.0);
    let ratio = ours.zip(theirs).map(|(ours, theirs)| format!("{:.2}", theirs / ours));
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    format!("{} | {} | {}", or_dash(ours.map(rate)), or_dash(theirs.map(rate)), or_dash(ratio))
}
