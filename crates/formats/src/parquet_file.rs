//! Parquet files. Their index is at the end, so a file of an INSERT is held whole, up to a limit.

use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use zepto_common::limits::{BLOCK_ROWS, BODY_RATIO_FREE_BYTES, BODY_RATIO_MAX, COLUMNAR_BYTES_MAX};
use zepto_common::{Error, ErrorCode, Result};

use crate::columnar::{Columnar, file_batch, file_schema, guarded};
use crate::decode::{Block, Decoder};
use crate::encode::{Encoder, Fields, ResultTotals};
use crate::parquet_pages::plain_bytes;

/// Rows of a row group in a result.
const GROUP_ROWS: usize = 1 << 20;
/// Bytes of a row group being written at which it is closed, so that a result is not held in memory.
const GROUP_BYTES: usize = 64 << 20;

/// Reads a file.
pub(crate) struct ParquetReader {
    columnar: Columnar,
    file: Vec<u8>,
}

impl ParquetReader {
    pub(crate) fn new(block: Block) -> Self {
        let any_case = block.settings.parquet_any_case;
        Self { columnar: Columnar::new(block, any_case), file: Vec::new() }
    }
}

fn broken(error: &ParquetError) -> Error {
    Error::new(ErrorCode::IncorrectData, format!("Broken Parquet file: {error}"))
}

impl Decoder for ParquetReader {
    fn push(&mut self, data: &[u8], _: &mut Vec<RecordBatch>) -> Result<()> {
        if self.file.len() + data.len() > COLUMNAR_BYTES_MAX {
            let message = format!(
                "A Parquet file of an INSERT is at most {COLUMNAR_BYTES_MAX} bytes; send it in parts"
            );
            return Err(Error::new(ErrorCode::MemoryLimitExceeded, message));
        }
        self.file.extend_from_slice(data);
        Ok(())
    }

    fn finish(self: Box<Self>, out: &mut Vec<RecordBatch>) -> Result<()> {
        let Self { mut columnar, file } = *self;
        if file.is_empty() {
            return Err(Error::new(ErrorCode::IncorrectData, "Parquet file is too small"));
        }
        guarded("Parquet", || read(Bytes::from(file), &mut columnar, out))
    }
}

fn read(file: Bytes, columnar: &mut Columnar, out: &mut Vec<RecordBatch>) -> Result<()> {
    let (length, content) = (file.len() as u64, file.clone());
    // The Arrow schema that a writer may have put beside its own is only a hint: what the file holds counts.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(|error| broken(&error))?;
    let justified = (length * BODY_RATIO_MAX).max(BODY_RATIO_FREE_BYTES);
    let sizes = builder.metadata().row_groups().iter().map(|group| u64::try_from(group.total_byte_size()));
    let total = sizes.fold(0u64, |sum, size| sum.saturating_add(size.unwrap_or(u64::MAX)));
    if total > justified {
        return Err(Error::new(
            ErrorCode::IncorrectData,
            "Broken Parquet file: it says it holds far more than it does",
        ));
    }
    let pages = builder.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    let mut pages = pages.map(|column| plain_bytes(chunk_of(&content, column)?));
    let total = pages.try_fold(0u64, |sum, size| size.map(|size| sum.saturating_add(size)))?;
    if total > justified {
        return Err(Error::new(
            ErrorCode::IncorrectData,
            "Broken Parquet file: its pages say that they hold far more than they do",
        ));
    }
    let reader = builder.with_batch_size(BLOCK_ROWS).build().map_err(|error| broken(&error))?;
    for batch in reader {
        let batch = batch
            .map_err(|error| Error::new(ErrorCode::IncorrectData, format!("Broken Parquet file: {error}")))?;
        columnar.push(&batch, out)?;
    }
    columnar.finish(out)
}

/// The bytes of a column's pages.
fn chunk_of<'a>(file: &'a Bytes, column: &ColumnChunkMetaData) -> Result<&'a [u8]> {
    let first = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let range = usize::try_from(first).ok().zip(usize::try_from(column.compressed_size()).ok());
    let chunk = range.and_then(|(start, length)| file.get(start..start.checked_add(length)?));
    chunk.ok_or_else(|| Error::new(ErrorCode::IncorrectData, "Broken Parquet file: a column is not in it"))
}

/// Writes a file.
pub(crate) struct ParquetWriter {
    fields: Fields,
    writer: Option<ArrowWriter<Vec<u8>>>,
}

impl ParquetWriter {
    pub(crate) fn new(fields: Fields) -> Self {
        Self { fields, writer: None }
    }
}

fn cannot_write(error: ParquetError) -> Error {
    Error::internal(format!("Parquet: {error}"))
}

impl Encoder for ParquetWriter {
    fn begin(&mut self, _: &mut Vec<u8>) -> Result<()> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), file_schema(&self.fields), Some(properties));
        self.writer = Some(writer.map_err(cannot_write)?);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let batch = file_batch(batch, &file_schema(&self.fields))?;
        let writer = self
            .writer
            .as_mut()
            .ok_or_else(|| Error::internal("an encoder begins before its first batch"))?;
        writer.write(&batch).map_err(cannot_write)?;
        if writer.in_progress_size() > GROUP_BYTES {
            writer.flush().map_err(cannot_write)?;
        }
        out.append(writer.inner_mut());
        Ok(())
    }

    fn finish(&mut self, _: &ResultTotals, out: &mut Vec<u8>) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            out.append(&mut writer.into_inner().map_err(cannot_write)?);
        }
        Ok(())
    }
}
