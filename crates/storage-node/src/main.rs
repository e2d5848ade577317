//! `zepto_storage_node`: reads its configuration, starts the node, waits for a signal, stops it in order.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use zepto_process::{Stop, allocator, listening, telemetry};
use zepto_storage_node::{Config, Flags, start};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    allocator::give_back_soon();
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
    if listening::shown(&flags.common, &config).map_err(anyhow::Error::from_boxed)? {
        return Ok(());
    }
    telemetry::start_logging(&config.log).map_err(anyhow::Error::msg)?;
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The signals are caught before the node listens, so that an early SIGTERM is an orderly one too.
    let mut stop = signals.block_on(async { Stop::new() }).context("cannot catch signals")?;
    let notice = Duration::from_millis(config.leave_ms);
    let node = start(config)?;
    let (rpc, heartbeat) = node.cluster_addresses().unzip();
    listening::print(node.http_address(), rpc, heartbeat)?;
    let cause = signals.block_on(stop.wait());
    tracing::info!(signal = cause, "stopping");
    node.leave();
    // A second signal hurries.
    let _second = signals.block_on(async { tokio::time::timeout(notice, stop.wait()).await });
    node.stop()?;
    tracing::info!("stopped");
    Ok(())
}
