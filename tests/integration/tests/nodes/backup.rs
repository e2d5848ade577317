//! `zepto backup`: what was acknowledged before it began is in it, whatever happens meanwhile, and comes back into a node or a
//! cluster of any size.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use zepto_harness::{Node, node};
use zepto_integration::cluster::Cluster;
use zepto_integration::ledger::{self, Writer};
use zepto_integration::load::{Doors, under_load};
use zepto_integration::peers::Peer;
use zepto_integration::place::Place;

/// One column of each kind of type, among them names that must be quoted.
const KINDS: &str = "CREATE TABLE kinds (`the key` LowCardinality(String), ts DateTime64(9, 'Asia/Tokyo'), i8 Int8, i64 Int64, \
     u64 UInt64, f32 Float32, f64 Float64, d Decimal(18, 4), big Decimal(38, 10), s String COMMENT 'a `note`', b Bool, day Date, \
     late Date32, second DateTime, ms DateTime64(3), id UUID, n Nullable(Float64), ns LowCardinality(Nullable(String)), \
     list Array(Nullable(Int64)), texts Array(String), pairs Map(String, UInt32), t Tuple(Int32, String), later UInt16 DEFAULT 7) \
     ENGINE = MergeTree ORDER BY (`the key`, ts)";

fn fill(from: u64, to: u64) -> String {
    format!(
        "INSERT INTO kinds SELECT concat('k', toString(n % 9)), toDateTime64(1700000000 + n, 9, 'Asia/Tokyo'), n % 100, -n, \
         toUInt64(18446744073709551615 - toUInt64(n)), n / 4, if(n % 50 = 0, nan, n / 3), n / 8, n * 1000000, concat('ü\\t', toString(n)), n % 2 = 0, \
         toDate(n % 60000), toDate32(n % 90000), toDateTime(1700000000 + n), toDateTime64(n, 3), \
         toUUID(concat('00000000-0000-4000-8000-', leftPad(toString(n), 12, '0'))), if(n % 3 = 0, NULL, n), \
         if(n % 4 = 0, NULL, toString(n % 5)), if(n % 5 = 0, [], [n, NULL]), [toString(n), ''], map('a', n, 'b', 1), (n, 'x'), n % 65536 \
         FROM (SELECT toInt64(number + {from}) AS n FROM numbers({}))",
        to - from
    )
}

/// What of the tables must be the same.
const LOOKS: [&str; 6] = [
    "SELECT count(), sum(cityHash64(toString(tuple(*))) % 1000000007) FROM kinds",
    "SELECT * FROM kinds ORDER BY ts LIMIT 3 FORMAT TabSeparatedWithNamesAndTypes",
    "SELECT `the key`, last(i64, ts), argMin(s, ts) FROM kinds GROUP BY `the key` ORDER BY 1",
    "SHOW CREATE TABLE kinds",
    "SELECT count(), sum(k), sum(toInt64(round(x * 7))), max(label), countIf(label = 'new') FROM other.plain",
    "SELECT * FROM names ORDER BY `the key`",
];

fn looks(address: std::net::SocketAddr) -> Result<Vec<String>> {
    let mut connection = zepto_harness::Connection::open(address)?;
    LOOKS.iter().map(|sql| connection.query(sql).with_context(|| (*sql).to_owned())).collect()
}

/// Holds a node against what another has shown.
fn same(address: std::net::SocketAddr, wanted: &[String]) -> Result<()> {
    for ((sql, is), wanted) in LOOKS.iter().zip(looks(address)?).zip(wanted) {
        ensure!(is == *wanted, "{sql}:\n{is}\nwanted\n{wanted}");
    }
    Ok(())
}

fn tool(arguments: &[&str]) -> Result<Output> {
    let program: PathBuf = node::program_beside_this()?.with_file_name("zepto");
    let mut command = Command::new(program);
    for name in ["URL", "USER", "PASSWORD", "KEY", "CA", "BACKUP_AT"].map(|n| format!("ZEPTO_{n}")) {
        command.env_remove(name);
    }
    command
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "us-east-1");
    Ok(command.args(arguments).output()?)
}

fn done(arguments: &[&str]) -> Result<String> {
    let output = tool(arguments)?;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "zepto {arguments:?}: {}\n{said}\n{errors}", output.status);
    Ok(said.into_owned())
}

fn refused(arguments: &[&str], why: &str) -> Result<()> {
    let output = tool(arguments)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(1) && errors.contains(why),
        "{arguments:?}: {} {errors}",
        output.status
    );
    Ok(())
}

fn url(address: std::net::SocketAddr) -> String {
    format!("http://{address}")
}

fn node_at(place: &Place, data: &Path) -> Result<Node> {
    let mut launch = place.launch();
    launch.data_dir = data.to_owned();
    Ok(launch.start()?)
}

