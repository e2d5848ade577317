//! `multipart/form-data` (RFC 7578) as it streams by: parts are never gathered here, only their heads are.
//!
//! Promises: what is kept is at most one head, one boundary and what was pushed last; however the bytes are cut,
//! the same parts with the same data come out; a form that ends before its last boundary is an error.

#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;
use zepto_common::limits::FORM_HEAD_BYTES_MAX;
use zepto_common::{Error, ErrorCode, Result};

/// Longest boundary, by RFC 2046.
const BOUNDARY_BYTES_MAX: usize = 70;

/// The head of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHead {
    /// The field's name.
    pub name: String,
    /// The file's name; its presence says that the part is a file.
    pub filename: Option<String>,
}

/// What comes next in a form.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A part begins.
    Part(PartHead),
    /// The next bytes of the part.
    Data(Bytes),
    /// The part is whole.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the first boundary.
    Preamble,
    /// Right behind a boundary.
    Boundary,
    Head,
    Data,
    /// Behind the last boundary; what follows means nothing.
    Done,
}

/// A form on its way in.
pub struct Multipart {
    /// With the line feed before it.
    delimiter: Vec<u8>,
    buffer: BytesMut,
    stage: Stage,
}

impl Multipart {
    /// A form with the boundary that its `Content-Type` names.
    ///
    /// # Errors
    /// `BadArguments` without one, or with one that cannot be.
    pub fn of(content_type: &str) -> Result<Self> {
        let boundary = parameters(content_type).find(|(name, _)| name.eq_ignore_ascii_case("boundary"));
        let boundary = boundary.map(|(_, value)| value).unwrap_or_default();
        if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX || boundary.contains(['\r', '\n']) {
            return Err(bad("its Content-Type has no boundary of 1 to 70 bytes"));
        }
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first boundary may stand at the very beginning, without a line feed of its own.
        Ok(Self { delimiter, buffer: BytesMut::from(&b"\r\n"[..]), stage: Stage::Preamble })
    }

    /// Takes the next bytes of the body; what was pushed before must have been taken out.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.stage != Stage::Done {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// What comes next; None when more bytes are needed, and after the end.
    ///
    /// # Errors
    /// `BadArguments` for what is no form, or a head that is too long.
    pub fn event(&mut self) -> Result<Option<Event>> {
        loop {
            match self.stage {
                Stage::Preamble => match memmem::find(&self.buffer, &self.delimiter) {
                    Some(at) => self.go(at + self.delimiter.len(), Stage::Boundary),
                    None => {
                        let _ = self.before_a_boundary();
                        return Ok(None);
                    }
                },
                Stage::Boundary => {
                    if !self.boundary()? {
                        return Ok(None);
                    }
                }
                Stage::Head => return self.head(),
                Stage::Data => return Ok(self.data()),
                Stage::Done => return Ok(None),
            }
        }
    }

    /// Checks that the form came to its end.
    ///
    /// # Errors
    /// `IncorrectData` if it did not.
    pub fn finish(&self) -> Result<()> {
        if self.stage == Stage::Done {
            return Ok(());
        }
        Err(Error::new(ErrorCode::IncorrectData, "The form ends before its last boundary"))
    }

    fn go(&mut self, used: usize, stage: Stage) {
        self.buffer.advance(used);
        self.stage = stage;
    }

    /// The bytes that certainly do not belong to a boundary.
    fn before_a_boundary(&mut self) -> Bytes {
        let certain = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
        self.buffer.split_to(certain).freeze()
    }

    /// Behind a boundary: two hyphens end the form, a line feed begins a part. False when more is needed.
    fn boundary(&mut self) -> Result<bool> {
        let blank = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let rest = &self.buffer[blank..];
        if rest.len() < 2 && blank <= FORM_HEAD_BYTES_MAX {
            return Ok(false);
        }
        match rest.get(..2) {
            Some(b"--") if blank == 0 => {
                self.buffer = BytesMut::new();
                self.stage = Stage::Done;
            }
            // The line feed stays: it also ends the line before a head without headers.
            Some(b"\r\n") => self.go(blank, Stage::Head),
            _ => return Err(bad("something stands behind a boundary")),
        }
        Ok(true)
    }

    fn head(&mut self) -> Result<Option<Event>> {
        let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") else {
            if self.buffer.len() > FORM_HEAD_BYTES_MAX {
                return Err(bad("the head of a part is too long"));
            }
            return Ok(None);
        };
        if end > FORM_HEAD_BYTES_MAX {
            return Err(bad("the head of a part is too long"));
        }
        let head = part_head(&self.buffer[..end])?;
        self.go(end + 4, Stage::Data);
        Ok(Some(Event::Part(head)))
    }

    fn data(&mut self) -> Option<Event> {
        if let Some(at) = memmem::find(&self.buffer, &self.delimiter) {
            if at == 0 {
                self.go(self.delimiter.len(), Stage::Boundary);
                return Some(Event::End);
            }
            return Some(Event::Data(self.buffer.split_to(at).freeze()));
        }
        let data = self.before_a_boundary();
        (!data.is_empty()).then_some(Event::Data(data))
    }
}

/// Name and file name of a part.
fn part_head(bytes: &[u8]) -> Result<PartHead> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad("the head of a part is not UTF-8"))?;
    let mut name = None;
    let mut filename = None;
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (header, value) =
            line.split_once(':').ok_or_else(|| bad("a line of a part's head has no colon"))?;
        if header.eq_ignore_ascii_case("content-transfer-encoding") {
            let plain =
                ["binary", "8bit", "7bit"].iter().any(|known| value.trim().eq_ignore_ascii_case(known));
            if !plain {
                return Err(bad("a part is encoded"));
            }
        }
        if header.eq_ignore_ascii_case("content-disposition") {
            for (key, value) in parameters(value) {
                match key.to_ascii_lowercase().as_str() {
                    "name" => name = Some(value),
                    "filename" | "filename*" => filename = Some(value),
                    _ => {}
                }
            }
        }
    }
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| bad("a part has no name"))?;
    Ok(PartHead { name, filename })
}

/// The parameters behind the first semicolon of a header's value, out of their quotes.
fn parameters(value: &str) -> impl Iterator<Item = (&str, String)> {
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest);
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let (name, behind) = rest.split_once('=')?;
        let behind = behind.trim_start();
        let value;
        (value, rest) = match behind.strip_prefix('"') {
            Some(quoted) => quoted_text(quoted),
            None => {
                let end = behind.find(';').unwrap_or(behind.len());
                (behind[..end].trim_end().to_owned(), &behind[end..])
            }
        };
        Some((name.trim(), value))
    })
}

/// Text up to the closing quote, and what is behind it. A backslash takes the next quote or backslash as it is.
fn quoted_text(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &text[at + 1..]),
            '\\' if text[at + 1..].starts_with(['"', '\\']) => {
                value.extend(chars.next().map(|(_, next)| next))
            }
            other => value.push(other),
        }
    }
    (value, "")
}

fn bad(what: &str) -> Error {
    Error::new(ErrorCode::BadArguments, format!("The body is not a form in multipart/form-data: {what}"))
}
