//! Reading a log file through a bounded window, and judging what follows a bad place.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::codec::{
    ALIGNMENT, FILE_HEADER_BYTES, FRAME_MAGIC, FileHeader, FileIdentity, HEADER_BYTES, Header, HeaderFault,
};
use crate::disk::{DiskFile, read_full};

/// Bytes read ahead where a file is read from its beginning to its end.
const WINDOW_BYTES: usize = 256 << 10;
/// Bytes read ahead where one frame is wanted.
const GLANCE_BYTES: usize = 4 << 10;

/// One log file, read through a window.
#[derive(Debug)]
pub(super) struct Scanner {
    file: Arc<dyn DiskFile>,
    length: u64,
    identity: FileIdentity,
    window: Vec<u8>,
    window_start: u64,
    /// Bytes read ahead.
    ahead: usize,
}

/// A frame whose checksums are good.
#[derive(Debug)]
pub(super) struct ScannedFrame {
    pub(super) header: Header,
    pub(super) body: Bytes,
}

/// What lies behind a bad place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aftermath {
    /// Where this file's own data ends, as far as it can be told.
    pub(super) end: u64,
    /// A good frame that was written after the bad place had been synced: the bad place is damage.
    pub(super) proof_of_damage: Option<u64>,
    /// Good frames found behind the bad place.
    pub(super) frames: u64,
}

impl Scanner {
    pub(super) fn new(file: Arc<dyn DiskFile>, identity: FileIdentity) -> io::Result<Self> {
        let length = file.len()?;
        Ok(Self { file, length, identity, window: Vec::new(), window_start: 0, ahead: WINDOW_BYTES })
    }

    /// The same for a look at single frames.
    pub(super) fn for_a_glance(self) -> Self {
        Self { ahead: GLANCE_BYTES, ..self }
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The file's header.
    pub(super) fn file_header(&mut self) -> io::Result<Result<FileHeader, HeaderFault>> {
        Ok(FileHeader::decode(self.bytes(0, FILE_HEADER_BYTES)?))
    }

    /// Bytes at an offset; fewer at the end of the file.
    fn bytes(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let wanted_end = self.length.min(offset.saturating_add(length as u64));
        if offset >= wanted_end {
            return Ok(&[]);
        }
        let window_end = self.window_start + self.window.len() as u64;
        if offset < self.window_start || wanted_end > window_end {
            let size = (self.length - offset).min(length.max(self.ahead) as u64) as usize;
            self.window.clear();
            self.window.shrink_to(self.ahead);
            self.window.resize(size, 0);
            let read = read_full(self.file.as_ref(), &mut self.window, offset);
            self.window.truncate(*read.as_ref().unwrap_or(&0));
            self.window_start = offset;
            read?;
        }
        let start = (offset - self.window_start) as usize;
        let end = self.window.len().min(start + length);
        Ok(&self.window[start..end])
    }

    /// The header of a frame that fits into the file.
    fn header(&mut self, offset: u64) -> io::Result<Option<Header>> {
        let (identity, length) = (self.identity, self.length);
        let header = Header::decode(self.bytes(offset, HEADER_BYTES)?, &identity, offset);
        Ok(header.filter(|header| offset + header.frame_bytes() as u64 <= length))
    }

    /// The frame at an offset, if one is there whole.
    pub(super) fn frame(&mut self, offset: u64) -> io::Result<Option<ScannedFrame>> {
        let Some(header) = self.header(offset)? else {
            return Ok(None);
        };
        let Some(body) = self.bytes(offset, header.frame_bytes())?.get(HEADER_BYTES..) else {
            return Ok(None);
        };
        if body.len() != header.length as usize || crc32c::crc32c(body) != header.body_crc {
            return Ok(None);
        }
        let body = Bytes::copy_from_slice(body);
        Ok(Some(ScannedFrame { header, body }))
    }

    /// Looks at everything behind a bad place.
    ///
    /// A frame says up to where the file was synced when it was appended. Frames of the group that was being
    /// written when the power went may have survived in any selection; none of them says that the bad place was
    /// synced. A frame that does say so proves that synced data was damaged.
    pub(super) fn aftermath(&mut self, bad: u64) -> io::Result<Aftermath> {
        let mut found = Aftermath { end: bad, proof_of_damage: None, frames: 0 };
        if let Some(header) = self.header(bad)? {
            found.end = bad + header.stride();
        }
        let mut offset = bad + ALIGNMENT as u64;
        while let Some(candidate) = self.next_magic(offset)? {
            offset = candidate + ALIGNMENT as u64;
            if let Some(ScannedFrame { header, .. }) = self.frame(candidate)? {
                found.frames += 1;
                offset = candidate + header.stride();
                found.end = found.end.max(offset);
                if header.synced > bad && found.proof_of_damage.is_none() {
                    found.proof_of_damage = Some(candidate);
                }
            }
        }
        found.end = found.end.min(self.length);
        Ok(found)
    }

    /// The next place at or behind `offset` where a frame could begin.
    fn next_magic(&mut self, offset: u64) -> io::Result<Option<u64>> {
        let mut at = offset;
        while at < self.length {
            let window = self.bytes(at, WINDOW_BYTES)?;
            if window.len() < FRAME_MAGIC.len() {
                return Ok(None);
            }
            let found = window.chunks(ALIGNMENT).position(|chunk| chunk.starts_with(&FRAME_MAGIC));
            if let Some(index) = found {
                return Ok(Some(at + (index * ALIGNMENT) as u64));
            }
            at += window.len().next_multiple_of(ALIGNMENT) as u64;
        }
        Ok(None)
    }
}
