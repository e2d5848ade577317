//! `zepto_storage_node`: reads its configuration, starts the node, waits for a signal, stops it in order.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use zepto_storage_node::{Config, Flags, start, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The one line an operator sees when the process does not start; logging may not be up yet.
            let _broken_pipe = writeln!(std::io::stderr(), "zepto_storage_node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> anyhow::Result<()> {
    let config = Config::load(flags)?;
    let mut out = std::io::stdout();
    if flags.print_config {
        out.write_all(serde_yaml_ng::to_string(&config)?.as_bytes())?;
        return Ok(());
    }
    if flags.check_config {
        writeln!(out, "configuration is good")?;
        return Ok(());
    }
    telemetry::start_logging(&config.log).map_err(anyhow::Error::msg)?;
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The signals are caught before the node listens, so that an early SIGTERM is an orderly one too.
    let mut stop = signals.block_on(async { Stop::new() }).context("cannot catch signals")?;
    let notice = Duration::from_millis(config.leave_ms);
    let node = start(config)?;
    let mut listening = serde_json::json!({ "event": "listening", "http": node.http_address().to_string() });
    if let Some((rpc, heartbeat)) = node.cluster_addresses() {
        listening["rpc"] = rpc.to_string().into();
        listening["heartbeat"] = heartbeat.to_string().into();
    }
    writeln!(out, "{listening}")?;
    out.flush()?;
    let cause = signals.block_on(stop.wait());
    tracing::info!(signal = cause, "stopping");
    node.leave();
    // A second signal hurries.
    let _second = signals.block_on(async { tokio::time::timeout(notice, stop.wait()).await });
    node.stop()?;
    tracing::info!("stopped");
    Ok(())
}

/// The signals that ask for an orderly end.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
