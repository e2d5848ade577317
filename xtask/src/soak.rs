//! `cargo xtask soak`: the tests that loop, again and again with other seeds, for a number of rounds or of minutes.
//!
//! One round runs every suite of [`SUITES`] with one seed. Tests say how much they did on lines that begin with a
//! number (`20 kills: …`, `808 crash images …`); these are summed per suite and shown as the soak goes on.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::Args;

use crate::libtest::{Reader, Tally};
use crate::program;
use crate::workspace::Workspace;

/// Environment variable by which tests that loop multiply their rounds.
const FACTOR: &str = "ZEPTO_TEST_FACTOR";
/// Environment variable that gives random tests their seed.
const SEED: &str = "ZEPTO_TEST_SEED";
/// The suite that is no `cargo test`: the decoders, led by the branches that inputs reach.
const DECODERS: &str = "decoders";
/// Seconds for each decoder in one round, as in the tests.
const DECODER_SECONDS: u32 = 5;
/// Random cases of each property in one round; the usual number is at most this.
const PROPERTY_CASES: u32 = 512;

/// The suites of a round: name, and what `cargo test` is asked for.
const SUITES: &[(&str, &[&str])] = &[
    (DECODERS, &[]),
    ("formats", &["--test", "formats", "--", "hostile", "damaged", "any_rows"]),
    ("statements", &["--lib", "--", "damaged_statements"]),
    ("power loss", &["--test", "crash", "--test", "faults", "--", ""]),
    ("properties", &["--lib", "--", "wal::", "dedup::", "run::", "segment::", "part::", "disk::"]),
    ("hostile requests", &["--test", "nodes", "--", "no_bad_request"]),
    ("simulated histories", &["--test", "replication", "--", "every_promise"]),
    ("kill -9", &["--test", "nodes", "--", "kill_nine"]),
    ("cut networks", &["--test", "nodes", "--", "cluster_cuts"]),
    ("feeds", &["--test", "nodes", "--", "every_message_is_stored_once"]),
];

/// What a line that begins with a number counts.
const FIGURES: &[(&str, &str)] = &[
    (" kills: ", "kills"),
    (" cuts: ", "cuts"),
    (" crash images of ", "crash images"),
    (" images of a recovery", "crash images"),
    (" histories: ", "histories"),
    (" bad requests;", "bad requests"),
    (" damaged inputs, ", "damaged inputs"),
    (" damaged statements, ", "damaged statements"),
];

/// Runs the tests that loop with many more rounds: kills, crash images, random cases, damaged input.
#[derive(Args)]
pub(crate) struct Soak {
    /// Go on until this many minutes have passed; a round that has begun is finished
    #[arg(long, conflicts_with = "factor")]
    minutes: Option<u64>,
    /// One round with this many times the usual number of everything [default: 20 without --minutes]
    #[arg(long)]
    factor: Option<u32>,
    /// Seed of the first round; the following ones count up from it [default: the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// Only suites whose name contains this
    filter: Option<String>,
}

/// What one suite has done so far.
#[derive(Debug, Default)]
struct Total {
    tally: Tally,
    figures: BTreeMap<&'static str, u64>,
    seconds: f64,
}

impl Soak {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<bool> {
        let build = ["build", "--locked", "--workspace", "--all-targets"];
        if !program::succeeds(program::cargo(workspace).args(build))? {
            return Ok(false);
        }
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs());
        let (first, start) = (self.seed.unwrap_or(clock), Instant::now());
        let wanted = |name: &str| self.filter.as_deref().is_none_or(|filter| name.contains(filter));
        let factor = self.factor.unwrap_or(if self.minutes.is_some() { 1 } else { 20 });
        let end = Duration::from_secs(self.minutes.unwrap_or(0) * 60);
        let mut totals: BTreeMap<&str, Total> = BTreeMap::new();
        let mut round = 0;
        loop {
            let seed = first + round;
            for (name, arguments) in SUITES.iter().filter(|(name, _)| wanted(name)) {
                let total = totals.entry(name).or_default();
                suite(workspace, name, arguments, factor, seed, total)?;
                let minutes = start.elapsed().as_secs_f64() / 60.0;
                println!(
                    "soak: {minutes:.1} min, round {}, seed {seed}, {name}: {}",
                    round + 1,
                    total.line()
                );
            }
            round += 1;
            if start.elapsed() >= end {
                break;
            }
        }
        println!("== soak: {round} rounds, seeds {first} to {}", first + round - 1);
        let mut all = Tally::default();
        for (name, total) in totals {
            println!("{name}: {}, {:.0} s", total.line(), total.seconds);
            all.add(total.tally);
        }
        Ok(crate::suite::finish(&all))
    }
}

impl Total {
    fn line(&self) -> String {
        let figures = self.figures.iter().map(|(name, count)| format!("{count} {name}, "));
        format!("{}{}", figures.collect::<String>(), self.tally.summary())
    }
}

fn suite(
    workspace: &Workspace,
    name: &str,
    arguments: &[&str],
    factor: u32,
    seed: u64,
    total: &mut Total,
) -> Result<()> {
    if name == DECODERS {
        return decoders(workspace, factor, seed, total);
    }
    let start = Instant::now();
    let mut reader = Reader::default();
    let mut cargo = program::cargo(workspace);
    cargo.args(["test", "--locked", "--workspace", "--no-fail-fast"]).args(arguments).arg("--nocapture");
    cargo.env(FACTOR, factor.to_string()).env(SEED, seed.to_string());
    cargo.env("PROPTEST_CASES", PROPERTY_CASES.saturating_mul(factor).to_string());
    let mut kept = Vec::new();
    let succeeded = program::lines(&mut cargo, |line| {
        reader.line(line);
        if let Some((count, figure)) = figure(line) {
            *total.figures.entry(figure).or_default() += count;
        }
        kept.push(line.to_owned());
    })?;
    let tally = reader.finish(name, succeeded);
    if !tally.failed.is_empty() {
        // The whole output of a round that failed: its seed and what the test said are in it.
        println!("{}", kept.join("\n"));
    }
    total.tally.add(tally);
    total.seconds += start.elapsed().as_secs_f64();
    Ok(())
}

/// Every decoder for some seconds, in a build of its own. A line without a finding is a check that passed.
fn decoders(workspace: &Workspace, factor: u32, seed: u64, total: &mut Total) -> Result<()> {
    let start = Instant::now();
    let seconds = DECODER_SECONDS.saturating_mul(factor).to_string();
    let arguments = ["--seconds".to_owned(), seconds, "--seed".to_owned(), seed.to_string()];
    let mut passed = 0;
    let succeeded = crate::fuzz::campaign(workspace, &arguments, |line| {
        println!("{line}");
        if let Some((count, figure)) = figure(line) {
            *total.figures.entry(figure).or_default() += count;
            passed += u64::from(line.contains(" 0 findings"));
        }
    })?;
    total.tally.passed += passed;
    if !succeeded || passed == 0 {
        total.tally.failed.push(format!("{DECODERS}, seed {seed}"));
    }
    total.seconds += start.elapsed().as_secs_f64();
    Ok(())
}

/// Number and name on a line of a test that tells how much it did.
fn figure(line: &str) -> Option<(u64, &'static str)> {
    // On one core the test's name stands before its first line.
    let line = line.rsplit_once(" ... ").map_or(line, |(_, said)| said);
    let end = line.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
    let (_, name) = FIGURES.iter().find(|(mark, _)| line[end..].starts_with(mark))?;
    Some((line[..end].parse().ok()?, name))
}
