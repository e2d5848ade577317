//! What is deployed: the chart, the alert rules, the dashboard, the image. Helm, promtool and Kubernetes' own validation are
//! built from pinned sources (`tests/integration/peers`); no cluster is needed.
//!
//! - [`matrix`]: every set of values, as helm, the API server's code and our own rules see it
//! - [`release`]: a rendered release, started as processes in the roles of its pods
//! - [`feeds`]: feeds of the ingest pods, from values to rows
//! - [`monitoring`]: alert rules, dashboard, what Prometheus and the autoscaler are told
//! - [`image`]: what can be said of the image without building it
//! - [`guide`]: the commands of docs/operations

mod chart;
mod feeds;
mod guide;
mod image;
mod matrix;
mod monitoring;
mod release;
mod values;
