//! Writing a run as a Parquet file.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::arrow::{ArrowSchemaConverter, PARQUET_FIELD_ID_META_KEY};
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, Result};

use super::file::BlockWriter;
use super::{Codec, Segment, format, read};
use crate::disk::Disk;
use crate::part::Part;
use crate::run::{Run, RunIndex};

/// Rows of a row group, about; cut at the nearest slot.
const GROUP_ROWS: usize = 256 << 10;

/// Rows handed to the encoders at once.
const BATCH_ROWS: usize = 64 << 10;

pub(super) fn write(disk: &dyn Disk, path: &Path, run: &Arc<Run>, codec: Codec) -> Result<Segment> {
    let file = disk.create(path).map_err(|error| of_io(path, &error))?;
    let written = write_file(BlockWriter::new(Arc::clone(&file)), path, run, codec);
    match written.and_then(|()| read::open(file, path)) {
        Ok(segment) => Ok(segment),
        Err(error) => {
            // Best effort: a file that no manifest names is removed at the next start.
            let _ = disk.remove(path);
            Err(error)
        }
    }
}

fn write_file(sink: BlockWriter, path: &Path, run: &Arc<Run>, codec: Codec) -> Result<()> {
    let fault = |error: ParquetError| of_parquet(path, error);
    let table = run.schema();
    let schema = file_schema(table);
    let key = table.key_index().map(|at| &table.columns[at].name);
    let options = ArrowWriterOptions::new().with_properties(properties(&schema, key, codec).map_err(fault)?);
    let mut writer = ArrowWriter::try_new_with_options(sink, Arc::clone(&schema), options).map_err(fault)?;
    let part = Part::Run(Arc::clone(run));
    let all: Vec<usize> = (0..table.columns.len()).collect();
    for group in groups(run.index()) {
        for batch in part.scan(table, &all, &[group], BATCH_ROWS) {
            // The same columns, under fields that carry their ids.
            let batch = batch?.with_schema(Arc::clone(&schema))?;
            writer.write(&batch).map_err(fault)?;
        }
        writer.flush().map_err(fault)?;
    }
    writer.sync().map_err(|error| of_io(path, &error))?;
    let (data, checksums) = writer.inner_mut().seal().map_err(|error| of_io(path, &error))?;
    for (key, value) in format::entries(table, run.index(), data, &checksums)? {
        writer.append_key_value_metadata(KeyValue::new(key, value));
    }
    writer.finish().map_err(fault)?;
    writer.sync().map_err(|error| of_io(path, &error))?;
    let sink = writer.inner_mut();
    let tail = format::sign(sink.take_tail())?;
    sink.finish(&tail).map_err(|error| of_io(path, &error))?;
    Ok(())
}

/// Row ranges of about [`GROUP_ROWS`] rows, cut between slots where one ends near.
fn groups(index: &RunIndex) -> Vec<Range<usize>> {
    let rows = index.rows();
    let (mut groups, mut start) = (Vec::new(), 0);
    while start < rows {
        let aim = start + GROUP_ROWS;
        let mut end = aim.min(rows);
        if rows > aim {
            let slot = index.offsets.partition_point(|&offset| offset as usize <= aim);
            let cut = index.offsets[slot - 1] as usize;
            if cut > start + GROUP_ROWS / 2 {
                end = cut;
            }
        }
        groups.push(start..end);
        start = end;
    }
    groups
}

/// The storage schema with each column's id as Parquet's field id.
pub(super) fn file_schema(table: &TableSchema) -> SchemaRef {
    let fields: Vec<Field> = table
        .columns
        .iter()
        .map(|column| {
            let field = column.ty.storage_field(&column.name);
            let mut metadata = field.metadata().clone();
            metadata.insert(PARQUET_FIELD_ID_META_KEY.to_owned(), column.id.to_string());
            field.with_metadata(metadata)
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn properties(
    schema: &SchemaRef,
    key: Option<&String>,
    codec: Codec,
) -> parquet::errors::Result<WriterProperties> {
    let compression = match codec {
        Codec::None => Compression::UNCOMPRESSED,
        Codec::Lz4 => Compression::LZ4_RAW,
        Codec::Zstd => Compression::ZSTD(ZstdLevel::try_new(1)?),
        Codec::Snappy => Compression::SNAPPY,
    };
    let mut builder = WriterProperties::builder()
        .set_compression(compression)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(None)
        .set_created_by(concat!("zeptodb ", env!("CARGO_PKG_VERSION")).to_owned());
    let leaves = ArrowSchemaConverter::new().convert(schema)?;
    for leaf in leaves.columns() {
        let path = leaf.path().clone();
        let top = schema.field_with_name(&path.parts()[0])?;
        if Some(top.name()) == key {
            // Keys lie in the order of their hash: their extremes say nothing, and comparing every row costs.
            builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        if matches!(top.data_type(), DataType::Dictionary(..) | DataType::Utf8) {
            builder = builder.set_column_dictionary_enabled(path, true);
        } else if matches!(leaf.physical_type(), Type::INT32 | Type::INT64) {
            builder = builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    Ok(builder.build())
}

fn of_io(path: &Path, error: &std::io::Error) -> Error {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull => ErrorCode::NotEnoughSpace,
        std::io::ErrorKind::ReadOnlyFilesystem => ErrorCode::TableIsReadOnly,
        _ => ErrorCode::CannotWriteToFileDescriptor,
    };
    Error::new(code, format!("cannot write segment {}: {error}", path.display()))
}

fn of_parquet(path: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(error) => of_io(path, &error),
            Err(source) => Error::internal(format!("cannot encode segment {}: {source}", path.display())),
        },
        other => Error::internal(format!("cannot encode segment {}: {other}", path.display())),
    }
}
