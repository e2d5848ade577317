//! Making a backup: snapshots on all storage nodes, then the files of them that the place does not have.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use serde::Deserialize;
use ureq::http::Method;
use zepto_backup::document::{self, FORMAT};
use zepto_backup::repository::Lock;
use zepto_backup::{Backup, NodePart, Repository, StoredFile};
use zepto_common::clock::wall_nanos;

use super::{Place, bar, prune, released};
use crate::client::{Client, Server};

/// How often snapshots are taken until each partition is whole in one of them.
const ATTEMPTS: u32 = 10;
/// Between two of them.
const PAUSE: Duration = Duration::from_secs(3);
/// Bytes of a catalog or manifest.
const SMALL_MAX: u64 = 256 << 20;
/// How often one file is asked for.
const TRIES: u32 = 3;

/// What the names of a backup's snapshots begin with.
const PREFIX: &str = "backup-";
/// Snapshots of a backup that are older were left by one that was killed: they keep files that are not needed any more.
const LEFT_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How long a node may take to make a snapshot: it writes all that is in its memory.
const ANSWER_WAIT: Duration = Duration::from_secs(15 * 60);
/// How long one file may take.
const FILE_WAIT: Duration = Duration::from_secs(60 * 60);

/// Makes a backup.
#[derive(Args)]
pub(crate) struct Create {
    #[command(flatten)]
    place: Place,
    /// Its name; the date and time (UTC) by default
    #[arg(long)]
    name: Option<String>,
    /// Removes all but so many of the newest backups afterwards
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    #[command(flatten)]
    server: Server,
}

/// A node's answer to a snapshot.
#[derive(Deserialize)]
struct Snapshot {
    name: String,
    catalog_version: u64,
    whole: Option<BTreeSet<u16>>,
    #[serde(default)]
    files: Vec<SnapshotFile>,
}

#[derive(Deserialize)]
struct SnapshotFile {
    path: String,
    bytes: u64,
    key: Option<String>,
}

/// A snapshot that a node has.
#[derive(Deserialize)]
struct Listed {
    name: String,
    created_nanos: i64,
}

#[derive(Deserialize)]
struct Nodes {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: u32,
    role: String,
    state: String,
    #[serde(default)]
    http: String,
}

/// A storage node, and its snapshot if it made one.
struct Source {
    node: u32,
    client: Client,
    snapshot: std::result::Result<Snapshot, String>,
}

impl Create {
    pub(super) async fn run(&self) -> Result<()> {
        let created_nanos = wall_nanos();
        let name = match &self.name {
            Some(name) => name.clone(),
            None => super::date(created_nanos).replace([':', '-'], "").replace(' ', "-"),
        };
        document::check_name(&name)?;
        let repository = self.place.open(true)?;
        let mut lock = repository.lock(&format!("zepto backup create {name}")).await?;
        let made = self.make(&repository, &mut lock, &name, created_nanos).await;
        let (backup, sent) = released(lock, made).await?;
        println!(
            "{}: {} of {} nodes in {}: {} files, {} bytes, of which {sent} were sent",
            backup.name,
            backup.partitions,
            backup.nodes.len(),
            repository.root(),
            backup.files().len(),
            backup.bytes()
        );
        match self.keep {
            Some(keep) => prune(&repository, keep).await,
            None => Ok(()),
        }
    }

    async fn make(
        &self,
        repository: &Repository,
        lock: &mut Lock,
        name: &str,
        created_nanos: i64,
    ) -> Result<(Backup, u64)> {
        let there = repository.backups().await?;
        if there.iter().any(|backup| backup.name == name) {
            bail!("{} has a backup {name} already", repository.root());
        }
        let known: BTreeMap<String, StoredFile> = there
            .iter()
            .flat_map(|backup| backup.files().into_iter().map(|file| (file.at.clone(), file.clone())))
            .collect();
        let client = Client::new(&self.server)?.with_waits(ANSWER_WAIT, FILE_WAIT)?;
        let (mut sources, partitions, given) = snapshots(&client, name, lock).await?;
        let sent = send(repository, lock, name, &mut sources, &given, &known).await;
        drop_snapshots(&sources);
        let (nodes, sent) = sent?;
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let backup =
            Backup { format: FORMAT, name: name.to_owned(), created_nanos, program, partitions, nodes };
        lock.stay().await?;
        repository.publish(&backup).await?;
        Ok((backup, sent))
    }
}

