//! A window as bytes, for the manifest. Little-endian, version 1, or 2 if anything is known of sources of feeds, or 3 if rows
//! of the partition were changed:
//!
//! `u8` version, 3 zero bytes, `u32` number of keys, then per key, oldest first: 24 bytes batch id (as in a rows
//! frame), `u32` block, `u32` schema version, `u32` payload bytes, 4 zero bytes, `u64` payload hash, `i64`
//! milliseconds since 1970, `u32` number of partitions, then per partition `u16` number, 2 zero bytes, `u32` rows.
//! After the keys: `u32` number of edges, then per edge, longest unraised first: `u64` producer, `u64` sequence,
//! `u32` block. What is pending is not written.
//!
//! Version 2 goes on with `u32` number of sources, then per source, ascending: `u128` source, `u32` number of partitions,
//! then per partition, ascending: `u16` number, 2 zero bytes, `u64` highest offset that it has. Then `u32` number of
//! streams, then per stream, ascending: `u16` number of the partition that keeps its positions, 2 zero bytes, `u32` length
//! and name of the stream in UTF-8, `u32` number of positions, then per position, ascending: `u32` partition of the
//! source, `u64` next offset.
//!
//! Version 3 goes on after that with `u64` number of the highest TRUNCATE or DELETE, 0 before the first, `u32` 1 if rows have
//! expired, else 0, 4 zero bytes, `i64` the time (raw ticks) below which they have, else 0.

use bytes::Bytes;
use zepto_common::{PartitionId, SchemaVersion};

use super::{BatchKey, Changed, Content, Window, WindowLimits};
use crate::error::{EngineError, Result};
use crate::wal::cursor::{Cursor, DecodeError, Decoded, put_batch, put_bytes};

const VERSION: u8 = 1;
/// With what is known of sources.
const VERSION_SOURCES: u8 = 2;
/// With what was changed, after what is known of sources.
const VERSION_CHANGED: u8 = 3;
/// Smallest size of a key and of an edge.
const KEY_BYTES_MIN: usize = 60;
const PART_BYTES: usize = 8;
const EDGE_BYTES: usize = 20;
const SOURCE_BYTES_MIN: usize = 20;
const HIGH_BYTES: usize = 12;
const STREAM_BYTES_MIN: usize = 12;
const RESUME_BYTES: usize = 12;

