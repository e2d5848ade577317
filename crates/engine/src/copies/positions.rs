//! Positions of a feed's stream as an entry has them. docs/formats/wal.md has the bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use zepto_common::limits::{FEED_SOURCES_MAX, FEED_STREAM_BYTES_MAX};
use zepto_common::{SchemaVersion, TableId};

use super::{Form, Payload};
use crate::dedup::marks::Resume;

/// Bytes of one position.
const POSITION_BYTES: usize = 12;

/// The payload that raises positions of a stream.
pub(crate) fn payload_of(table: TableId, stream: &str, positions: &Resume) -> Payload {
    let mut out = BytesMut::with_capacity(8 + stream.len() + positions.len() * POSITION_BYTES);
    out.put_u32_le(stream.len() as u32);
    out.put_slice(stream.as_bytes());
    out.put_u32_le(positions.len() as u32);
    for (source, offset) in positions {
        out.put_u32_le(*source);
        out.put_u64_le(*offset);
    }
    Payload { form: Form::Positions, ..Payload::new(table, SchemaVersion(0), 0, out.freeze()) }
}

/// Stream and positions of such a payload; None for bytes that are none.
pub(crate) fn read(payload: &Payload) -> Option<(String, Resume)> {
    let mut bytes = payload.ipc.clone();
    let length = take_u32(&mut bytes)? as usize;
    if length == 0 || length > FEED_STREAM_BYTES_MAX || bytes.len() < length {
        return None;
    }
    let stream = String::from_utf8(bytes.split_to(length).to_vec()).ok()?;
    let count = take_u32(&mut bytes)? as usize;
    if count > FEED_SOURCES_MAX || bytes.len() != count * POSITION_BYTES {
        return None;
    }
    let positions = (0..count).map(|_| (bytes.get_u32_le(), bytes.get_u64_le()));
    Some((stream, positions.collect()))
}

fn take_u32(bytes: &mut Bytes) -> Option<u32> {
    (bytes.len() >= 4).then(|| bytes.get_u32_le())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_they_were_written_and_damage_is_none() {
        let positions: Resume = [(0, 5), (7, u64::MAX)].into_iter().collect();
        let payload = payload_of(TableId(3), "feed/topic", &positions);
        assert_eq!(read(&payload), Some(("feed/topic".to_owned(), positions)));
        for length in 0..payload.ipc.len() {
            let cut = Payload { ipc: payload.ipc.slice(..length), ..payload.clone() };
            assert_eq!(read(&cut), None, "{length} bytes");
        }
        let mut longer = payload.ipc.to_vec();
        longer.push(0);
        assert_eq!(read(&Payload { ipc: longer.into(), ..payload }), None);
        let empty = payload_of(TableId(3), "s", &Resume::new());
        assert_eq!(read(&empty).expect("readable").1.len(), 0);
    }
}