/// Bytes that went, as `create` says.
fn sent(said: &str) -> Result<u64> {
    let number =
        said.split_once("of which ").and_then(|(_, rest)| rest.split_once(' ')).map(|(number, _)| number);
    number.and_then(|it| it.parse().ok()).with_context(|| said.to_owned())
}

fn segments(place: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(place.join("segments"))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    Ok(files)
}

/// The newest backup, and what its node answered: into a cluster, changed there, and from there into another one.
fn through_clusters(at: &str, then: &[String]) -> Result<()> {
    // Into a cluster with copies; its materialized view cannot be there, and is told of.
    let cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), 3, 2)?;
    let ingest = cluster.ingest()?.address();
    let output = tool(&["restore", "--at", at, "--url", &url(ingest)])?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(2) && errors.contains("view default.counted was not restored"),
        "{output:?}"
    );
    same(ingest, then)?;

    // And from there into one of another size, as changes of rows have left it.
    let mut door = cluster.ingest()?.connect()?;
    door.query("DELETE FROM kinds WHERE i64 % 7 = 0")?;
    door.query("ALTER TABLE other.plain UPDATE label = 'changed' WHERE k = 5")?;
    let now = looks(ingest)?;
    done(&["backup", "create", "--at", at, "--name", "third", "--url", &url(ingest)])?;
    let larger = Cluster::start(env!("CARGO_TARGET_TMPDIR"), 2)?;
    done(&["restore", "--at", at, "third", "--url", &url(larger.storage(1)?.address())])?;
    same(larger.storage(0)?.address(), &now)?;
    Ok(())
}

#[test]
fn a_backup_of_a_node_comes_back_into_nodes_and_clusters_with_every_row() -> Result<()> {
    let place = crate::place()?;
    let (data, at) = (place.path().join("data"), place.path().join("backups"));
    let at_text = at.to_str().context("a name")?;
    let node = node_at(&place, &data)?;
    let from = url(node.address());
    let mut connection = node.connect()?;
    for sql in [
        KINDS,
        "CREATE DATABASE other",
        "CREATE TABLE other.plain (k Int64, x Float64) ENGINE = MergeTree ORDER BY k",
        "INSERT INTO other.plain SELECT number % 1000, number / 7 FROM numbers(20000)",
        "ALTER TABLE other.plain ADD COLUMN label String DEFAULT 'none'",
        "INSERT INTO other.plain VALUES (1, 2, 'new')",
        "CREATE VIEW names AS SELECT `the key`, count() AS n FROM kinds GROUP BY `the key`",
        "CREATE MATERIALIZED VIEW counted AS SELECT `the key` AS k, count() AS n, sum(i64) AS s FROM kinds GROUP BY k",
        &fill(0, 3000),
    ] {
        connection.query(sql).with_context(|| sql.to_owned())?;
    }
    let create = |name: &str| done(&["backup", "create", "--at", at_text, "--name", name, "--url", &from]);
    let first = sent(&create("first")?)?;
    let then = looks(node.address())?;
    refused(
        &["backup", "create", "--at", at_text, "--name", "first", "--url", &from],
        "has a backup first already",
    )?;

    // Only what is new goes again.
    connection.query(&fill(3000, 3100))?;
    let second = sent(&create("second")?)?;
    ensure!(second > 0 && second < first / 2, "{second} bytes were sent after {first}");
    let now = looks(node.address())?;
    ensure!(now != then && connection.query("SELECT * FROM system.tables FORMAT Null")?.is_empty());
    let listed = done(&["backup", "list", "--at", at_text])?;
    ensure!(
        listed.lines().skip(1).map(|line| line.split(' ').next()).eq([Some("first"), Some("second")]),
        "{listed}"
    );
    let whole = done(&["backup", "verify", "--at", at_text, "first"])?;
    ensure!(whole.contains("2 tables and 23001 rows are whole"), "{whole}");
    // The node keeps nothing of it.
    ensure!(connection.send(&zepto_harness::Request::get("/admin/snapshots"))?.text().trim() == "[]");

    // Into another node: the older one, its views too.
    let other = node_at(&place, &place.path().join("other"))?;
    let to = url(other.address());
    done(&["backup", "restore", "--at", at_text, "first", "--url", &to])?;
    same(other.address(), &then)?;
    let view = "SELECT * FROM counted ORDER BY k";
    let query = "SELECT `the key` AS k, count() AS n, sum(i64) AS s FROM kinds GROUP BY k ORDER BY k";
    let mut there = other.connect()?;
    ensure!(there.query(view)? == there.query(query)?, "the view differs from its query");
    refused(&["backup", "restore", "--at", at_text, "--url", &to], "has rows in default.kinds, other.plain")?;

    // As a data directory, with what it knew of batches.
    let copy = place.path().join("copy");
    let copy_text = copy.to_str().context("a name")?;
    done(&["restore", "--at", at_text, "second", "--data-dir", copy_text])?;
    let opened = node_at(&place, &copy)?;
    same(opened.address(), &now)?;

    through_clusters(at_text, &now)?;

    // The newest alone stays, and is whole.
    let before = segments(&at)?.len();
    done(&["backup", "prune", "--at", at_text, "--keep", "1"])?;
    ensure!(segments(&at)?.len() < before && done(&["backup", "verify", "--at", at_text])?.contains("third"));
    refused(&["restore", "--at", at_text, "first", "--url", &to], "has no backup first")?;

    // A byte that the disk has changed.
    let damaged = segments(&at)?.pop().context("there is a segment")?;
    let mut bytes = std::fs::read(&damaged)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, bytes)?;
    refused(&["backup", "verify", "--at", at_text], "third is damaged")?;
    Ok(())
}

