//! `zepto`: the command line of ZeptoDB.
//!
//! - [`playground`]: a cluster in this process with real data, and queries about them
//! - [`sql`]: the interactive client; also for scripts and pipes
//! - [`keys`]: makes API keys
//! - [`cluster`]: what a cluster has agreed on
//! - [`backup`]: backups of a node or a cluster: made, listed, verified, restored, pruned
//! - [`bench`]: measures a real node over loopback

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to its terminal")]

mod backup;
mod bench;
mod client;
mod cluster;
mod keys;
mod playground;
mod sql;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// ZeptoDB from the command line.
#[derive(Parser)]
#[command(name = "zepto", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts a cluster in this process, loads real data, asks it a few questions and serves until Ctrl-C
    Playground(playground::Playground),
    /// Runs SQL: interactively, from -q, from a file or from a pipe
    Sql(sql::Sql),
    /// Makes API keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Shows what a cluster has agreed on, and changes what moves in it
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Makes backups of a node or a cluster in a folder or in S3, lists, verifies, restores and prunes them
    #[command(subcommand)]
    Backup(backup::Backup),
    /// Restores a backup into an empty node or cluster, as `zepto backup restore`
    Restore(backup::Restore),
    /// Measures a node over loopback
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    zepto_process::allocator::give_back_soon();
    let result = match Arguments::parse().command {
        Command::Playground(options) => options.run(),
        Command::Sql(options) => options.run(),
        Command::Keys(options) => options.run(),
        Command::Cluster(options) => options.run(),
        Command::Backup(options) => options.run(),
        Command::Restore(options) => options.run(),
        Command::Bench(options) => options.run(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("zepto: {error:#}");
        ExitCode::FAILURE
    })
}
