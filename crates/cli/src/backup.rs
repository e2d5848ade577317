//! `zepto backup`: a node's or a cluster's data in a folder or in S3, and back.

mod create;
mod restore;
mod verify;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use zepto_backup::repository::{Lock, S3Options};
use zepto_backup::{Backup as Document, Repository};

pub(crate) use restore::Restore;

/// What can be done with backups.
#[derive(Subcommand)]
pub(crate) enum Backup {
    /// Makes a backup: every row that was acknowledged before it began. Only files that the place does not have yet are sent
    Create(create::Create),
    /// Shows the backups, the oldest first
    List(List),
    /// Reads every file of a backup and verifies its checksums
    Verify(verify::Verify),
    /// Restores a backup into an empty node or cluster of any size
    Restore(Restore),
    /// Removes all but the newest backups, and the files that only they had
    Prune(Prune),
}

/// Where backups lie.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// A folder, or s3://bucket/prefix. Credentials for S3 are those of the environment: AWS_ACCESS_KEY_ID and
    /// AWS_SECRET_ACCESS_KEY, a web identity, or the machine's role
    #[arg(long = "at", env = "ZEPTO_BACKUP_AT", value_name = "FOLDER|S3-URL")]
    root: String,
    /// A server that speaks S3, instead of Amazon's
    #[arg(long, env = "ZEPTO_BACKUP_S3_ENDPOINT", value_name = "URL")]
    s3_endpoint: Option<String>,
    /// Region of the bucket
    #[arg(long, env = "AWS_REGION", value_name = "NAME")]
    s3_region: Option<String>,
}

impl Place {
    fn open(&self, make: bool) -> Result<Repository> {
        let options = S3Options { endpoint: self.s3_endpoint.clone(), region: self.s3_region.clone() };
        Ok(Repository::open(&self.root, &options, make)?)
    }
}

/// Lists backups.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
    /// As JSON, one document per line
    #[arg(long)]
    json: bool,
}

/// Removes old backups.
#[derive(Args)]
pub(crate) struct Prune {
    #[command(flatten)]
    place: Place,
    /// How many of the newest stay
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    keep: u32,
}

impl Backup {
    /// Does it.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        match self {
            Self::Create(create) => wait(create.run())?,
            Self::List(list) => wait(list.run())?,
            Self::Verify(verify) => wait(verify.run())?,
            Self::Restore(restore) => return restore.run(),
            Self::Prune(prune) => wait(prune.run())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(&self) -> Result<()> {
        let backups = self.place.open(false)?.backups().await?;
        if self.json {
            for backup in &backups {
                println!("{}", serde_json::to_string(backup)?);
            }
            return Ok(());
        }
        println!("{:32} {:>20} {:>6} {:>8} {:>12}", "NAME", "CREATED (UTC)", "NODES", "FILES", "BYTES");
        for backup in &backups {
            println!(
                "{:32} {:>20} {:>6} {:>8} {:>12}",
                backup.name,
                date(backup.created_nanos),
                backup.nodes.len(),
                backup.files().len(),
                backup.bytes()
            );
        }
        Ok(())
    }
}

impl Prune {
    async fn run(&self) -> Result<()> {
        prune(&self.place.open(false)?, self.keep).await
    }
}

/// Keeps the newest.
async fn prune(repository: &Repository, keep: u32) -> Result<()> {
    let mut lock = repository.lock("zepto backup prune").await?;
    let pruned = repository.prune(keep as usize, &mut lock).await;
    let pruned = released(lock, pruned.map_err(anyhow::Error::from)).await?;
    for name in &pruned.backups {
        println!("removed {name}");
    }
    println!(
        "{} backups, {} files and {} bytes were removed",
        pruned.backups.len(),
        pruned.files,
        pruned.bytes
    );
    Ok(())
}

/// Lets others write; what the work says goes before what the lock does.
async fn released<T>(lock: Lock, work: Result<T>) -> Result<T> {
    let released = lock.release().await;
    let done = work?;
    released?;
    Ok(done)
}

/// Runs what talks to the place.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(work)
}

/// The backup of this name, or the newest.
async fn named(repository: &Repository, name: Option<&str>) -> Result<Document> {
    match name {
        Some(name) => Ok(repository.backup(name).await?),
        None => {
            let newest = repository.backups().await?.pop();
            newest.with_context(|| format!("there is no backup in {}", repository.root()))
        }
    }
}

/// A bar that counts bytes.
fn bar(total: u64, what: &str) -> Result<ProgressBar> {
    let style = "{msg:12} {wide_bar} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}";
    Ok(ProgressBar::new(total).with_style(ProgressStyle::with_template(style)?).with_message(what.to_owned()))
}

/// `2026-11-30 02:00:00` of nanoseconds since 1970.
fn date(nanos: i64) -> String {
    use arrow::temporal_conversions::timestamp_ns_to_datetime;
    timestamp_ns_to_datetime(nanos).map(|at| at.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}
