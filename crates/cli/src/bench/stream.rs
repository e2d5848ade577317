//! Measures a whole table on its way out: `SELECT *` in Native over loopback, read and thrown away, and how much memory
//! the node takes for it meanwhile, for a table and for one four times as large.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use zepto_harness::Request;
use zepto_harness::disk::percentile;

use super::load::{Door, pause};
use super::report::{Report, million_per_second, us_per_row};
use super::rig::Rig;
use super::{Bench, ingest};

/// Times that a table is read; the median counts.
const TURNS: usize = 7;
/// How many times smaller the small table is.
const SMALLER: u64 = 4;
/// Pause between two looks at the node's memory.
const LOOK_PAUSE: Duration = Duration::from_millis(2);

/// Measures both tables on one node.
pub(super) fn measure(options: &Bench, report: &mut Report) -> Result<()> {
    let rig = Rig::new(options)?;
    let tables = [("some_ticks", options.rows / SMALLER, ""), ("ticks", options.rows, "≥ 10 M rows/s")];
    let mut loaded = Vec::new();
    for (table, rows, target) in tables {
        rig.create_table(table)?;
        loaded.push((table, ingest::fill(options, &rig, table, options.keys, rows)?, target));
    }
    rig.settle()?;
    for (table, rows, target) in loaded {
        let first = check(&rig, table, rows)?;
        read(&rig, table, rows, target, first, report)?;
    }
    Ok(())
}

fn whole(table: &str) -> Request {
    Request::statement(&format!("SELECT * FROM {table} FORMAT Native"))
}

/// Reads the table once and counts its rows; gives what the node held before.
fn check(rig: &Rig, table: &str, rows: u64) -> Result<u64> {
    let before = resident(rig)?;
    let response = rig.connect()?.send(&whole(table))?;
    if response.status != 200 {
        bail!("{}: {}", response.status, response.text());
    }
    let found = rows_of(&response.body).context("the answer is not in Native")?;
    if found != rows {
        bail!("{found} rows came of {rows}");
    }
    Ok(before)
}

fn resident(rig: &Rig) -> Result<u64> {
    Ok(rig.cost()?.unwrap_or_default().resident)
}

/// Reads the table some times, while another thread looks at the node's memory.
fn read(
    rig: &Rig,
    table: &str,
    rows: u64,
    target: &'static str,
    first: u64,
    report: &mut Report,
) -> Result<()> {
    let request = whole(table);
    let before = resident(rig)?;
    let cost = rig.cost()?;
    let over = AtomicBool::new(false);
    let (mut times, most) = thread::scope(|scope| -> Result<_> {
        let watch = scope.spawn(|| -> Result<u64> {
            let mut most = before;
            while !over.load(Ordering::Relaxed) {
                most = most.max(resident(rig)?);
                pause(LOOK_PAUSE);
            }
            Ok(most)
        });
        let times = (0..TURNS).map(|_| turn(rig, &request, rows)).collect::<Result<Vec<_>>>();
        over.store(true, Ordering::Relaxed);
        let most = match watch.join() {
            Ok(most) => most?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok((times?, most))
    })?;
    times.sort();
    let (median, best) = (percentile(&times, 0.5), times[0]);
    let mut measured =
        format!("{}, at best {}", million_per_second(rows, median), million_per_second(rows, best));
    if let Some((before_cost, after)) = cost.zip(rig.cost()?) {
        let cpu = after.cpu.saturating_sub(before_cost.cpu);
        measured += &format!(
            "; server CPU per row {}; resident {} MB before the first, {} MB before the {TURNS}, {} MB at most meanwhile",
            us_per_row(cpu, rows * TURNS as u64),
            first >> 20,
            before >> 20,
            most >> 20
        );
    }
    report.add(format!("SELECT * in Native, {rows} rows, median of {TURNS}"), target, measured);
    Ok(())
}

/// Reads the answer and throws it away.
fn turn(rig: &Rig, request: &Request, rows: u64) -> Result<Duration> {
    /// A symbol's number in its block's dictionary, and three values of eight bytes.
    const ROW_BYTES_MIN: u64 = 1 + 3 * 8;
    let mut connection = rig.connect()?;
    let mut bytes = 0;
    let start = Instant::now();
    let response = connection.pass(request, |part| bytes += part.len() as u64)?;
    let took = start.elapsed();
    if response.status != 200 || bytes < rows * ROW_BYTES_MIN {
        bail!("status {}, {bytes} bytes for {rows} rows", response.status);
    }
    Ok(took)
}

/// Rows in the blocks of an answer with the columns of [`super::rig::create_table`]; None if it does not end where its
/// last block does.
fn rows_of(mut body: &[u8]) -> Option<u64> {
    let mut rows = 0;
    while !body.is_empty() {
        let columns = number(&mut body)?;
        let here = number(&mut body)?;
        for _ in 0..columns {
            skip_text(&mut body)?;
            let ty = skip_text(&mut body)?;
            if here > 0 && ty.starts_with(b"LowCardinality") {
                skip(&mut body, 8)?;
                let flags = word(&mut body)?;
                for _ in 0..word(&mut body)? {
                    skip_text(&mut body)?;
                }
                let numbers = word(&mut body)?;
                skip(&mut body, numbers << (flags & 0xFF))?;
            } else {
                skip(&mut body, here * 8)?;
            }
        }
        rows += here;
    }
    Some(rows)
}

fn skip<'a>(body: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (head, rest) = body.split_at_checked(usize::try_from(length).ok()?)?;
    *body = rest;
    Some(head)
}

fn word(body: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(skip(body, 8)?.try_into().ok()?))
}

/// A count or a length as LEB128.
fn number(body: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = skip(body, 1)?[0];
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn skip_text<'a>(body: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(body)?;
    skip(body, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_over_blocks_and_an_answer_that_is_cut_has_none() {
        let mut body = Vec::new();
        for rows in [2u8, 3] {
            body.extend([2, rows, 1, b's', 22]);
            body.extend(b"LowCardinality(String)");
            body.extend(1u64.to_le_bytes());
            body.extend(0x601u64.to_le_bytes());
            body.extend(2u64.to_le_bytes());
            body.extend([0, 3, b'A', b'B', b'C']);
            body.extend(u64::from(rows).to_le_bytes());
            body.extend(vec![0; 2 * usize::from(rows)]);
            body.extend([1, b'v', 5]);
            body.extend(b"Int64");
            body.extend(vec![7; 8 * usize::from(rows)]);
        }
        assert_eq!(rows_of(&body), Some(5));
        assert_eq!(rows_of(&body[..body.len() - 1]), None);
    }
}
