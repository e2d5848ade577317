//! Messages to rows: the payload by its format, other columns from the message itself.
//!
//! Promises: a message is taken whole or not at all; one that cannot be read is named with the reason and harms no other;
//! the rows of a message keep their order, and messages theirs.

mod beside;
mod blocks;
mod columns;
mod json;
mod stream;

use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, SecondsFormat};
use zepto_common::clock::wall_nanos;
use zepto_common::schema::{Column, ColumnDefault, TableSchema};
use zepto_common::{Error, ErrorCode, Result};
use zepto_formats::{Format, FormatSettings};

use crate::config::{ColumnSource, FeedConfig, MessagePart, TimeUnit};
use crate::source::Message;
use crate::tick;
use blocks::{Bounds, Part, Rows, Values};
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
    /// One row: what every message has.
    constants: Option<RecordBatch>,
    columns: Vec<From>,
    settings: FormatSettings,
    bounds: Bounds,
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
    /// Among the constants.
    Constant(usize),
}

/// What became of messages of one partition of a source.
pub struct Decoded {
    /// Their rows, with the offsets as the last column: blocks to be written one after the other.
    pub blocks: Vec<RecordBatch>,
    /// Those that cannot be read, by their index, and why.
    pub dead: Vec<(usize, String)>,
}

impl Decoder {
    /// A reader for this schema.
    ///
    /// # Errors
    /// `NoSuchColumnInTable`, `TypeMismatch`, `BadArguments`: the mapping does not fit the table.
    pub fn new(feed: &FeedConfig, table: &Arc<TableSchema>) -> Result<Self> {
        for name in feed.fields.keys().chain(feed.columns.keys()).chain(feed.units.keys()) {
            if table.index_of(name).is_none() {
                let message = format!("feed {}: table {} has no column {name}", feed.name, table.name);
                return Err(Error::new(ErrorCode::NoSuchColumnInTable, message));
            }
        }
        check_key(feed, table)?;
        let ticks = feed.format == "tick";
        let (mut payload, mut beside, mut sources, mut columns) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut constants = Vec::new();
        for column in &table.columns {
            columns.push(if let Some(ColumnSource::Constant(text)) = feed.columns.get(&column.name) {
                constants.push((column.clone(), text.as_str()));
                From::Constant(constants.len() - 1)
            } else if let Some(source) = feed.columns.get(&column.name) {
                beside.push(column.clone());
                sources.push(source.clone());
                From::Beside(beside.len() - 1)
            } else if ticks {
                columns::tick_field(feed, column)?
            } else if let Some(unit) = feed.units.get(&column.name) {
                payload.push(columns::of_numbers(column)?);
                From::Scaled(payload.len() - 1, *unit)
            } else {
                payload.push(column.clone());
                From::Payload(payload.len() - 1)
            });
        }
        let form = if ticks {
            payload = columns::of_tick();
            Form::Ticks
        } else {
            match Format::parse(&feed.format)? {
                Format::JsonEachRow => Form::Objects(Paths::new(&feed.fields)),
                format @ (Format::RowBinary | Format::MsgPack) => Form::Rows(format, Cut::Bytes),
                format => Form::Rows(format, Cut::Lines),
            }
        };
        if payload.is_empty() {
            let message = format!("feed {}: no column of {} is in the payload", feed.name, table.name);
            return Err(Error::new(ErrorCode::BadArguments, message));
        }
        let of = |columns| Arc::new(TableSchema { columns, ..bare(table) });
        Ok(Self {
            form,
            constants: read_constants(feed, constants, table)?,
            payload: of(payload),
            beside: of(beside),
            sources,
            columns,
            settings: FormatSettings::default(),
            bounds: Bounds::default(),
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
        let mut faults: Vec<Option<String>> = vec![None; messages.len()];
        let beside = self.read_beside(messages, wall_nanos(), &mut faults)?;
        let payload = self.read_payloads(messages, &mut faults)?;
        let rows = self.convert(&payload, beside.as_ref(), &mut faults)?;
        let parts = parts(&payload.rows_of, beside.as_ref(), &faults);
        let (cut, too_large) = rows.cut(parts, self.bounds);
        for (at, bytes) in too_large {
            let most = self.bounds.message;
            faults[at] =
                Some(format!("the rows of the message take {bytes} bytes, at most {most} are taken"));
        }
        let blocks = cut.iter().map(|parts| rows.block(parts, |at| messages[at].offset));
        let blocks = blocks.collect::<Result<_>>()?;
        let dead = faults.into_iter().enumerate().filter_map(|(at, fault)| Some((at, fault?))).collect();
        Ok(Decoded { blocks, dead })
    }

    /// All rows in the table's types. A value that its column cannot hold is a fault of its message.
    fn convert(&self, payload: &Read, beside: Option<&Read>, faults: &mut [Option<String>]) -> Result<Rows> {
        let beside = beside.map(Read::whole).transpose()?;
        let ends = payload.ends();
        let mut values = Vec::with_capacity(self.columns.len());
        for (from, column) in self.columns.iter().zip(&self.table.columns) {
            let (at, unit) = match from {
                From::Payload(at) => (*at, None),
                From::Scaled(at, unit) => (*at, Some(*unit)),
                From::Constant(at) => {
                    let constants = self.constants.as_ref();
                    let constants = constants.ok_or_else(|| Error::internal("no constants"))?;
                    values.push(Values::Constant(constants.column(*at).clone()));
                    continue;
                }
                From::Beside(at) => {
                    let beside = beside.as_ref();
                    let beside = beside.ok_or_else(|| Error::internal("no columns beside the payload"))?;
                    values.push(Values::Messages(beside.column(*at).clone()));
                    continue;
                }
            };
            let (mut arrays, mut first) = (Vec::with_capacity(payload.batches.len()), 0);
            for batch in &payload.batches {
                let array = columns::converted(batch.column(at), unit, &column.ty)?;
                for row in columns::lost(batch.column(at), &array) {
                    let message = ends.partition_point(|end| *end <= first + row);
                    let fault = || format!("column {}: a value does not fit {}", column.name, column.ty);
                    faults[message].get_or_insert_with(fault);
                }
                first += batch.num_rows();
                arrays.push(array);
            }
            values.push(Values::Rows(arrays));
        }
        let batches = payload.batches.iter().map(RecordBatch::num_rows);
        Ok(Rows::new(self.table.storage_schema(), values, batches))
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
                Form::Rows(Format::JsonCompactEachRow, _) => {
                    out.extend_from_slice(json::alone(payload)?);
                }
                Form::Rows(..) => out.extend_from_slice(payload),
                Form::Objects(None) => out.extend_from_slice(json::objects(payload)?),
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
                beside::put_value(source, &messages[at], arrival, out)?;
            }
            out.push(b'\n');
            Ok(())
        });
        rows.map(Some)
    }
}

