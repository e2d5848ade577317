//! `zepto cluster`: what a cluster has agreed on, and what moves in it, for people.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use ureq::http::Method;

use crate::client::{Client, Server};

/// What can be asked of a cluster.
#[derive(Subcommand)]
pub(crate) enum Cluster {
    /// Nodes, partitions and versions; asks a storage node or a coordinator (its HTTP address)
    Status(Status),
    /// Moves of partitions: what is under way and what has ended; begin, pause and take back those for the sake of balance
    Rebalance(Rebalance),
    /// Has a node own a partition whose complete copies will not come back: rows that it lacks are lost
    ForceOwner(ForceOwner),
    /// Has a storage node give all its partitions away, so that it can leave for good; ends before that is done
    Drain(Drain),
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

/// Shows or changes what moves.
#[derive(Args)]
pub(crate) struct Rebalance {
    #[command(flatten)]
    server: Server,
    /// What to do
    #[arg(value_enum)]
    action: Action,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Action {
    /// Moves and handovers under way
    Status,
    /// The newest moves that ended
    History,
    /// Ends a pause, as resume does
    Start,
    /// No more moves for the sake of balance begin; repairs and drains go on
    Pause,
    /// Ends a pause
    Resume,
    /// Pauses, and takes back the moves for balance that are under way
    Cancel,
}

/// Forces an owner.
#[derive(Args)]
pub(crate) struct ForceOwner {
    #[command(flatten)]
    server: Server,
    /// The partition's number
    #[arg(long)]
    partition: u16,
    /// The node's id; it must be there, and healthy
    #[arg(long)]
    node: u32,
    /// Rows that only other copies have may be lost
    #[arg(long)]
    accept_loss: bool,
}

/// Drains a node.
#[derive(Args)]
pub(crate) struct Drain {
    #[command(flatten)]
    server: Server,
    /// The node's id
    node: u32,
    /// Takes the drain back: the node stays
    #[arg(long)]
    cancel: bool,
}

impl Cluster {
    /// Does it.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        match self {
            Self::Status(status) => {
                let text = Client::new(&status.server)?.get("/admin/cluster")?;
                show(&text, status.json, report)?;
            }
            Self::Rebalance(rebalance) => rebalance.run()?,
            Self::ForceOwner(wanted) => {
                let ForceOwner { server, partition, node, accept_loss } = wanted;
                let loss = u8::from(*accept_loss);
                let path = format!(
                    "/admin/rebalance/force-owner?partition={partition}&node={node}&accept_loss={loss}"
                );
                Client::new(server)?.change(Method::POST, &path)?;
                println!("node {node} owns partition {partition}");
            }
            Self::Drain(drain) => {
                let (client, node) = (Client::new(&drain.server)?, drain.node);
                if drain.cancel {
                    client.change(Method::POST, &format!("/admin/rebalance/cancel?node={node}"))?;
                    println!("node {node} stays");
                } else {
                    client.change(Method::DELETE, &format!("/admin/nodes/{node}"))?;
                    println!(
                        "node {node} is leaving: when `zepto cluster status` shows 0 copies for it, stop its process"
                    );
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Rebalance {
    fn run(&self) -> Result<()> {
        let client = Client::new(&self.server)?;
        let change = |name: &str| client.change(Method::POST, &format!("/admin/rebalance/{name}"));
        match self.action {
            Action::Status => show(&client.get("/admin/rebalance/status")?, self.json, under_way),
            Action::History => show(&client.get("/admin/rebalance/history")?, self.json, history),
            Action::Start => show(&change("start")?, self.json, changed),
            Action::Pause => show(&change("pause")?, self.json, changed),
            Action::Resume => show(&change("resume")?, self.json, changed),
            Action::Cancel => show(&change("cancel")?, self.json, changed),
        }
    }
}

/// Prints an answer as it came, or for people.
fn show(text: &str, json: bool, report: impl FnOnce(&Value) -> String) -> Result<()> {
    if json {
        println!("{}", text.trim_end());
    } else {
        print!("{}", report(&serde_json::from_str(text).context("the answer is no JSON")?));
    }
    Ok(())
}

fn under_way(status: &Value) -> String {
    let mut text = format!("{:<19}{}\n\nmoves\n", "rebalancing", cell(&status["rebalancing"]));
    text += &table(&["partition", "from", "to", "step", "started_ms"], &status["moves"]);
    text += "\nhandovers\n";
    text + &table(&["partition", "from", "to"], &status["handovers"])
}

fn history(answer: &Value) -> String {
    table(&["partition", "from", "to", "end", "started_ms", "ended_ms"], &answer["history"])
}

fn changed(answer: &Value) -> String {
    let cancelled = answer["cancelled"].as_u64().map(|moves| format!(", {moves} moves taken back"));
    format!("rebalancing is {}{}\n", cell(&answer["rebalancing"]), cancelled.unwrap_or_default())
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
    text.push('\n');
    let columns = ["id", "role", "state", "incarnation", "zone", "http", "rpc", "owned", "copies"];
    text += &table(&columns, &status["nodes"]);
    let partitions = status["partitions"].as_array().into_iter().flatten();
    let lost = partitions.filter(|it| it["available"] == false).map(|it| cell(&it["partition"]));
    let lost: Vec<String> = lost.collect();
    if !lost.is_empty() {
        text += &format!("\nno complete copy of these partitions is there: {}\n", lost.join(", "));
    }
    text
}

/// These columns of a list of objects, under their names.
fn table(columns: &[&str], items: &Value) -> String {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|it| (*it).to_owned()).collect()];
    rows.extend(items.iter().map(|item| columns.iter().map(|column| cell(&item[column])).collect()));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
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
        let lost = json!({"partitions": [
            {"partition": 3, "available": false}, {"partition": 4, "available": true},
            {"partition": 5, "available": false},
        ]});
        assert!(report(&lost).ends_with("partitions is there: 3, 5\n"), "{}", report(&lost));
    }
    #[test]
    fn moves_have_a_line_each_and_a_change_says_what_holds_now() {
        let status = json!({
            "rebalancing": "paused",
            "moves": [{"partition": 7, "from": 2, "to": 10, "step": "copy", "started_ms": 1}],
            "handovers": [],
        });
        let text = under_way(&status);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "rebalancing        paused");
        assert_eq!(lines[3], "partition  from  to  step  started_ms");
        assert_eq!(lines[4], "7          2     10  copy  1");
        assert_eq!(lines[5..], ["", "handovers", "partition  from  to"]);
        let repaired = json!({"history": [{"partition": 7, "from": null, "to": 1, "end": "finished"}]});
        assert!(history(&repaired).contains("7          -     1   finished"), "{}", history(&repaired));
        let cancelled = json!({"rebalancing": "paused", "cancelled": 3});
        assert_eq!(changed(&cancelled), "rebalancing is paused, 3 moves taken back\n");
        assert_eq!(changed(&json!({"rebalancing": "on"})), "rebalancing is on\n");
    }
}
