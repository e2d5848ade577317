//! Alert rules, the dashboard, and what Prometheus and its adapter are told.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use zepto_common::metric_names;
use zepto_integration::peers::Peer;
use zepto_integration::place::project_file;

use super::chart::{list, text};

const ROOT: &str = env!("CARGO_TARGET_TMPDIR");
/// The alerts that operators know by these names, with their severities and times.
const KNOWN: [(&str, &str, &str); 9] = [
    ("ApexDBDown", "critical", "1m"),
    ("ApexDBNotReady", "warning", "5m"),
    ("HighTickDropRate", "warning", "2m"),
    ("HighQueryRate", "info", "5m"),
    ("HighRowScanRate", "warning", "5m"),
    ("LowIngestionRate", "warning", "10m"),
    ("HighDiskUsage", "warning", "5m"),
    ("HighMemoryUsage", "warning", "5m"),
    ("HighCPUUsage", "warning", "10m"),
];

fn promtool() -> Result<Command> {
    let mut promtool =
        Peer::GoTool("promtool", "github.com/prometheus/prometheus/cmd/promtool").command(ROOT)?;
    promtool.current_dir(project_file("deploy/monitoring"));
    Ok(promtool)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(project_file(path)).with_context(|| path.to_owned())
}

fn yaml(path: &str) -> Result<Value> {
    serde_yaml_ng::from_str(&read(path)?).with_context(|| path.to_owned())
}

fn alerts() -> Result<Vec<Value>> {
    let rules = yaml("deploy/monitoring/zeptodb-alerts.yml")?;
    Ok(list(&rules["groups"]).iter().flat_map(|group| list(&group["rules"])).cloned().collect())
}

/// The expressions of the dashboard.
fn questions() -> Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(&read("deploy/monitoring/grafana-dashboard.json")?)?;
    let targets = list(&dashboard["panels"]).iter().flat_map(|panel| list(&panel["targets"]));
    Ok(targets.map(|target| text(&target["expr"]).to_owned()).collect())
}

/// The names of metrics in an expression.
fn metrics_of(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = |word: &&str| word.starts_with("zepto_") || word.starts_with("process_");
    words.filter(ours).map(str::to_owned).collect()
}

/// Every metric that alerts and dashboard ask for.
pub(crate) fn metrics_asked_for() -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for rule in alerts()? {
        all.extend(metrics_of(text(&rule["expr"])));
    }
    for question in questions()? {
        all.extend(metrics_of(&question));
    }
    Ok(all)
}

#[test]
fn every_metric_that_is_asked_for_has_a_name_in_the_code() -> Result<()> {
    let asked = metrics_asked_for()?;
    ensure!(asked.len() > 20, "{asked:?}");
    for name in &asked {
        let base =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        ensure!(metric_names::ALL.contains(&base), "nothing exports {name}");
    }
    let adapter = read("deploy/monitoring/prometheus-adapter.yml")?;
    for name in metrics_of(&adapter) {
        ensure!(metric_names::ALL.contains(&name.as_str()), "nothing exports {name}");
    }
    Ok(())
}

#[test]
fn the_nine_alerts_have_their_names_severities_and_times() -> Result<()> {
    let alerts = alerts()?;
    for (name, severity, lasting) in KNOWN {
        let rule = alerts.iter().find(|rule| rule["alert"] == name).with_context(|| name.to_owned())?;
        ensure!(rule["labels"]["severity"] == severity && rule["for"] == lasting, "{rule}");
    }
    for rule in &alerts {
        for note in ["summary", "description"] {
            ensure!(rule["annotations"][note].is_string(), "{rule}");
        }
    }
    Ok(())
}

fn accept(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}

#[test]
fn each_alert_fires_on_its_condition_and_stays_silent_beside_it() -> Result<()> {
    accept(promtool()?.args(["check", "rules", "zeptodb-alerts.yml"]))?;
    accept(promtool()?.args(["check", "config", "prometheus.yml"]))?;
    accept(promtool()?.args(["test", "rules", "tests/resources.yml", "tests/symptoms.yml"]))?;
    // Both are asked of every alert: that it fires, and that it does not.
    let mut fires = BTreeSet::new();
    let mut silent = BTreeSet::new();
    for path in ["resources", "symptoms"] {
        let tests = yaml(&format!("deploy/monitoring/tests/{path}.yml"))?;
        for case in list(&tests["tests"]).iter().flat_map(|test| list(&test["alert_rule_test"])) {
            let name = text(&case["alertname"]).to_owned();
            if list(&case["exp_alerts"]).is_empty() {
                silent.insert(name)
            } else {
                fires.insert(name)
            };
        }
    }
    for rule in alerts()? {
        let name = text(&rule["alert"]);
        ensure!(fires.contains(name) && silent.contains(name), "{name} is not tested both ways");
    }
    Ok(())
}

/// Each bound is held from both sides: a rule with its bound moved fails the tests of its alert.
#[test]
fn the_tests_of_alerts_see_a_bound_that_was_moved() -> Result<()> {
    let rules = read("deploy/monitoring/zeptodb-alerts.yml")?;
    let moved = [
        ("> 1000\n", "> 1100\n"),
        ("> 1000\n", "> 900\n"),
        ("< 1000\n", "< 800\n"),
        ("> 1e7", "> 1.1e7"),
        ("< 0.20", "< 0.25"),
        ("< 0.10", "< 0.05"),
        ("> 0.90", "> 0.85"),
        (" and on (instance) zepto_queue_capacity)", ")"),
        ("or absent(zepto_server_up)", ""),
        (") > 100\n", ") > 98\n"),
        (") > 1\n", ") > 3\n"),
        ("[10m])) > 0\n        for: 10m", "[10m])) > 0\n        for: 1m"),
    ];
    let folder = TempDir::new_in(ROOT)?;
    fs::create_dir(folder.path().join("tests"))?;
    for name in ["resources", "symptoms"] {
        let test = format!("tests/{name}.yml");
        fs::write(folder.path().join(&test), read(&format!("deploy/monitoring/{test}"))?)?;
    }
    for (from, to) in moved {
        ensure!(rules.contains(from), "no rule has {from:?}");
        fs::write(folder.path().join("zeptodb-alerts.yml"), rules.replacen(from, to, 1))?;
        let mut promtool = promtool()?;
        promtool.current_dir(folder.path()).args([
            "test",
            "rules",
            "tests/resources.yml",
            "tests/symptoms.yml",
        ]);
        ensure!(!promtool.output()?.status.success(), "nobody noticed {from:?} -> {to:?}");
    }
    Ok(())
}

#[test]
fn the_dashboards_questions_are_well_formed() -> Result<()> {
    let questions = questions()?;
    ensure!(questions.len() > 20, "{}", questions.len());
    let whole: Vec<String> = questions.iter().map(|it| it.replace("$namespace", "n")).collect();
    let rules: Vec<Value> = whole
        .iter()
        .enumerate()
        .map(|(n, expr)| serde_json::json!({"record": format!("panel:{n}"), "expr": expr}))
        .collect();
    let folder = TempDir::new_in(ROOT)?;
    let path = folder.path().join("panels.yml");
    fs::write(&path, serde_json::json!({"groups": [{"name": "panels", "rules": rules}]}).to_string())?;
    accept(promtool()?.args(["check", "rules"]).arg(path))
}