impl Window {
    /// All that is committed, as bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let keys = self.order.iter().filter_map(|key| Some((key, self.entries.get(key)?)));
        let keys: Vec<_> = keys.filter(|(_, entry)| !entry.committed.is_empty()).collect();
        let mut out = Vec::with_capacity(16 + keys.len() * (KEY_BYTES_MIN + PART_BYTES));
        let Changed { mutation, cutoff } = self.changes;
        let is_changed = self.changes != Changed::default();
        let version = match (is_changed, self.marks.is_empty()) {
            (true, _) => VERSION_CHANGED,
            (false, false) => VERSION_SOURCES,
            (false, true) => VERSION,
        };
        out.extend_from_slice(&[version, 0, 0, 0]);
        out.extend_from_slice(&(keys.len() as u32).to_le_bytes());
        for (key, entry) in keys {
            put_batch(&mut out, Some(key.batch));
            out.extend_from_slice(&key.block.to_le_bytes());
            out.extend_from_slice(&entry.content.schema.0.to_le_bytes());
            out.extend_from_slice(&entry.content.bytes.to_le_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&entry.content.hash.to_le_bytes());
            out.extend_from_slice(&entry.since_ms.to_le_bytes());
            out.extend_from_slice(&(entry.committed.len() as u32).to_le_bytes());
            for (partition, rows) in &entry.committed {
                out.extend_from_slice(&partition.0.to_le_bytes());
                out.extend_from_slice(&[0; 2]);
                out.extend_from_slice(&rows.to_le_bytes());
            }
        }
        let mut edges: Vec<_> = self.edges.iter().collect();
        edges.sort_unstable_by_key(|(_, edge)| edge.raised);
        out.extend_from_slice(&(edges.len() as u32).to_le_bytes());
        for (producer, edge) in edges {
            out.extend_from_slice(&producer.to_le_bytes());
            out.extend_from_slice(&edge.sequence.to_le_bytes());
            out.extend_from_slice(&edge.block.to_le_bytes());
        }
        if version >= VERSION_SOURCES {
            self.put_marks(&mut out);
        }
        if version >= VERSION_CHANGED {
            out.extend_from_slice(&mutation.to_le_bytes());
            out.extend_from_slice(&u32::from(cutoff.is_some()).to_le_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&cutoff.unwrap_or(0).to_le_bytes());
        }
        out.into()
    }

    /// The window that [`Self::encode`] wrote.
    ///
    /// # Errors
    /// `Internal` for bytes that it did not write: the manifest's checksum has been checked before.
    pub fn decode(bytes: Bytes, limits: WindowLimits) -> Result<Self> {
        Self::read(&mut Cursor::new(bytes), limits)
            .map_err(|DecodeError(what)| EngineError::Internal(format!("a deduplication window: {what}")))
    }

    fn read(cursor: &mut Cursor, limits: WindowLimits) -> Decoded<Self> {
        let version = cursor.u8()?;
        if !(VERSION..=VERSION_CHANGED).contains(&version) {
            return Err(DecodeError(format!("version {version} is not known")));
        }
        cursor.zeros(3)?;
        let mut window = Self::new(limits);
        for _ in 0..cursor.count(KEY_BYTES_MIN)? {
            window.read_key(cursor)?;
        }
        for _ in 0..cursor.count(EDGE_BYTES)? {
            let (producer, sequence) = (cursor.u64()?, cursor.u64()?);
            window.put_edge(producer, sequence, cursor.u32()?);
        }
        if version >= VERSION_SOURCES {
            window.read_marks(cursor)?;
        }
        if version >= VERSION_CHANGED {
            let (mutation, has_cutoff) = (cursor.u64()?, cursor.u32()?);
            cursor.zeros(4)?;
            let cutoff = cursor.i64()?;
            window.changes = Changed { mutation, cutoff: (has_cutoff != 0).then_some(cutoff) };
        }
        cursor.end()?;
        Ok(window)
    }

    fn put_marks(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.marks.high.len() as u32).to_le_bytes());
        for (source, of) in &self.marks.high {
            out.extend_from_slice(&source.to_le_bytes());
            out.extend_from_slice(&(of.len() as u32).to_le_bytes());
            for (partition, offset) in of {
                out.extend_from_slice(&partition.0.to_le_bytes());
                out.extend_from_slice(&[0; 2]);
                out.extend_from_slice(&offset.to_le_bytes());
            }
        }
        out.extend_from_slice(&(self.marks.resume.len() as u32).to_le_bytes());
        for ((home, stream), resume) in &self.marks.resume {
            out.extend_from_slice(&home.0.to_le_bytes());
            out.extend_from_slice(&[0; 2]);
            put_bytes(out, stream.as_bytes());
            out.extend_from_slice(&(resume.len() as u32).to_le_bytes());
            for (source, offset) in resume {
                out.extend_from_slice(&source.to_le_bytes());
                out.extend_from_slice(&offset.to_le_bytes());
            }
        }
    }

    fn read_marks(&mut self, cursor: &mut Cursor) -> Decoded<()> {
        for _ in 0..cursor.count(SOURCE_BYTES_MIN)? {
            let source = cursor.u128()?;
            for _ in 0..cursor.count(HIGH_BYTES)? {
                let partition = PartitionId(cursor.u16()?);
                cursor.zeros(2)?;
                self.marks.raise(source, partition, cursor.u64()?);
            }
        }
        for _ in 0..cursor.count(STREAM_BYTES_MIN)? {
            let home = PartitionId(cursor.u16()?);
            cursor.zeros(2)?;
            let stream = cursor.text()?;
            let count = cursor.count(RESUME_BYTES)?;
            let positions: Vec<_> =
                (0..count).map(|_| Ok((cursor.u32()?, cursor.u64()?))).collect::<Decoded<_>>()?;
            self.marks.resume_at(home, &stream, positions);
        }
        Ok(())
    }

    fn read_key(&mut self, cursor: &mut Cursor) -> Decoded<()> {
        let batch = cursor.batch()?.ok_or("a key without a batch id")?;
        let key = BatchKey { batch, block: cursor.u32()? };
        let (schema, bytes) = (SchemaVersion(cursor.u32()?), cursor.u32()?);
        cursor.zeros(4)?;
        let content = Content { schema, bytes, hash: cursor.u64()? };
        let since_ms = cursor.i64()?;
        let mut parts = Vec::new();
        for _ in 0..cursor.count(PART_BYTES)? {
            let partition = PartitionId(cursor.u16()?);
            cursor.zeros(2)?;
            parts.push((partition, cursor.u32()?));
        }
        self.begin(key, &parts, content, since_ms);
        self.commit(&key);
        Ok(())
    }
}
