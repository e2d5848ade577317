//! Frames and file headers as bytes. docs/formats/wal.md describes every field; the golden files hold it fast.

mod body;
mod copies;
mod copy;

use bytes::Bytes;
use zepto_common::{Boot, DiskId, Epoch, Token};

use self::body::{body_bytes, decode_body, encode_body, kind_of};
use super::cursor::{Cursor, DecodeError, Decoded};
use super::frame::Frame;

/// Starts every frame.
pub(super) const FRAME_MAGIC: [u8; 4] = *b"ZFRM";
const FILE_MAGIC: [u8; 8] = *b"ZEPTOWAL";
const VERSION: u8 = 1;
/// Bytes of a frame's header.
pub(super) const HEADER_BYTES: usize = 56;
/// Bytes of a file's header.
pub(super) const FILE_HEADER_BYTES: usize = 64;
/// Frames begin at multiples of this.
pub(super) const ALIGNMENT: usize = 8;
/// Most bytes of the frame that ends a file.
pub(super) const SEAL_BYTES: usize = HEADER_BYTES + 8;
/// Flag of a seal: the log goes on in the next file, and the body says with how many bytes that was made.
const SEAL_CONTINUES: u16 = 1;
/// Bytes of a frame's header that its checksum covers.
const HEADER_CHECKED_BYTES: usize = 48;

/// The number that says what a frame's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Ends a file: nothing follows.
    Seal = 0,
    Rows = 1,
    Schema = 2,
    Checkpoint = 3,
    EpochStart = 4,
    TtlCutoff = 5,
    Truncate = 6,
    Mutation = 7,
    View = 8,
    Forget = 9,
    ObjectReference = 10,
    CopyEntry = 11,
    CopySeen = 12,
    CopyFollowed = 13,
    CopyPending = 14,
    CopyCommitted = 15,
    CopyCut = 16,
    CopyInstalled = 17,
    Copies = 18,
}

impl Kind {
    const ALL: [Self; 19] = [
        Self::Seal,
        Self::Rows,
        Self::Schema,
        Self::Checkpoint,
        Self::EpochStart,
        Self::TtlCutoff,
        Self::Truncate,
        Self::Mutation,
        Self::View,
        Self::Forget,
        Self::ObjectReference,
        Self::CopyEntry,
        Self::CopySeen,
        Self::CopyFollowed,
        Self::CopyPending,
        Self::CopyCommitted,
        Self::CopyCut,
        Self::CopyInstalled,
        Self::Copies,
    ];

    pub(super) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// What a file is: it goes into the checksum of each of its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIdentity {
    pub(super) disk_id: DiskId,
    pub(super) thread: u16,
    pub(super) sequence: u64,
}

/// The header of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) identity: FileIdentity,
    /// The start of the node that wrote it.
    pub(super) boot: Boot,
    /// Bytes that were reserved for it before its first frame; 0 when none were, and in files of before 0.2.
    pub(super) reserved: u64,
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u8,
    pub(super) kind: u8,
    pub(super) flags: u16,
    /// Bytes of the body.
    pub(super) length: u32,
    /// CRC-32C of the body.
    pub(super) body_crc: u32,
    pub(super) sequence: u64,
    /// Everything below this offset was synced when the frame was appended.
    pub(super) synced: u64,
    pub(super) token: Token,
}

/// Rounds up to where the next frame may begin.
pub(super) fn aligned(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}

impl FileHeader {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&FILE_MAGIC);
        out.extend_from_slice(&[VERSION, 0]);
        out.extend_from_slice(&self.identity.thread.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.identity.disk_id.0.to_le_bytes());
        out.extend_from_slice(&self.identity.sequence.to_le_bytes());
        out.extend_from_slice(&self.boot.0.to_le_bytes());
        out.extend_from_slice(&self.reserved.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let crc = crc32c::crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// The header, or why the bytes are none.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let Some(bytes) = bytes.get(..FILE_HEADER_BYTES) else {
            return Err(HeaderFault::Bad);
        };
        let crc = crc32c::crc32c(&bytes[..FILE_HEADER_BYTES - 4]).to_le_bytes();
        if bytes[..8] != FILE_MAGIC || bytes[FILE_HEADER_BYTES - 4..] != crc {
            return Err(HeaderFault::Bad);
        }
        if bytes[8] != VERSION {
            return Err(HeaderFault::Newer(format!("log format {}", bytes[8])));
        }
        let mut cursor = Cursor::new(Bytes::copy_from_slice(&bytes[10..]));
        Self::fields(&mut cursor).map_err(|_| HeaderFault::Bad)
    }

    fn fields(cursor: &mut Cursor) -> Decoded<Self> {
        let thread = cursor.u16()?;
        cursor.take(4)?;
        let disk_id = DiskId(cursor.u128()?);
        let sequence = cursor.u64()?;
        let (boot, reserved) = (Boot(cursor.u64()?), cursor.u64()?);
        Ok(Self { identity: FileIdentity { disk_id, thread, sequence }, boot, reserved })
    }
}

/// Why bytes are no file header of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// They never were one, or are damaged.
    Bad,
    /// A later version wrote it.
    Newer(String),
}

impl FileIdentity {
    /// Checksum of a frame's header. Where the frame stands takes part in it, so that a copy of a frame (in a
    /// recycled file, or inside a payload) is not valid elsewhere.
    fn header_crc(&self, header: &[u8], offset: u64) -> u32 {
        let mut salt = [0; 26];
        salt[..16].copy_from_slice(&self.disk_id.0.to_le_bytes());
        salt[16..18].copy_from_slice(&self.thread.to_le_bytes());
        salt[18..].copy_from_slice(&offset.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c(&salt), &header[..HEADER_CHECKED_BYTES])
    }
}

