//! Restoring a backup: tables and views are made, rows are inserted as any client's are, and then compared.

mod compare;
mod load;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use zepto_backup::{Backup, Contents, Repository};
use zepto_common::catalog::{Catalog, ViewDefinition};
use zepto_common::schema::{TableName, TableSchema};
use zepto_query::backticks;

use super::{Place, bar, named, wait};
use crate::client::{Client, Server};

/// Between two looks whether the server is ready.
const READY_PAUSE: Duration = Duration::from_secs(1);

/// How long one statement may take until its answer begins.
const ANSWER_WAIT: Duration = Duration::from_secs(15 * 60);
/// How long a table may take to be read back.
const TABLE_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Restores a backup.
#[derive(Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    place: Place,
    /// Its name; the newest by default
    name: Option<String>,
    /// Only this database or table; may be given several times
    #[arg(long, value_name = "DATABASE[.TABLE]")]
    only: Vec<String>,
    /// Ends when the rows are in, without reading them back to compare their sums
    #[arg(long)]
    no_compare: bool,
    /// Writes a data directory for one storage node instead, with deduplication windows and states of views: only of a node that stood
    /// alone. It must not exist
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["only", "no_compare"])]
    data_dir: Option<PathBuf>,
    /// Waits so long for the server to be ready
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait_seconds: u64,
    #[command(flatten)]
    server: Server,
}

impl Restore {
    /// Does it.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        wait(self.work())
    }

    async fn work(&self) -> Result<ExitCode> {
        let repository = self.place.open(false)?;
        let backup = named(&repository, self.name.as_deref()).await?;
        if let Some(folder) = &self.data_dir {
            data_dir(&repository, &backup, folder).await?;
            println!("{}: start a storage node with --data-dir {}", backup.name, folder.display());
            return Ok(ExitCode::SUCCESS);
        }
        let contents = Contents::read(&repository, &backup).await?;
        let client = Client::new(&self.server)?.with_waits(ANSWER_WAIT, TABLE_WAIT)?;
        self.wait_ready(&client).await?;
        let tables: Vec<_> = contents.catalog().tables().filter(|it| self.wants(&it.name)).cloned().collect();
        require_empty(&client, &tables)?;
        make_tables(&client, contents.catalog(), &tables)?;
        // Before the rows: a materialized view counts what comes after it.
        let views = contents.catalog().views().filter(|it| self.wants(&it.name)).map(AsRef::as_ref).collect();
        let left = make_views(&client, views);
        let mut different = Vec::new();
        for schema in &tables {
            let loaded = load::table(&repository, &backup, &contents, &client, schema).await?;
            println!("{}: {} rows were restored", schema.name, loaded.rows);
            if !self.no_compare && schema.ttl_seconds.is_some() {
                println!("{}: it has a TTL, so its rows are not compared", schema.name);
            } else if !self.no_compare {
                let there = compare::table(&client, schema)?;
                if there != loaded {
                    different.push(format!(
                        "{}: {} rows with sum {:016x} were sent, {} with {:016x} are there",
                        schema.name, loaded.rows, loaded.sum, there.rows, there.sum
                    ));
                }
            }
        }
        for fault in left.iter().chain(&different) {
            eprintln!("{fault}");
        }
        if !different.is_empty() {
            bail!("{} tables do not have the rows of the backup", different.len());
        }
        let compared = if self.no_compare { "not compared" } else { "compared" };
        println!("{}: {} tables were restored and {compared}", backup.name, tables.len());
        Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
    }

    async fn wait_ready(&self, client: &Client) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(self.wait_seconds);
        loop {
            let Err(error) = client.get("/ready") else { return Ok(()) };
            if Instant::now() >= until {
                return Err(error.context(format!("{} is not ready", client.url())));
            }
            tokio::time::sleep(READY_PAUSE).await;
        }
    }

    fn wants(&self, name: &TableName) -> bool {
        self.only.is_empty() || self.only.iter().any(|it| *it == name.database || *it == name.to_string())
    }
}

/// A table as it is written in a statement.
fn table(name: &TableName) -> String {
    format!("{}.{}", backticks(&name.database), backticks(&name.table))
}

/// Its columns as they are written in a statement.
fn columns(schema: &TableSchema) -> String {
    schema.columns.iter().map(|column| backticks(&column.name)).collect::<Vec<_>>().join(", ")
}

/// Rows that are there already could not be told from those of the backup.
fn require_empty(client: &Client, tables: &[std::sync::Arc<TableSchema>]) -> Result<()> {
    let mut taken = Vec::new();
    for schema in tables {
        let name = table(&schema.name);
        if client.text(&format!("EXISTS TABLE {name}"))?.trim() == "1"
            && client.text(&format!("SELECT count() FROM {name}"))?.trim() != "0"
        {
            taken.push(schema.name.to_string());
        }
    }
    if !taken.is_empty() {
        bail!("{} has rows in {}: drop or rename these tables first", client.url(), taken.join(", "));
    }
    Ok(())
}

fn make_tables(client: &Client, catalog: &Catalog, tables: &[std::sync::Arc<TableSchema>]) -> Result<()> {
    for database in catalog.databases() {
        if tables.iter().any(|it| it.name.database == *database) {
            client.text(&format!("CREATE DATABASE IF NOT EXISTS {}", backticks(database)))?;
        }
    }
    for schema in tables {
        let create =
            zepto_query::create_table(schema).replacen("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1);
        client.text(&create).with_context(|| create.clone())?;
    }
    Ok(())
}

/// Makes the views, those that others need first; what is said of those that cannot be made here.
fn make_views(client: &Client, mut views: Vec<&ViewDefinition>) -> Vec<String> {
    loop {
        let before = views.len();
        let mut left = Vec::new();
        for view in views {
            let made = client.run(&view.sql, &[("database", &view.name.database)]);
            if let Err(error) = made {
                left.push((view, format!("view {} was not restored: {error:#}", view.name)));
            }
        }
        if left.is_empty() || left.len() == before {
            return left.into_iter().map(|(_, fault)| fault).collect();
        }
        views = left.into_iter().map(|(view, _)| view).collect();
    }
}

/// The data directory that a node which stood alone had.
async fn data_dir(repository: &Repository, backup: &Backup, folder: &std::path::Path) -> Result<()> {
    let [node] = backup.nodes.as_slice() else {
        bail!("{} is of {} nodes: restore it into a running cluster", backup.name, backup.nodes.len());
    };
    std::fs::create_dir(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    std::fs::create_dir(folder.join("segments"))?;
    let segments = node.segments.iter().map(|(path, file)| (path.as_str(), file));
    let files: Vec<_> = segments.chain([("CATALOG", &node.catalog), ("MANIFEST", &node.manifest)]).collect();
    let bar = bar(files.iter().map(|(_, file)| file.bytes).sum(), "restoring")?;
    for (path, file) in files {
        let aside = tempfile::tempdir_in(folder)?;
        let from = repository.fetch(file, aside.path(), &mut |bytes| bar.inc(bytes)).await?;
        let to = folder.join(path);
        std::fs::copy(&from, &to).with_context(|| to.display().to_string())?;
        std::fs::File::open(&to)?.sync_all()?;
    }
    std::fs::File::open(folder.join("segments"))?.sync_all()?;
    std::fs::File::open(folder)?.sync_all()?;
    bar.finish_and_clear();
    Ok(())
}
