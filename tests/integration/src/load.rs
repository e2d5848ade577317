//! Writers and readers that go on while something happens to a cluster: the writers keep books, the readers hold every
//! count against them, and a clock measures how long each writer had to wait.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use zepto_harness::{Connection, Request};

use crate::cluster::eventually;
use crate::ledger::{Books, Writer};

/// Pause of those whose door is away or refuses: without it they would take the processor from those who heal.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks at the writers.
const TICK: Duration = Duration::from_millis(10);
/// Where the load comes from.
#[derive(Debug, Clone)]
pub struct Doors {
    /// One for each writer.
    pub writers: Vec<SocketAddr>,
    /// One for each reader.
    pub readers: Vec<SocketAddr>,
    /// Seconds that a count may take; then the node has to say that it cannot.
    pub count_seconds: u64,
}

/// What a reader has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Counts, each of them exact.
    pub answers: u64,
    /// Questions that were refused.
    pub refusals: u64,
    /// What the first refusal said.
    pub refusal: Option<String>,
    /// The longest time until an answer or a refusal.
    pub longest: Duration,
}

/// A load that runs.
#[derive(Debug)]
pub struct Running {
    books: Vec<Books>,
    waits: Mutex<Vec<Wait>>,
    /// Counts of each reader.
    answers: Vec<AtomicU64>,
    over: AtomicBool,
}

/// How long a writer has waited.
#[derive(Debug, Clone, Copy)]
struct Wait {
    acknowledged: u64,
    since: Instant,
    longest: Duration,
}

impl Running {
    fn new(writers: &[Writer], readers: usize) -> Self {
        let books: Vec<Books> = writers.iter().map(Writer::books).collect();
        let begun = |it: &Books| Wait {
            acknowledged: it.acknowledged(),
            since: Instant::now(),
            longest: Duration::ZERO,
        };
        let waits = Mutex::new(books.iter().map(begun).collect());
        let answers = (0..readers).map(|_| AtomicU64::new(0)).collect();
        Self { books, waits, answers, over: AtomicBool::new(false) }
    }

