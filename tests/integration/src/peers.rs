//! Programs of others that the tests talk to, fetched into the build's folder in pinned versions.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::place::project_file;

/// The Python of a virtual environment with what `tests/integration/peers/<name>/requirements.txt` pins.
///
/// It is made under `root` once per list of requirements; tests that want it meanwhile wait.
///
/// # Errors
/// When there is no `python3` with `venv`, or a package cannot be had: a peer that is missing is a failure.
pub fn python(root: &str, name: &str) -> Result<PathBuf> {
    let wanted = project_file(&format!("tests/integration/peers/{name}/requirements.txt"));
    let list = fs::read_to_string(&wanted).with_context(|| wanted.display().to_string())?;
    let root = Path::new(root).join("peers");
    fs::create_dir_all(&root)?;
    let lock = File::create(root.join(format!("{name}.lock")))?;
    lock.lock()?;
    let home = root.join(name);
    let python = home.join("bin/python");
    let done = home.join("installed.txt");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == list) {
        return Ok(python);
    }
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    run(Command::new("python3").arg("-m").arg("venv").arg(&home))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--no-input", "-r"]).arg(&wanted))?;
    fs::write(&done, list)?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| shown.clone())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown}: {}\n{said}", output.status);
    Ok(())
}
