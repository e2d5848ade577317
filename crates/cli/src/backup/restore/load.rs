//! Rows of a backup on their way into a table.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use indicatif::{ProgressBar, ProgressStyle};
use zepto_backup::{Backup, Contents, Repository, TableRows, contents};
use zepto_common::ErrorCode;
use zepto_common::error::Retry;
use zepto_common::schema::TableSchema;

use super::{columns, table as name_of};
use crate::client::{Client, Refused};

/// Rows of one INSERT at most.
const BATCH_ROWS: usize = 65_536;
/// How often one INSERT is tried.
const TRIES: u32 = 10;
/// Wait after the first; doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest wait.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What went into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) rows: u64,
    /// Logical sum of the rows.
    pub(super) sum: u64,
}

/// Inserts a table's rows.
pub(super) async fn table(
    repository: &Repository,
    backup: &Backup,
    contents: &Contents,
    client: &Client,
    schema: &Arc<TableSchema>,
) -> Result<Sum> {
    let all = contents.rows_of(schema.id)?;
    // Some of them may belong to partitions that another node gives.
    let style = "{msg:24} {wide_bar} {human_pos}/{human_len} rows  {per_sec}";
    let bar = ProgressBar::new(all.iter().map(|it| it.rows).sum())
        .with_style(ProgressStyle::with_template(style)?)
        .with_message(schema.name.to_string());
    let mut sum = contents::sum_of(schema.id);
    for wanted in &all {
        let aside = tempfile::tempdir()?;
        let path = repository.fetch(&wanted.file, aside.path(), &mut |_| {}).await?;
        let load = || -> Result<()> {
            let segment = contents::open(&path, Some(wanted.rows))?;
            for (number, batch) in contents::batches(&segment, wanted, schema, BATCH_ROWS).enumerate() {
                let batch = batch?;
                insert(client, schema, &token(backup, wanted, number), &batch)?;
                sum.add(&batch)?;
                bar.inc(batch.num_rows() as u64);
            }
            Ok(())
        };
        tokio::task::block_in_place(load).with_context(|| format!("{}: {}", schema.name, wanted.file.at))?;
    }
    bar.finish_and_clear();
    Ok(Sum { rows: sum.rows, sum: sum.sum })
}

/// Names one INSERT, so that one that is sent again is stored once.
fn token(backup: &Backup, wanted: &TableRows, number: usize) -> String {
    format!("restore {} {} {} {number}", backup.name, backup.created_nanos, wanted.file.at)
}

fn insert(client: &Client, schema: &TableSchema, token: &str, batch: &RecordBatch) -> Result<()> {
    let mut rows = Vec::new();
    let mut writer = StreamWriter::try_new(&mut rows, &batch.schema())?;
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    let statement = format!("INSERT INTO {} ({}) FORMAT ArrowStream", name_of(&schema.name), columns(schema));
    let (mut pause, mut tries) = (PAUSE, 1);
    loop {
        let params = [("insert_deduplication_token", token), ("insert_deduplicate", "1")];
        let Err(error) = client.insert(&statement, &mut rows.as_slice(), &params) else { return Ok(()) };
        if tries == TRIES || !may_pass(&error) {
            return Err(error.context(format!("{} rows, tried {tries} times", batch.num_rows())));
        }
        #[expect(clippy::disallowed_methods, reason = "nothing tells when the server takes rows again")]
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
        tries += 1;
    }
}

/// Whether an error may be gone the next time: of the way, or one that asks to come again.
fn may_pass(error: &anyhow::Error) -> bool {
    let Some(Refused(text)) = error.downcast_ref::<Refused>() else { return true };
    let number = text.strip_prefix("Code: ").and_then(|rest| rest.split_once('.')).map(|(number, _)| number);
    let number = number.and_then(|it| it.parse().ok());
    let code = ErrorCode::ALL.iter().find(|code| Some(code.number()) == number);
    code.is_none_or(|code| !matches!(code.retry(), Retry::Never))
}
