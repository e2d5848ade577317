//! `zepto-fuzz`: campaigns on the targets, one process each, two at a time.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to its terminal")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use zepto_fuzz::campaign::{Campaign, cover};
use zepto_fuzz::target::{self, Target};
use zepto_fuzz::{corpus, coverage};

/// Fuzzes the decoders and says what it found.
#[derive(Parser)]
struct Arguments {
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seed; the same seed damages in the same way
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for what is found and for the inputs that reach something new
    #[arg(long, default_value = "target/fuzz")]
    folder: PathBuf,
    /// Writes the inputs that are needed to reach everything into the repository's corpus
    #[arg(long)]
    keep: bool,
    /// Targets that run at the same time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Runs this one target in this process
    #[arg(long, hide = true)]
    target: Option<String>,
    /// Only targets whose name contains this
    filter: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.target {
        Some(name) => one(&arguments, name),
        None => many(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Each target in a process of its own: one that runs out of stack takes nobody along.
fn many(arguments: &Arguments) -> Result<bool> {
    let wanted = |name: &&&str| arguments.filter.as_deref().is_none_or(|filter| name.contains(filter));
    let names: Vec<&str> = target::NAMES.iter().filter(wanted).copied().collect();
    let mut good = true;
    for group in names.chunks(arguments.jobs.max(1)) {
        let mut children = Vec::new();
        for name in group {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(std::env::args_os().skip(1)).args(["--target", name]).stdin(Stdio::null());
            children.push((*name, command.spawn().context("cannot start a campaign")?));
        }
        for (name, mut child) in children {
            let status = child.wait()?;
            if status.code().is_none() {
                let input = last_input(&arguments.folder, name);
                println!("{name}: ended with {status}; its last input is {}", input.display());
            }
            good &= status.success();
        }
    }
    Ok(good)
}

fn last_input(folder: &Path, name: &str) -> PathBuf {
    folder.join(name).join("last-input")
}

fn one(arguments: &Arguments, name: &str) -> Result<bool> {
    let target = target::all().into_iter().find(|target| target.name == name).context("no such target")?;
    let folder = arguments.folder.join(name);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut kept = corpus::load(&corpus::folder().join(name))?;
    kept.extend(corpus::load(&folder.join("pool"))?);
    let last = last_input(&arguments.folder, name);
    let file = File::create(&last).with_context(|| last.display().to_string())?;
    // In the kernel's memory when the process ends, however it does. Without it only the seed would tell.
    let mut before = |input: &[u8]| {
        let _ = file.set_len(input.len() as u64).and_then(|()| file.write_all_at(input, 0));
    };
    std::panic::set_hook(Box::new(|_| {}));
    let mut campaign = Campaign::new(&target, kept, arguments.seed, &mut before);
    campaign.run(Duration::from_secs(arguments.seconds));
    let report = campaign.finish();
    println!(
        "{} damaged inputs, {name}: {} s, {} findings, {} branches, {} inputs in the pool, at most {} KiB",
        report.runs,
        arguments.seconds,
        report.findings.len(),
        report.features,
        report.pool.len(),
        report.peak >> 10
    );
    for finding in &report.findings {
        let path = corpus::save(&folder.join("found"), &finding.input)?;
        println!("{name}: {}: {}", path.display(), finding.what);
    }
    if coverage::counts() {
        keep(arguments, &target, &report.pool)?;
    }
    Ok(report.findings.is_empty())
}

fn keep(arguments: &Arguments, target: &Target, pool: &[Vec<u8>]) -> Result<()> {
    let needed = cover(target, pool);
    let folder = match arguments.keep {
        true => corpus::folder().join(target.name),
        false => arguments.folder.join(target.name).join("pool"),
    };
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    needed.iter().try_for_each(|input| corpus::save(&folder, input).map(drop))
}
