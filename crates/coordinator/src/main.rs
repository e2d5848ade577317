//! `zepto_coordinator`: reads its flags, starts, waits for a signal or a fault, stops in order.

mod flags;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use zepto_coordinator::Coordinator;
use zepto_coordinator::server::Listeners;

use flags::{Flags, LogFormat};

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
    let options = flags.options().map_err(anyhow::Error::msg)?;
    if flags.check_config {
        writeln!(std::io::stdout(), "configuration is good")?;
        return Ok(());
    }
    start_logging(flags)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("zepto-coordinator")
        .enable_all()
        .build()?;
    runtime.block_on(serve(options))
}

fn start_logging(flags: &Flags) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&flags.log_level).context("--log-level")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match flags.log_format {
        LogFormat::Text => builder.with_ansi(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

async fn serve(options: zepto_coordinator::Options) -> anyhow::Result<()> {
    // The signals are caught before the process listens, so that an early SIGTERM is an orderly one too.
    let mut terminate = signal(SignalKind::terminate()).context("cannot catch signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch signals")?;
    let listeners = Listeners::bind(&options).await?;
    let mut coordinator = Coordinator::start(options, listeners).await?;
    let listening = serde_json::json!({
        "event": "listening",
        "http": coordinator.http_address().to_string(),
        "rpc": coordinator.rpc_address().to_string(),
    });
    let mut out = std::io::stdout();
    writeln!(out, "{listening}")?;
    out.flush()?;
    tracing::info!("Peer RPC server: port {}", coordinator.rpc_address().port());
    let fault = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        fault = coordinator.failed() => Some(fault),
    };
    tracing::info!("stopping");
    coordinator.stop().await;
    match fault {
        None => Ok(()),
        Some(fault) => Err(fault.into()),
    }
}
