//! `zepto_ingest_node`: reads its flags, starts, waits for a signal, stops in order.

mod flags;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use zepto_ingest_node::{IngestNode, Options};

use flags::{Flags, LogFormat};

fn main() -> ExitCode {
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
    let options = flags.options().map_err(anyhow::Error::msg)?;
    if flags.check_config {
        writeln!(std::io::stdout(), "configuration is good")?;
        return Ok(());
    }
    start_logging(flags)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().thread_name("zepto-door").enable_all().build()?;
    runtime.block_on(serve(options, Duration::from_millis(flags.leave_ms)))
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

async fn serve(options: Options, notice: Duration) -> anyhow::Result<()> {
    // The signals are caught before the process listens, so that an early SIGTERM is an orderly one too.
    let mut terminate = signal(SignalKind::terminate()).context("cannot catch signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch signals")?;
    let metrics = PrometheusBuilder::new().install_recorder().context("metrics")?;
    let node = IngestNode::start(options, metrics).await?;
    let listening = serde_json::json!({ "event": "listening", "http": node.http_address().to_string() });
    let mut out = std::io::stdout();
    writeln!(out, "{listening}")?;
    out.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    node.leave();
    // A second signal hurries.
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = tokio::time::sleep(notice) => {}
    }
    node.stop().await?;
    Ok(())
}
