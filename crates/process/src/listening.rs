//! The first line on stdout: where the process listens, as JSON, so that scripts start processes without races.

use std::io::{self, Write};
use std::net::SocketAddr;

/// Prints it. Ports of a process that has none are left out.
///
/// # Errors
/// Stdout's.
pub fn print(http: SocketAddr, rpc: Option<SocketAddr>, heartbeat: Option<SocketAddr>) -> io::Result<()> {
    let mut line = serde_json::json!({ "event": "listening", "http": http.to_string() });
    for (name, address) in [("rpc", rpc), ("heartbeat", heartbeat)] {
        if let Some(address) = address {
            line[name] = address.to_string().into();
        }
    }
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Does what `--print-config` and `--check-config` ask; true when the process is to end then.
///
/// # Errors
/// Stdout's.
pub fn shown(
    flags: &crate::CommonFlags,
    config: &impl serde::Serialize,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let mut out = io::stdout();
    if flags.print_config {
        out.write_all(serde_yaml_ng::to_string(config)?.as_bytes())?;
    } else if flags.check_config {
        writeln!(out, "configuration is good")?;
    }
    Ok(flags.print_config || flags.check_config)
}
