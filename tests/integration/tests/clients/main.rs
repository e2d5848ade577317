//! ClickHouse's clients, in pinned versions, against a real node and against a cluster.
//!
//! Each client's program (`tests/integration/peers`) is called with the node's address and a word:
//! - `all`: it connects, creates a table, inserts a million rows (100,000 where it is slow itself), selects with
//!   parameters, streams the rows back, compares them with what it sent, and meets errors before the first row and
//!   in mid-stream; it prints `done` last;
//! - `lost`: it begins to read an endless answer, prints `reading`, and waits for a line. The node is killed
//!   meanwhile; reading on must fail, which it prints as `lost: …`.
//!
//! In a cluster the client speaks to the ingest node, the tables have two copies, and it is the storage nodes that are
//! killed: the ingest node must not end the answer as if it were whole.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use zepto_integration::cluster::Cluster;
use zepto_integration::peers::Peer;
use zepto_integration::place::Place;

/// The tests of a client, in a module of its own.
macro_rules! client {
    ($name:ident, $peer:expr) => {
        mod $name {
            #[test]
            fn rows_go_in_and_come_back_and_errors_have_their_codes() -> anyhow::Result<()> {
                super::all($peer)
            }

            #[test]
            fn an_answer_that_dies_in_the_middle_is_not_taken_for_whole() -> anyhow::Result<()> {
                super::lost($peer)
            }

            #[test]
            fn a_cluster_is_as_one_node() -> anyhow::Result<()> {
                super::cluster($peer)
            }
        }
    };
}

client!(aiochclient, super::Peer::Python("aiochclient"));
client!(clickhouse_connect, super::Peer::Python("clickhouse_connect"));
client!(clickhouse_go, super::Peer::Go("clickhouse_go"));
client!(clickhouse_js, super::Peer::Node("clickhouse_js"));
client!(clickhouse_rs, super::Peer::Rust("clickhouse_rs", "zepto-peer-clickhouse-rs"));
client!(clickhouse_sqlalchemy, super::Peer::Python("clickhouse_sqlalchemy"));
client!(grafana, super::Peer::Go("grafana"));
client!(ibis, super::Peer::Python("ibis"));

/// Storage nodes of the cluster.
const NODES: usize = 3;

fn all(peer: Peer) -> Result<()> {
    let client = peer.command(env!("CARGO_TARGET_TMPDIR"))?;
    let place = Place::new(env!("CARGO_TARGET_TMPDIR"))?;
    let node = place.launch().start()?;
    does_all(client, node.address())
}

fn lost(peer: Peer) -> Result<()> {
    let client = peer.command(env!("CARGO_TARGET_TMPDIR"))?;
    let place = Place::new(env!("CARGO_TARGET_TMPDIR"))?;
    let node = place.launch().start()?;
    let address = node.address();
    notices(client, address, || Ok(node.kill().map(drop)?))
}

fn cluster(peer: Peer) -> Result<()> {
    let (whole, cut) =
        (peer.command(env!("CARGO_TARGET_TMPDIR"))?, peer.command(env!("CARGO_TARGET_TMPDIR"))?);
    let mut cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), NODES, 2)?;
    let address = cluster.ingest()?.address();
    does_all(whole, address)?;
    notices(cut, address, || (0..NODES).try_for_each(|number| cluster.kill_storage(number).map(drop)))
}

fn does_all(mut client: Command, address: SocketAddr) -> Result<()> {
    let output = client.arg(address.to_string()).arg("all").stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && output.stdout.ends_with(b"done\n"), "{}\n{said}", output.status);
    Ok(())
}

/// The client reads, what answers is killed, and the client says that its answer is not whole.
fn notices(mut client: Command, address: SocketAddr, kill: impl FnOnce() -> Result<()>) -> Result<()> {
    client.arg(address.to_string()).arg("lost");
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(client.stdout.take().context("no stdout")?).lines();
    let first = lines.next().context("the client said nothing")??;
    ensure!(first == "reading", "{first}");
    kill()?;
    client.stdin.take().context("no stdin")?.write_all(b"killed\n")?;
    let rest: Vec<String> = lines.collect::<Result<_, _>>()?;
    ensure!(client.wait()?.success(), "{rest:?}");
    ensure!(rest.first().is_some_and(|line| line.starts_with("lost: ")), "{rest:?}");
    Ok(())
}