#[test]
fn a_backup_of_a_cluster_under_load_has_every_row_that_was_acknowledged_before() -> Result<()> {
    let place = crate::place()?;
    let at = place.path().join("backups");
    let at_text = at.to_str().context("a name")?;
    let mut cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), 3, 2)?;
    cluster.ingest()?.connect()?.query(ledger::TABLE)?;
    let mut writers: Vec<Writer> = (0..3).map(|number| Writer::new(number, 11)).collect();
    let books: Vec<_> = writers.iter().map(Writer::books).collect();
    let door = url(cluster.ingest()?.address());
    let doors =
        Doors { writers: vec![cluster.ingest()?.address(); 3], readers: Vec::new(), count_seconds: 10 };
    let patience = Duration::from_secs(60);
    let (before, _) = under_load(&doors, &mut writers, |running| {
        running.more_rows(&[0, 1, 2], 2_000, patience)?;
        // An owner dies; its partitions have other owners when the snapshots are taken, or they are taken again.
        cluster.kill_storage(1)?;
        let before: Vec<u64> = books.iter().map(ledger::Books::acknowledged).collect();
        done(&["backup", "create", "--at", at_text, "--name", "busy", "--url", &door])?;
        Ok(before)
    })?;
    let after: Vec<u64> = books.iter().map(ledger::Books::attempted).collect();
    done(&["backup", "verify", "--at", at_text])?;
    let node = node_at(&place, &place.path().join("restored"))?;
    done(&["restore", "--at", at_text, "--url", &url(node.address())])?;
    let mut connection = node.connect()?;
    for (writer, (before, after)) in before.iter().zip(&after).enumerate() {
        let row = connection.query(&format!(
            "SELECT count(), uniqExact(sequence), countIf(sequence < {before}), max(sequence) < {after} FROM ledger WHERE writer = {writer}"
        ))?;
        let fields: Vec<u64> =
            row.trim().split('\t').map(str::parse).collect::<std::result::Result<_, _>>()?;
        ensure!(
            fields[0] == fields[1],
            "writer {writer}: {} rows, {} of them different",
            fields[0],
            fields[1]
        );
        ensure!(
            fields[2] == *before,
            "writer {writer}: {before} rows were acknowledged, {} are there",
            fields[2]
        );
        ensure!(fields[3] == 1, "writer {writer}: a row that nobody sent");
    }
    ensure!(before.iter().sum::<u64>() >= 2_000, "{before:?} rows tell nothing");
    Ok(())
}

/// A server that speaks S3, of others.
struct S3 {
    process: Child,
    endpoint: String,
}

impl S3 {
    fn start(bucket: &str) -> Result<Self> {
        let mut command = Peer::Python("s3").command(env!("CARGO_TARGET_TMPDIR"))?;
        command.arg(bucket).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("piped")?).read_line(&mut line)?;
        let port = line.trim().strip_prefix("ready ").context("the server says its port")?;
        Ok(Self { process, endpoint: format!("http://127.0.0.1:{port}") })
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[test]
fn a_backup_lies_in_s3_and_comes_back_from_there() -> Result<()> {
    let s3 = S3::start("backups")?;
    let place = crate::place()?;
    let node = node_at(&place, &place.path().join("data"))?;
    let mut connection = node.connect()?;
    connection.query(KINDS)?;
    connection.query(&fill(0, 5_000))?;
    let look = LOOKS[0];
    let there = connection.query(look)?;
    let at = ["--at", "s3://backups/a/b", "--s3-endpoint", &s3.endpoint];
    let with = |first: &[&str], last: &[&str]| done(&[first, &at, last].concat());
    let from = url(node.address());
    with(&["backup", "create"], &["--name", "one", "--url", &from])?;
    let again = with(&["backup", "create"], &["--name", "two", "--keep", "1", "--url", &from])?;
    ensure!(again.contains("removed one"), "{again}");
    ensure!(with(&["backup", "verify"], &["two"])?.contains("5000 rows are whole"));
    let other = node_at(&place, &place.path().join("other"))?;
    with(&["restore"], &["--url", &url(other.address())])?;
    ensure!(other.connect()?.query(look)? == there);
    refused(&["backup", "list", "--at", "s3://nowhere/a", "--s3-endpoint", &s3.endpoint], "NoSuchBucket")?;
    Ok(())
}