/// The row of constants.
fn read_constants(
    feed: &FeedConfig,
    constants: Vec<(Column, &str)>,
    table: &TableSchema,
) -> Result<Option<RecordBatch>> {
    if constants.is_empty() {
        return Ok(None);
    }
    let (columns, texts): (Vec<_>, Vec<_>) = constants.into_iter().unzip();
    let schema = Arc::new(TableSchema { columns, ..bare(table) });
    let mut faults = [None];
    let settings = FormatSettings::default();
    let read = read(Format::TabSeparated, Cut::Lines, &schema, &settings, &mut faults, |_, out| {
        for (at, text) in texts.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b"\t" } else { b"" });
            beside::put_text(text, out);
        }
        Ok(())
    })?;
    match faults {
        [Some(fault)] => {
            let message = format!("feed {}: a constant does not fit its column: {fault}", feed.name);
            Err(Error::new(ErrorCode::BadArguments, message))
        }
        [None] => read.whole().map(Some),
    }
}

/// The rows of each good message.
fn parts(rows_of: &[u32], beside: Option<&Read>, faults: &[Option<String>]) -> Vec<Part> {
    let (mut parts, mut first, mut nth) = (Vec::new(), 0, 0);
    for (message, rows) in rows_of.iter().enumerate() {
        let rows = first..first + *rows as usize;
        first = rows.end;
        if faults[message].is_none() && !rows.is_empty() {
            parts.push(Part { message, rows, nth });
        }
        nth += beside.map_or(0, |it| it.rows_of[message]);
    }
    parts
}

/// A message that is read again must meet its own mark: the key of its rows may not depend on when it is read.
fn check_key(feed: &FeedConfig, table: &TableSchema) -> Result<()> {
    let Some(key) = table.key_index().map(|at| &table.columns[at]) else { return Ok(()) };
    let why = match feed.columns.get(&key.name) {
        Some(ColumnSource::From(MessagePart::Arrival)) => "arrival",
        Some(ColumnSource::Constant(_)) => return Ok(()),
        _ if key.default == ColumnDefault::Now => "DEFAULT now()",
        _ => return Ok(()),
    };
    let message = format!(
        "feed {}: {} is the partition key of {}, and {why} is another one when a message is read again",
        feed.name, key.name, table.name
    );
    Err(Error::new(ErrorCode::BadArguments, message))
}

/// The table without what only storage needs.
fn bare(table: &TableSchema) -> TableSchema {
    TableSchema { columns: Vec::new(), key: None, time: None, order_by: Vec::new(), ..table.clone() }
}

/// A time as every reader of times reads it.
pub(crate) fn instant_text(nanos: i64) -> String {
    DateTime::from_timestamp_nanos(nanos).to_rfc3339_opts(SecondsFormat::Nanos, true)
}
