//! The statements of a bootstrap file, run once on a fresh data directory.
//!
//! All or none of them: a marker file stands in the data directory while they run, before anybody can connect. A start
//! that finds it drops what the unfinished one left and begins again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use zepto_common::schema::DEFAULT_DATABASE;
use zepto_common::service::{QueryService, RequestContext, Role};
use zepto_engine::Store;
use zepto_query::SqlService;

use crate::node::{StartError, part, system};

/// Stands in the data directory while the statements run.
const MARKER: &str = "BOOTSTRAPPING";
/// Time for the statements of the file together.
const TIME: Duration = Duration::from_secs(300);

/// Runs the file's statements if the catalog has no table yet, or if an earlier run of them did not come to its end.
///
/// # Errors
/// The first statement's that fails; nothing of the others is kept at the next start.
pub(crate) async fn run(
    path: &Path,
    data_dir: &Path,
    store: &Store,
    queries: &SqlService,
) -> Result<(), StartError> {
    let marker = data_dir.join(MARKER);
    if marker.exists() {
        tracing::warn!("an earlier bootstrap did not come to its end: it begins again");
        clear(store).await?;
    } else if store.catalog().tables().next().is_some() {
        return Ok(());
    }
    let text = std::fs::read_to_string(path).map_err(system(path.display().to_string()))?;
    mark(&marker, data_dir)?;
    let deadline = Instant::now() + TIME;
    for (number, statement) in zepto_query::split_statements(&text).into_iter().enumerate() {
        let context = context_of(number, deadline);
        let answer = queries.run(&statement, context).await.map_err(part("bootstrap"))?;
        if let Some((_, mut rows)) = answer.rows {
            while let Some(batch) = futures::StreamExt::next(&mut rows).await {
                batch.map_err(part("bootstrap"))?;
            }
        }
    }
    std::fs::remove_file(&marker).map_err(system(marker.display().to_string()))?;
    sync_dir(data_dir)?;
    tracing::info!(file = %path.display(), "bootstrap statements done");
    Ok(())
}

fn context_of(number: usize, deadline: Instant) -> RequestContext {
    RequestContext {
        query_id: format!("bootstrap_{number}"),
        user: "bootstrap".to_owned(),
        role: Role::Admin,
        database: DEFAULT_DATABASE.to_owned(),
        settings: std::collections::BTreeMap::new(),
        params: std::collections::BTreeMap::new(),
        external_tables: Vec::new(),
        read_only: false,
        deadline,
        cancel: CancellationToken::new(),
    }
}

/// Drops everything; views first, because what they follow cannot go before them.
async fn clear(store: &Store) -> Result<(), StartError> {
    let catalog = store.catalog();
    for view in catalog.views() {
        store.drop_view(&view.name).await.map_err(part("bootstrap"))?;
    }
    for table in store.catalog().tables() {
        store.drop_table(&table.name).await.map_err(part("bootstrap"))?;
    }
    for database in store.catalog().databases().iter().filter(|name| *name != DEFAULT_DATABASE) {
        store.drop_database(database).await.map_err(part("bootstrap"))?;
    }
    Ok(())
}

fn mark(marker: &PathBuf, data_dir: &Path) -> Result<(), StartError> {
    let file = File::create(marker).and_then(|file| file.sync_all());
    file.map_err(system(marker.display().to_string()))?;
    sync_dir(data_dir)
}

fn sync_dir(dir: &Path) -> Result<(), StartError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(system(dir.display().to_string()))
}
