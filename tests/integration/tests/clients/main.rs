//! ClickHouse's clients, in pinned versions, against a real node.
//!
//! Each client's program (`tests/integration/peers`) is called with the node's address and a word:
//! - `all`: it connects, creates a table, inserts a million rows (100,000 where it is slow itself), selects with
//!   parameters, streams the rows back, compares them with what it sent, and meets errors before the first row and
//!   in mid-stream; it prints `done` last;
//! - `lost`: it begins to read an endless answer, prints `reading`, and waits for a line. The node is killed
//!   meanwhile; reading on must fail, which it prints as `lost: …`.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use zepto_integration::peers::Peer;
use zepto_integration::place::Place;

/// Both tests of a client, in a module of its own.
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
        }
    };
}

client!(aiochclient, super::Peer::Python("aiochclient"));
client!(clickhouse_connect, super::Peer::Python("clickhouse_connect"));
client!(clickhouse_go, super::Peer::Go("clickhouse_go"));
client!(clickhouse_js, super::Peer::Node("clickhouse_js"));
client!(clickhouse_rs, super::Peer::Rust("clickhouse_rs", "zepto-peer-clickhouse-rs"));
client!(clickhouse_sqlalchemy, super::Peer::Python("clickhouse_sqlalchemy"));
client!(ibis, super::Peer::Python("ibis"));

fn all(peer: Peer) -> Result<()> {
    let mut client = peer.command(env!("CARGO_TARGET_TMPDIR"))?;
    let place = Place::new(env!("CARGO_TARGET_TMPDIR"))?;
    let node = place.launch().start()?;
    let output = client.arg(node.address().to_string()).arg("all").stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && output.stdout.ends_with(b"done\n"), "{}\n{said}", output.status);
    Ok(())
}

fn lost(peer: Peer) -> Result<()> {
    let mut client = peer.command(env!("CARGO_TARGET_TMPDIR"))?;
    let place = Place::new(env!("CARGO_TARGET_TMPDIR"))?;
    let node = place.launch().start()?;
    client.arg(node.address().to_string()).arg("lost");
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(client.stdout.take().context("no stdout")?).lines();
    let first = lines.next().context("the client said nothing")??;
    ensure!(first == "reading", "{first}");
    node.kill()?;
    client.stdin.take().context("no stdin")?.write_all(b"killed\n")?;
    let rest: Vec<String> = lines.collect::<Result<_, _>>()?;
    ensure!(client.wait()?.success(), "{rest:?}");
    ensure!(rest.first().is_some_and(|line| line.starts_with("lost: ")), "{rest:?}");
    Ok(())
}
