//! Messages to rows: the payload by its format, other columns from the message itself.
//!
//! Promises: a message is taken whole or not at all; one that cannot be read is named with the reason and harms no other;
//! the rows of a message keep their order, and messages theirs.

mod json;
mod stream;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int64Type, TimeUnit as ArrowUnit};
use chrono::{DateTime, SecondsFormat};
use zepto_common::clock::wall_nanos;
use zepto_common::schema::{Column, ColumnDefault, TableSchema};
use zepto_common::source::with_offsets;
use zepto_common::types::ColumnType;
use zepto_common::{ColumnId, Error, ErrorCode, Result};
use zepto_formats::{Format, FormatSettings};

use crate::config::{ColumnSource, FeedConfig, MessagePart, TimeUnit};
use crate::source::Message;
use crate::tick;
use json::Paths;
use stream::{Cut, Read, read};

/// Reads messages into rows of one schema of a table.
pub struct Decoder {
    table: Arc<TableSchema>,
    form: Form,
    /// What the payload gives.
    payload: Arc<TableSchema>,
    /// What the message gives, and the columns with their source.
    beside: Arc<TableSchema>,
    sources: Vec<ColumnSource>,
    columns: Vec<From>,
    settings: FormatSettings,
}

enum Form {
    Rows(Format, Cut),
    Objects(Option<Paths>),
    Ticks,
}

/// Where a column of the table is.
enum From {
    /// In the payload's rows, as it is.
    Payload(usize),
    /// In the payload's rows, as a number of these.
    Scaled(usize, TimeUnit),
    /// Beside it.
    Beside(usize),
}

/// What became of messages of one partition of a source.
pub struct Decoded {
    /// Their rows, with the offsets as the last column; None without any.
    pub rows: Option<RecordBatch>,
    /// Those that cannot be read, by their index, and why.
    pub dead: Vec<(usize, String)>,
}

impl Decoder {
    /// A reader for this schema.
    ///
    /// # Errors
    /// `NoSuchColumnInTable`, `TypeMismatch`: the mapping does not fit the table.
    pub fn new(feed: &FeedConfig, table: &Arc<TableSchema>) -> Result<Self> {
        for name in feed.fields.keys().chain(feed.columns.keys()).chain(feed.units.keys()) {
            if table.index_of(name).is_none() {
                let message = format!("feed {}: table {} has no column {name}", feed.name, table.name);
                return Err(Error::new(ErrorCode::NoSuchColumnInTable, message));
            }
        }
        let ticks = feed.format == "tick";
        let (mut payload, mut beside, mut sources, mut columns) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for column in &table.columns {
            columns.push(if let Some(source) = feed.columns.get(&column.name) {
                beside.push(column.clone());
                sources.push(source.clone());
                From::Beside(beside.len() - 1)
            } else if ticks {
                From::Payload(tick_field(feed, column)?)
            } else if let Some(unit) = feed.units.get(&column.name) {
                check_time(column)?;
                payload.push(Column {
                    ty: ColumnType::Int64,
                    default: ColumnDefault::Zero,
                    ..column.clone()
                });
                From::Scaled(payload.len() - 1, *unit)
            } else {
                payload.push(column.clone());
                From::Payload(payload.len() - 1)
            });
        }
        let form = if ticks {
            payload = tick_columns();
            Form::Ticks
        } else {
            match Format::parse(&feed.format)? {
                Format::JsonEachRow => Form::Objects(Paths::new(&feed.fields)),
                format @ (Format::RowBinary | Format::MsgPack) => Form::Rows(format, Cut::Bytes),
                format => Form::Rows(format, Cut::Lines),
            }
        };
        let of = |columns| Arc::new(TableSchema { columns, ..bare(table) });
        Ok(Self {
            form,
            payload: of(payload),
            beside: of(beside),
            sources,
            columns,
            settings: FormatSettings::default(),
            table: table.clone(),
        })
    }

    /// The schema that the rows have.
    #[must_use]
    pub fn table(&self) -> &Arc<TableSchema> {
        &self.table
    }

