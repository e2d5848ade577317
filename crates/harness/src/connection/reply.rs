//! Reads HTTP/1.1 answers off a stream: status, headers, body by length, in chunks or to the end.

use std::io::{self, Read};

use super::Response;

/// Bytes of a head or of a chunk's size line; a server that sends more is broken.
const HEAD_MAX: usize = 256 << 10;

/// Bytes of a body that are read at once when they are handed on.
const PIECE: usize = 256 << 10;

/// What was read and not yet used, kept between answers.
#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    buffer: Vec<u8>,
    start: usize,
}

impl ReplyReader {
    /// Reads one answer. Interim answers (1xx) are skipped.
    pub(super) fn read(&mut self, from: &mut impl Read) -> io::Result<Response> {
        loop {
            let mut response = self.head(from)?;
            if response.status < 200 {
                continue;
            }
            response.body = self.body(from, &response)?;
            return Ok(response);
        }
    }

    /// Reads one answer and hands its body on; only the body of an error, or one that is not in chunks, is kept.
    pub(super) fn pass(&mut self, from: &mut impl Read, mut take: impl FnMut(&[u8])) -> io::Result<Response> {
        let mut response = self.head(from)?;
        while response.status < 200 {
            response = self.head(from)?;
        }
        if response.status != 200 || !is_chunked(&response) {
            response.body = self.body(from, &response)?;
            if response.status == 200 {
                take(&std::mem::take(&mut response.body));
            }
            return Ok(response);
        }
        let mut piece = vec![0; PIECE];
        loop {
            let mut left = self.chunk(from)?;
            if left == 0 {
                return Ok(response);
            }
            let ready = self.unused().len().min(left);
            take(&self.unused()[..ready]);
            self.start += ready;
            left -= ready;
            while left > 0 {
                let read = from.read(&mut piece[..left.min(PIECE)])?;
                if read == 0 {
                    return Err(cut());
                }
                take(&piece[..read]);
                left -= read;
            }
            self.end_of_chunk(from)?;
        }
    }

    fn head(&mut self, from: &mut impl Read) -> io::Result<Response> {
        let status_line = self.line(from)?;
        let status = status_line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| broken(&format!("no status line: {status_line:?}")))?;
        let mut response = Response { status, ..Response::default() };
        loop {
            let line = self.line(from)?;
            if line.is_empty() {
                return Ok(response);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken("a header without a colon"))?;
            response.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, from: &mut impl Read, head: &Response) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if head.status == 204 || head.status == 304 {
            return Ok(body);
        }
        if is_chunked(head) {
            self.chunks(from, &mut body)?;
        } else if let Some(length) = head.header("content-length") {
            let length = length.parse().map_err(|_| broken("a content-length that is no number"))?;
            self.exactly(from, length, &mut body)?;
        } else {
            body.extend_from_slice(self.unused());
            self.start = self.buffer.len();
            from.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    fn chunks(&mut self, from: &mut impl Read, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let size = self.chunk(from)?;
            if size == 0 {
                return Ok(());
            }
            self.exactly(from, size, body)?;
            self.end_of_chunk(from)?;
        }
    }

    /// The size of the next chunk; after the last, which has none, the trailer is read too.
    fn chunk(&mut self, from: &mut impl Read) -> io::Result<usize> {
        let line = self.line(from)?;
        let digits = line.split(';').next().unwrap_or("").trim();
        let size = usize::from_str_radix(digits, 16).map_err(|_| broken("a chunk without a size"))?;
        if size == 0 {
            while !self.line(from)?.is_empty() {}
        }
        Ok(size)
    }

    fn end_of_chunk(&mut self, from: &mut impl Read) -> io::Result<()> {
        if self.line(from)?.is_empty() { Ok(()) } else { Err(broken("a chunk longer than its size")) }
    }

    fn exactly(&mut self, from: &mut impl Read, length: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let ready = self.unused().len().min(length);
        out.extend_from_slice(&self.unused()[..ready]);
        self.start += ready;
        let rest = (length - ready) as u64;
        let read = from.by_ref().take(rest).read_to_end(out)?;
        if read as u64 == rest { Ok(()) } else { Err(cut()) }
    }

    /// The next line without its end.
    fn line(&mut self, from: &mut impl Read) -> io::Result<String> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.unused()[searched..].iter().position(|byte| *byte == b'\n') {
                let line = &self.unused()[..searched + at];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let text = String::from_utf8_lossy(line).into_owned();
                self.start += searched + at + 1;
                return Ok(text);
            }
            searched = self.unused().len();
            if searched > HEAD_MAX {
                return Err(broken("a line without an end"));
            }
            self.fill(from)?;
        }
    }

    fn fill(&mut self, from: &mut impl Read) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + (16 << 10), 0);
        let read = from.read(&mut self.buffer[length..]);
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        if read? == 0 { Err(cut()) } else { Ok(()) }
    }

    fn unused(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

fn is_chunked(head: &Response) -> bool {
    head.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what}"))
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut short")
}