/// The storage nodes that can be asked.
fn storage_nodes(client: &Client) -> Result<Vec<(u32, Client)>> {
    let nodes: Nodes = serde_json::from_str(&client.get("/admin/nodes")?).context("/admin/nodes")?;
    let storage = nodes.nodes.into_iter().filter(|it| it.role == "storage" && it.state != "DEAD");
    // One that runs alone has no address to tell.
    let of = |node: Node| match node.http.is_empty() {
        true => (node.id, client.clone()),
        false => (node.id, client.of_node(&node.http)),
    };
    let found: Vec<_> = storage.map(of).collect();
    if found.is_empty() {
        bail!("{} knows no storage node", client.url());
    }
    Ok(found)
}

/// Snapshots of all nodes in which each partition is whole once, and which node gives which.
async fn snapshots(
    client: &Client,
    name: &str,
    lock: &mut Lock,
) -> Result<(Vec<Source>, u16, BTreeMap<u32, Vec<u16>>)> {
    let mut attempt = 1;
    loop {
        let wanted = match attempt {
            1 => format!("{PREFIX}{name}"),
            _ => format!("{PREFIX}{name}.{attempt}"),
        };
        let sources = take_snapshots(storage_nodes(client)?, &wanted);
        let fault = match covered(&sources) {
            Ok((partitions, given)) => return Ok((sources, partitions, given)),
            Err(fault) => fault,
        };
        drop_snapshots(&sources);
        if attempt == ATTEMPTS {
            return Err(fault.context(format!("no complete snapshot in {ATTEMPTS} attempts")));
        }
        eprintln!("attempt {attempt}: {fault:#}; again in {} s", PAUSE.as_secs());
        tokio::time::sleep(PAUSE).await;
        lock.stay().await?;
        attempt += 1;
    }
}

fn take_snapshots(nodes: Vec<(u32, Client)>, name: &str) -> Vec<Source> {
    let take = |client: &Client| -> Result<Snapshot> {
        remove_left(client)?;
        let made = client.change(Method::POST, &format!("/admin/snapshot?name={name}"))?;
        let made: Snapshot = serde_json::from_str(&made)?;
        Ok(serde_json::from_str(&client.get(&format!("/admin/snapshots/{}", made.name))?)?)
    };
    std::thread::scope(|scope| {
        let asked: Vec<_> = nodes
            .into_iter()
            .map(|(node, client)| {
                scope.spawn(move || {
                    let snapshot = take(&client).map_err(|error| format!("{error:#}"));
                    Source { node, client, snapshot }
                })
            })
            .collect();
        // A panic goes on here, as if there were no thread.
        let joined =
            |thread: ScopedJoinHandle<'_, Source>| thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        asked.into_iter().map(joined).collect()
    })
}

/// Removes what backups that were killed have left on a node.
fn remove_left(client: &Client) -> Result<()> {
    let listed: Vec<Listed> = serde_json::from_str(&client.get("/admin/snapshots")?)?;
    let before = wall_nanos().saturating_sub(i64::try_from(LEFT_AFTER.as_nanos()).unwrap_or(i64::MAX));
    for left in listed.iter().filter(|it| it.name.starts_with(PREFIX) && it.created_nanos < before) {
        client.change(Method::DELETE, &format!("/admin/snapshots/{}", left.name))?;
    }
    Ok(())
}

/// Which node gives which partition, and how many there are.
fn covered(sources: &[Source]) -> Result<(u16, BTreeMap<u32, Vec<u16>>)> {
    let failed = |it: &Source| it.snapshot.as_ref().err().map(|fault| format!("node {}: {fault}", it.node));
    let failed: Vec<String> = sources.iter().filter_map(failed).collect();
    let made = sources.iter().filter_map(|it| Some((it, it.snapshot.as_ref().ok()?)));
    let Some((first, snapshot)) = made.clone().next() else { bail!("{}", failed.join("; ")) };
    let manifest = file_of(&first.client, &snapshot.name, "MANIFEST")?;
    let catalog = file_of(&first.client, &snapshot.name, "CATALOG")?;
    let from = std::path::Path::new(first.client.url());
    let partitions = zepto_backup::contents::partitions_of(&catalog, &manifest, from)?;
    let whole = made.map(|(it, snapshot)| (it.node, snapshot.whole.clone())).collect();
    document::assign(partitions, &whole).map(|given| (partitions, given)).map_err(|missing| {
        let why = if failed.is_empty() {
            "they moved, or their owners had no lease".to_owned()
        } else {
            failed.join("; ")
        };
        anyhow::anyhow!("partitions {missing:?} are whole in no node's snapshot: {why}")
    })
}

