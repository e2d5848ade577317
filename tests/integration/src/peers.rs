//! Programs of others that the tests talk to, fetched into the build's folder in pinned versions.
//!
//! Each has its folder `tests/integration/peers/<name>` with what pins it: hashes of Python's packages, npm's and
//! cargo's lock files, Go's sums, Maven's released versions, Debian's signed lists. It is fetched and built once per state of that folder, under `<target>/peers/<name>`.
//! One that cannot be had is a failure of its test, which says what is missing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::place::project_file;

/// What of Maven fetches jars.
const COPY_JARS: &str = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies";

/// A peer: the name of its folder, and what it is written in.
#[derive(Debug, Clone, Copy)]
pub enum Peer {
    /// `client.py`, with the packages of `requirements.txt`.
    Python(&'static str),
    /// `client.mjs`, with the packages of `package-lock.json`.
    Node(&'static str),
    /// A module of Go.
    Go(&'static str),
    /// A program of another module of Go, which the folder's module only pins: the folder and the program's package.
    GoTool(&'static str, &'static str),
    /// A crate of its own, whose package has this name.
    Rust(&'static str, &'static str),
    /// The jars that `pom.xml` names, and a class in them that is run.
    Java(&'static str, &'static str),
    /// Debian's packages that `packages.txt` names, unpacked beside the build and installed nowhere, and the path of a
    /// program in them.
    Debian(&'static str, &'static str),
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Python(name) | Self::Node(name) | Self::Go(name) | Self::GoTool(name, _) => name,
            Self::Rust(name, _) | Self::Java(name, _) | Self::Debian(name, _) => name,
        }
    }

    /// The peer's program, to which arguments can be added; fetched and built if it was not yet. `root` is a folder
    /// in the target directory. Tests that want the same peer meanwhile wait.
    ///
    /// # Errors
    /// When its tools (`python3` with `venv`, `npm`, `go`, `cargo`, `java` with `mvn`, `apt-get` with `dpkg-deb`) are not there, or a package cannot be had.
    pub fn command(self, root: &str) -> Result<Command> {
        let source = project_file(&format!("tests/integration/peers/{}", self.name())).canonicalize()?;
        let peers = Path::new(root).with_file_name("peers");
        fs::create_dir_all(&peers)?;
        let home = peers.join(self.name());
        let lock = File::create(peers.join(format!("{}.lock", self.name())))?;
        lock.lock()?;
        let done = home.join("installed.txt");
        let state = state_of(&source)?;
        if fs::read_to_string(&done).is_ok_and(|installed| installed == state) {
            return Ok(self.program(&source, &home));
        }
        fs::create_dir_all(&home)?;
        self.install(&source, &home).with_context(|| {
            format!("the client {} cannot be had; README.md says which tools the tests need", self.name())
        })?;
        fs::write(&done, state)?;
        Ok(self.program(&source, &home))
    }

    fn program(self, source: &Path, home: &Path) -> Command {
        let mut command = Command::new(match self {
            Self::Python(_) => home.join("bin/python"),
            Self::Node(_) => PathBuf::from("node"),
            Self::Go(_) | Self::GoTool(..) => home.join("peer"),
            Self::Rust(_, package) => home.join("debug").join(package),
            Self::Java(..) => PathBuf::from("java"),
            Self::Debian(_, path) => home.join("root").join(path),
        });
        match self {
            Self::Python(_) => command.arg(source.join("client.py")),
            Self::Node(_) => command.arg(source.join("client.mjs")),
            Self::Go(_) | Self::GoTool(..) | Self::Rust(..) => &mut command,
            Self::Debian(..) => command.env("LD_LIBRARY_PATH", libraries(&home.join("root"))),
            Self::Java(_, class) => command.arg("-cp").arg(home.join("jars/*")).arg(class),
        };
        command.current_dir(home);
        command
    }

    fn install(self, source: &Path, home: &Path) -> Result<()> {
        match self {
            Self::Python(_) => {
                run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home))?;
                let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--require-hashes", "-r"];
                run(Command::new(home.join("bin/python")).args(pip).arg(source.join("requirements.txt")))
            }
            Self::Node(_) => {
                for file in ["package.json", "package-lock.json"] {
                    fs::copy(source.join(file), home.join(file))?;
                }
                run(Command::new("npm")
                    .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .current_dir(home))
            }
            Self::Go(_) => go(source, home, "."),
            Self::GoTool(_, package) => {
                go(source, home, package)?;
                // They are large, and a program that is only run needs neither its sources nor its parts.
                fs::remove_dir_all(home.join("path"))?;
                Ok(fs::remove_dir_all(home.join("cache"))?)
            }
            Self::Rust(..) => {
                let mut cargo = Command::new("cargo");
                cargo
                    .args(["build", "--quiet", "--locked", "--manifest-path"])
                    .arg(source.join("Cargo.toml"));
                run(cargo.env("CARGO_TARGET_DIR", home).env_remove("CARGO_BUILD_TARGET_DIR"))
            }
            Self::Java(..) => {
                run(Command::new("java").arg("-version"))?;
                let mut mvn = Command::new("mvn");
                mvn.args(["-q", "-B", COPY_JARS, "-f"]).arg(source.join("pom.xml"));
                run(mvn.arg(format!("-DoutputDirectory={}", home.join("jars").display())))
            }
            Self::Debian(..) => debian(source, home),
        }
    }
}

