//! Runs other programs: cargo above all.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// The cargo that runs this program, or the one on the path.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(&workspace.root);
    // What `cargo run` said of this package would be news to build scripts that ask for it, and build them again.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_package(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
}

/// Whether cargo sets this variable for the package that it runs.
fn is_of_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// Runs with the terminal's output; true on exit code 0.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.status().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    Ok(status.success())
}

/// Runs and gives back the standard output; an error on any other exit code than 0.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{:?} ended with {}", command.get_program(), output.status);
    }
    Ok(output.stdout)
}

/// Runs and hands over each line of standard output as it comes; true on exit code 0.
pub(crate) fn lines(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let stdout = child.stdout.take().context("the output is piped")?;
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        each(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        line.clear();
    }
    Ok(child.wait()?.success())
}

/// The Python interpreter of a private environment under `target/`, made on the first call; each folder's requirements
/// have an environment of their own.
///
/// `requirements` names a file with pinned versions; the environment is made anew when the file changes.
pub(crate) fn python(workspace: &Workspace, requirements: &str) -> Result<Command> {
    let wanted = workspace.read(requirements)?;
    let folder = Path::new(requirements).parent().and_then(Path::file_name).unwrap_or_default();
    let home = workspace.root.join("target").join("venv").join(folder);
    let stamp = home.join("requirements.txt");
    let interpreter = home.join("bin").join("python");
    if std::fs::read_to_string(&stamp).ok().as_deref() != Some(wanted.as_str()) {
        make_environment(workspace, &home, &interpreter, requirements)?;
        std::fs::write(&stamp, wanted)?;
    }
    let mut command = Command::new(interpreter);
    command.current_dir(&workspace.root);
    Ok(command)
}

fn make_environment(
    workspace: &Workspace,
    home: &Path,
    interpreter: &Path,
    requirements: &str,
) -> Result<()> {
    eprintln!("making {} with {requirements}", home.display());
    if !succeeds(Command::new("python3").args(["-m", "venv"]).arg(home))? {
        bail!("python3 -m venv failed: the oracle needs python3 with venv");
    }
    let mut pip = Command::new(interpreter);
    pip.current_dir(&workspace.root).args(["-m", "pip", "install", "--quiet", "-r", requirements]);
    if !succeeds(&mut pip)? {
        bail!("pip could not install {requirements}");
    }
    Ok(())
}
