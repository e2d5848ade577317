//! Writing a run as a Parquet file.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowWriter, ArrowWriterOptions, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, PARQUET_FIELD_ID_META_KEY};
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, Result};

use super::file::BlockWriter;
use super::{Codec, Segment, format, key_pages, read};
use crate::disk::Disk;
use crate::part::Part;
use crate::run::{Run, RunIndex};

/// Rows of a row group, about; cut at the nearest slot.
const GROUP_ROWS: usize = 256 << 10;

/// Rows per key, about, from which on statistics of pages can tell one page from another.
const TELLING_ROWS: usize = 1_024;

/// Rows handed to the encoders at once.
const BATCH_ROWS: usize = 64 << 10;

pub(super) fn write(disk: &dyn Disk, path: &Path, run: &Arc<Run>, codec: Codec) -> Result<Segment> {
    let file = disk.create(path).map_err(|error| of_io(path, &error))?;
    let written = write_file(BlockWriter::new(Arc::clone(&file)), path, run, codec);
    match written.and_then(|()| read::open(file, path, Some(run.index()))) {
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
    let properties = properties(run, &schema, codec).map_err(fault)?;
    let options = ArrowWriterOptions::new().with_properties(properties);
    let writer = ArrowWriter::try_new_with_options(sink, Arc::clone(&schema), options).map_err(fault)?;
    let (mut writer, columns) = writer.into_serialized_writer().map_err(fault)?;
    for (ordinal, rows) in groups(run.index()).into_iter().enumerate() {
        write_group(
            path,
            run,
            &schema,
            &mut writer,
            columns.create_column_writers(ordinal).map_err(fault)?,
            rows,
        )?;
    }
    writer.flush().map_err(|error| of_io(path, &error))?;
    let (data, checksums) = writer.inner_mut().seal().map_err(|error| of_io(path, &error))?;
    for (key, value) in format::entries(table, run.index(), data, &checksums)? {
        writer.append_key_value_metadata(KeyValue::new(key, value));
    }
    writer.finish().map_err(fault)?;
    writer.flush().map_err(|error| of_io(path, &error))?;
    let sink = writer.inner_mut();
    let tail = format::sign(sink.take_tail())?;
    sink.finish(&tail).map_err(|error| of_io(path, &error))?;
    Ok(())
}

/// Writes one row group, given a writer for each of its columns (a list or a tuple is several).
fn write_group(
    path: &Path,
    run: &Arc<Run>,
    schema: &SchemaRef,
    writer: &mut SerializedFileWriter<BlockWriter>,
    mut writers: Vec<ArrowColumnWriter>,
    rows: Range<usize>,
) -> Result<()> {
    let fault = |error: ParquetError| of_parquet(path, error);
    let table = run.schema();
    let leaves = writer.schema_descr().columns().to_vec();
    let roots: Vec<usize> =
        (0..leaves.len()).map(|leaf| writer.schema_descr().get_column_root_idx(leaf)).collect();
    let key_leaf = table.key_index().and_then(|key| roots.iter().position(|&root| root == key));
    let key = match key_leaf {
        Some(leaf) => key_pages::chunk(run.index(), rows.clone(), &leaves[leaf]).map_err(fault)?,
        None => None,
    };
    let by_rows: Vec<usize> = (0..table.columns.len())
        .filter(|&column| key.is_none() || table.key_index() != Some(column))
        .collect();
    for batch in Part::Run(Arc::clone(run)).scan(table, &by_rows, std::slice::from_ref(&rows), BATCH_ROWS) {
        for (&column, array) in by_rows.iter().zip(batch?.columns()) {
            let first = roots.partition_point(|&root| root < column);
            let parts = compute_leaves(schema.field(column), array).map_err(fault)?;
            for (writer, part) in writers[first..].iter_mut().zip(&parts) {
                writer.write(part).map_err(fault)?;
            }
        }
    }
    let mut group = writer.next_row_group().map_err(fault)?;
    let mut key = key.map(|key| (key_leaf, key));
    for (leaf, writer) in writers.into_iter().enumerate() {
        match key.take_if(|(at, _)| *at == Some(leaf)) {
            Some((_, (bytes, close))) => group.append_column(&bytes, close),
            None => writer.close().and_then(|chunk| chunk.append_to_row_group(&mut group)),
        }
        .map_err(fault)?;
    }
    group.close().map_err(fault)?;
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

fn properties(run: &Run, schema: &SchemaRef, codec: Codec) -> parquet::errors::Result<WriterProperties> {
    let key = run.schema().key_index().map(|at| &run.schema().columns[at].name);
    // Where keys have few rows, each page has many keys: its extremes are those of all rows, and cost a comparison each.
    let telling = run.rows() >= run.index().slots().saturating_mul(TELLING_ROWS);
    let statistics = if telling { EnabledStatistics::Page } else { EnabledStatistics::None };
    let compression = match codec {
        Codec::None => Compression::UNCOMPRESSED,
        Codec::Lz4 => Compression::LZ4_RAW,
        Codec::Zstd => Compression::ZSTD(ZstdLevel::try_new(1)?),
        Codec::Snappy => Compression::SNAPPY,
    };
    let mut builder = WriterProperties::builder()
        .set_compression(compression)
        .set_statistics_enabled(statistics)
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
            // Packed bits do not get smaller by being compressed.
            builder = builder
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
                .set_column_compression(path, Compression::UNCOMPRESSED);
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