    /// Rows acknowledged to all writers.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.books.iter().map(Books::acknowledged).sum()
    }

    /// Counts that each reader has had answered, each of them exact.
    #[must_use]
    pub fn answers(&self) -> Vec<u64> {
        self.answers.iter().map(|it| it.load(Ordering::Relaxed)).collect()
    }

    fn attempted(&self) -> u64 {
        self.books.iter().map(Books::attempted).sum()
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Waits until each of these writers has so many more rows acknowledged; how long it took.
    ///
    /// # Errors
    /// Who has not, after this time.
    pub fn more_rows(&self, writers: &[usize], more: u64, wait: Duration) -> Result<Duration> {
        let (begun, before) = (Instant::now(), self.each(writers));
        eventually(wait, || {
            for ((writer, now), before) in writers.iter().zip(self.each(writers)).zip(&before) {
                ensure!(now >= before + more, "writer {writer} has {now} rows, and had {before}");
            }
            Ok(())
        })?;
        Ok(begun.elapsed())
    }

    /// From now on the longest waits are measured anew.
    pub fn forget_waits(&self) {
        for wait in self.waits().iter_mut() {
            (wait.since, wait.longest) = (Instant::now(), Duration::ZERO);
        }
    }

    /// The longest time in which one of these writers had nothing acknowledged.
    #[must_use]
    pub fn longest_wait(&self, writers: &[usize]) -> Duration {
        let waits = self.waits();
        let of = |writer: &usize| waits[*writer].longest.max(waits[*writer].since.elapsed());
        writers.iter().map(of).max().unwrap_or_default()
    }

    fn waits(&self) -> std::sync::MutexGuard<'_, Vec<Wait>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn each(&self, writers: &[usize]) -> Vec<u64> {
        writers.iter().map(|writer| self.books[*writer].acknowledged()).collect()
    }

    fn measure(&self) {
        while !self.is_over() {
            for (wait, books) in self.waits().iter_mut().zip(&self.books) {
                let now = books.acknowledged();
                if now != wait.acknowledged {
                    wait.longest = wait.longest.max(wait.since.elapsed());
                    (wait.acknowledged, wait.since) = (now, Instant::now());
                }
            }
            thread::park_timeout(TICK);
        }
    }

    /// Writes until the load ends, also when the door goes and comes back.
    fn write(&self, writer: &mut Writer, door: SocketAddr) -> Result<()> {
        while !self.is_over() {
            writer.write(door, &self.over)?;
            thread::park_timeout(PAUSE);
        }
        Ok(())
    }

    /// Counts until the load ends: each answer has all that was acknowledged before the question, and nothing that was
    /// not attempted before the answer.
    fn count(&self, reader: usize, door: SocketAddr, seconds: u64) -> Result<Counted> {
        let target = format!("/?max_execution_time={seconds}");
        let question = Request::new("POST", &target, &[], &b"SELECT count() FROM ledger"[..]);
        let mut seen = Counted::default();
        let mut connection = None;
        while !self.is_over() {
            let Some(open) = connection.as_mut() else {
                connection = Connection::open(door).ok();
                thread::park_timeout(PAUSE);
                continue;
            };
            let (acknowledged, begun) = (self.acknowledged(), Instant::now());
            let answered = Connection::send(open, &question);
            // A door that hangs and then drops its connection has kept the reader waiting too.
            seen.longest = seen.longest.max(begun.elapsed());
            let Ok(response) = answered else {
                connection = None;
                continue;
            };
            if response.status != 200 {
                seen.refusals += 1;
                seen.refusal.get_or_insert_with(|| response.text());
                thread::park_timeout(PAUSE);
                continue;
            }
            let (counted, attempted): (u64, u64) = (response.text().trim().parse()?, self.attempted());
            ensure!(
                (acknowledged..=attempted).contains(&counted),
                "{door} counts {counted} rows, when {acknowledged} had been acknowledged and {attempted} attempted"
            );
            seen.answers += 1;
            self.answers[reader].store(seen.answers, Ordering::Relaxed);
        }
        Ok(seen)
    }
}

/// Runs `work` while writers write and readers count; what it gave, and what each reader has seen.
///
/// # Errors
/// What a writer was told that it should not be, a count that is wrong, or what `work` found.
pub fn under_load<T>(
    doors: &Doors,
    writers: &mut [Writer],
    work: impl FnOnce(&Running) -> Result<T>,
) -> Result<(T, Vec<Counted>)> {
    ensure!(writers.len() == doors.writers.len(), "each writer has a door");
    let running = Running::new(writers, doors.readers.len());
    thread::scope(|scope| {
        let running = &running;
        let busy: Vec<_> = writers
            .iter_mut()
            .zip(&doors.writers)
            .map(|(writer, door)| scope.spawn(move || running.write(writer, *door)))
            .collect();
        let readers: Vec<_> = doors
            .readers
            .iter()
            .enumerate()
            .map(|(reader, door)| scope.spawn(move || running.count(reader, *door, doors.count_seconds)))
            .collect();
        let clock = scope.spawn(|| running.measure());
        let worked = work(running);
        running.over.store(true, Ordering::Relaxed);
        // A wrong count says more than what became of the work.
        let counted: Vec<Result<Counted>> = readers.into_iter().map(joined).collect();
        let written: Vec<Result<()>> = busy.into_iter().map(joined).collect();
        clock.join().map_err(|_| anyhow::anyhow!("the clock panicked"))?;
        let counted = counted.into_iter().collect::<Result<Vec<_>>>()?;
        written.into_iter().collect::<Result<()>>()?;
        Ok((worked?, counted))
    })
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow::anyhow!("a thread of the load panicked"))?
}
