//! One connection's bytes: a peer that takes nothing for too long is cut off, and an answer can learn that what it
//! wrote has left the process.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// What an HTTP/2 connection begins with. While only a part of it has come, the protocol is not known and no
/// deadline of hyper's is in force.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long the connection of a body that broke stays open for bytes that the client does not take.
const LAST_BYTES_TIME: Duration = Duration::from_secs(5);

/// Counts how often all that was written has been handed to the kernel.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    count: AtomicU64,
    changed: Notify,
}

impl Flushes {
    /// The count now.
    fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// The parts of a body that may break: what came before an error has left the process when the error is told,
    /// since hyper forgets what it has not written when a body fails.
    pub(crate) fn before_breaks<T: Send, E: Send>(
        self: Arc<Self>,
        parts: impl Stream<Item = Result<T, E>> + Send,
    ) -> impl Stream<Item = Result<T, E>> + Send {
        let mut given = None;
        parts.then(move |part| {
            let (flushes, seen) = (self.clone(), given);
            if part.is_ok() {
                given = Some(flushes.count());
            }
            async move {
                if let (Err(_), Some(seen)) = (&part, seen) {
                    flushes.wait_past(seen, LAST_BYTES_TIME).await;
                }
                part
            }
        })
    }

    /// Waits for a flush after the one numbered `seen`, at most this long.
    async fn wait_past(&self, seen: u64, at_most: Duration) {
        let passed = async {
            loop {
                let changed = self.changed.notified();
                if self.count() > seen {
                    return;
                }
                changed.await;
            }
        };
        // A peer that does not read until then will not see the end of the answer: nothing more can be done.
        let _ = timeout(at_most, passed).await;
    }
}

/// A socket with deadlines.
pub(crate) struct TimedIo<T> {
    inner: T,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
    /// The timer runs for a write that makes no progress.
    waiting: bool,
    /// Bytes of [`PREFACE`] that have come; None once the protocol is known.
    preface: Option<usize>,
    first_bytes_until: Instant,
    flushes: Arc<Flushes>,
}

impl<T> TimedIo<T> {
    /// `first` bounds the time to the first bytes, `stall` that of a write without progress.
    pub(crate) fn new(inner: T, first: Duration, stall: Duration, flushes: Arc<Flushes>) -> Self {
        let first_bytes_until = Instant::now() + first;
        let timer = Box::pin(sleep_until(first_bytes_until));
        Self { inner, stall, timer, waiting: false, preface: Some(0), first_bytes_until, flushes }
    }

    /// Turns a write that waits into an error once it has waited too long.
    fn watch<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.waiting = false;
            return written;
        }
        if !self.waiting {
            self.waiting = true;
            self.timer.as_mut().reset(Instant::now() + self.stall);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for TimedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Some(known) = self.preface {
            let fresh = &buf.filled()[before..];
            let rest = &PREFACE[known..];
            let same = rest.starts_with(fresh) && fresh.len() < rest.len();
            self.preface = same.then_some(known + fresh.len());
        }
        if read.is_pending() && self.preface.is_some() && !self.waiting {
            let until = self.first_bytes_until;
            if self.timer.deadline() != until {
                self.timer.as_mut().reset(until);
            }
            ready!(self.timer.as_mut().poll(cx));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer sends nothing")));
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for TimedIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.flushes.count.fetch_add(1, Ordering::AcqRel);
            self.flushes.changed.notify_waiters();
        }
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, closed)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