/// Builds a package as `<home>/peer`.
fn go(source: &Path, home: &Path, package: &str) -> Result<()> {
    // Without Prometheus's ways to find targets at other vendors, which promtool is not asked about.
    let build = ["build", "-mod=readonly", "-modcacherw", "-buildvcs=false", "-tags", "remove_all_sd", "-o"];
    let mut go = Command::new("go");
    go.args(build).arg(home.join("peer")).arg(package).current_dir(source);
    // Its own caches: what others have there does not count, and they keep what they have.
    go.env_remove("GOFLAGS").env("GOWORK", "off").env("GOPATH", home.join("path"));
    run(go.env("GOMODCACHE", home.join("path/mod")).env("GOCACHE", home.join("cache")))
}

/// Fetches packages by lists of their own, which apt checks, and unpacks them as `<home>/root`.
fn debian(source: &Path, home: &Path) -> Result<()> {
    for folder in ["lists/partial", "cache/archives/partial", "root"] {
        fs::create_dir_all(home.join(folder))?;
    }
    let apt = |words: &[&str]| {
        let mut apt = Command::new("apt-get");
        let own = |key: &str, folder: &str| format!("{key}={}", home.join(folder).display());
        apt.args(["-q", "-o", &own("Dir::State::lists", "lists"), "-o", &own("Dir::Cache", "cache")]);
        run(apt.args(words).current_dir(home))
    };
    apt(&["update"])?;
    let names = fs::read_to_string(source.join("packages.txt"))?;
    apt(&[&["download"][..], &names.lines().collect::<Vec<_>>()].concat())?;
    for entry in fs::read_dir(home)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(path).arg(home.join("root")))?;
        }
    }
    Ok(fs::remove_dir_all(home.join("lists"))?)
}

/// Where unpacked packages have their libraries, as the loader wants it.
fn libraries(root: &Path) -> String {
    let entries = ["usr/lib", "lib"].map(|folder| fs::read_dir(root.join(folder)));
    let folders = entries.into_iter().flatten().flatten().flatten().map(|entry| entry.path());
    folders.map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
}

/// The texts of all files of a peer's folder: when one changes, it is made again.
fn state_of(folder: &Path) -> Result<String> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    let mut state = String::new();
    for path in entries {
        let text = if path.is_dir() {
            state_of(&path)?
        } else {
            fs::read_to_string(&path).with_context(|| path.display().to_string())?
        };
        state.push_str(&text);
    }
    Ok(state)
}

fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| shown.clone())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown}: {}\n{said}", output.status);
    Ok(())
}
