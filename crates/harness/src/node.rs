//! A node's process: started, asked, terminated, killed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::connection::{Connection, Request};
use crate::cost::{self, Cost};

/// The storage node's program.
pub const PROGRAM: &str = "zepto_storage_node";
/// How long a node may take until it listens.
pub const START_WAIT: Duration = Duration::from_secs(120);
/// How long a node may take to end after SIGTERM.
pub const STOP_WAIT: Duration = Duration::from_secs(60);
/// Pause between two questions whether a node is ready.
const READY_PAUSE: Duration = Duration::from_millis(20);

/// How to start a node.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// More flags.
    pub flags: Vec<OsString>,
    /// A command that runs the program (its name and first arguments), such as one that gives it its own mounts.
    pub wrapper: Vec<OsString>,
    /// Where its log lines are appended.
    pub log: PathBuf,
    /// Whether the program has a data directory; an ingest node has none.
    pub has_disk: bool,
    /// The HTTP port, 0 = any free one.
    pub http_port: u16,
}

impl Launch {
    /// Starts a program with a data directory; the log goes beside it, as `<data_dir>.log`.
    #[must_use]
    pub fn new(program: &Path, data_dir: &Path) -> Self {
        let mut log = data_dir.as_os_str().to_owned();
        log.push(".log");
        Self {
            program: program.to_path_buf(),
            data_dir: data_dir.to_path_buf(),
            flags: Vec::new(),
            wrapper: Vec::new(),
            log: PathBuf::from(log),
            has_disk: true,
            http_port: 0,
        }
    }

    /// For a program without a data directory; `data_dir` only names its log.
    #[must_use]
    pub fn diskless(mut self) -> Self {
        self.has_disk = false;
        self
    }

    /// With one more flag.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<OsString>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Starts the process and waits until it listens and is ready.
    ///
    /// # Errors
    /// When it ends or [`START_WAIT`] passes first; the message holds the end of its log.
    pub fn start(&self) -> io::Result<Node> {
        let node = self.start_listening()?;
        node.wait_ready(START_WAIT).map_err(|error| self.with_log(&error))?;
        Ok(node)
    }

    /// Starts the process and waits until it listens, ready or not.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_listening(&self) -> io::Result<Node> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut words = self.wrapper.iter().cloned().chain([self.program.clone().into_os_string()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        if self.has_disk {
            command.arg("--data-dir").arg(&self.data_dir);
        }
        command.args(["--http-port", &self.http_port.to_string()]).args(&self.flags);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start {}: {error}", self.program.display()))
        })?;
        Node::follow(child).map_err(|error| self.with_log(&error))
    }

    fn with_log(&self, error: &io::Error) -> io::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        io::Error::new(error.kind(), format!("{error}; its last log lines:\n{}", tail.join("\n")))
    }
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Node {
    pid: Pid,
    addresses: Addresses,
    /// Gives the end once; locked, so that a node can be shared by the threads that write to it.
    ended: Mutex<Receiver<ExitStatus>>,
    /// Whether the end was seen: the number may belong to another process then.
    gone: bool,
}

