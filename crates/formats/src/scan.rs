//! Reading bytes that may end anywhere: a cursor that tells "the rest is still to come" from "this is wrong".

use zepto_common::{Error, ErrorCode};

/// Why a reader stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The bytes at hand end inside the value; read again when more have come.
    More,
    /// The input is wrong.
    Fault(Box<Error>),
}

/// What a reader found, or why it stopped.
pub(crate) type Scan<T> = Result<T, Stop>;

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Fault(Box::new(error))
    }
}

/// A fault of this code.
#[cold]
pub(crate) fn fault(code: ErrorCode, message: impl Into<String>) -> Stop {
    Stop::Fault(Box::new(Error::new(code, message)))
}

/// The first bytes of some input, for a message: bounded, printable.
pub(crate) fn excerpt(data: &[u8]) -> String {
    const EXCERPT_BYTES: usize = 48;
    let cut = data.len() > EXCERPT_BYTES;
    let text = String::from_utf8_lossy(&data[..data.len().min(EXCERPT_BYTES)]).escape_debug().to_string();
    if cut { format!("'{text}...'") } else { format!("'{text}'") }
}

/// A place in the bytes at hand.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    /// The bytes at hand.
    pub(crate) data: &'a [u8],
    /// The place.
    pub(crate) at: usize,
    /// No more bytes will come.
    pub(crate) last: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(data: &'a [u8], last: bool) -> Self {
        Self { data, at: 0, last }
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.data[self.at..]
    }

    /// The bytes at hand are used up.
    #[cold]
    pub(crate) fn end(&self) -> Stop {
        if self.last {
            fault(ErrorCode::CannotParseInputAssertionFailed, "Cannot parse input: unexpected end of data")
        } else {
            Stop::More
        }
    }

    #[inline]
    pub(crate) fn peek(&self) -> Scan<u8> {
        match self.data.get(self.at) {
            Some(byte) => Ok(*byte),
            None => Err(self.end()),
        }
    }

    /// The next byte when there is one.
    #[inline]
    pub(crate) fn peek_or_end(&self) -> Scan<Option<u8>> {
        match self.data.get(self.at) {
            Some(byte) => Ok(Some(*byte)),
            None if self.last => Ok(None),
            None => Err(Stop::More),
        }
    }

    /// Passes over spaces, tabs and line ends.
    #[inline]
    pub(crate) fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.data.get(self.at) {
            self.at += 1;
        }
    }

    /// Passes over the rest of the line; with `escapes` a backslash before its end makes it go on.
    pub(crate) fn skip_line(&mut self, escapes: bool) -> Scan<()> {
        while let Some(length) = memchr::memchr(b'\n', self.rest()) {
            self.at += length + 1;
            if !(escapes && length > 0 && self.data[self.at - 2] == b'\\') {
                return Ok(());
            }
        }
        self.at = self.data.len();
        self.peek_or_end().map(|_| ())
    }

    /// Passes over this byte, which must be next.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Scan<()> {
        if self.peek()? == byte {
            self.at += 1;
            return Ok(());
        }
        Err(self.expected(byte))
    }

    #[cold]
    pub(crate) fn expected(&self, byte: u8) -> Stop {
        let wanted = char::from(byte).escape_debug();
        let message = format!("Cannot parse input: expected '{wanted}' before: {}", excerpt(self.rest()));
        fault(ErrorCode::CannotParseInputAssertionFailed, message)
    }

    /// Passes over this word (any case) when it is next and no longer word goes on after it.
    pub(crate) fn word(&mut self, word: &str) -> Scan<bool> {
        let rest = self.rest();
        let shared = rest.len().min(word.len());
        if !rest[..shared].eq_ignore_ascii_case(&word.as_bytes()[..shared]) {
            return Ok(false);
        }
        if shared < word.len() {
            return if self.last { Ok(false) } else { Err(Stop::More) };
        }
        match rest.get(word.len()) {
            Some(next) if next.is_ascii_alphanumeric() || matches!(next, b'_' | b'(' | b'.') => Ok(false),
            None if !self.last => Err(Stop::More),
            _ => {
                self.at += word.len();
                Ok(true)
            }
        }
    }

    /// This many bytes; a length that no input can have is a fault at once.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Scan<&'a [u8]> {
        match self.data.get(self.at..self.at.saturating_add(count)) {
            Some(bytes) => {
                self.at += count;
                Ok(bytes)
            }
            None if self.last => {
                let message = format!(
                    "Cannot read all data. Bytes read: {}. Bytes expected: {count}.",
                    self.rest().len()
                );
                Err(fault(ErrorCode::CannotReadAllData, message))
            }
            None => Err(Stop::More),
        }
    }
}
