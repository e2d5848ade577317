//! Verifying a backup: every byte of it is read.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use clap::Args;
use zepto_backup::{Contents, Repository, StoredFile, TableRows, contents};

use super::{Place, bar, named};

/// Verifies a backup.
#[derive(Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    place: Place,
    /// Its name; the newest by default
    name: Option<String>,
}

impl Verify {
    pub(super) async fn run(&self) -> Result<()> {
        let repository = self.place.open(false)?;
        let backup = named(&repository, self.name.as_deref()).await?;
        // Reads the catalogs and manifests, whose digests are verified.
        let contents = Contents::read(&repository, &backup).await?;
        let mut wanted: BTreeMap<String, Vec<TableRows>> = BTreeMap::new();
        let mut tables = 0;
        for schema in contents.catalog().tables() {
            tables += 1;
            for rows in contents.rows_of(schema.id)? {
                wanted.entry(rows.file.at.clone()).or_default().push(rows);
            }
        }
        let segments = backup.segments();
        let bar = bar(segments.iter().map(|file| file.bytes).sum(), "verifying")?;
        let (mut rows, mut faults) = (0_u64, Vec::new());
        for file in segments {
            let wanted = wanted.get(&file.at).map_or(&[][..], Vec::as_slice);
            match check(&repository, file, wanted, &bar).await {
                Ok(found) => rows += found,
                Err(error) => faults.push(format!("{error:#}")),
            }
        }
        bar.finish_and_clear();
        if !faults.is_empty() {
            bail!("{} is damaged:\n{}", backup.name, faults.join("\n"));
        }
        println!("{}: {tables} tables and {rows} rows are whole", backup.name);
        Ok(())
    }
}

/// The rows of a segment that a restore would read, if all of its file is as it was written.
async fn check(
    repository: &Repository,
    file: &StoredFile,
    wanted: &[TableRows],
    bar: &indicatif::ProgressBar,
) -> Result<u64> {
    let aside = tempfile::tempdir()?;
    let path = repository.fetch(file, aside.path(), &mut |bytes| bar.inc(bytes)).await?;
    let count = || -> zepto_common::Result<u64> {
        let segment = contents::open(&path, wanted.first().map(|it| it.rows))?;
        Ok(wanted.iter().map(|wanted| contents::count(&segment, wanted)).sum())
    };
    Ok(tokio::task::block_in_place(count)?)
}
