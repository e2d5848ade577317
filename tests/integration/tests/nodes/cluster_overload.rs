//! Four times what a cluster can take: it says 429 and when to come again, its memory stays bounded, it is as quick as
//! before soon after, and what it acknowledged is there once, what it refused is not there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use zepto_harness::connection::percent_encode;
use zepto_harness::{Connection, Request};
use zepto_integration::cluster::Cluster;

use crate::cluster_copies::all_copies;

/// Memory of each node, as it is configured.
const MEMORY_LIMIT: u64 = 256 << 20;
/// The most that an ingest node may take then, and a storage node: the limit bounds what waits, beside which are the
/// clients' bodies that are just being read, what copies have on their way, and what the allocator keeps.
const INGEST_MAX: u64 = 768 << 20;
const STORAGE_MAX: u64 = 1_280 << 20;
const TABLE: &str = "CREATE TABLE heavy (k LowCardinality(String), ts DateTime64(9), id UInt64, s String) \
     ENGINE = MergeTree ORDER BY (k, ts)";
/// Rows of one INSERT, and bytes of the text in each.
const BATCH: u64 = 1_000;
const TEXT: usize = 4_000;
/// Keys of all rows.
const KEYS: u64 = 500;
/// Writers whose rate is what the cluster can take, and for how long they are measured.
const FEW: usize = 4;
const MEASURED: Duration = Duration::from_secs(4);
const OVERLOADED: Duration = Duration::from_secs(10);
/// How many times that rate is offered at least.
const TIMES: f64 = 4.0;
/// A writer that is refused was let wait so long, in seconds: so many are needed to offer a rate. Others wait longer.
const REFUSED_AFTER: f64 = 2.5;
const WAITING: usize = 48;
/// So soon after they were told to stop, nobody is refused and the cluster is as quick as before; or nearly half as quick, for
/// it still compacts what came, and other tests run beside this one.
const RECOVERY: Duration = Duration::from_secs(10);
const QUICK_SHARE: f64 = 0.4;

/// What became of each batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Stored,
    Refused,
    Unknown,
}

/// Writers that send one batch after the other, each once.
struct Writers {
    door: SocketAddr,
    /// What a row has besides its number.
    text: String,
    next: AtomicU64,
    /// 429 without the time to come again.
    impolite: AtomicU64,
}

impl Writers {
    fn request(&self, batch: u64) -> Request {
        let mut body = String::with_capacity(BATCH as usize * (TEXT + 64));
        for id in batch * BATCH..(batch + 1) * BATCH {
            let at = (id * 31) as usize % (self.text.len() - TEXT);
            // Writing to a String cannot fail.
            let _infallible = writeln!(
                body,
                "k{}\t{}\t{id}\t{}",
                id % KEYS,
                1_700_000_000 + id % 86_400,
                &self.text[at..at + TEXT]
            );
        }
        let statement = percent_encode("INSERT INTO heavy FORMAT TabSeparated");
        let target = format!("/?query={statement}&insert_deduplication_token=b{batch}");
        Request::new("POST", &target, &[], body.into_bytes())
    }

    /// Sends one batch.
    fn send(&self, connection: &mut Connection, batch: u64) -> Result<End> {
        let response = connection.send(&self.request(batch))?;
        Ok(match (response.status, response.exception_code()) {
            (200, _) => End::Stored,
            (429 | 503, _) => {
                let polite = response.header("retry-after").is_some_and(|it| it.parse::<u64>().is_ok());
                self.impolite.fetch_add(u64::from(!polite), Ordering::Relaxed);
                End::Refused
            }
            (_, Some(319)) => End::Unknown,
            _ => anyhow::bail!("{} {}", response.status, response.text()),
        })
    }

    /// So many of them for so long; what became of each batch, and when they were told to stop.
    fn run(&self, many: usize, time: Duration) -> Result<(BTreeMap<u64, End>, Instant)> {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let one = || -> Result<Vec<(u64, End)>> {
                let (mut connection, mut ends) = (Connection::open(self.door)?, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let batch = self.next.fetch_add(1, Ordering::Relaxed);
                    ends.push((batch, self.send(&mut connection, batch)?));
                }
                Ok(ends)
            };
            let all: Vec<_> = (0..many).map(|_| scope.spawn(one)).collect();
            let until = Instant::now() + time;
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                thread::park_timeout(left);
            }
            stop.store(true, Ordering::Relaxed);
            let stopped = Instant::now();
            let mut ends = BTreeMap::new();
            for one in all {
                ends.extend(one.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??);
            }
            Ok((ends, stopped))
        })
    }
}

fn ended(ends: &BTreeMap<u64, End>, as_this: End) -> usize {
    ends.values().filter(|end| **end == as_this).count()
}

/// Batches per second that few writers have stored.
fn rate(writers: &Writers, time: Duration, all: &mut BTreeMap<u64, End>) -> Result<(f64, usize)> {
    let begun = Instant::now();
    let (ends, _) = writers.run(FEW, time)?;
    let rate = ended(&ends, End::Stored) as f64 / begun.elapsed().as_secs_f64();
    let refused = ends.len() - ended(&ends, End::Stored);
    all.extend(ends);
    Ok((rate, refused))
}

