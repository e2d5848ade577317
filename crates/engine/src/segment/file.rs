//! A segment's bytes: written through a buffer with a checksum per block, read back only through those checksums.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use zepto_common::{Error, ErrorCode, Result};

use crate::disk::DiskFile;

/// Bytes that one checksum covers.
pub(super) const BLOCK_BYTES: usize = 64 << 10;

/// Bytes gathered before they go to the disk.
const WRITE_BYTES: usize = 1 << 20;

/// Bytes verified at once, a multiple of [`BLOCK_BYTES`].
const CHECK_BYTES: usize = 1 << 20;

/// Takes a file's bytes in order. Before [`BlockWriter::seal`] each block gets its checksum; after it, bytes are kept as
/// the tail, which the caller completes.
#[derive(Debug)]
pub(super) struct BlockWriter {
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    written: u64,
    checksums: Vec<u32>,
    block: (u32, usize),
    tail: Option<Vec<u8>>,
}

impl BlockWriter {
    pub(super) fn new(file: Arc<dyn DiskFile>) -> Self {
        Self {
            file,
            buffer: Vec::with_capacity(WRITE_BYTES),
            written: 0,
            checksums: Vec::new(),
            block: (0, 0),
            tail: None,
        }
    }

    /// Ends the checksummed data: its length and the checksum of each block, the last one shorter.
    pub(super) fn seal(&mut self) -> io::Result<(u64, Vec<u32>)> {
        self.end_block();
        self.write_out()?;
        self.tail = Some(Vec::new());
        Ok((self.written, std::mem::take(&mut self.checksums)))
    }

    /// The bytes after the data.
    pub(super) fn take_tail(&mut self) -> Vec<u8> {
        self.tail.take().unwrap_or_default()
    }

    /// Writes the completed tail and makes the file durable. Returns its length.
    pub(super) fn finish(&mut self, tail: &[u8]) -> io::Result<u64> {
        self.file.write_at(tail, self.written)?;
        self.file.sync_data()?;
        Ok(self.written + tail.len() as u64)
    }

    fn end_block(&mut self) {
        if self.block.1 > 0 {
            self.checksums.push(self.block.0);
            self.block = (0, 0);
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_at(&self.buffer, self.written)?;
            self.written += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }
}

impl Write for BlockWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(tail) = &mut self.tail {
            tail.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        let taken = &bytes[..bytes.len().min(BLOCK_BYTES - self.block.1)];
        self.block = (crc32c::crc32c_append(self.block.0, taken), self.block.1 + taken.len());
        if self.block.1 == BLOCK_BYTES {
            self.end_block();
        }
        self.buffer.extend_from_slice(taken);
        if self.buffer.len() >= WRITE_BYTES {
            self.write_out()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An open segment file: its data is read in whole blocks, each verified.
#[derive(Debug, Clone)]
pub(super) struct SegmentFile {
    file: Arc<dyn DiskFile>,
    path: Arc<PathBuf>,
    length: u64,
    /// End of the data that `checksums` cover.
    data: u64,
    checksums: Arc<[u32]>,
}

impl SegmentFile {
    pub(super) fn new(
        file: Arc<dyn DiskFile>,
        path: &Path,
        length: u64,
        data: u64,
        checksums: Vec<u32>,
    ) -> Self {
        Self { file, path: Arc::new(path.to_path_buf()), length, data, checksums: checksums.into() }
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Verifies all data, a stretch at a time.
    pub(super) fn check(&self) -> Result<()> {
        let mut at = 0;
        while at < self.data {
            let length = CHECK_BYTES.min((self.data - at) as usize);
            self.read(at, length)?;
            at += length as u64;
        }
        Ok(())
    }

    /// Verified bytes of the data.
    fn read(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = start.checked_add(length as u64).filter(|&end| end <= self.data);
        let end = end.ok_or_else(|| damaged(&self.path, start, "a page lies outside the data"))?;
        let first = start / BLOCK_BYTES as u64;
        let from = first * BLOCK_BYTES as u64;
        let to = end.next_multiple_of(BLOCK_BYTES as u64).min(self.data);
        let blocks = read_exact(self.file.as_ref(), &self.path, from, (to - from) as usize)?;
        for (i, block) in blocks.chunks(BLOCK_BYTES).enumerate() {
            let number = first as usize + i;
            if self.checksums.get(number) != Some(&crc32c::crc32c(block)) {
                let offset = number as u64 * BLOCK_BYTES as u64;
                return Err(damaged(&self.path, offset, "the checksum of a block does not match"));
            }
        }
        let skip = (start - from) as usize;
        Ok(Bytes::from(blocks).slice(skip..skip + length))
    }
}

/// Bytes at an offset, all of them.
pub(super) fn read_exact(file: &dyn DiskFile, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0u8; length];
    let mut done = 0;
    while done < length {
        let read = file.read_at(&mut bytes[done..], offset + done as u64).map_err(|error| {
            let what = format!("cannot read segment {} at offset {offset}: {error}", path.display());
            Error::new(ErrorCode::CannotReadAllData, what)
        })?;
        if read == 0 {
            return Err(damaged(path, offset + done as u64, "the file ends too early"));
        }
        done += read;
    }
    Ok(bytes)
}

/// The error for a file that is not as it was written.
pub(super) fn damaged(path: &Path, offset: u64, what: impl std::fmt::Display) -> Error {
    let text = format!("segment {} is damaged at offset {offset}: {what}", path.display());
    Error::new(ErrorCode::CorruptedData, text)
}

impl Length for SegmentFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for SegmentFile {
    type T = BlockReader;

    fn get_read(&self, start: u64) -> parquet::errors::Result<BlockReader> {
        Ok(BlockReader { file: self.clone(), offset: start, buffer: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.read(start, length).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// Reads on from an offset, block by block.
#[derive(Debug)]
pub(super) struct BlockReader {
    file: SegmentFile,
    offset: u64,
    buffer: Bytes,
}

impl Read for BlockReader {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() {
            let block_end = (self.offset / BLOCK_BYTES as u64 + 1) * BLOCK_BYTES as u64;
            let length = block_end.min(self.file.data).saturating_sub(self.offset) as usize;
            if length == 0 {
                return Ok(0);
            }
            self.buffer = self.file.read(self.offset, length).map_err(io::Error::other)?;
            self.offset += length as u64;
        }
        let count = to.len().min(self.buffer.len());
        to[..count].copy_from_slice(&self.buffer.split_to(count));
        Ok(count)
    }
}
