//! `zepto keys`: makes API keys for a node's key file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use zepto_common::auth::{append_key, create_key};
use zepto_common::service::Role;

/// What can be done with keys.
#[derive(Subcommand)]
pub(crate) enum Keys {
    /// Makes a key, prints it once, and appends its hash to the key file
    Create(Create),
}

/// Makes one key.
#[derive(Args)]
pub(crate) struct Create {
    /// What the key may do; writer includes reader, admin everything
    #[arg(long, value_enum)]
    role: RoleName,
    /// Whom it stands for; also the user name of clients that send one
    #[arg(long)]
    name: String,
    /// The node's key file (its --api-keys-file); made if there is none
    #[arg(long, value_name = "FILE", default_value = "zepto-keys")]
    file: PathBuf,
}

/// A role as it is written on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    /// /metrics and /stats
    Metrics,
    /// SELECT and the like
    Reader,
    /// INSERT too
    Writer,
    /// Everything
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Metrics => Self::Metrics,
            RoleName::Reader => Self::Reader,
            RoleName::Writer => Self::Writer,
            RoleName::Admin => Self::Admin,
        }
    }
}

impl Keys {
    /// Does it.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let Self::Create(create) = self;
        let (key, record) = create_key(&create.name, create.role.into())?;
        append_key(&create.file, &record)?;
        println!("{key}");
        eprintln!(
            "The hash of this key is in {}. The key itself is nowhere else: keep it now.",
            create.file.display()
        );
        Ok(ExitCode::SUCCESS)
    }
}
