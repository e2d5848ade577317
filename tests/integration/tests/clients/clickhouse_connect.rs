//! `clickhouse-connect`, the official Python client, which pandas users, dbt and Superset use.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use zepto_integration::peers;
use zepto_integration::place::project_file;

fn client(address: SocketAddr, what: &str) -> Result<Command> {
    let mut command = Command::new(peers::python(env!("CARGO_TARGET_TMPDIR"), "clickhouse_connect")?);
    command.arg(project_file("tests/integration/peers/clickhouse_connect/client.py"));
    command.arg(address.to_string()).arg(what);
    Ok(command)
}

#[test]
fn a_million_rows_go_in_and_come_back_by_rows_pandas_and_arrow() -> Result<()> {
    let place = crate::place()?;
    let node = place.launch().start()?;
    let output = client(node.address(), "all")?.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && output.stdout.ends_with(b"done\n"), "{}\n{said}", output.status);
    Ok(())
}

#[test]
fn an_answer_that_dies_in_the_middle_is_not_taken_for_whole() -> Result<()> {
    let place = crate::place()?;
    let node = place.launch().start()?;
    let mut client = client(node.address(), "lost")?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
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
