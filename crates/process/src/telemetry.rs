//! Log output and the metrics recorder, each installed once per process.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use zepto_common::metric_names as names;

use crate::parts::{LogConfig, LogFormat};

/// Upper bounds of duration histograms, seconds: from a cached count to the default query deadline.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Says once at the start which configuration is in force. No value is a secret: those stand in files.
pub fn log_configuration(settings: &[(String, String)]) {
    let settings: Vec<String> = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    tracing::info!("configuration: {}", settings.join(", "));
}

/// Starts logging to stderr. A second call changes nothing: the first process-wide choice stays.
///
/// # Errors
/// A level that is not a filter.
pub fn start_logging(config: &LogConfig) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.level)
        .map_err(|error| format!("log.level = {:?}: {error}", config.level))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A line that cannot be written (a full disk, a reader that is gone) is lost: telling of it on the same stderr
    // would end the thread that had something to say.
    let builder = builder.log_internal_errors(false);
    // An error means that a subscriber is installed already, by an embedding process or an earlier node.
    let _already_installed = match config.format {
        LogFormat::Text => builder.with_ansi(false).try_init().is_err(),
        LogFormat::Json => builder.json().try_init().is_err(),
    };
    Ok(())
}

/// The process's metrics, installed on first use.
///
/// # Errors
/// Another recorder was installed by an embedding process.
pub fn metrics_handle() -> Result<PrometheusHandle, String> {
    static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let mut builder = PrometheusBuilder::new();
            for name in
                [names::QUERY_DURATION, names::INSERT_DURATION, names::WAL_SYNC_DURATION, names::RPC_DURATION]
            {
                builder = builder
                    .set_buckets_for_metric(Matcher::Full(name.to_owned()), SECONDS)
                    .map_err(|error| error.to_string())?;
            }
            builder.install_recorder().map_err(|error| error.to_string())
        })
        .clone()
}
