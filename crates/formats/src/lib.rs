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
mod cells;
mod column;
mod columnar;
mod csv;
mod decode;
mod encode;
mod format;
mod header;
pub mod insert;
mod json;
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
mod pretty;
mod row_binary;
mod scan;
mod settings;
mod tab_separated;
mod text;
mod time;
mod values;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use zepto_common::Result;
use zepto_common::schema::TableSchema;
use zepto_common::service::ExpressionEvaluator;

pub use decode::Decoder;
pub use encode::{Encoder, ResultTotals};
pub use format::Format;
pub use settings::{FormatSettings, TimeOutput};

use decode::{Block, RowDecoder, RowFormat};
use encode::Fields;
use header::Names;
use json_columns::Shape;
use json_compact_each_row::{JsonCompactEachRow, JsonCompactEachRowWriter};
use json_fields::Form;

/// A writer of results with this schema.
///
/// # Errors
/// `UnknownFormat` when the format cannot be written.
pub fn encoder(format: Format, schema: SchemaRef, settings: &FormatSettings) -> Result<Box<dyn Encoder>> {
    use Format as F;
    let fields = Fields::new(schema, settings);
    Ok(match format {
        F::TabSeparated => Box::new(tab_separated::TabSeparatedWriter::new(false, Names::Absent, fields)),
        F::TabSeparatedWithNames => {
            Box::new(tab_separated::TabSeparatedWriter::new(false, Names::Plain, fields))
        }
        F::TabSeparatedWithNamesAndTypes => {
            Box::new(tab_separated::TabSeparatedWriter::new(false, Names::WithTypes, fields))
        }
        F::TabSeparatedRaw => Box::new(tab_separated::TabSeparatedWriter::new(true, Names::Absent, fields)),
        F::TabSeparatedRawWithNames => {
            Box::new(tab_separated::TabSeparatedWriter::new(true, Names::Plain, fields))
        }
        F::TabSeparatedRawWithNamesAndTypes => {
            Box::new(tab_separated::TabSeparatedWriter::new(true, Names::WithTypes, fields))
        }
        F::Csv => Box::new(csv::CsvWriter::new(Names::Absent, fields)),
        F::CsvWithNames => Box::new(csv::CsvWriter::new(Names::Plain, fields)),
        F::CsvWithNamesAndTypes => Box::new(csv::CsvWriter::new(Names::WithTypes, fields)),
        F::Values => Box::new(values::ValuesWriter::new(fields)),
        F::Json | F::JsonCompact | F::JsonStrings | F::JsonCompactStrings => {
            let compact = matches!(format, F::JsonCompact | F::JsonCompactStrings);
            Box::new(json::JsonWriter::new(compact, form_of(format), fields))
        }
        F::JsonColumns => Box::new(json_columns::JsonColumnsWriter::new(Shape::Named, fields)),
        F::JsonCompactColumns => Box::new(json_columns::JsonColumnsWriter::new(Shape::Ordered, fields)),
        F::JsonColumnsWithMetadata => {
            Box::new(json_columns::JsonColumnsWriter::new(Shape::WithMetadata, fields))
        }
        F::JsonEachRow | F::JsonStringsEachRow => {
            Box::new(json_each_row::JsonEachRowWriter::new(form_of(format), fields))
        }
        F::JsonCompactEachRow | F::JsonCompactStringsEachRow => {
            Box::new(JsonCompactEachRowWriter::new(form_of(format), Names::Absent, fields))
        }
        F::JsonCompactEachRowWithNames | F::JsonCompactStringsEachRowWithNames => {
            Box::new(JsonCompactEachRowWriter::new(form_of(format), Names::Plain, fields))
        }
        F::JsonCompactEachRowWithNamesAndTypes | F::JsonCompactStringsEachRowWithNamesAndTypes => {
            Box::new(JsonCompactEachRowWriter::new(form_of(format), Names::WithTypes, fields))
        }
        F::RowBinary => Box::new(row_binary::RowBinaryWriter::new(Names::Absent, fields)),
        F::RowBinaryWithNames => Box::new(row_binary::RowBinaryWriter::new(Names::Plain, fields)),
        F::RowBinaryWithNamesAndTypes => Box::new(row_binary::RowBinaryWriter::new(Names::WithTypes, fields)),
        F::Native => Box::new(native::NativeWriter::new(fields)),
        F::Arrow => Box::new(arrow_ipc::ArrowWriter::new(true, fields)),
        F::ArrowStream => Box::new(arrow_ipc::ArrowWriter::new(false, fields)),
        F::Parquet => Box::new(parquet_file::ParquetWriter::new(fields)),
        F::Pretty | F::PrettyNoEscapes | F::PrettyMonoBlock | F::PrettyNoEscapesMonoBlock => {
            Box::new(pretty::PrettyWriter::new(pretty::Look::Full, fields))
        }
        F::PrettyCompact
        | F::PrettyCompactNoEscapes
        | F::PrettyCompactMonoBlock
        | F::PrettyCompactNoEscapesMonoBlock => {
            Box::new(pretty::PrettyWriter::new(pretty::Look::Compact, fields))
        }
        F::PrettySpace
        | F::PrettySpaceNoEscapes
        | F::PrettySpaceMonoBlock
        | F::PrettySpaceNoEscapesMonoBlock => {
            Box::new(pretty::PrettyWriter::new(pretty::Look::Space, fields))
        }
        F::Markdown => Box::new(markdown::MarkdownWriter::new(fields)),
        F::MsgPack => Box::new(msgpack_rows::MsgPackWriter::new(fields)),
        F::Vertical => Box::new(pretty::VerticalWriter::new(fields)),
        F::Null => Box::new(encode::NullWriter),
        F::MsgPackColumns => return Err(format.one_way("output")),
    })
}