impl Header {
    /// The header at this place of this file; None if there is none with a good checksum and the file's sequence.
    pub(super) fn decode(bytes: &[u8], identity: &FileIdentity, offset: u64) -> Option<Self> {
        if bytes.len() < HEADER_BYTES || bytes[..4] != FRAME_MAGIC {
            return None;
        }
        let crc = identity.header_crc(bytes, offset);
        let mut cursor = Cursor::new(Bytes::copy_from_slice(&bytes[4..HEADER_BYTES]));
        let header = Self::fields(&mut cursor).ok()?;
        let good =
            cursor.u32().ok()? == crc && header.sequence == identity.sequence && header.synced <= offset;
        good.then_some(header)
    }

    fn fields(cursor: &mut Cursor) -> Decoded<Self> {
        Ok(Self {
            version: cursor.u8()?,
            kind: cursor.u8()?,
            flags: cursor.u16()?,
            length: cursor.u32()?,
            body_crc: cursor.u32()?,
            sequence: cursor.u64()?,
            synced: cursor.u64()?,
            token: Token { epoch: Epoch(cursor.u64()?), boot: Boot(cursor.u64()?) },
        })
    }

    /// Bytes of header and body.
    pub(super) fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.length as usize
    }

    /// Bytes from this frame's start to the next one's.
    pub(super) fn stride(&self) -> u64 {
        aligned(self.frame_bytes()) as u64
    }
}

/// Appends a frame at `offset` of its file. `out` holds the file's bytes from some offset with the same remainder.
pub(super) fn encode_frame(
    out: &mut Vec<u8>,
    identity: &FileIdentity,
    offset: u64,
    synced: u64,
    frame: &Frame,
) {
    let (kind, token) = (kind_of(frame), frame.token());
    encode_with(out, identity, offset, synced, (kind, 0), token, |out| encode_body(out, frame));
}

/// Appends the frame that ends a file. `next` is the size of the file in which the log goes on at once, which exists
/// with that size before this frame is written; None at the end of a log.
pub(super) fn encode_seal(
    out: &mut Vec<u8>,
    identity: &FileIdentity,
    offset: u64,
    synced: u64,
    next: Option<u64>,
) {
    let flags = if next.is_some() { SEAL_CONTINUES } else { 0 };
    encode_with(out, identity, offset, synced, (Kind::Seal, flags), Token::default(), |out| {
        out.extend(next.into_iter().flat_map(u64::to_le_bytes));
    });
}

fn encode_with(
    out: &mut Vec<u8>,
    identity: &FileIdentity,
    offset: u64,
    synced: u64,
    (kind, flags): (Kind, u16),
    token: Token,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&FRAME_MAGIC);
    out.extend_from_slice(&[VERSION, kind as u8]);
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&identity.sequence.to_le_bytes());
    out.extend_from_slice(&synced.to_le_bytes());
    out.extend_from_slice(&token.epoch.0.to_le_bytes());
    out.extend_from_slice(&token.boot.0.to_le_bytes());
    out.extend_from_slice(&[0; HEADER_BYTES - HEADER_CHECKED_BYTES]);
    body(out);
    let length = out.len() - start - HEADER_BYTES;
    out[start + 8..start + 12].copy_from_slice(&(length as u32).to_le_bytes());
    let body_crc = crc32c::crc32c(&out[start + HEADER_BYTES..]);
    out[start + 12..start + 16].copy_from_slice(&body_crc.to_le_bytes());
    let crc = identity.header_crc(&out[start..], offset);
    out[start + HEADER_CHECKED_BYTES..][..4].copy_from_slice(&crc.to_le_bytes());
    out.resize(start + aligned(HEADER_BYTES + length), 0);
}

/// Bytes from a frame's start to the next one's.
pub(super) fn frame_stride(frame: &Frame) -> usize {
    aligned(HEADER_BYTES + body_bytes(frame))
}

/// Why a frame with a good checksum cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// A later version wrote it.
    Newer(String),
    /// No version wrote it.
    Wrong(String),
}

/// What stands at one place of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// A frame of the log.
    Frame(Frame),
    /// The file ends. The log goes on at once in the next one, which was made with so many bytes; None: it ends.
    Seal(Option<u64>),
}

/// Reads a body whose checksum was found good.
pub(super) fn decode_frame(header: &Header, body: Bytes) -> Result<Content, Unreadable> {
    let known = if header.kind == Kind::Seal as u8 { SEAL_CONTINUES } else { 0 };
    if header.version != VERSION || header.flags & !known != 0 {
        return Err(Unreadable::Newer(format!(
            "frame version {}, flags {:#x}",
            header.version, header.flags
        )));
    }
    let kind = Kind::of_number(header.kind)
        .ok_or_else(|| Unreadable::Newer(format!("frame kind {}", header.kind)))?;
    let mut cursor = Cursor::new(body);
    let content = match kind {
        Kind::Seal if header.flags & SEAL_CONTINUES != 0 => {
            cursor.u64().map(|bytes| Content::Seal(Some(bytes)))
        }
        Kind::Seal => Ok(Content::Seal(None)),
        kind => decode_body(kind, header.token, &mut cursor).map(Content::Frame),
    };
    let content = content.and_then(|content| cursor.end().map(|()| content));
    content.map_err(|DecodeError(what)| Unreadable::Wrong(format!("a frame of kind {kind:?}: {what}")))
}
