//! SQL over the engine: ClickHouse's dialect, DataFusion's planner and operators, our own where neither has one.
//!
//! - [`SqlService`]: runs statements; implements [`zepto_common::service::QueryService`]
//! - [`SqlOptions`]: bounds and the runtime
//! - `statement`: text to statement; `rewrite`, `semantics`: ClickHouse's meaning of a query's tree
//! - `planner`, `plan_cache`, `session`, `catalog`: from a tree to a plan
//! - [`cluster`]: statements over the rows of several nodes
//! - `external`: tables that came with a request
//! - `provider`: tables of the engine as plans see them
//! - `fill`: ORDER BY … WITH FILL; `filters`: `additional_table_filters`
//! - `asof`: ASOF JOIN; `functions`: ClickHouse's and the time-series functions; `system`: tables about the server
//! - `views`: materialized views: their queries cut into states and answer
//! - `index_aggregate`: aggregates answered from run indexes
//! - `timeseries`: operators over rows that lie sorted by key and time
//! - `execute`: what each statement does; `stream`, `running`, `memory`: results on their way and their bounds
//! - `pushdown`: filters on their way down plans with joins; `yielding`: joins that can be stopped
//! - `long_limits`: sorts with a limit that keeps many rows
//! - `repeats`: arrays counted before joins and windows repeat them; `window_memory`: what windows hold, counted
//! - `error`: DataFusion's errors as ClickHouse's codes

mod arrival;
mod asof;
mod beside;
mod catalog;
pub mod cluster;
mod compact;
mod conditions;
mod constants;
mod dialect;
mod error;
mod execute;
mod external;
mod fill;
mod filters;
pub mod functions;
mod index_aggregate;
mod latest;
mod long_limits;
mod marks;
mod matchers;
mod memory;
mod options;
mod plan_cache;
mod plan_inputs;
mod planner;
mod provider;
mod pushdown;
mod repeats;
mod rewrite;
mod running;
pub mod semantics;
mod service;
mod session;
mod statement;
mod stream;
mod subquery_order;
mod system;
mod timeseries;
mod views;
mod window_memory;
mod yielding;

pub use conditions::conditions;
pub use options::SqlOptions;
pub use service::{ClusterSide, SqlService};
pub use statement::split_statements;
pub use system::{backticks, create_table};
pub use views::view_fold;
