//! Measures single-row INSERTs: rate and latency of many connections, driven by one thread, so that it is the node and
//! not sixty-four threads of the client that share the processors.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use zepto_harness::disk::percentile;
use zepto_harness::{Request, Response};

use super::Bench;
use super::load::Load;
use super::report::{Report, ms};
use super::rig::Rig;
use super::rows::{Encoding, Maker};

/// Connections of the single-row measurement.
const SINGLE_CONNECTIONS: usize = 64;
/// Requests per second of the single-row measurement by schedule: the rate that is to be reached.
const SINGLE_RATE: u32 = 6_000;

/// A measurement of single rows.
struct Single {
    work: &'static str,
    /// By schedule, or as fast as answers come.
    rate: Option<u32>,
    /// A sync takes at least this long; None: as long as it takes here.
    sync: Option<Duration>,
    target: &'static str,
}

/// What a sync takes on a common disk that does not answer from a cache. Sixty-four connections that wait for each
/// other's processor time, not for the disk, say nothing about sharing syncs.
const COMMON_SYNC: Duration = Duration::from_millis(4);

const SINGLES: &[Single] = &[
    Single { work: "a sync takes 4 ms or more", rate: None, sync: Some(COMMON_SYNC), target: SHARED },
    Single { work: "this disk", rate: None, sync: None, target: "≥ 6 k/s" },
    Single {
        work: "this disk, 6,000 per second by schedule",
        rate: Some(SINGLE_RATE),
        sync: None,
        target: SHARED,
    },
];
const SHARED: &str = "≥ 6 k/s, p99 ≤ 3 syncs";

/// Measures all cases.
pub(super) fn measure(options: &Bench, report: &mut Report) -> Result<()> {
    SINGLES.iter().try_for_each(|case| single(options, report, case))
}

/// Single rows under some load, with the time of a sync as the node counted it meanwhile.
fn single(options: &Bench, report: &mut Report, case: &Single) -> Result<()> {
    let at_least = case.sync.unwrap_or_default();
    if options.url.is_some() && !at_least.is_zero() {
        eprintln!("left out, a running node's disk cannot be slowed: {}", case.work);
        return Ok(());
    }
    let micros = at_least.as_micros().to_string();
    let rig = Rig::with_flags(options, &["--sync-at-least-us", &micros])?;
    rig.create_table("ticks")?;
    let requests = (0..SINGLE_CONNECTIONS)
        .map(|writer| Maker::new(100, 1, u32::try_from(writer)?).request("ticks", Encoding::Values));
    let requests = requests.collect::<Result<Vec<_>>>()?;
    let (syncs_before, seconds_before) = rig.syncs()?;
    let time = Duration::from_secs(options.seconds);
    let load = drive(&rig, &requests, case.rate, time)?;
    let counted: usize = rig.query("SELECT count() FROM ticks")?.trim().parse()?;
    ensure!(counted == load.times.len(), "{} acknowledged, {counted} there", load.times.len());
    let rate = load.times.len() as f64 / load.wall.as_secs_f64() / 1e3;
    let p99 = percentile(&load.times, 0.99);
    let (syncs, seconds) = rig.syncs()?;
    let (syncs, seconds) = (syncs - syncs_before, seconds - seconds_before);
    let sync = Duration::from_secs_f64(seconds / syncs.max(1.0));
    let measured = format!(
        "{rate:.1} k/s; p50 {}, p99 {} ({:.1} syncs); {:.1} rows share a sync of {}",
        ms(percentile(&load.times, 0.5)),
        ms(p99),
        p99.as_secs_f64() / sync.as_secs_f64().max(1e-9),
        load.times.len() as f64 / syncs.max(1.0),
        ms(sync)
    );
    let work = format!("single-row INSERTs, {SINGLE_CONNECTIONS} connections, {}", case.work);
    report.add(work, case.target, measured);
    Ok(())
}

/// Sends each connection's one request again and again, as soon as the answer before it came or at a fixed rate of all
/// connections together. By schedule a time counts from the moment at which the request was due: what waits because
/// an answer before it was slow is not forgiven.
fn drive(rig: &Rig, requests: &[Request], rate: Option<u32>, time: Duration) -> Result<Load> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in requests {
            let stream = TcpStream::connect(rig.address()).await?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let connections = u32::try_from(requests.len())?;
        let step = rate.map(|rate| Duration::from_secs(1) / rate.max(1));
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for (writer, (stream, request)) in (0..connections).zip(streams.into_iter().zip(requests)) {
            let first = start + step.unwrap_or_default() * writer;
            let step = step.map(|step| step * connections);
            tasks.spawn(one_connection(stream, request.bytes(), first, step, start + time));
        }
        let mut load = Load::default();
        while let Some(times) = tasks.join_next().await {
            load.times.extend(times??);
        }
        load.wall = start.elapsed();
        load.times.sort();
        Ok(load)
    })
}

async fn one_connection(
    mut stream: TcpStream,
    request: Vec<u8>,
    mut due: Instant,
    step: Option<Duration>,
    end: Instant,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut answer = Vec::new();
    while due < end {
        sleep_until(due.into()).await;
        stream.write_all(&request).await?;
        answer.clear();
        let response = loop {
            if stream.read_buf(&mut answer).await.context("the answer broke off")? == 0 {
                bail!("the node closed the connection");
            }
            if let Some(response) = Response::parse(&answer)? {
                break response;
            }
        };
        ensure!(response.status == 200, "{}: {}", response.status, response.text());
        times.push(due.elapsed());
        due = step.map_or_else(Instant::now, |step| due + step);
    }
    Ok(times)
}
