//! Rows from bytes and bytes from rows, in ClickHouse's formats.
//!
//! - [`Format`]: the formats by name
//! - [`decoder`]: bytes pushed in any cut become blocks of rows in a table's storage types
//! - [`encoder`]: batches of a result become bytes, one batch at a time
//! - [`insert`]: the head of an INSERT, up to where its data starts
//!
//! Reading is strict where ClickHouse guesses: a number that does not fit its column and text that is not UTF-8
//! are refused. docs/formats/text-and-binary.md lists each difference.

mod arrow_ipc;
mod by_name;
mod cells;
mod column;
mod columnar;
mod csv;
mod decode;
mod digits;
mod encode;
mod format;
mod header;
pub mod insert;
mod json;
mod json_beside;
mod json_columns;
mod json_compact_each_row;
mod json_each_row;
mod json_fields;
mod json_value;
mod markdown;
mod msgpack;
mod msgpack_rows;
mod native;
mod number;
mod parquet_file;
mod parquet_pages;
mod pretty;
mod row_binary;
mod scan;
mod settings;
mod tab_separated;
mod text;
mod time;
mod values;
mod views;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use zepto_common::Result;
use zepto_common::schema::TableSchema;
use zepto_common::service::ExpressionEvaluator;

pub use by_name::NameMatching;
pub use decode::Decoder;
pub use encode::{Encoder, ResultTotals};
pub use format::Format;
pub use settings::{FormatSettings, TimeOutput, Tolerance, Words};

use decode::{Block, RowDecoder, RowFormat};
use encode::Fields;
use header::Names;
use json_columns::Shape;
use json_compact_each_row::{JsonCompactEachRow, JsonCompactEachRowWriter};
use json_fields::Form;

/// A writer of results with this schema.
///
/// # Errors
/// `FormatIsNotSuitableForOutput`.
pub fn encoder(format: Format, schema: SchemaRef, settings: &FormatSettings) -> Result<Box<dyn Encoder>> {
    use Format as F;
    let fields = Fields::new(schema, settings);
    let (names, form) = (names_of(format), form_of(format));
    Ok(match format {
        F::TabSeparated | F::TabSeparatedWithNames | F::TabSeparatedWithNamesAndTypes => {
            Box::new(tab_separated::TabSeparatedWriter::new(false, names, fields))
        }
        F::TabSeparatedRaw | F::TabSeparatedRawWithNames | F::TabSeparatedRawWithNamesAndTypes => {
            Box::new(tab_separated::TabSeparatedWriter::new(true, names, fields))
        }
        F::Csv | F::CsvWithNames | F::CsvWithNamesAndTypes => Box::new(csv::CsvWriter::new(names, fields)),
        F::Values => Box::new(values::ValuesWriter::new(fields)),
        F::Json | F::JsonStrings => Box::new(json::JsonWriter::new(false, form, fields)),
        F::JsonCompact | F::JsonCompactStrings => Box::new(json::JsonWriter::new(true, form, fields)),
        F::JsonColumns => Box::new(json_columns::JsonColumnsWriter::new(Shape::Named, fields)),
        F::JsonCompactColumns => Box::new(json_columns::JsonColumnsWriter::new(Shape::Ordered, fields)),
        F::JsonColumnsWithMetadata => {
            Box::new(json_columns::JsonColumnsWriter::new(Shape::WithMetadata, fields))
        }
        F::JsonEachRow | F::JsonStringsEachRow => {
            Box::new(json_each_row::JsonEachRowWriter::new(form, fields))
        }
        F::JsonCompactEachRow
        | F::JsonCompactEachRowWithNames
        | F::JsonCompactEachRowWithNamesAndTypes
        | F::JsonCompactStringsEachRow
        | F::JsonCompactStringsEachRowWithNames
        | F::JsonCompactStringsEachRowWithNamesAndTypes => {
            Box::new(JsonCompactEachRowWriter::new(form, names, fields))
        }
        F::RowBinary | F::RowBinaryWithNames | F::RowBinaryWithNamesAndTypes => {
            Box::new(row_binary::RowBinaryWriter::new(names, fields))
        }
        F::Native => Box::new(native::NativeWriter::new(fields)),
        F::Arrow => Box::new(arrow_ipc::ArrowWriter::new(true, fields)),
        F::ArrowStream => Box::new(arrow_ipc::ArrowWriter::new(false, fields)),
        F::Parquet => Box::new(parquet_file::ParquetWriter::new(fields)),
        F::Markdown => Box::new(markdown::MarkdownWriter::new(fields)),
        F::MsgPack => Box::new(msgpack_rows::MsgPackWriter::new(fields)),
        F::Vertical => Box::new(pretty::VerticalWriter::new(fields)),
        F::Null => Box::new(encode::NullWriter),
        F::MsgPackColumns => return Err(format.no_output()),
        _ => Box::new(pretty::PrettyWriter::new(pretty::Look::of(format), fields)),
    })
}

