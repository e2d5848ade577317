//! Other engines, measured by a script in their own processes.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bench::Bench;

/// The script, relative to the workspace, where `cargo xtask` runs this.
const SCRIPT: &str = "xtask/peers/measure.py";
/// The engines; each has a process to itself.
const ENGINES: [&str; 3] = ["duckdb", "chdb", "polars"];
/// How far two sums of the same numbers may lie apart.
const ROUNDING: f64 = 1e-9;

/// One query at one engine.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Peer {
    pub(super) engine: String,
    pub(super) version: String,
    pub(super) query: String,
    /// Median of the runs.
    pub(super) ms: f64,
    /// Of the last run.
    pub(super) answer: Vec<f64>,
}

/// Measures all queries at all engines.
pub(super) fn measure(python: &Path, options: &Bench, folder: &Path, runs: u32) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for engine in ENGINES {
        let (keys, runs) = (options.keys.max(1).to_string(), runs.to_string());
        let mut command = Command::new(python);
        command.arg(SCRIPT).arg(folder).args([keys.as_str(), runs.as_str(), engine]);
        let output = command.stderr(Stdio::inherit()).output().context("cannot start python")?;
        if !output.status.success() {
            bail!("{SCRIPT} {engine} ended with {}", output.status);
        }
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            peers.push(of_line(line).with_context(|| format!("{SCRIPT} wrote {line}"))?);
        }
    }
    Ok(peers)
}

fn of_line(line: &str) -> Option<Peer> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    let answer: Option<Vec<f64>> = line["answer"].as_array()?.iter().map(Value::as_f64).collect();
    Some(Peer {
        engine: text("engine")?,
        version: text("version")?,
        query: text("query")?,
        ms: line["ms"].as_f64()?,
        answer: answer?,
    })
}

/// Whether two answers are the same but for rounding.
pub(super) fn close(one: &[f64], other: &[f64]) -> bool {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= ROUNDING * a.abs().max(b.abs()).max(1.0);
    one.len() == other.len() && one.iter().zip(other).all(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_script_is_a_peer() {
        let line =
            r#"{"engine": "duckdb", "version": "2.0.0", "query": "Q1", "ms": 0.5, "answer": [3.0, 1e3]}"#;
        let peer = of_line(line).expect("it is complete");
        assert_eq!((peer.query.as_str(), peer.answer), ("Q1", vec![3.0, 1_000.0]));
        assert_eq!(of_line("{}"), None);
    }

    #[test]
    fn answers_that_differ_by_more_than_rounding_are_told_apart() {
        assert!(close(&[1e12, 0.0], &[1e12 + 1.0, 0.0]));
        assert!(!close(&[1.0], &[1.001]) && !close(&[1.0], &[1.0, 2.0]) && !close(&[f64::NAN], &[1.0]));
    }
}
