//! Runs one statement: streams its result, shows progress while nothing has come yet, and stops it on Ctrl-C.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::{Settings, guard};
use crate::client::{Client, Refused};

/// Quiet time before the first progress line, and between two.
const PROGRESS_PAUSE: Duration = Duration::from_millis(500);

/// How a statement ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Whole.
    Done,
    /// With an error, for the terminal.
    Failed(String),
    /// By Ctrl-C.
    Cancelled,
}

/// What runs statements, one at a time.
pub(super) struct Runner {
    client: Client,
    session: String,
    signals: Runtime,
}

impl Runner {
    /// A runner with a session of its own, so that SET and USE last.
    pub(super) fn new(client: Client) -> Result<Self> {
        let signals = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client, session: format!("zepto-{:032x}", rand::random::<u128>()), signals })
    }

    /// The client.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a statement and writes its result to standard output.
    pub(super) fn run(&self, sql: &str, rows_from_stdin: bool, settings: &Settings) -> Ended {
        let start = Instant::now();
        let query_id = format!("q_{:032x}", rand::random::<u128>());
        let (tell, done) = oneshot::channel();
        let answering = Arc::new(AtomicBool::new(false));
        let job = Job {
            client: self.client.clone(),
            session: self.session.clone(),
            query_id: query_id.clone(),
            sql: sql.to_owned(),
            rows_from_stdin,
            format: settings.format.clone(),
            answering: Arc::clone(&answering),
        };
        thread::spawn(move || {
            // Nobody listens any more when the client was told to give up waiting.
            let _given_up = tell.send(job.run());
        });
        let ended = self.signals.block_on(self.wait(done, &query_id, &answering));
        if settings.timing && matches!(ended, Ended::Done) {
            eprintln!("Elapsed: {:.3} s", start.elapsed().as_secs_f64());
        }
        ended
    }

    async fn wait(
        &self,
        done: oneshot::Receiver<Result<()>>,
        query_id: &str,
        answering: &AtomicBool,
    ) -> Ended {
        let mut progress = Progress::new(&self.client, query_id);
        let mut cancelled = false;
        tokio::pin!(done);
        loop {
            tokio::select! {
                result = &mut done => {
                    progress.clear();
                    return match result {
                        _ if cancelled => Ended::Cancelled,
                        Ok(Ok(())) => Ended::Done,
                        Ok(Err(error)) => Ended::Failed(text_of(&error)),
                        Err(_) => Ended::Failed("the statement's thread ended".to_owned()),
                    };
                }
                _ = tokio::signal::ctrl_c() => {
                    progress.clear();
                    if cancelled {
                        return Ended::Cancelled;
                    }
                    cancelled = true;
                    eprintln!("stopping {query_id} (Ctrl-C again: do not wait for it)");
                    self.cancel(query_id);
                }
                () = tokio::time::sleep(PROGRESS_PAUSE) => {
                    if !answering.load(Ordering::Relaxed) {
                        progress.show();
                    }
                }
            }
        }
    }

    /// Asks the server to stop a statement, on a thread of its own: the wait goes on meanwhile.
    fn cancel(&self, query_id: &str) {
        let (client, query_id) = (self.client.clone(), query_id.to_owned());
        thread::spawn(move || {
            if let Err(error) = client.text(&format!("KILL QUERY WHERE query_id = '{query_id}'")) {
                eprintln!("could not stop it: {}", text_of(&error));
            }
        });
    }
}

/// One statement on its own thread.
struct Job {
    client: Client,
    session: String,
    query_id: String,
    sql: String,
    rows_from_stdin: bool,
    format: String,
    answering: Arc<AtomicBool>,
}

impl Job {
    fn run(&self) -> Result<()> {
        let params = [
            ("query_id", self.query_id.as_str()),
            ("session_id", self.session.as_str()),
            // What SET said holds while the person thinks.
            ("session_timeout", "3600"),
            ("default_format", self.format.as_str()),
        ];
        let mut response = if self.rows_from_stdin {
            self.client.insert(&self.sql, &mut io::stdin().lock(), &params)?
        } else {
            self.client.run(&self.sql, &params)?
        };
        self.answering.store(true, Ordering::Relaxed);
        let tag = response.headers().get("x-clickhouse-exception-tag");
        let tag = tag.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
        match guard::copy(&mut body, &mut io::stdout().lock(), tag.as_deref()) {
            Ok(None) => Ok(()),
            Ok(Some(error)) => Err(anyhow!(Refused(error))),
            // `| head` has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// An error for the terminal: the server's own words as they are, others with their causes.
pub(super) fn text_of(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Refused>() {
        Some(refused) => refused.to_string(),
        None => format!("{error:#}"),
    }
}

/// The line on the terminal that says how far a long statement is.
struct Progress {
    client: Client,
    sql: String,
    start: Instant,
    shown: bool,
    terminal: bool,
}

impl Progress {
    fn new(client: &Client, query_id: &str) -> Self {
        let columns = "read_rows, total_rows_approx";
        let sql = format!(
            "SELECT {columns} FROM system.processes WHERE query_id = '{query_id}' FORMAT TabSeparated"
        );
        let terminal = io::stderr().is_terminal();
        Self { client: client.clone(), sql, start: Instant::now(), shown: false, terminal }
    }

    fn show(&mut self) {
        if !self.terminal {
            return;
        }
        // Progress is a courtesy: a server that cannot tell leaves the time alone on the line.
        let answer = self.client.text(&self.sql).unwrap_or_default();
        let mut fields = answer.trim_end().split('\t').map(|field| field.parse::<u64>().unwrap_or(0));
        let (read, total) = (fields.next().unwrap_or(0), fields.next().unwrap_or(0));
        let seconds = self.start.elapsed().as_secs_f64();
        let part = if total > 0 { format!(" of {total}") } else { String::new() };
        eprint!("\r\x1b[K{seconds:.1} s, {read}{part} rows read");
        // A terminal that went away is noticed by the next write to standard output.
        let _ignored = io::stderr().flush();
        self.shown = true;
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            eprint!("\r\x1b[K");
        }
    }
}
