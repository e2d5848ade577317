//! `zepto_ingest_node`: reads its configuration, starts the node, waits for a signal, stops it in order.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use zepto_ingest_node::{Config, Flags, IngestNode};
use zepto_process::{Stop, allocator, listening, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    allocator::give_back_soon();
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The one line an operator sees when the process does not start; logging may not be up yet.
            let _broken_pipe = writeln!(std::io::stderr(), "zepto_ingest_node: {error:#}");
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.pipeline.drain_threads())
        .thread_name("zepto-door")
        .enable_all()
        .build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    // The signals are caught before the process listens, so that an early SIGTERM is an orderly one too.
    let mut stop = Stop::new().context("cannot catch signals")?;
    let notice = Duration::from_millis(config.leave_ms);
    let metrics = telemetry::metrics_handle().map_err(anyhow::Error::msg)?;
    let node = IngestNode::start(config, metrics).await?;
    let (rpc, heartbeat) = node.cluster_addresses();
    listening::print(node.http_address(), Some(rpc), Some(heartbeat))?;
    let cause = stop.wait().await;
    tracing::info!(signal = cause, "stopping");
    node.leave();
    // A second signal hurries.
    let _second = tokio::time::timeout(notice, stop.wait()).await;
    node.stop().await?;
    tracing::info!("stopped");
    Ok(())
}
