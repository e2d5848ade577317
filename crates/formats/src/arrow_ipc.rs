//! Arrow IPC, as a stream (ArrowStream) and as a file (Arrow). A file is read as the stream it contains, so it
//! needs no more memory than one message.

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow::ipc::{Message, MessageHeader, root_as_message};
use zepto_common::limits::{BODY_RATIO_FREE_BYTES, BODY_RATIO_MAX, COLUMNAR_BYTES_MAX};
use zepto_common::{Error, ErrorCode, Result};

use crate::columnar::{Columnar, file_batch, file_schema, guarded};
use crate::decode::{Block, Decoder};
use crate::encode::{Encoder, Fields, ResultTotals};

const MAGIC: &[u8; 8] = b"ARROW1\0\0";
const CONTINUATION: [u8; 4] = [0xFF; 4];
/// Bytes of a message without its body.
const METADATA_BYTES_MAX: usize = 16 << 20;

/// Reads record batches.
pub(crate) struct ArrowReader {
    columnar: Columnar,
    decoder: StreamDecoder,
    buffer: Vec<u8>,
    /// A file, not a stream.
    file: bool,
    /// The file's magic bytes are still to come.
    magic: bool,
    /// Zeros may follow the magic bytes.
    padding: bool,
    any_message: bool,
    /// Bytes that the next message needs: nothing is looked at again before they are there.
    need: usize,
    ended: bool,
    failed: Option<Error>,
}

fn broken(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::IncorrectData, message)
}

impl ArrowReader {
    pub(crate) fn new(file: bool, block: Block) -> Self {
        let any_case = block.settings.arrow_any_case;
        Self {
            columnar: Columnar::new(block, any_case),
            decoder: StreamDecoder::new(),
            buffer: Vec::new(),
            file,
            magic: file,
            padding: file,
            any_message: false,
            need: 0,
            ended: false,
            failed: None,
        }
    }

    fn push_bytes(&mut self, data: &[u8], out: &mut Vec<RecordBatch>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.buffer.extend_from_slice(data);
        if self.buffer.len() < self.need {
            return Ok(());
        }
        self.need = 0;
        let mut at = 0;
        if self.magic {
            if self.buffer.len() < MAGIC.len() {
                return Ok(());
            }
            if self.buffer[..6] != MAGIC[..6] {
                return Err(broken("Not an Arrow file: it does not start with ARROW1"));
            }
            self.magic = false;
            at = MAGIC.len();
        }
        while self.padding && self.buffer[at..].starts_with(&[0; 8]) {
            at += 8;
        }
        while !self.ended {
            if self.padding && self.buffer.len() < at + 8 {
                break;
            }
            self.padding = false;
            let (length, complete) = self.message_length(&self.buffer[at..])?;
            if !complete {
                self.need = length;
                break;
            }
            let message = Buffer::from(&self.buffer[at..at + length]);
            at += length;
            self.message(message, out)?;
        }
        self.buffer.drain(..at);
        Ok(())
    }

    /// Length of the message at the start as far as it is known, and whether all of it is there.
    fn message_length(&self, data: &[u8]) -> Result<(usize, bool)> {
        let Some(prefix) = data.first_chunk::<4>() else { return Ok((4, false)) };
        let head = if *prefix == CONTINUATION { 8 } else { 4 };
        let Some(length) = data.get(head - 4..head).and_then(|bytes| bytes.first_chunk::<4>()) else {
            return Ok((8, false));
        };
        let metadata = i32::from_le_bytes(*length);
        let metadata = usize::try_from(metadata).ok().filter(|length| *length <= METADATA_BYTES_MAX);
        let metadata = metadata.ok_or_else(|| broken("Arrow message is too long or not an Arrow message"))?;
        if metadata == 0 {
            return Ok((head, true));
        }
        let Some(bytes) = data.get(head..head + metadata) else { return Ok((head + metadata, false)) };
        let message =
            root_as_message(bytes).map_err(|error| broken(format!("Broken Arrow message: {error}")))?;
        if !self.any_message && message.header_type() != MessageHeader::Schema {
            return Err(broken("Arrow data does not begin with a schema"));
        }
        let body = usize::try_from(message.bodyLength()).ok().filter(|length| *length <= COLUMNAR_BYTES_MAX);
        let body =
            body.ok_or_else(|| broken(format!("Arrow message is longer than {COLUMNAR_BYTES_MAX} bytes")))?;
        let total = head + metadata + body;
        match data.get(head + metadata..total) {
            Some(body) => {
                check(&message, body)?;
                Ok((total, true))
            }
            None => Ok((total, false)),
        }
    }

