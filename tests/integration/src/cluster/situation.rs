//! What a cluster looks like, for whoever reads that something in it did not come true.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use super::Cluster;

/// Lines of each process's log that are shown.
const LOG_LINES: usize = 12;
/// Partitions that are shown.
const PARTITIONS: usize = 8;

impl Cluster {
    /// A failure with what the coordinator and the processes' logs say meanwhile.
    ///
    /// # Errors
    /// That of `outcome`.
    pub fn explained<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.map_err(|error| error.context(self.situation()))
    }

    fn situation(&self) -> String {
        let mut text = match self.status() {
            Ok(status) => shown(&status),
            Err(error) => format!("the coordinator does not say: {error}\n"),
        };
        let entries = std::fs::read_dir(self.plan.folder.path()).into_iter().flatten().flatten();
        let mut logs: Vec<_> = entries.map(|entry| entry.path()).collect();
        logs.retain(|path| path.extension().is_some_and(|it| it == "log"));
        logs.sort();
        for path in logs {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let _never_fails = writeln!(text, "{name}:\n{}", last.join("\n"));
        }
        text
    }
}

fn shown(status: &Value) -> String {
    let mut text = String::new();
    for key in ["placement_version", "under_replicated", "unavailable", "moves", "handovers"] {
        let _never_fails = write!(text, "{key} {}, ", status[key]);
    }
    for node in status["nodes"].as_array().into_iter().flatten() {
        let _never_fails = write!(text, "\n{node}");
    }
    let partitions = status["partitions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let factor = status["replication_factor"].as_u64().unwrap_or(1);
    let moves = |it: &&Value| {
        let copies = it["followers"].as_array().map_or(0, Vec::len) as u64 + 1;
        copies != factor
            || it["joining"] != Value::Array(Vec::new())
            || it["leaving"] != Value::Array(Vec::new())
    };
    for partition in partitions.iter().filter(moves).take(PARTITIONS) {
        let _never_fails = write!(text, "\n{partition}");
    }
    text.push('\n');
    text
}
