//! What can be said of the image without building it: what the Dockerfile takes is there, what it makes is what the chart runs, and
//! the programs need nothing that it leaves out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use zepto_harness::node::program_named;
use zepto_integration::place::project_file;

use super::matrix::PROGRAMS;

/// The instructions of the Dockerfile, continued lines joined.
fn instructions() -> Result<Vec<String>> {
    let text = fs::read_to_string(project_file("deploy/docker/Dockerfile"))?;
    let joined = text.replace("\\\n", " ");
    let kept = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(kept.map(str::to_owned).collect())
}

#[test]
fn what_is_copied_exists_and_is_not_ignored() -> Result<()> {
    let ignored = fs::read_to_string(project_file("deploy/docker/Dockerfile.dockerignore"))?;
    for line in instructions()?.iter().filter(|line| line.starts_with("COPY ") && !line.contains("--from=")) {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        for source in &words[..words.len() - 1] {
            ensure!(project_file(source).exists(), "{line}: there is no {source}");
            ensure!(ignored.lines().any(|kept| kept == format!("!{source}")), "{source} is ignored");
        }
    }
    // All of what the workspace is made of.
    let workspace = fs::read_to_string(project_file("Cargo.toml"))?;
    let members = workspace.lines().find(|line| line.starts_with("members")).context("members")?;
    for member in members.split('"').skip(1).step_by(2) {
        let top = member.split('/').next().unwrap_or(member);
        ensure!(ignored.contains(&format!("!{top}\n")), "{member} is not copied");
    }
    Ok(())
}

#[test]
fn the_image_has_the_programs_of_the_chart_no_shell_and_no_root() -> Result<()> {
    let all = instructions()?;
    let last = all.iter().rposition(|line| line.starts_with("FROM ")).context("a stage")?;
    let stage = &all[last..];
    ensure!(stage[0] == "FROM scratch", "{}", stage[0]);
    let from_others: Vec<&String> = stage.iter().filter(|line| line.starts_with("COPY ")).collect();
    ensure!(from_others == ["COPY --from=build /image/ /"], "{from_others:?}");
    ensure!(!stage.iter().any(|line| line.starts_with("RUN ")), "there is no shell to run anything");
    let user = stage.iter().find_map(|line| line.strip_prefix("USER ")).context("a user")?;
    ensure!(user == "65532:65532", "{user}");
    for line in stage.iter().filter(|line| line.starts_with("ENTRYPOINT ") || line.starts_with("CMD ")) {
        let words = line.split_once(' ').context("arguments")?.1;
        let words: Vec<String> =
            serde_json::from_str(words).with_context(|| format!("{line} needs a shell"))?;
        ensure!(!words.is_empty(), "{line}");
    }
    let build = all[..last].join("\n");
    for program in PROGRAMS {
        ensure!(build.contains(&format!("target/release/{program}")), "{program} is not copied");
    }
    for needed in ["/usr/share/zoneinfo", "ca-certificates.crt", "nsswitch.conf", "--locked", "${TARGETARCH}"]
    {
        ensure!(build.contains(needed), "{needed}");
    }
    Ok(())
}

#[test]
fn the_compiler_and_the_version_are_the_projects() -> Result<()> {
    let all = instructions()?.join("\n");
    let toolchain = fs::read_to_string(project_file("rust-toolchain.toml"))?;
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).context("a channel")?;
    ensure!(all.contains(&format!("ARG RUST_VERSION={}", channel.trim_matches('"'))), "{channel}");
    let chart = fs::read_to_string(project_file("deploy/helm/zeptodb/Chart.yaml"))?;
    let version = env!("CARGO_PKG_VERSION");
    ensure!(chart.contains(&format!("appVersion: \"{version}\"")), "the chart's image is not {version}");
    Ok(())
}

/// The programs and the libraries that `ldd` names, as the Dockerfile copies them, are enough to start each of them.
#[test]
fn each_program_starts_with_only_the_files_of_the_image() -> Result<()> {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
    let root = folder.path();
    for program in PROGRAMS {
        let path = program_named(program)?;
        let output = Command::new("ldd").arg(&path).output().context("ldd")?;
        let said = String::from_utf8(output.stdout)?;
        let libraries: BTreeSet<&str> =
            said.split_whitespace().filter(|word| word.starts_with('/')).collect();
        ensure!(!libraries.is_empty(), "{said}");
        for library in libraries {
            copy(&Path::new(library).canonicalize()?, &root.join(&library[1..]))?;
        }
        copy(&path, &root.join("usr/local/bin").join(program))?;
    }
    for program in PROGRAMS {
        let mut inside = Command::new("unshare");
        inside.args(["--user", "--map-root-user", "chroot"]).arg(root);
        let output = inside
            .arg(format!("/usr/local/bin/{program}"))
            .arg("--version")
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success() && said.contains(env!("CARGO_PKG_VERSION")),
            "{program}: {said}{error}"
        );
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a folder")?)?;
    if !to.exists() {
        fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))?;
    }
    Ok(())
}
