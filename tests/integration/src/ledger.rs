//! Writers that keep books: what they tried to store and what the node acknowledged. Afterwards the table is held
//! against the books: acknowledged ⊆ stored ⊆ attempted, and no row twice.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use zepto_harness::connection::percent_encode;
use zepto_harness::{Connection, Request};

/// The table that writers write.
pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS ledger (k LowCardinality(String), ts DateTime64(9), writer UInt32, \
     sequence UInt64, checksum UInt64) ENGINE = MergeTree ORDER BY (k, ts)";
/// A view that counts what writers write.
pub const VIEW: &str = "CREATE MATERIALIZED VIEW IF NOT EXISTS ledger_counts POPULATE AS SELECT k, count() AS n, \
     sum(checksum % 1000) AS s, max(sequence) AS m, last(sequence, ts) AS l FROM ledger GROUP BY k";
/// Rows of one INSERT, at most.
const BATCH_MAX: u64 = 200;
/// ClickHouse's number for an INSERT whose outcome is not known.
const UNKNOWN_STATUS: u32 = 319;
/// Keys that one writer uses.
const KEYS: u64 = 37;

/// One writer's books.
#[derive(Debug)]
pub struct Writer {
    number: u32,
    random: StdRng,
    books: Books,
}

/// What a writer has tried and has stored; others may look while it writes.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// Rows below this sequence were attempted.
    attempted: Arc<AtomicU64>,
    /// Rows below this sequence were acknowledged.
    acknowledged: Arc<AtomicU64>,
}

impl Books {
    /// Rows attempted so far.
    #[must_use]
    pub fn attempted(&self) -> u64 {
        self.attempted.load(Ordering::SeqCst)
    }

    /// Rows acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }
}