    /// Reads messages of one partition of a source, in the order of their offsets.
    ///
    /// # Errors
    /// What no message is to blame for.
    pub fn read(&self, messages: &[Message]) -> Result<Decoded> {
        let arrival = now_ns();
        let mut faults: Vec<Option<String>> = vec![None; messages.len()];
        let beside = self.read_beside(messages, arrival, &mut faults)?;
        let payload = self.read_payloads(messages, &mut faults)?;
        let (mut index, mut offsets) = (Vec::new(), Vec::new());
        let mut nth = 0u32;
        for (at, message) in messages.iter().enumerate() {
            let read_beside = beside.as_ref().is_some_and(|it| it.rows_of[at] > 0);
            for _ in 0..payload.rows_of[at] {
                index.push(nth);
                offsets.push(message.offset);
            }
            nth += u32::from(read_beside);
        }
        let dead = faults.into_iter().enumerate().filter_map(|(at, fault)| Some((at, fault?))).collect();
        if offsets.is_empty() {
            return Ok(Decoded { rows: None, dead });
        }
        let rows = self.assemble(&payload.rows, beside.as_ref(), &UInt32Array::from(index))?;
        Ok(Decoded { rows: Some(with_offsets(&rows, UInt64Array::from(offsets))?), dead })
    }

    fn assemble(
        &self,
        payload: &RecordBatch,
        beside: Option<&Read>,
        index: &UInt32Array,
    ) -> Result<RecordBatch> {
        let storage = self.table.storage_schema();
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (from, field) in self.columns.iter().zip(storage.fields()) {
            let array: ArrayRef = match from {
                From::Payload(at) => payload.column(*at).clone(),
                From::Scaled(at, unit) => scaled(payload.column(*at), *unit)?,
                From::Beside(at) => {
                    let beside = beside.ok_or_else(|| Error::internal("no columns beside the payload"))?;
                    take(beside.rows.column(*at), index, None)?
                }
            };
            arrays.push(match array.data_type() == field.data_type() {
                true => array,
                false => cast(&array, field.data_type())?,
            });
        }
        Ok(RecordBatch::try_new(storage, arrays)?)
    }

    fn read_payloads(&self, messages: &[Message], faults: &mut [Option<String>]) -> Result<Read> {
        let (format, cut) = match &self.form {
            Form::Rows(format, cut) => (*format, *cut),
            Form::Objects(_) => (Format::JsonEachRow, Cut::Lines),
            Form::Ticks => (Format::RowBinary, Cut::Bytes),
        };
        read(format, cut, &self.payload, &self.settings, faults, |at, out| {
            let Some(payload) = &messages[at].payload else {
                return Err("the message has no content".to_owned());
            };
            match &self.form {
                Form::Rows(..) => out.extend_from_slice(payload),
                Form::Objects(None) => out.extend_from_slice(json::without_brackets(payload)?),
                Form::Objects(Some(paths)) => paths.flatten(payload, out)?,
                Form::Ticks => tick::to_row_binary(payload, out)?,
            }
            Ok(())
        })
    }

    /// One row per message, as tab-separated text.
    fn read_beside(
        &self,
        messages: &[Message],
        arrival: i64,
        faults: &mut [Option<String>],
    ) -> Result<Option<Read>> {
        if self.sources.is_empty() {
            return Ok(None);
        }
        let format = Format::TabSeparated;
        let rows = read(format, Cut::Lines, &self.beside, &self.settings, faults, |at, out| {
            for (column, source) in self.sources.iter().enumerate() {
                if column > 0 {
                    out.push(b'\t');
                }
                put_value(source, &messages[at], arrival, out)?;
            }
            out.push(b'\n');
            Ok(())
        });
        rows.map(Some)
    }
}