    fn message(&mut self, mut message: Buffer, out: &mut Vec<RecordBatch>) -> Result<()> {
        let ends = message.len() <= 8;
        let decoder = &mut self.decoder;
        let batch = guarded("Arrow", || {
            let mut found = None;
            while !message.is_empty() && found.is_none() {
                found = decoder.decode(&mut message).map_err(|error| broken(error.to_string()))?;
            }
            Ok(found)
        })?;
        self.any_message = true;
        self.ended |= ends;
        if let Some(batch) = batch {
            let columnar = &mut self.columnar;
            guarded("Arrow", || columnar.push(&batch, out))?;
        }
        Ok(())
    }
}

/// Refuses lengths that the body cannot justify, before anything is allocated for them.
fn check(message: &Message<'_>, body: &[u8]) -> Result<()> {
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|batch| batch.data()),
        _ => None,
    };
    let Some(batch) = batch else { return Ok(()) };
    let compressed = batch.compression().is_some();
    let mut bytes = 0u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let place = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let data = place.and_then(|(at, length)| body.get(at..at.checked_add(length)?));
        let data = data.ok_or_else(|| broken("Arrow buffer lies outside its message"))?;
        let raw = match data.first_chunk::<8>().filter(|_| compressed) {
            Some(length) => u64::try_from(i64::from_le_bytes(*length)).unwrap_or(data.len() as u64),
            None => data.len() as u64,
        };
        bytes = bytes.saturating_add(raw);
    }
    let justified =
        (body.len() as u64 * BODY_RATIO_MAX).max(BODY_RATIO_FREE_BYTES).min(COLUMNAR_BYTES_MAX as u64);
    if compressed && bytes > justified {
        return Err(broken("Arrow buffers grow too much by decompression"));
    }
    // A bit per row is the least a column takes; columns of nothing but NULL take nothing.
    let rows_max = bytes.saturating_mul(8).saturating_add(1 << 16);
    // Below zero, a length is read as the largest ones.
    let too_long = |length: i64| u64::try_from(length).map_or(true, |length| length > rows_max);
    if too_long(batch.length()) || batch.nodes().into_iter().flatten().any(|node| too_long(node.length())) {
        return Err(broken("Arrow batch says it has more rows than its buffers hold"));
    }
    Ok(())
}

impl Decoder for ArrowReader {
    fn push(&mut self, data: &[u8], out: &mut Vec<RecordBatch>) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.push_bytes(data, out).inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<RecordBatch>) -> Result<()> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.file && !self.any_message && !self.ended && self.buffer.is_empty() {
            return Err(broken("Arrow file is too small"));
        }
        // A stream may end without its end mark, but not inside a message; a file must have it.
        if !self.ended && !self.buffer.is_empty() {
            return Err(Error::new(ErrorCode::CannotReadAllData, "Arrow data ends inside a message"));
        }
        self.columnar.finish(out)
    }
}

enum Writer {
    File(FileWriter<Vec<u8>>),
    Stream(StreamWriter<Vec<u8>>),
}

/// Writes record batches.
pub(crate) struct ArrowWriter {
    file: bool,
    fields: Fields,
    writer: Option<Writer>,
}

impl ArrowWriter {
    pub(crate) fn new(file: bool, fields: Fields) -> Self {
        Self { file, fields, writer: None }
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        let inner = match &mut self.writer {
            Some(Writer::File(writer)) => writer.get_mut(),
            Some(Writer::Stream(writer)) => writer.get_mut(),
            None => return,
        };
        out.append(inner);
    }
}

impl Encoder for ArrowWriter {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let schema = file_schema(&self.fields);
        self.writer = Some(if self.file {
            Writer::File(FileWriter::try_new(Vec::new(), &schema)?)
        } else {
            Writer::Stream(StreamWriter::try_new(Vec::new(), &schema)?)
        });
        self.drain(out);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let batch = file_batch(batch, &file_schema(&self.fields))?;
        match &mut self.writer {
            Some(Writer::File(writer)) => writer.write(&batch)?,
            Some(Writer::Stream(writer)) => writer.write(&batch)?,
            None => return Err(Error::internal("an encoder begins before its first batch")),
        }
        self.drain(out);
        Ok(())
    }

    fn finish(&mut self, _: &ResultTotals, out: &mut Vec<u8>) -> Result<()> {
        match &mut self.writer {
            Some(Writer::File(writer)) => writer.finish()?,
            Some(Writer::Stream(writer)) => writer.finish()?,
            None => {}
        }
        self.drain(out);
        Ok(())
    }
}
