//! Many connections, each sending its prepared requests as fast as the answers come.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use zepto_harness::{Connection, Request};

/// Something that takes INSERTs: one node, or a cluster's ingest node.
pub(super) trait Door {
    /// A new connection.
    fn connect(&self) -> Result<Connection>;
}

/// What a load took.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// From the first request to the last answer.
    pub(super) wall: Duration,
    /// Each request's time, sorted.
    pub(super) times: Vec<Duration>,
}

/// Sends each connection's requests in order, all connections at once; any answer but 200 is an error.
pub(super) fn send_all(door: &impl Door, requests: &[Vec<Request>]) -> Result<Load> {
    drive(door, requests.len(), |writer, connection| {
        let mut times = Vec::with_capacity(requests[writer].len());
        for request in &requests[writer] {
            times.push(timed(connection, request)?);
        }
        Ok(times)
    })
}

/// Sends each connection's requests, over and over, at a fixed rate of all connections together, until it is over.
/// A connection that falls behind sends the next one at once.
pub(super) fn stream(
    door: &impl Door,
    requests: &[Vec<Request>],
    per_second: u32,
    over: &AtomicBool,
) -> Result<Load> {
    let connections = u32::try_from(requests.len())?;
    let step = Duration::from_secs(1) / per_second.max(1);
    drive(door, requests.len(), |writer, connection| {
        let mut due = Instant::now() + step * u32::try_from(writer)?;
        let mut times = Vec::new();
        for request in requests[writer].iter().cycle() {
            if over.load(Ordering::Relaxed) {
                break;
            }
            pause(due.saturating_duration_since(Instant::now()));
            times.push(timed(connection, request)?);
            due += step * connections;
        }
        Ok(times)
    })
}

/// Lets time pass: nothing can wake this wait early.
pub(super) fn pause(time: Duration) {
    let (_keep, never): (_, Receiver<()>) = sync_channel(1);
    let _passed = never.recv_timeout(time);
}

fn timed(connection: &mut Connection, request: &Request) -> Result<Duration> {
    let start = Instant::now();
    let response = connection.send(request)?;
    let took = start.elapsed();
    if response.status != 200 {
        bail!("{}: {}", response.status, response.text());
    }
    Ok(took)
}

fn drive(
    door: &impl Door,
    connections: usize,
    work: impl Fn(usize, &mut Connection) -> Result<Vec<Duration>> + Sync,
) -> Result<Load> {
    let mut open = (0..connections).map(|_| door.connect()).collect::<Result<Vec<_>>>()?;
    let start_line = Barrier::new(connections + 1);
    thread::scope(|scope| {
        let threads: Vec<_> = open
            .iter_mut()
            .enumerate()
            .map(|(writer, connection)| {
                let (start_line, work) = (&start_line, &work);
                scope.spawn(move || {
                    start_line.wait();
                    work(writer, connection)
                })
            })
            .collect();
        start_line.wait();
        let start = Instant::now();
        let mut load = Load::default();
        for thread in threads {
            match thread.join() {
                Ok(times) => load.times.extend(times?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        load.wall = start.elapsed();
        load.times.sort();
        Ok(load)
    })
}