impl Node {
    fn follow(mut child: Child) -> io::Result<Self> {
        let pid = Pid::from_child(&child);
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("the output is piped"))?;
        let (tell_addresses, addresses) = sync_channel(1);
        let (tell_end, ended) = sync_channel(1);
        thread::spawn(move || read_addresses(BufReader::new(stdout), &tell_addresses));
        thread::spawn(move || {
            // A child that cannot be waited for looks like one that still runs: the waiter's deadline ends that.
            if let Ok(status) = child.wait() {
                let _nobody_waits = tell_end.send(status);
            }
        });
        match addresses.recv_timeout(START_WAIT) {
            Ok(addresses) => Ok(Self { pid, addresses, ended: Mutex::new(ended), gone: false }),
            Err(RecvTimeoutError::Timeout) => {
                let _already_gone = kill_process(pid, Signal::KILL);
                Err(io::Error::new(io::ErrorKind::TimedOut, "the node did not listen in time"))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let end = ended.recv_timeout(STOP_WAIT).map_or("?".to_owned(), |status| status.to_string());
                Err(io::Error::other(format!("the node ended before it listened ({end})")))
            }
        }
    }

    /// Its HTTP address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses.http
    }

    /// Its address for other nodes, if it has one.
    #[must_use]
    pub fn rpc_address(&self) -> Option<SocketAddr> {
        self.addresses.rpc
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// A new connection.
    ///
    /// # Errors
    /// When it does not listen any more.
    pub fn connect(&self) -> io::Result<Connection> {
        Connection::open(self.addresses.http)
    }

    /// What it costs.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cost(&self) -> io::Result<Cost> {
        cost::of_process(self.pid())
    }

    /// Waits until `/ready` answers 200.
    ///
    /// # Errors
    /// When it does not in this time; the message holds its reasons.
    pub fn wait_ready(&self, wait: Duration) -> io::Result<()> {
        let deadline = Instant::now() + wait;
        let mut last = String::from("no answer");
        loop {
            match self.connect().and_then(|mut connection| connection.send(&Request::get("/ready"))) {
                Ok(response) if response.status == 200 => return Ok(()),
                Ok(response) => last = response.text(),
                Err(error) => last = format!("{last}; {error}"),
            }
            if Instant::now() >= deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("not ready: {last}")));
            }
            if let Ok(status) = self.end_within(READY_PAUSE) {
                return Err(io::Error::other(format!(
                    "the node ended ({status}) before it was ready: {last}"
                )));
            }
        }
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.gone |= self.end_within(Duration::ZERO).is_ok();
        !self.gone
    }

    /// kill -9, and waits for the end.
    ///
    /// # Errors
    /// When it had ended before, or does not end.
    pub fn kill(self) -> io::Result<ExitStatus> {
        self.end_with(Signal::KILL)
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it had ended before, or does not end within [`STOP_WAIT`].
    pub fn terminate(self) -> io::Result<ExitStatus> {
        self.end_with(Signal::TERM)
    }

    /// Sends SIGTERM and does not wait for the end.
    ///
    /// # Errors
    /// The system's.
    pub fn ask_to_end(&self) -> io::Result<()> {
        kill_process(self.pid, Signal::TERM)?;
        Ok(())
    }

    fn end_within(&self, wait: Duration) -> Result<ExitStatus, RecvTimeoutError> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(wait)
    }

    fn end_with(mut self, signal: Signal) -> io::Result<ExitStatus> {
        if !self.is_alive() {
            return Err(io::Error::other("the node had ended by itself"));
        }
        kill_process(self.pid, signal)?;
        let status = self.end_within(STOP_WAIT).map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, format!("the node did not end after {signal:?}"))
        })?;
        self.gone = true;
        Ok(status)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.is_alive() {
            let _already_gone = kill_process(self.pid, Signal::KILL);
            let _deadline = self.end_within(STOP_WAIT);
        }
    }
}

/// Where a process listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Addresses {
    http: SocketAddr,
    rpc: Option<SocketAddr>,
}

/// Sends on the addresses of the `listening` line, then reads on so that the pipe never fills.
fn read_addresses(mut from: impl BufRead, tell: &SyncSender<Addresses>) {
    let mut line = String::new();
    while from.read_line(&mut line).is_ok_and(|length| length > 0) {
        if let Some(addresses) = addresses_in(&line) {
            let _nobody_waits = tell.try_send(addresses);
        }
        line.clear();
    }
}

fn addresses_in(line: &str) -> Option<Addresses> {
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    if event["event"].as_str() != Some("listening") {
        return None;
    }
    let address = |name: &str| event[name].as_str()?.parse().ok();
    Some(Addresses { http: address("http")?, rpc: address("rpc") })
}

/// The storage node's program, as [`program_named`].
///
/// # Errors
/// As there.
pub fn program_beside_this() -> io::Result<PathBuf> {
    program_named(PROGRAM)
}

/// The program of this name beside the running one: cargo puts programs into the profile's folder and tests into its
/// `deps`.
///
/// # Errors
/// When it was not built; the message says how to.
pub fn program_named(name: &str) -> io::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let beside = this.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|path| path.is_file());
    beside.ok_or_else(|| {
        let message = format!(
            "there is no {name} beside {}: build it first (`cargo xtask test` does), \
             in the same profile and target directory: cargo build --workspace --all-targets",
            this.display()
        );
        io::Error::new(io::ErrorKind::NotFound, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listening_line_gives_the_address() {
        let line = r#"{"event":"listening","http":"127.0.0.1:4711"}"#;
        let http = SocketAddr::from(([127, 0, 0, 1], 4711));
        assert_eq!(addresses_in(line), Some(Addresses { http, rpc: None }));
        let line = r#"{"event":"listening","http":"127.0.0.1:4711","rpc":"127.0.0.1:4712"}"#;
        let rpc = Some(SocketAddr::from(([127, 0, 0, 1], 4712)));
        assert_eq!(addresses_in(line), Some(Addresses { http, rpc }));
        assert_eq!(addresses_in("starting"), None);
        assert_eq!(addresses_in(r#"{"event":"other","http":"127.0.0.1:1"}"#), None);
    }

    #[test]
    fn a_program_that_ends_at_once_is_an_error_with_its_log() {
        let dir = std::env::temp_dir().join(format!("zepto-harness-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the temporary directory is writable");
        let mut launch = Launch::new(Path::new("sh"), &dir.join("data"));
        launch.wrapper = ["sh", "-c", "echo out of luck >&2; exit 3"].map(OsString::from).to_vec();
        let error = launch.start().expect_err("it does not listen").to_string();
        std::fs::remove_dir_all(&dir).expect("the directory is ours");
        assert!(error.contains("exit status: 3") && error.contains("out of luck"), "{error}");
    }
}
