//! What older versions left behind is read, continued and answered as they did.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use zepto_harness::connection::percent_encode;
use zepto_harness::{Connection, Launch, Request};
use zepto_integration::fixture::{self, content, http};
use zepto_integration::place::{Place, project_file};

/// All fixtures.
const FOLDER: &str = "tests/fixtures";

/// A node as fixtures are made and read: the number of logs is the fixture's, not the machine's.
fn launch(place: &Place) -> Launch {
    place.launch().flag("--drain-threads").flag("2")
}

#[test]
fn data_of_every_version_are_read_continued_and_kept() -> Result<()> {
    for version in fixture::versions(&project_file(FOLDER))? {
        let place = crate::place()?;
        fixture::unpack(&version.join("data"), &place.path().join("data"))?;
        continue_from(&place, &version).with_context(|| version.display().to_string())?;
    }
    Ok(())
}

fn continue_from(place: &Place, version: &Path) -> Result<()> {
    let script = fixture::lines(&version.join("script.jsonl"))?;
    let node = launch(place).start()?;
    let mut connection = node.connect()?;
    ask(&mut connection, &script, "check")?;
    for step in &script {
        repeat(&mut connection, step)?;
    }
    ask(&mut connection, &script, "check")?;
    for (sql, rows) in
        script.iter().filter_map(|step| Some((step["write"].as_str()?, step["rows"].as_str()?)))
    {
        let response = connection.send(&Request::insert(sql, rows.as_bytes()))?;
        ensure!(response.status == 200, "{sql}: {}", response.text());
    }
    ask(&mut connection, &script, "later")?;
    node.kill()?;
    let node = launch(place).start()?;
    ask(&mut node.connect()?, &script, "later")?;
    ensure!(node.terminate()?.success());
    let node = launch(place).start()?;
    ask(&mut node.connect()?, &script, "later")
}

/// Asks all statements of a kind.
fn ask(connection: &mut Connection, script: &[Value], kind: &str) -> Result<()> {
    let mut asked = 0;
    for (sql, answer) in
        script.iter().filter_map(|step| Some((step[kind].as_str()?, step["answer"].as_str()?)))
    {
        let found = connection.query(sql)?;
        ensure!(found == answer, "{sql}\nmust be\n{answer}\nand is\n{found}");
        asked += 1;
    }
    ensure!(asked > 0, "the script has no {kind}");
    Ok(())
}

/// Sends an INSERT that was stored once: nothing may be stored.
fn repeat(connection: &mut Connection, step: &Value) -> Result<()> {
    let (Some(sql), Some(token), Some(rows)) =
        (step["repeat"].as_str(), step["token"].as_str(), step["rows"].as_str())
    else {
        return Ok(());
    };
    let response = connection.send(&with_token(sql, token, rows))?;
    let summary = response.header("x-clickhouse-summary").unwrap_or_default();
    let count = format!("\"duplicate_rows\":\"{}\"", rows.lines().count());
    ensure!(response.status == 200 && summary.contains(&count), "{token}: {summary} {}", response.text());
    Ok(())
}

fn with_token(sql: &str, token: &str, rows: &str) -> Request {
    let target = format!("/?query={}&insert_deduplication_token={token}", percent_encode(sql));
    Request::new("POST", &target, &[], rows.as_bytes())
}

#[test]
fn the_answers_of_every_version_are_given_still() -> Result<()> {
    for version in fixture::versions(&project_file(FOLDER))? {
        let place = crate::place()?;
        let node = launch(&place).start()?;
        let mut connection = node.connect()?;
        let mut faults = Vec::new();
        for known in fixture::lines(&version.join("http.jsonl"))? {
            if let Err(fault) = http::replay(&mut connection, &known) {
                faults.push(format!("{fault:#}"));
                connection = node.connect()?;
            }
        }
        ensure!(faults.is_empty(), "{}: {}", version.display(), faults.join("\n"));
    }
    Ok(())
}

#[test]
#[ignore = "writes the fixture of this version: cargo xtask fixture"]
fn write_the_fixture_of_this_version() -> Result<()> {
    let version = project_file(FOLDER).join(env!("CARGO_PKG_VERSION"));
    if version.exists() {
        fs::remove_dir_all(&version)?;
    }
    fs::create_dir_all(&version)?;
    let place = crate::place()?;
    let node = launch(&place).start()?;
    let mut connection = node.connect()?;
    store(&mut connection, content::BEFORE, content::BATCHES[0])?;
    drop(connection);
    ensure!(node.terminate()?.success());
    let node = launch(&place).start()?;
    let mut connection = node.connect()?;
    store(&mut connection, content::AFTER, content::BATCHES[1])?;
    let script = content::checks();
    ask(&mut connection, &script, "check")?;
    node.kill()?;
    fixture::pack(&place.path().join("data"), &version.join("data"))?;
    fixture::write_lines(&version.join("script.jsonl"), &script)?;

    let place = crate::place()?;
    let node = launch(&place).start()?;
    fixture::write_lines(&version.join("http.jsonl"), &http::capture(&mut node.connect()?)?)?;
    ensure!(node.terminate()?.success());
    println!("wrote {}", version.display());
    Ok(())
}

fn store(connection: &mut Connection, statements: &[&str], batch: (&str, u64, u64)) -> Result<()> {
    for sql in statements {
        connection.query(sql).with_context(|| (*sql).to_owned())?;
    }
    let (token, from, to) = batch;
    let rows = content::readings(from, to);
    let response = connection.send(&with_token("INSERT INTO readings FORMAT TabSeparated", token, &rows))?;
    ensure!(response.status == 200, "{token}: {}", response.text());
    Ok(())
}