fn put_value(
    source: &ColumnSource,
    message: &Message,
    arrival: i64,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let text = |bytes: &[u8]| {
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "a key or header is no text")
    };
    let value = match source {
        ColumnSource::Constant(text) => Some(text.clone()),
        ColumnSource::From(MessagePart::Topic) => Some(message.from.topic.to_string()),
        ColumnSource::From(MessagePart::Partition) => Some(message.from.number.to_string()),
        ColumnSource::From(MessagePart::Offset) => Some(message.offset.to_string()),
        ColumnSource::From(MessagePart::Key) => message.key.as_deref().map(text).transpose()?,
        ColumnSource::From(MessagePart::Timestamp) => {
            message.timestamp_ms.map(|ms| instant_text(ms.saturating_mul(1_000_000)))
        }
        ColumnSource::From(MessagePart::Arrival) => Some(instant_text(arrival)),
        ColumnSource::Header(name) => {
            let found = message.headers.iter().find(|(header, _)| header == name);
            found.map(|(_, value)| text(value)).transpose()?
        }
        ColumnSource::TopicLevel(level) => {
            let found = message.from.topic.split('/').nth(level - 1);
            Some(found.ok_or_else(|| format!("the topic has no level {level}"))?.to_owned())
        }
    };
    match value {
        None => out.extend_from_slice(b"\\N"),
        Some(value) => {
            for byte in value.bytes() {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    b'\t' => out.extend_from_slice(b"\\t"),
                    b'\n' => out.extend_from_slice(b"\\n"),
                    b'\r' => out.extend_from_slice(b"\\r"),
                    0 => out.extend_from_slice(b"\\0"),
                    other => out.push(other),
                }
            }
        }
    }
    Ok(())
}

/// A time of numbers.
fn scaled(numbers: &ArrayRef, unit: TimeUnit) -> Result<ArrayRef> {
    let numbers = numbers.as_primitive::<Int64Type>();
    let unit = match unit {
        TimeUnit::S => ArrowUnit::Second,
        TimeUnit::Ms => ArrowUnit::Millisecond,
        TimeUnit::Us => ArrowUnit::Microsecond,
        TimeUnit::Ns => ArrowUnit::Nanosecond,
    };
    Ok(cast(numbers, &DataType::Timestamp(unit, None))?)
}

fn check_time(column: &Column) -> Result<()> {
    if matches!(column.ty, ColumnType::DateTime64(..)) {
        return Ok(());
    }
    let message = format!("units: column {} is no DateTime64", column.name);
    Err(Error::new(ErrorCode::TypeMismatch, message))
}

fn tick_columns() -> Vec<Column> {
    let types = [
        ColumnType::String,
        ColumnType::DateTime64(9, None),
        ColumnType::Float64,
        ColumnType::Float64,
        ColumnType::Float64,
        ColumnType::Float64,
        ColumnType::UInt64,
    ];
    let column = |(at, (name, ty)): (usize, (&str, ColumnType))| Column {
        id: ColumnId(at as u32 + 1),
        name: name.to_owned(),
        ty,
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    tick::FIELDS.into_iter().zip(types).enumerate().map(column).collect()
}

/// The field of a tick that a column has.
fn tick_field(feed: &FeedConfig, column: &Column) -> Result<usize> {
    let field = feed.fields.get(&column.name).unwrap_or(&column.name);
    tick::FIELDS.iter().position(|name| name == field).ok_or_else(|| {
        let message = format!("feed {}: a tick has no field for column {}", feed.name, column.name);
        Error::new(ErrorCode::NoSuchColumnInTable, message)
    })
}

/// The table without what only storage needs.
fn bare(table: &TableSchema) -> TableSchema {
    TableSchema { columns: Vec::new(), key: None, time: None, order_by: Vec::new(), ..table.clone() }
}

/// Nanoseconds since 1970.
pub(crate) fn now_ns() -> i64 {
    wall_nanos()
}

/// A time as every reader of times reads it.
pub(crate) fn instant_text(nanos: i64) -> String {
    DateTime::from_timestamp_nanos(nanos).to_rfc3339_opts(SecondsFormat::Nanos, true)
}
