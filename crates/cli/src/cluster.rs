//! `zepto cluster`: what a cluster has agreed on, for people.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::client::{Client, Server};

/// What can be asked of a cluster.
#[derive(Subcommand)]
pub(crate) enum Cluster {
    /// Nodes, partitions and versions; asks a storage node or a coordinator (its HTTP address)
    Status(Status),
}

/// Shows the status.
#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    server: Server,
    /// As JSON, every partition among it
    #[arg(long)]
    json: bool,
}

impl Cluster {
    /// Does it.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let Self::Status(status) = self;
        let text = Client::new(&status.server)?.get("/admin/cluster")?;
        if status.json {
            println!("{text}");
        } else {
            print!("{}", report(&serde_json::from_str(&text).context("the answer is no status")?));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A value without quotes; `-` for one that is missing.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.len().to_string(),
        other => other.to_string(),
    }
}

/// The status for people.
pub(crate) fn report(status: &Value) -> String {
    let mut text = String::new();
    for (name, key) in [
        ("cluster", "cluster_id"),
        ("replication factor", "replication_factor"),
        ("placement version", "placement_version"),
        ("catalog version", "catalog_version"),
        ("partitions", "partitions"),
        ("under-replicated", "under_replicated"),
        ("unavailable", "unavailable"),
        ("moves", "moves"),
        ("rebalancing", "rebalancing"),
    ] {
        text += &format!("{name:<19}{}\n", cell(&status[key]));
    }
    let columns = ["id", "role", "state", "incarnation", "zone", "http", "rpc", "owned", "copies"];
    let nodes = status["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows = vec![columns.map(str::to_owned)];
    rows.extend(nodes.iter().map(|node| columns.map(|column| cell(&node[column]))));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    text.push('\n');
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_node_has_a_line_and_what_is_missing_a_dash() {
        let status = json!({
            "cluster_id": "prod", "placement_version": 4, "partitions": [{}, {}],
            "nodes": [
                {"id": 0, "role": "storage", "state": "ACTIVE", "zone": "", "owned": 2},
                {"id": 99999, "role": "ingest", "state": "JOINING", "zone": "a", "owned": 0},
            ],
        });
        let text = report(&status);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("cluster") && lines[0].ends_with("prod"), "{text}");
        assert!(lines[4].starts_with("partitions") && lines[4].ends_with('2'), "{text}");
        assert_eq!(lines.len(), 9 + 1 + 3, "{text}");
        assert!(lines[11].starts_with("0      storage  ACTIVE   -"), "{text}");
        assert!(lines[12].starts_with("99999  ingest   JOINING"), "{text}");
    }
}