/// A reader of rows for an INSERT into these columns (None: all) of a table.
///
/// Batches have all columns in schema order in storage types, blocks are cut every `BLOCK_ROWS` rows (earlier
/// only when a block reaches `BLOCK_BYTES_MAX`), always at the same row however the bytes are pushed.
///
/// # Errors
/// `UnknownFormat`, `NoSuchColumnInTable`, `DuplicateColumn`.
pub fn decoder(
    format: Format,
    table: &Arc<TableSchema>,
    columns: Option<&[String]>,
    settings: &FormatSettings,
    evaluator: Option<Arc<dyn ExpressionEvaluator>>,
) -> Result<Box<dyn Decoder>> {
    use Format as F;
    let block = Block::new(table, columns, settings, evaluator)?;
    let tab_separated = |raw, names| tab_separated::TabSeparated::new(raw, names);
    Ok(match format {
        F::TabSeparated => rows(tab_separated(false, Names::Absent), block),
        F::TabSeparatedWithNames => rows(tab_separated(false, Names::Plain), block),
        F::TabSeparatedWithNamesAndTypes => rows(tab_separated(false, Names::WithTypes), block),
        F::TabSeparatedRaw => rows(tab_separated(true, Names::Absent), block),
        F::TabSeparatedRawWithNames => rows(tab_separated(true, Names::Plain), block),
        F::TabSeparatedRawWithNamesAndTypes => rows(tab_separated(true, Names::WithTypes), block),
        F::Csv => rows(csv::Csv::new(Names::Absent), block),
        F::CsvWithNames => rows(csv::Csv::new(Names::Plain), block),
        F::CsvWithNamesAndTypes => rows(csv::Csv::new(Names::WithTypes), block),
        F::Values => rows(values::Values::default(), block),
        F::Json => rows(json::Json::new(false, &block), block),
        F::JsonCompact => rows(json::Json::new(true, &block), block),
        F::JsonColumns => rows(json_columns::JsonColumns::new(Shape::Named), block),
        F::JsonCompactColumns => rows(json_columns::JsonColumns::new(Shape::Ordered), block),
        F::JsonColumnsWithMetadata => rows(json_columns::JsonColumns::new(Shape::WithMetadata), block),
        F::JsonEachRow | F::JsonStringsEachRow => {
            rows(json_each_row::JsonEachRow::new(form_of(format), &block), block)
        }
        F::JsonCompactEachRow | F::JsonCompactStringsEachRow => {
            rows(JsonCompactEachRow::new(form_of(format), Names::Absent), block)
        }
        F::JsonCompactEachRowWithNames | F::JsonCompactStringsEachRowWithNames => {
            rows(JsonCompactEachRow::new(form_of(format), Names::Plain), block)
        }
        F::JsonCompactEachRowWithNamesAndTypes | F::JsonCompactStringsEachRowWithNamesAndTypes => {
            rows(JsonCompactEachRow::new(form_of(format), Names::WithTypes), block)
        }
        F::RowBinary => rows(row_binary::RowBinary::new(Names::Absent), block),
        F::RowBinaryWithNames => rows(row_binary::RowBinary::new(Names::Plain), block),
        F::RowBinaryWithNamesAndTypes => rows(row_binary::RowBinary::new(Names::WithTypes), block),
        F::Native => Box::new(native::NativeReader::new(block)),
        F::Arrow => Box::new(arrow_ipc::ArrowReader::new(true, block)),
        F::ArrowStream => Box::new(arrow_ipc::ArrowReader::new(false, block)),
        F::Parquet => Box::new(parquet_file::ParquetReader::new(block)),
        F::MsgPack => rows(msgpack_rows::MsgPack, block),
        F::MsgPackColumns => rows(msgpack::MsgPackColumns::default(), block),
        _ => return Err(format.one_way("input")),
    })
}

/// Whether a format's fields are JSON values or strings.
fn form_of(format: Format) -> Form {
    if format.name().contains("Strings") { Form::Strings } else { Form::Values }
}

fn rows<F: RowFormat + 'static>(format: F, block: Block) -> Box<dyn Decoder> {
    Box::new(RowDecoder::new(format, block))
}
