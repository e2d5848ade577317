//! Reading and writing little-endian fields. Reading never panics, whatever the bytes.

use bytes::Bytes;
use zepto_common::{BatchId, Lsn, PartitionId};

use super::frame::Place;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecodeError(pub(crate) String);

impl From<&str> for DecodeError {
    fn from(what: &str) -> Self {
        Self(what.to_owned())
    }
}

pub(crate) type Decoded<T> = Result<T, DecodeError>;

/// Takes fields off the front of a buffer; slices share the buffer.
pub(crate) struct Cursor {
    rest: Bytes,
}

impl Cursor {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn take(&mut self, length: usize) -> Decoded<Bytes> {
        if length > self.rest.len() {
            return Err("it ends too early".into());
        }
        Ok(self.rest.split_to(length))
    }

    fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(&self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Decoded<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Decoded<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Decoded<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Decoded<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Decoded<u128> {
        self.array().map(u128::from_le_bytes)
    }

    /// A count of things that take at least `each` bytes: one that cannot fit is refused before room is made.
    pub(crate) fn count(&mut self, each: usize) -> Decoded<usize> {
        let count = self.u32()? as usize;
        if count > self.rest.len() / each.max(1) {
            return Err("a count is larger than what follows".into());
        }
        Ok(count)
    }

    /// A length and so many bytes.
    pub(crate) fn bytes(&mut self) -> Decoded<Bytes> {
        let length = self.count(1)?;
        self.take(length)
    }

    /// A length and so much UTF-8.
    pub(crate) fn text(&mut self) -> Decoded<String> {
        String::from_utf8(self.bytes()?.into()).map_err(|_| "a text is not UTF-8".into())
    }

    /// Bytes that must be zero.
    pub(crate) fn zeros(&mut self, length: usize) -> Decoded<()> {
        if self.take(length)?.iter().any(|&byte| byte != 0) {
            return Err("reserved bytes are not zero".into());
        }
        Ok(())
    }

    pub(crate) fn batch(&mut self) -> Decoded<Option<BatchId>> {
        let tag = self.u8()?;
        self.zeros(7)?;
        let raw: [u8; 16] = self.array()?;
        let (low, high) = raw.split_at(8);
        let half = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |sum, &byte| (sum << 8) | u64::from(byte));
        match tag {
            0 if raw == [0; 16] => Ok(None),
            1 => Ok(Some(BatchId::Producer { producer: half(low), sequence: half(high) })),
            2 => Ok(Some(BatchId::Token(u128::from_le_bytes(raw)))),
            3 => Ok(Some(BatchId::Source(u128::from_le_bytes(raw)))),
            _ => Err("a batch id of unknown kind".into()),
        }
    }

    pub(crate) fn places(&mut self) -> Decoded<Vec<Place>> {
        let count = self.count(PLACE_BYTES)?;
        self.zeros(4)?;
        (0..count)
            .map(|_| {
                let lsn = Lsn(self.u64()?);
                let partition = PartitionId(self.u16()?);
                self.zeros(6)?;
                Ok(Place { partition, lsn })
            })
            .collect()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn end(&self) -> Decoded<()> {
        if self.rest.is_empty() { Ok(()) } else { Err("it goes on after its end".into()) }
    }
}

const PLACE_BYTES: usize = 16;

/// Writes what [`Cursor::batch`] reads.
pub(crate) fn put_batch(out: &mut Vec<u8>, batch: Option<BatchId>) {
    let (tag, raw) = match batch {
        None => (0u8, [0; 16]),
        Some(BatchId::Producer { producer, sequence }) => {
            (1, (u128::from(producer) | u128::from(sequence) << 64).to_le_bytes())
        }
        Some(BatchId::Token(token)) => (2, token.to_le_bytes()),
        Some(BatchId::Source(source)) => (3, source.to_le_bytes()),
    };
    out.extend_from_slice(&[tag, 0, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&raw);
}

/// Writes what [`Cursor::places`] reads.
pub(crate) fn put_places(out: &mut Vec<u8>, places: &[Place]) {
    out.extend_from_slice(&(places.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for place in places {
        out.extend_from_slice(&place.lsn.0.to_le_bytes());
        out.extend_from_slice(&place.partition.0.to_le_bytes());
        out.extend_from_slice(&[0; 6]);
    }
}

/// Writes what [`Cursor::bytes`] and [`Cursor::text`] read.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}
