//! The process: what it prints, what it serves, how it ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Ends the process whatever the test does.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _gone_already = self.0.wait();
    }
}

fn start(dir: &std::path::Path, more: &[&str]) -> (Process, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zepto_coordinator"));
    command.args(["--http-port", "0", "--rpc-port", "0", "--log-level", "warn", "--data-dir"]);
    let child = command.arg(dir).args(more).stdout(Stdio::piped()).spawn().expect("starts");
    let mut process = Process(child);
    let mut line = String::new();
    let out = process.0.stdout.take().expect("is piped");
    BufReader::new(out).read_line(&mut line).expect("prints a line");
    (process, serde_json::from_str(&line).expect("the line is JSON"))
}

fn get(listening: &Value, path: &str) -> (u16, String) {
    let url = format!("http://{}{path}", listening["http"].as_str().expect("listens"));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut reply = agent.get(&url).call().expect("answers");
    (reply.status().as_u16(), reply.body_mut().read_to_string().expect("is text"))
}

fn ready(listening: &Value) {
    let begun = Instant::now();
    while get(listening, "/ready").0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", get(listening, "/ready").1);
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn terminate(process: &mut Process) -> Option<i32> {
    let id = rustix::process::Pid::from_child(&process.0);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("signals");
    process.0.wait().expect("ends").code()
}

#[test]
fn one_process_serves_ends_on_sigterm_and_comes_back_with_its_disk() {
    let dir = tempfile::tempdir().expect("makes a directory");
    let (mut first, listening) = start(dir.path(), &["--cluster-id", "alone", "--partitions", "8"]);
    assert_eq!(listening["event"], "listening");
    ready(&listening);
    let (status, body) = get(&listening, "/admin/cluster");
    let cluster: Value = serde_json::from_str(&body).expect("is JSON");
    assert_eq!(
        (status, &cluster["cluster_id"], &cluster["group"]["leader"]),
        (200, &"alone".into(), &1.into())
    );
    assert_eq!(get(&listening, "/health").0, 200);
    let (_, metrics) = get(&listening, "/metrics");
    assert!(
        metrics.contains("zepto_server_ready 1\n") && metrics.contains("zepto_catalog_version 1\n"),
        "{metrics}"
    );
    let second = Command::new(env!("CARGO_BIN_EXE_zepto_coordinator"))
        .args(["--http-port", "0", "--data-dir"])
        .arg(dir.path())
        .output()
        .expect("runs");
    assert!(!second.status.success(), "one process per directory");
    assert_eq!(terminate(&mut first), Some(0));
    let (mut again, listening) = start(dir.path(), &["--cluster-id", "alone"]);
    ready(&listening);
    assert_eq!(terminate(&mut again), Some(0));
    let (mut wrong, _) = start(dir.path(), &["--cluster-id", "other"]);
    assert_eq!(wrong.0.wait().expect("ends").code(), Some(1), "the disk is another cluster's");
}

#[test]
fn every_fault_of_the_flags_is_told_at_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_zepto_coordinator"))
        .args(["--members", "1@a,x@b:1", "--bind", "0.0.0.0", "--dead-ms", "5", "--check-config"])
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stderr);
    for part in ["--members: \"1@a\"", "\"x@b:1\"", "cluster.secretFile", "cluster.deadMs"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(output.status.code(), Some(1));
}