impl Writer {
    /// A writer with its own number and its own random choices.
    #[must_use]
    pub fn new(number: u32, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed ^ u64::from(number));
        Self { number, random, books: Books::default() }
    }

    /// Rows acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.books.acknowledged()
    }

    /// The same number for those who wait for it to grow.
    #[must_use]
    pub fn progress(&self) -> Arc<AtomicU64> {
        self.books.acknowledged.clone()
    }

    /// What it has tried and has stored, for those who hold answers against it meanwhile.
    #[must_use]
    pub fn books(&self) -> Books {
        self.books.clone()
    }

    /// Writes until told to stop or until the node is gone. A batch without an answer is tried again with the same
    /// token at the next call: it must not be stored twice.
    ///
    /// # Errors
    /// When the node refuses a batch.
    pub fn write(&mut self, address: SocketAddr, stop: &AtomicBool) -> Result<()> {
        let Ok(mut connection) = Connection::open(address) else { return Ok(()) };
        while !stop.load(Ordering::Relaxed) {
            if self.books.attempted() == self.acknowledged() {
                self.books.attempted.fetch_add(self.random.random_range(1..=BATCH_MAX), Ordering::SeqCst);
            }
            let request = self.request();
            match connection.send(&request) {
                Ok(response) if response.status == 200 => {
                    self.books.acknowledged.store(self.books.attempted(), Ordering::SeqCst);
                }
                Ok(response) if response.status == 429 || response.status == 503 => {}
                // Nobody knows, so the same rows come again under the same token.
                Ok(response) if response.exception_code() == Some(UNKNOWN_STATUS) => {}
                Ok(response) => bail!("writer {}: {} {}", self.number, response.status, response.text()),
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// The batch that waits for its acknowledgement.
    fn request(&self) -> Request {
        let mut body = String::new();
        for sequence in self.acknowledged()..self.books.attempted() {
            // Writing to a String cannot fail.
            let _infallible = writeln!(
                body,
                "w{}k{}\t{}\t{}\t{sequence}\t{}",
                self.number,
                sequence % KEYS,
                time(sequence),
                self.number,
                checksum(self.number, sequence)
            );
        }
        let statement = percent_encode("INSERT INTO ledger FORMAT TabSeparated");
        let token = format!("w{}s{}", self.number, self.acknowledged());
        let target = format!("/?query={statement}&insert_deduplication_token={token}");
        Request::new("POST", &target, &[], body.into_bytes())
    }
}

/// Times that go back and forth: late rows are normal.
fn time(sequence: u64) -> String {
    let second = sequence * 7_919 % 86_400;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("2024-01-02 {hour:02}:{minute:02}:{second:02}.{:09}", sequence % 1_000_000_000)
}

/// SplitMix64 over writer and sequence: a row that was mixed up or half written does not match it.
fn checksum(writer: u32, sequence: u64) -> u64 {
    let mut x = (u64::from(writer) << 40 ^ sequence).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// Holds the table against the books; the number of stored rows.
///
/// # Errors
/// The first row that should not be there, or that should and is not.
pub fn audit(connection: &mut Connection, writers: &[Writer]) -> Result<u64> {
    // A long run has more rows than a busy machine sorts and writes within the usual deadline.
    let text = connection.query(
        "SELECT writer, sequence, checksum, k, toString(ts) FROM ledger ORDER BY writer, sequence \
         SETTINGS max_execution_time = 600 FORMAT TabSeparated",
    )?;
    let rows = audit_rows(&text, writers)?;
    let counted: u64 = connection.query("SELECT count() FROM ledger")?.trim().parse()?;
    ensure!(counted == rows, "count() says {counted}, a full read gives {rows}");
    let has_view = connection.query("EXISTS VIEW ledger_counts")?.trim() == "1";
    if has_view {
        let view = connection.query("SELECT k, n, s, m, l FROM ledger_counts ORDER BY k")?;
        let query = connection.query(
            "SELECT k, count(), sum(checksum % 1000), max(sequence), last(sequence, ts) FROM ledger GROUP BY k ORDER BY k",
        )?;
        ensure!(view == query, "the materialized view differs from its query:\n{view}\n{query}");
    }
    Ok(rows)
}

/// Holds what each of several nodes answers against the books; the number of stored rows, which all must agree on.
///
/// # Errors
/// As [`audit`].
pub fn audit_nodes(nodes: &mut [Connection], writers: &[Writer]) -> Result<u64> {
    let counts: Vec<u64> = nodes.iter_mut().map(|node| audit(node, writers)).collect::<Result<_>>()?;
    ensure!(counts.windows(2).all(|two| two[0] == two[1]), "the nodes count {counts:?}");
    counts.first().copied().context("there is a node")
}

fn audit_rows(text: &str, writers: &[Writer]) -> Result<u64> {
    let mut seen: Vec<HashSet<u64>> = writers.iter().map(|_| HashSet::new()).collect();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [writer, sequence, sum, key, at] = fields[..] else { bail!("a row of another shape: {line}") };
        let (number, sequence): (u32, u64) = (writer.parse()?, sequence.parse()?);
        let slot = writers.iter().position(|writer| writer.number == number);
        let slot = slot.with_context(|| format!("a row of no writer: {line}"))?;
        ensure!(sum.parse::<u64>()? == checksum(number, sequence), "a row with a wrong checksum: {line}");
        ensure!(key == format!("w{number}k{}", sequence % KEYS), "a row with another row's key: {line}");
        ensure!(at == time(sequence), "a row with another row's time: {line}");
        ensure!(sequence < writers[slot].books.attempted(), "a row that nobody sent: {line}");
        ensure!(seen[slot].insert(sequence), "a row that is there twice: {line}");
    }
    for (writer, seen) in writers.iter().zip(&seen) {
        if let Some(lost) = (0..writer.acknowledged()).find(|sequence| !seen.contains(sequence)) {
            bail!("writer {}: row {lost} was acknowledged and is lost", writer.number);
        }
    }
    Ok(seen.iter().map(|seen| seen.len() as u64).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books() -> Vec<Writer> {
        let writer = Writer::new(3, 1);
        writer.books.attempted.store(5, Ordering::SeqCst);
        writer.books.acknowledged.store(3, Ordering::SeqCst);
        vec![writer]
    }

    fn row(sequence: u64) -> String {
        format!("3\t{sequence}\t{}\tw3k{}\t{}\n", checksum(3, sequence), sequence % KEYS, time(sequence))
    }

    #[test]
    fn books_that_agree_pass() {
        let text: String = (0..4).map(row).collect();
        assert_eq!(audit_rows(&text, &books()).expect("nothing is wrong"), 4);
    }

    #[test]
    fn planted_faults_are_caught() {
        let good: String = (0..3).map(row).collect();
        let wrong_sum = row(1).replace(&checksum(3, 1).to_string(), "7");
        for (fault, text) in [
            ("is lost", (0..2).map(row).collect()),
            ("twice", format!("{good}{}", row(1))),
            ("nobody sent", format!("{good}{}", row(5))),
            ("wrong checksum", format!("{}{wrong_sum}{}", row(0), row(2))),
            ("no writer", format!("{good}{}", row(4).replacen('3', "9", 1))),
        ] {
            let error = audit_rows(&text, &books()).expect_err(fault).to_string();
            assert!(error.contains(fault), "{fault}: {error}");
        }
    }
}
