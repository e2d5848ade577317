//! The statements of a bootstrap file, run once on a fresh data directory.
//!
//! All or none of them: a marker file stands in the data directory while they run, before anybody can connect. The next
//! start, with a file or without one, drops what the unfinished one left; nothing else can be there yet. Once: another
//! marker stays for good, so that a table that somebody drops does not come back.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use zepto_common::schema::DEFAULT_DATABASE;
use zepto_common::service::{QueryService, RequestContext, Role};
use zepto_engine::Store;
use zepto_query::SqlService;

use crate::node::{StartError, part, system};

/// Stands in the data directory while the statements run.
const MARKER: &str = "BOOTSTRAPPING";
/// Stands in the data directory once it is no fresh one any more.
const DONE: &str = "BOOTSTRAPPED";
/// Time for the statements of the file together.
const TIME: Duration = Duration::from_secs(300);

/// Runs the file's statements on a fresh data directory, or if an earlier run of them did not come to its end.
///
/// # Errors
/// The first statement's that fails; nothing of the others is kept at the next start.
pub(crate) async fn run(
    path: Option<&Path>,
    data_dir: &Path,
    alone: bool,
    store: &Store,
    queries: &SqlService,
) -> Result<(), StartError> {
    let (marker, done) = (data_dir.join(MARKER), data_dir.join(DONE));
    // What stands in a cluster's catalog may be another node's.
    if marker.exists() && alone {
        tracing::warn!("an earlier bootstrap did not come to its end: what it left is dropped");
        clear(store).await?;
    }
    let Some(path) = path else {
        // Whatever comes from now on is somebody's: no later start may take it for an unfinished bootstrap's.
        return if marker.exists() { unmark(&marker, data_dir) } else { Ok(()) };
    };
    if done.exists() {
        return Ok(());
    }
    if !is_empty(store) {
        return mark(&done, data_dir);
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
    std::fs::rename(&marker, &done).map_err(system(done.display().to_string()))?;
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
        ending: Arc::default(),
        read_only: false,
        deadline,
        cancel: CancellationToken::new(),
    }
}

fn is_empty(store: &Store) -> bool {
    let catalog = store.catalog();
    let databases = catalog.databases().iter().filter(|name| *name != DEFAULT_DATABASE).count();
    catalog.tables().next().is_none() && catalog.views().next().is_none() && databases == 0
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

fn unmark(marker: &Path, data_dir: &Path) -> Result<(), StartError> {
    std::fs::remove_file(marker).map_err(system(marker.display().to_string()))?;
    sync_dir(data_dir)
}

fn mark(marker: &Path, data_dir: &Path) -> Result<(), StartError> {
    let file = File::create(marker).and_then(|file| file.sync_all());
    file.map_err(system(marker.display().to_string()))?;
    sync_dir(data_dir)
}

fn sync_dir(dir: &Path) -> Result<(), StartError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(system(dir.display().to_string()))
}
