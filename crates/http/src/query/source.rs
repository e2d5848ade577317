//! The text of a statement and the data behind it: the URL's `query`, a line feed and the body are one text.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use zepto_common::limits::{HTTP_CHUNK_BYTES, STATEMENT_BYTES_MAX};
use zepto_common::{Error, ErrorCode, Result};
use zepto_formats::insert::InsertHead;

use crate::body::RawBody;
use crate::inflate::Inflate;
use crate::params::Parameters;
use crate::statement::StatementKind;

/// Bytes of the text that are read before its kind is judged, if there are so many.
const HEAD_BYTES: usize = 64 << 10;

/// Bytes behind the head that must be known before its end is certain: the longest keyword or format name.
const CERTAIN_BYTES: usize = 64;

/// A request's text, read from the front.
pub(super) struct Source {
    raw: RawBody,
    inflate: Inflate,
    /// Plain text that was read and not yet used.
    text: BytesMut,
    ended: bool,
    parameters: Parameters,
}

/// What is left of a source once the statement's head is off: data.
pub(super) struct Rest<'a> {
    pub(super) raw: &'a mut RawBody,
    pub(super) inflate: Inflate,
    pub(super) first: Bytes,
    pub(super) ended: bool,
}

impl Source {
    pub(super) fn new(raw: RawBody, inflate: Inflate, parameters: Parameters) -> Self {
        Self { raw, inflate, text: BytesMut::new(), ended: false, parameters }
    }

    /// A parameter of the URL.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name)
    }

    /// Puts the URL's statement in front of the body.
    pub(super) fn begin(&mut self, statement: &str) {
        if !statement.is_empty() {
            self.text.extend_from_slice(statement.as_bytes());
            self.text.extend_from_slice(b"\n");
        }
    }

    /// Reads on until the text has `length` bytes or ends.
    async fn fill(&mut self, length: usize) -> Result<()> {
        while self.text.len() < length && !self.ended {
            if let Some(plain) = self.inflate.pull(HTTP_CHUNK_BYTES)? {
                self.text.extend_from_slice(&plain);
            } else if let Some(raw) = self.raw.chunk().await? {
                self.inflate.push(raw);
            } else {
                self.inflate.finish()?;
                self.ended = true;
            }
        }
        Ok(())
    }

    /// The kind of the statement, by its first keyword.
    ///
    /// # Errors
    /// `QueryIsTooLarge` when there is no keyword within the bound; the body's.
    pub(super) async fn kind(&mut self) -> Result<StatementKind> {
        let mut length = HEAD_BYTES.max(self.text.len() + 1);
        loop {
            self.fill(length).await?;
            let kind = StatementKind::of(&self.text);
            if kind != StatementKind::Empty || self.ended {
                return Ok(kind);
            }
            length = grown(self.text.len())?;
        }
    }

    /// The head of an INSERT with data, taken off the text; None for another statement.
    ///
    /// # Errors
    /// `SyntaxError`; `QueryIsTooLarge` when the head does not end within the bound; the body's.
    pub(super) async fn insert_head(
        &mut self,
        params: &BTreeMap<String, Option<String>>,
    ) -> Result<Option<InsertHead>> {
        loop {
            match InsertHead::parse_with(&self.text, params) {
                Ok(Some(head)) if self.ended || head.data_offset + CERTAIN_BYTES <= self.text.len() => {
                    let _ = self.text.split_to(head.data_offset.min(self.text.len()));
                    return Ok(Some(head));
                }
                Ok(None) => return Ok(None),
                Err(error) if self.ended => return Err(error),
                Ok(Some(_)) | Err(_) => {}
            }
            self.fill(grown(self.text.len())?).await?;
        }
    }

    /// The whole text as a statement.
    ///
    /// # Errors
    /// `QueryIsTooLarge` beyond `most` bytes, `SyntaxError` for text that is not UTF-8; the body's.
    pub(super) async fn whole_statement(&mut self, most: usize) -> Result<String> {
        self.fill(most + 1).await?;
        if self.text.len() > most {
            return Err(too_large());
        }
        let bytes = self.text.split();
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.trim_end().to_owned()),
            Err(error) => {
                let text =
                    format!("Syntax error: the statement is not UTF-8 at byte {}", error.valid_up_to());
                Err(Error::new(ErrorCode::SyntaxError, text))
            }
        }
    }

    /// What comes after the statement's head.
    pub(super) fn rest(&mut self) -> Result<Rest<'_>> {
        let inflate = std::mem::replace(&mut self.inflate, Inflate::of(None)?);
        Ok(Rest { raw: &mut self.raw, inflate, first: self.text.split().freeze(), ended: self.ended })
    }

    /// Throws the rest away, so that the client sees the answer.
    pub(super) async fn drain(&mut self) {
        self.raw.drain().await;
    }
}

/// The next length to try for a head.
fn grown(length: usize) -> Result<usize> {
    if length >= STATEMENT_BYTES_MAX {
        Err(too_large())
    } else {
        Ok((length * 2).clamp(HEAD_BYTES, STATEMENT_BYTES_MAX))
    }
}

fn too_large() -> Error {
    Error::new(ErrorCode::QueryIsTooLarge, format!("the statement has more than {STATEMENT_BYTES_MAX} bytes"))
}
