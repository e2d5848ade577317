//! The HTTP library refuses a request line that is too long for it with an answer of its own, which has no body.
//! Clients look for a code and a text, so this writer puts the door's words in place of that answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zepto_common::{Error, ErrorCode};

use crate::exception::exception_text;

/// How the library's answer begins; the door itself has no answer of this status.
const REFUSED: &[u8] = b"HTTP/1.1 414 ";

/// The library's bound.
const URI_BYTES_MAX: usize = 65_534;

/// A connection whose answers to such requests have a body.
pub(crate) struct LongUri<T> {
    inner: T,
    version: String,
    /// The words that are being written, and how many bytes of them are.
    words: Option<(Vec<u8>, usize)>,
}

impl<T> LongUri<T> {
    pub(crate) fn new(inner: T, version: String) -> Self {
        Self { inner, version, words: None }
    }

    fn answer(&self) -> Vec<u8> {
        let text = format!("the URL has more than {URI_BYTES_MAX} bytes: send the statement as the body");
        let error = Error::new(ErrorCode::QueryIsTooLarge, text);
        let body = exception_text(&error, &self.version);
        let (code, length) = (error.code.number(), body.len());
        let head = format!(
            "HTTP/1.1 414 URI Too Long\r\nContent-Type: {}\r\nX-ClickHouse-Exception-Code: {code}\r\n\
             Connection: close\r\nContent-Length: {length}\r\n\r\n",
            crate::reply::TEXT
        );
        (head + &body).into_bytes()
    }
}

impl<T: AsyncWrite + Unpin> LongUri<T> {
    /// Writes the door's words in place of `first` if that is the library's answer; None if it is not.
    fn replace(&mut self, cx: &mut Context<'_>, first: &[u8]) -> Option<Poll<io::Result<()>>> {
        if self.words.is_none() && !first.starts_with(REFUSED) {
            return None;
        }
        let (words, mut at) = self.words.take().unwrap_or_else(|| (self.answer(), 0));
        while let Some(rest) = words.get(at..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.inner).poll_write(cx, rest) {
                Poll::Ready(Ok(written)) if written > 0 => at += written,
                Poll::Ready(Ok(_)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => {
                    self.words = Some((words, at));
                    return Some(Poll::Pending);
                }
            }
        }
        Some(Poll::Ready(Ok(())))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for LongUri<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for LongUri<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.replace(cx, buf) {
            None => Pin::new(&mut self.inner).poll_write(cx, buf),
            Some(replaced) => {
                ready!(replaced)?;
                Poll::Ready(Ok(buf.len()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.first().map_or(&[][..], |slice| slice);
        match self.replace(cx, first) {
            None => Pin::new(&mut self.inner).poll_write_vectored(cx, bufs),
            Some(replaced) => {
                ready!(replaced)?;
                Poll::Ready(Ok(bufs.iter().map(|slice| slice.len()).sum()))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