fn file_of(client: &Client, snapshot: &str, path: &str) -> Result<Bytes> {
    let mut found = client.open(&format!("/admin/snapshots/{snapshot}/{path}"))?;
    Ok(found.body_mut().with_config().limit(SMALL_MAX).read_to_vec()?.into())
}

/// Sends what the place does not have; what the document says of each node, and the bytes that went.
async fn send(
    repository: &Repository,
    lock: &mut Lock,
    name: &str,
    sources: &mut [Source],
    given: &BTreeMap<u32, Vec<u16>>,
    known: &BTreeMap<String, StoredFile>,
) -> Result<(Vec<NodePart>, u64)> {
    let total = sources.iter().filter_map(|it| it.snapshot.as_ref().ok());
    let total = total.flat_map(|it| &it.files).map(|file| file.bytes).sum();
    let (bar, mut sent, mut parts) = (bar(total, "sending")?, 0, Vec::new());
    for source in sources {
        let (Ok(snapshot), Some(partitions)) = (&source.snapshot, given.get(&source.node)) else { continue };
        if partitions.is_empty() {
            continue;
        }
        let mut small = BTreeMap::new();
        let mut segments = BTreeMap::new();
        for file in &snapshot.files {
            lock.stay().await?;
            let Some(key) = &file.key else {
                let content = file_of(&source.client, &snapshot.name, &file.path)?;
                let at = format!("backups/{name}/{}/{}", source.node, file.path);
                sent += file.bytes;
                bar.inc(file.bytes);
                small.insert(file.path.as_str(), repository.put(&at, content.to_vec()).await?);
                continue;
            };
            let at = Repository::segment_at(key);
            let stored = match known.get(&at).filter(|known| known.bytes == file.bytes) {
                Some(known) => {
                    bar.inc(file.bytes);
                    known.clone()
                }
                None => {
                    sent += file.bytes;
                    send_file(repository, source, &snapshot.name, file, &at, &bar).await?
                }
            };
            segments.insert(file.path.clone(), stored);
        }
        let mut take =
            |path: &str| small.remove(path).with_context(|| format!("node {} sent no {path}", source.node));
        parts.push(NodePart {
            node: source.node,
            catalog_version: snapshot.catalog_version,
            partitions: partitions.clone(),
            catalog: take("CATALOG")?,
            manifest: take("MANIFEST")?,
            segments,
        });
    }
    bar.finish_and_clear();
    Ok((parts, sent))
}

/// One segment from its node into the place; a connection that breaks is made again.
async fn send_file(
    repository: &Repository,
    source: &Source,
    snapshot: &str,
    file: &SnapshotFile,
    at: &str,
    bar: &indicatif::ProgressBar,
) -> Result<StoredFile> {
    let mut attempt = 1;
    loop {
        let before = bar.position();
        let path = format!("/admin/snapshots/{snapshot}/{}", file.path);
        let sent = match source.client.open(&path) {
            Ok(mut found) => {
                let mut reader = found.body_mut().with_config().limit(file.bytes + 1).reader();
                let mut seen = |bytes| bar.inc(bytes);
                repository.put_from(at, file.bytes, &mut reader, &mut seen).await.map_err(anyhow::Error::from)
            }
            Err(error) => Err(error),
        };
        match sent {
            Ok(stored) => return Ok(stored),
            Err(error) if attempt == TRIES => {
                return Err(error.context(format!("{} of node {}", file.path, source.node)));
            }
            Err(error) => eprintln!("{} of node {}: {error:#}; again", file.path, source.node),
        }
        bar.set_position(before);
        tokio::time::sleep(PAUSE).await;
        attempt += 1;
    }
}

/// The nodes forget their snapshots; one that cannot be told keeps its own.
fn drop_snapshots(sources: &[Source]) {
    for source in sources {
        let Ok(snapshot) = &source.snapshot else { continue };
        let removed = source.client.change(Method::DELETE, &format!("/admin/snapshots/{}", snapshot.name));
        if let Err(error) = removed {
            eprintln!("node {} keeps its snapshot {}: {error:#}", source.node, snapshot.name);
        }
    }
}
