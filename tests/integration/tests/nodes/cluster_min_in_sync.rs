//! A cluster whose sets may not shrink to one copy: while a copy is away nothing is acknowledged, writers are told 503
//! with what is wrong, and all goes on by itself when it is back.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use zepto_harness::{Connection, Request};
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::ledger::{self, Writer};
use zepto_integration::place::seed;

use crate::cluster_copies::{all_copies, keep_writing, more_rows};

/// What being told, or the way back, may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Keys of the rows that ask whether there are copies enough: some lie in every partition.
const KEYS: usize = 64;
/// ClickHouse's number for too few copies.
const TOO_FEW: u32 = 285;

#[test]
fn writers_are_told_503_while_too_few_copies_live_and_nothing_is_lost() -> Result<()> {
    let mut cluster = Cluster::with_min_in_sync(env!("CARGO_TARGET_TMPDIR"), 2, 2, 2)?;
    all_copies(&cluster)?;
    let address = cluster.ingest()?.address();
    let mut door = cluster.ingest()?.connect()?;
    door.query(ledger::TABLE)?;
    door.query("CREATE TABLE asked (k String, v UInt64) ENGINE = MergeTree ORDER BY k")?;
    let seed = seed()?;
    let mut writers: Vec<Writer> = (0..3).map(|number| Writer::new(number, seed)).collect();
    let progress: Vec<_> = writers.iter().map(Writer::progress).collect();
    let (stop, told) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| -> Result<()> {
        let told = &told;
        let mut busy: Vec<_> =
            writers.iter_mut().map(|writer| scope.spawn(|| keep_writing(writer, address, &stop))).collect();
        let worked = (|| -> Result<()> {
            more_rows(&progress, 200)?;
            cluster.kill_storage(1)?;
            busy.extend((0..4).map(|number| scope.spawn(move || ask(address, number * KEYS / 4, told))));
            eventually(PATIENCE, || {
                ensure!(told.load(Ordering::Relaxed), "nobody was told that copies are missing");
                Ok(())
            })?;
            cluster.start_storage(1)?;
            all_copies(&cluster)?;
            more_rows(&progress, 200)?;
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        told.store(true, Ordering::Relaxed);
        for one in busy {
            one.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
        }
        worked
    })?;
    ledger::audit_nodes(&mut cluster.connect_storage()?, &writers)?;
    Ok(())
}

/// Asks with one row after the other until one is refused because too few copies could take it, with what a client needs
/// to come back. The first row of a partition waits for its copy; those behind it are told.
fn ask(address: SocketAddr, first: usize, told: &AtomicBool) -> Result<()> {
    let mut door = Connection::open(address)?;
    for key in (0..KEYS).cycle().skip(first) {
        if told.load(Ordering::Relaxed) {
            break;
        }
        let row = format!("INSERT INTO asked VALUES ('k{key}', {key})");
        let answer = door.send(&Request::statement(&row))?;
        if answer.exception_code() == Some(TOO_FEW) {
            ensure!(answer.status == 503, "{}: {}", answer.status, answer.text());
            ensure!(answer.header("retry-after").is_some(), "when to come back: {}", answer.text());
            ensure!(answer.text().contains("cluster.minInSync"), "{}", answer.text());
            told.store(true, Ordering::Relaxed);
        }
    }
    Ok(())
}
