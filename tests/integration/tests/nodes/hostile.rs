//! The corpus of bad requests against a real node.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use zepto_harness::{Connection, Node, Response};
use zepto_integration::corpus::{self, Case, Expected};
use zepto_integration::place::project_file;

/// Cases that the corpus must have at least.
const CASES_MIN: usize = 280;
/// Resident bytes that the node may ever have had after all of them, bombs included.
const RESIDENT_MAX: u64 = 1 << 30;
/// How long a refusal may take.
const PATIENCE: Duration = Duration::from_secs(60);

const TABLE: &str = "CREATE TABLE t (k LowCardinality(String), ts DateTime64(9), i Int32, u UInt8, f Float64, s String, \
     d Date, b Bool, n Nullable(Int64), a Array(Int32), c Decimal(10, 2), id UUID) \
     ENGINE = MergeTree ORDER BY (k, ts)";

#[test]
fn no_bad_request_is_taken_for_a_good_one_or_does_harm() -> Result<()> {
    let cases = corpus::load(&project_file("tests/corpus/http"))?;
    ensure!(cases.len() >= CASES_MIN, "the corpus has {} cases", cases.len());
    let place = crate::place()?;
    let mut node = place.launch().start()?;
    let mut watcher = node.connect()?;
    watcher.query(TABLE)?;
    let mut faults = Vec::new();
    for case in &cases {
        if let Err(fault) = try_case(&mut node, &mut watcher, case) {
            faults.push(format!("{}: {fault:#}", case.name));
        }
        ensure!(node.is_alive(), "{}: the node died; before it:\n{}", case.name, faults.join("\n"));
    }
    let cost = node.cost()?;
    println!("{} bad requests; most memory {} MB", cases.len(), cost.resident_max >> 20);
    ensure!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), cases.len(), faults.join("\n"));
    ensure!(cost.resident_max < RESIDENT_MAX, "{} MB of memory at most", cost.resident_max >> 20);
    Ok(())
}

fn try_case(node: &mut Node, watcher: &mut Connection, case: &Case) -> Result<()> {
    // Compared with what was there, so that one stored row is one fault.
    let before =
        watcher.query("SELECT count() FROM t").context("the node does not answer before the case")?;
    let mut connection = node.connect()?;
    connection.set_wait(PATIENCE)?;
    let answer = send(&mut connection, case);
    drop(connection);
    // Another connection is served as before, nothing was stored and nothing made or removed.
    let alive = watcher.query("SELECT count() FROM t").or_else(|_| {
        *watcher = node.connect()?;
        watcher.query("SELECT count() FROM t")
    });
    let stored = alive.context("the node does not answer others")?;
    ensure!(stored == before, "{} rows before, {} after", before.trim(), stored.trim());
    let tables = watcher.query("SELECT count() FROM system.tables WHERE database = 'default'")?;
    ensure!(tables.trim() == "1", "{} tables are there", tables.trim());
    judge(&answer, case.expected)
}

fn send(connection: &mut Connection, case: &Case) -> std::io::Result<Response> {
    if case.ends_early || case.expected == Expected::Http {
        // The server may wait for the rest; that the client is gone must end it.
        let sent = connection.send_half(&case.bytes);
        return sent.and_then(|()| connection.receive());
    }
    connection.send_raw(&case.bytes)
}

fn judge(answer: &std::io::Result<Response>, expected: Expected) -> Result<()> {
    let response = match (answer, expected) {
        (Ok(response), _) => response,
        (Err(error), Expected::Http) => {
            let waited =
                matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            ensure!(!waited, "neither answered nor closed");
            return Ok(());
        }
        (Err(error), _) => anyhow::bail!("no answer: {error}"),
    };
    let text: String = response.text().chars().take(200).collect();
    ensure!((400..600).contains(&response.status), "status {}: {text}", response.status);
    match expected {
        Expected::Http => {}
        Expected::AnyCode => {
            let code = response.exception_code().with_context(|| format!("no error code: {text}"))?;
            ensure!(
                code > 0 && text.contains(&format!("Code: {code}. DB::Exception: ")),
                "not ClickHouse's form: {text}"
            );
            ensure!(code != 49, "an internal error is no answer to bad input: {text}");
        }
        Expected::Code(code) => {
            ensure!(response.exception_code() == Some(code), "code {:?}: {text}", response.exception_code());
        }
    }
    Ok(())
}

#[test]
fn planted_wrong_answers_are_caught() {
    let answer = |status, code: Option<&str>, body: &str| {
        let headers = code.map(|code| ("x-clickhouse-exception-code".to_owned(), code.to_owned()));
        Ok(Response { status, headers: headers.into_iter().collect(), body: body.as_bytes().to_vec() })
    };
    let good = answer(404, Some("60"), "Code: 60. DB::Exception: x. (UNKNOWN_TABLE)");
    for expected in [Expected::Code(60), Expected::AnyCode, Expected::Http] {
        assert!(judge(&good, expected).is_ok(), "{expected:?}");
    }
    assert!(judge(&good, Expected::Code(62)).is_err());
    assert!(judge(&answer(200, None, "1"), Expected::Http).is_err());
    assert!(judge(&answer(500, None, "oops"), Expected::AnyCode).is_err());
    assert!(
        judge(&answer(500, Some("49"), "Code: 49. DB::Exception: x. (LOGICAL_ERROR)"), Expected::AnyCode)
            .is_err()
    );
    let timeout = || Err(std::io::Error::from(std::io::ErrorKind::TimedOut));
    assert!(judge(&timeout(), Expected::Http).is_err());
    assert!(judge(&timeout(), Expected::AnyCode).is_err());
}