/// A reader of rows for an INSERT into these columns (None: all) of a table.
///
/// Batches have all columns in schema order in storage types, blocks are cut every `BLOCK_ROWS` rows (earlier
/// only when a block reaches `BLOCK_BYTES_MAX`), always at the same row however the bytes are pushed.
///
/// # Errors
/// `FormatIsNotSuitableForInput`, `NoSuchColumnInTable`, `DuplicateColumn`.
pub fn decoder(
    format: Format,
    table: &Arc<TableSchema>,
    columns: Option<&[String]>,
    settings: &FormatSettings,
    evaluator: Option<Arc<dyn ExpressionEvaluator>>,
) -> Result<Box<dyn Decoder>> {
    use Format as F;
    let block = Block::new(table, columns, settings, evaluator)?;
    let (names, form) = (names_of(format), form_of(format));
    Ok(match format {
        F::TabSeparated | F::TabSeparatedWithNames | F::TabSeparatedWithNamesAndTypes => {
            rows(tab_separated::TabSeparated::new(false, names), block)
        }
        F::TabSeparatedRaw | F::TabSeparatedRawWithNames | F::TabSeparatedRawWithNamesAndTypes => {
            rows(tab_separated::TabSeparated::new(true, names), block)
        }
        F::Csv | F::CsvWithNames | F::CsvWithNamesAndTypes => rows(csv::Csv::new(names), block),
        F::Values => rows(values::Values::default(), block),
        F::Json => rows(json::Json::new(false, &block), block),
        F::JsonCompact => rows(json::Json::new(true, &block), block),
        F::JsonColumns => rows(json_columns::JsonColumns::new(Shape::Named), block),
        F::JsonCompactColumns => rows(json_columns::JsonColumns::new(Shape::Ordered), block),
        F::JsonColumnsWithMetadata => rows(json_columns::JsonColumns::new(Shape::WithMetadata), block),
        F::JsonEachRow | F::JsonStringsEachRow => rows(json_each_row::JsonEachRow::new(form, &block), block),
        F::JsonCompactEachRow
        | F::JsonCompactEachRowWithNames
        | F::JsonCompactEachRowWithNamesAndTypes
        | F::JsonCompactStringsEachRow
        | F::JsonCompactStringsEachRowWithNames
        | F::JsonCompactStringsEachRowWithNamesAndTypes => rows(JsonCompactEachRow::new(form, names), block),
        F::RowBinary | F::RowBinaryWithNames | F::RowBinaryWithNamesAndTypes => {
            rows(row_binary::RowBinary::new(names), block)
        }
        F::Native => Box::new(native::NativeReader::new(block)),
        F::Arrow => Box::new(arrow_ipc::ArrowReader::new(true, block)),
        F::ArrowStream => Box::new(arrow_ipc::ArrowReader::new(false, block)),
        F::Parquet => Box::new(parquet_file::ParquetReader::new(block)),
        F::MsgPack => rows(msgpack_rows::MsgPack, block),
        F::MsgPackColumns => rows(msgpack::MsgPackColumns::default(), block),
        _ => return Err(format.no_input()),
    })
}

/// The header lines that a format's name says it has.
fn names_of(format: Format) -> Names {
    let name = format.name();
    if name.ends_with("WithNamesAndTypes") {
        Names::WithTypes
    } else if name.ends_with("WithNames") {
        Names::Plain
    } else {
        Names::Absent
    }
}

/// Whether a format's fields are JSON values or strings.
fn form_of(format: Format) -> Form {
    if format.name().contains("Strings") { Form::Strings } else { Form::Values }
}

fn rows<F: RowFormat + 'static>(format: F, block: Block) -> Box<dyn Decoder> {
    Box::new(RowDecoder::new(format, block))
}
