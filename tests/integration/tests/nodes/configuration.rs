//! The three processes are configured in one way: file, environment, flags; faults all at once; the line with the ports.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use zepto_harness::node::program_named;

/// Each program with the flag that it cannot do without.
const PROGRAMS: [(&str, &[&str]); 3] = [
    ("zepto_storage_node", &[]),
    ("zepto_ingest_node", &["--coordinator", "127.0.0.1:1"]),
    ("zepto_coordinator", &[]),
];

fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(program_named(program)?);
    Ok(command.args(arguments).envs(environment.iter().copied()).output()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_in_every_process() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("zeptodb.conf");
    std::fs::write(&file, "httpPort: 1\nleaveMs: 2\ncluster: {id: three, suspectMs: 4000}\n")?;
    let file = file.to_str().context("is text")?;
    for (program, needed) in PROGRAMS {
        let asked = [&["--config", file, "--print-config", "--http-port", "7"], needed].concat();
        let environment =
            [("ZEPTO_HTTP_PORT", "6"), ("ZEPTO_LEAVE_MS", "5"), ("ZEPTO_ADD_NODE", "1:a:2,3:b:4")];
        let output = run(program, &asked, &environment)?;
        let printed = text(&output.stdout);
        ensure!(output.status.success(), "{program}: {}", text(&output.stderr));
        for line in ["httpPort: 7", "leaveMs: 5", "  id: three", "  suspectMs: 4000", "  - 3:b:4"] {
            ensure!(printed.lines().any(|it| it == line), "{program}: {line:?} is not in\n{printed}");
        }
        // What is printed is a file.
        let again = dir.path().join(format!("{program}.yaml"));
        std::fs::write(&again, &printed)?;
        let checked = run(program, &["--check-config", "--config", again.to_str().context("is text")?], &[])?;
        ensure!(text(&checked.stdout) == "configuration is good\n", "{program}: {}", text(&checked.stderr));
    }
    Ok(())
}

#[test]
fn every_process_tells_all_faults_of_file_and_flags_at_once() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("zeptodb.conf");
    std::fs::write(&file, "httpProt: 1\nleaveMs: soon\ncluster: {tls: {cert: a.pem}}\n")?;
    for (program, needed) in PROGRAMS {
        let flags = ["--check-config", "--config", file.to_str().context("is text")?, "--tls-cert", "a.pem"];
        let output = run(program, &[&flags, needed, &["--add-node", "nonsense"]].concat(), &[])?;
        let said = text(&output.stderr);
        for part in
            ["unknown key httpProt", "leaveMs", "--add-node", "tls.cert and tls.key", "cluster.tls.ca"]
        {
            ensure!(said.contains(part), "{program}: {part} is not in\n{said}");
        }
        ensure!(output.status.code() == Some(1), "{program}: {}", output.status);
    }
    Ok(())
}

#[test]
fn the_first_line_tells_all_ports_of_a_process_of_a_cluster() -> Result<()> {
    for (program, needed) in PROGRAMS.into_iter().skip(1) {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let mut child = Command::new(program_named(program)?)
            .args(["--http-port", "0", "--data-dir"])
            .arg(dir.path())
            .args(needed)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let read =
            child.stdout.take().context("is piped").map(|out| BufReader::new(out).read_line(&mut line));
        child.kill()?;
        child.wait()?;
        read??;
        let told: Value = serde_json::from_str(&line)?;
        ensure!(told["event"] == "listening", "{program}: {line}");
        for port in ["http", "rpc", "heartbeat"] {
            let address =
                told[port].as_str().with_context(|| format!("{program}: {port} is not in {line}"))?;
            ensure!(address.parse::<std::net::SocketAddr>()?.port() != 0, "{program}: {line}");
        }
    }
    Ok(())
}
