//! Many connections, each sending its prepared requests as fast as the answers come.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use zepto_harness::{Connection, Request};

use super::rig::Rig;

/// What a load took.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// From the first request to the last answer.
    pub(super) wall: Duration,
    /// Each request's time, sorted.
    pub(super) times: Vec<Duration>,
}

/// Sends each connection's requests in order, all connections at once; any answer but 200 is an error.
pub(super) fn send_all(rig: &Rig, requests: &[Vec<Request>]) -> Result<Load> {
    drive(rig, requests.len(), |writer, connection| {
        let mut times = Vec::with_capacity(requests[writer].len());
        for request in &requests[writer] {
            times.push(timed(connection, request)?);
        }
        Ok(times)
    })
}

/// Sends each connection's one request again and again until the time is over.
pub(super) fn repeat(rig: &Rig, requests: &[Request], time: Duration) -> Result<Load> {
    drive(rig, requests.len(), |writer, connection| {
        let end = Instant::now() + time;
        let mut times = Vec::new();
        while Instant::now() < end {
            times.push(timed(connection, &requests[writer])?);
        }
        Ok(times)
    })
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
    rig: &Rig,
    connections: usize,
    work: impl Fn(usize, &mut Connection) -> Result<Vec<Duration>> + Sync,
) -> Result<Load> {
    let mut open = (0..connections).map(|_| rig.connect()).collect::<Result<Vec<_>>>()?;
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
