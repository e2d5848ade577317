//! kill -9 under load, again and again, on a real file system.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use zepto_harness::{Connection, Request};
use zepto_integration::ledger::{self, Writer};
use zepto_integration::place::{rounds, seed};

const ROUNDS: usize = 20;
const WRITERS: u32 = 4;

#[test]
fn an_acknowledged_row_survives_kill_nine() -> Result<()> {
    let place = crate::place()?;
    let seed = seed()?;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, seed)).collect();
    let launch = place.launch();
    let rounds = rounds(ROUNDS)?;
    for round in 0..rounds {
        if round % 5 == 4 {
            // In the middle of a start, perhaps of a replay.
            let node = launch.start_listening()?;
            pass(Duration::from_millis(random.random_range(0..50)));
            node.kill()?;
        }
        let node = launch.start()?;
        let mut connection = node.connect()?;
        connection.query(ledger::TABLE)?;
        connection.query(ledger::VIEW)?;
        let stored = ledger::audit(&mut connection, &writers)?;
        let (address, life) = (node.address(), Duration::from_millis(random.random_range(100..1_500)));
        let stop = AtomicBool::new(false);
        thread::scope(|scope| -> Result<()> {
            let busy: Vec<_> =
                writers.iter_mut().map(|writer| scope.spawn(|| writer.write(address, &stop))).collect();
            let (tell, told) = channel();
            let disturber = scope.spawn(move || disturb(address, &told));
            pass(life);
            let killed = node.kill();
            stop.store(true, Ordering::Relaxed);
            drop::<Sender<()>>(tell);
            for writer in busy {
                writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
            }
            disturber.join().map_err(|_| anyhow::anyhow!("the disturber panicked"))?;
            killed?;
            Ok(())
        })?;
        let acknowledged: u64 = writers.iter().map(Writer::acknowledged).sum();
        println!("round {round}: {stored} rows were there, {acknowledged} are acknowledged now");
    }
    let node = launch.start()?;
    let stored = ledger::audit(&mut node.connect()?, &writers)?;
    let acknowledged: u64 = writers.iter().map(Writer::acknowledged).sum();
    println!("{rounds} kills: {acknowledged} rows acknowledged, {stored} stored, none lost, none twice");
    assert!(acknowledged > 1_000, "the load was too small to tell anything: {acknowledged} rows");
    Ok(())
}

/// Makes the node flush and compact, so that kills fall into that too. Its answers do not matter.
fn disturb(address: SocketAddr, until: &Receiver<()>) {
    let requests = [
        Request::statement("OPTIMIZE TABLE ledger"),
        Request::new("POST", "/admin/snapshot", &[], &[][..]),
        Request::statement("SELECT k, count(), max(sequence) FROM ledger GROUP BY k"),
    ];
    let Ok(mut connection) = Connection::open(address) else { return };
    for request in requests.iter().cycle() {
        if connection.send(request).is_err() {
            return;
        }
        if until.recv_timeout(Duration::from_millis(50)) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// Lets time pass.
fn pass(time: Duration) {
    let (_keep, never) = channel::<()>();
    let _passed = never.recv_timeout(time);
}