/// Each batch that was acknowledged is there whole and once, what was refused is not there.
fn audit(door: &mut Connection, ends: &BTreeMap<u64, End>) -> Result<()> {
    let text = door.query(&format!(
        "SELECT intDiv(id, {BATCH}) AS b, count(), min(id), max(id), sum(id), sum(length(s)) FROM heavy GROUP BY b ORDER BY b"
    ))?;
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let numbers: Vec<u64> = line.split('\t').map(str::parse).collect::<Result<_, _>>()?;
        found.insert(numbers[0], numbers[1..].to_vec());
    }
    for (batch, end) in ends {
        let (first, last) = (batch * BATCH, (batch + 1) * BATCH - 1);
        let whole = vec![BATCH, first, last, (first + last) * BATCH / 2, BATCH * TEXT as u64];
        match (end, found.remove(batch)) {
            (End::Stored, Some(rows)) if rows == whole => {}
            (End::Refused, None) => {}
            (_, rows) => anyhow::bail!("batch {batch} was {end:?}, and of {whole:?} there is {rows:?}"),
        }
    }
    ensure!(found.is_empty(), "batches that nobody sent: {:?}", found.keys());
    Ok(())
}

/// The most memory that each process has had.
fn memory(cluster: &Cluster) -> Result<Vec<u64>> {
    let mut all = vec![cluster.ingest()?.cost()?.resident_max];
    for node in 0..3 {
        all.push(cluster.storage(node)?.cost()?.resident_max);
    }
    Ok(all)
}

#[test]
fn four_times_what_it_can_take_is_refused_politely_in_bounded_memory_and_forgotten_soon() -> Result<()> {
    let limit = MEMORY_LIMIT.to_string();
    let cluster = Cluster::with_flags(env!("CARGO_TARGET_TMPDIR"), 3, &["--memory-limit", &limit])?;
    all_copies(&cluster)?;
    cluster.ingest()?.connect()?.query(TABLE)?;
    let text: String = (0..200_000_u64).map(|at| char::from(b'a' + (at * at / 7 % 26) as u8)).collect();
    let (next, impolite) = (AtomicU64::new(0), AtomicU64::new(0));
    let writers = Writers { door: cluster.ingest()?.address(), text, next, impolite };
    let mut ends = BTreeMap::new();
    let (capacity, _) = rate(&writers, MEASURED, &mut ends)?;
    let many = (capacity * TIMES * REFUSED_AFTER).ceil() as usize + WAITING;
    println!("{FEW} writers have {capacity:.1} batches/s stored, the most memory is {:?}", memory(&cluster)?);
    let begun = Instant::now();
    let (over, stopped) = writers.run(many, OVERLOADED)?;
    let offered = over.len() as f64 / (stopped - begun).as_secs_f64();
    let [stored, refused, unknown] = [End::Stored, End::Refused, End::Unknown].map(|end| ended(&over, end));
    println!(
        "{many} writers offer {offered:.1} batches/s for {:.1?}: {stored} stored, {refused} refused, {unknown} unknown, \
         the most memory is {:?}",
        begun.elapsed(),
        memory(&cluster)?
    );
    ends.extend(over);
    let (mut rates, mut recovered) = (Vec::new(), None);
    while recovered.is_none() && stopped.elapsed() < RECOVERY {
        let at = stopped.elapsed();
        let (now, refused) = rate(&writers, Duration::from_secs(1), &mut ends)?;
        rates.push(now);
        recovered = (refused == 0 && now >= capacity * QUICK_SHARE).then_some(at);
    }
    println!("afterwards {rates:.1?} batches/s, as before after {recovered:.1?}");
    let most = memory(&cluster)?;
    // Whoever does not know repeats under the same token.
    let mut connection = cluster.ingest()?.connect()?;
    for (batch, end) in ends.iter_mut().filter(|(_, end)| **end == End::Unknown) {
        *end = writers.send(&mut connection, *batch)?;
        ensure!(*end == End::Stored, "batch {batch} again: {end:?}");
    }
    for mut door in cluster.connect_all()? {
        audit(&mut door, &ends)?;
    }
    println!(
        "{} batches stored whole and once, {} not at all",
        ended(&ends, End::Stored),
        ended(&ends, End::Refused)
    );
    ensure!(refused > 0, "nothing was refused: it was no overload");
    ensure!(writers.impolite.load(Ordering::Relaxed) == 0, "a refusal without the time to come again");
    ensure!(offered >= capacity * TIMES, "{offered:.1} batches/s offered, and {capacity:.1} can be stored");
    recovered.with_context(|| format!("{RECOVERY:?} afterwards it was not as before: {rates:.1?}"))?;
    ensure!(most[0] <= INGEST_MAX, "the ingest node has had {} bytes", most[0]);
    ensure!(most[1..].iter().all(|most| *most <= STORAGE_MAX), "the storage nodes have had {most:?} bytes");
    Ok(())
}
