//! `zepto_coordinator`: reads its configuration, starts, waits for a signal or a fault, stops in order.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use zepto_coordinator::server::Listeners;
use zepto_coordinator::{Config, Coordinator, Flags, Options};
use zepto_process::parts::settings;
use zepto_process::{Stop, listening, telemetry};

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The one line an operator sees when the process does not start; logging may not be up yet.
            let _broken_pipe = writeln!(std::io::stderr(), "zepto_coordinator: {error:#}");
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
    telemetry::log_configuration(&settings(&config));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("zepto-coordinator")
        .enable_all()
        .build()?;
    runtime.block_on(serve(config.options()?, Duration::from_millis(config.leave_ms)))
}

async fn serve(options: Options, notice: Duration) -> anyhow::Result<()> {
    // The signals are caught before the process listens, so that an early SIGTERM is an orderly one too.
    let mut stop = Stop::new().context("cannot catch signals")?;
    let listeners = Listeners::bind(&options).await?;
    let mut coordinator = Coordinator::start(options, listeners).await?;
    let (rpc, heartbeat) = (coordinator.rpc_address(), coordinator.heartbeat_address());
    listening::print(coordinator.http_address(), Some(rpc), Some(heartbeat))?;
    tracing::info!("Peer RPC server: port {}", rpc.port());
    let fault = tokio::select! {
        _ = stop.wait() => None,
        fault = coordinator.failed() => Some(fault),
    };
    tracing::info!("stopping");
    if fault.is_none() {
        coordinator.leave();
        // A second signal hurries.
        let _second = tokio::time::timeout(notice, stop.wait()).await;
    }
    coordinator.stop().await;
    match fault {
        None => Ok(()),
        Some(fault) => Err(fault.into()),
    }
}
