//! From pushed bytes to blocks of rows: what all decoders share.
//!
//! A format reads one row at a time from the bytes at hand. When they end inside a row, the row is taken back
//! and read again once more has come, so where the input is cut changes nothing. Blocks are cut by the number
//! and size of rows alone, never by how the bytes arrived.

mod rows;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use zepto_common::limits::{BLOCK_BYTES_MAX, BLOCK_ROWS};
use zepto_common::schema::{ColumnDefault, TableSchema};
use zepto_common::service::ExpressionEvaluator;
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode, Result};

use crate::by_name::{ByName, NameMatching};
use crate::column::{Column, Values};
use crate::scan::{Cursor, Scan, Stop, fault};
use crate::settings::FormatSettings;
use crate::text;

pub(crate) use rows::RowDecoder;

/// Reads rows from bytes that are pushed in any cut.
pub trait Decoder: Send {
    /// Takes more bytes; full blocks are appended to `out`.
    ///
    /// # Errors
    /// ClickHouse's code for the fault, with row and column; the decoder gives nothing more after it.
    fn push(&mut self, data: &[u8], out: &mut Vec<RecordBatch>) -> Result<()>;

    /// Rows read whole so far, and the bytes of one that is not; None for formats whose unit is no row.
    fn progress(&self) -> Option<(u64, &[u8])> {
        None
    }

    /// No more bytes will come; the last block is appended to `out`.
    ///
    /// # Errors
    /// As [`Decoder::push`]; also when the input ends inside a row.
    fn finish(self: Box<Self>, out: &mut Vec<RecordBatch>) -> Result<()>;
}

/// What one read of a row format found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A row, now in the block.
    Row,
    /// Something between rows, passed over.
    Nothing,
    /// The end of the rows.
    End,
}

/// A format whose rows follow one another.
pub(crate) trait RowFormat: Send {
    /// Reads the next row into `block.columns`; columns it leaves alone get their defaults.
    fn row(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<Found>;

    /// Reads some rows at once, where the fields are the table's columns in its order; gives how many. None means that
    /// the next is to be read by [`Self::row`].
    fn rows(&mut self, _cursor: &mut Cursor<'_>, _block: &mut Block) -> usize {
        0
    }

    /// What is read at once and so has a bound, for messages.
    fn unit(&self) -> &'static str {
        "row"
    }

    /// Whether every row has a value for every target column.
    fn fills_targets(&self) -> bool {
        false
    }

    /// Passes over what is left of a row that was wrong; false where rows cannot be told apart then.
    fn skip_bad_row(&self, _cursor: &mut Cursor<'_>) -> Scan<bool> {
        Ok(false)
    }

    /// Whether a byte order mark before the data can be no part of it.
    fn may_have_mark(&self, _block: &Block) -> bool {
        true
    }
}

/// Where a row's columns come from and what fills the others.
pub(crate) struct Block {
    /// All columns of the table in schema order.
    pub(crate) columns: Vec<Column>,
    /// Indexes of the columns that the INSERT names, in its order.
    pub(crate) targets: Vec<usize>,
    /// The request's settings.
    pub(crate) settings: FormatSettings,
    /// For expressions.
    pub(crate) evaluator: Option<Arc<dyn ExpressionEvaluator>>,
    /// Scratch for unescaped text.
    pub(crate) scratch: Vec<u8>,
    /// One row with each column's default; None is the type's zero.
    defaults: Vec<Option<Column>>,
    schema: SchemaRef,
    row_width: usize,
    rows: usize,
    bytes: usize,
    rows_before: u64,
}

impl Block {
    /// An empty block of this table for an INSERT into these columns.
    ///
    /// # Errors
    /// `NoSuchColumnInTable`, `DuplicateColumn`; what a default's text is wrong with.
    pub(crate) fn new(
        table: &TableSchema,
        names: Option<&[String]>,
        settings: &FormatSettings,
        evaluator: Option<Arc<dyn ExpressionEvaluator>>,
    ) -> Result<Self> {
        let new = |c: &zepto_common::schema::Column| Column::new(&c.name, &c.ty, settings);
        let columns: Vec<_> = table.columns.iter().map(new).collect();
        let mut defaults = Vec::with_capacity(columns.len());
        let mut row_width = 0;
        for column in &table.columns {
            let default = default_of(column, settings)?;
            row_width += new(column).row_width();
            if let (Some(_), ColumnDefault::Constant(text)) = (&default, &column.default) {
                row_width += text.len();
            }
            defaults.push(default);
        }
        let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
        Ok(Self {
            targets: targets(table, names)?,
            columns,
            settings: settings.clone(),
            evaluator,
            scratch: Vec::new(),
            defaults,
            schema,
            row_width: row_width.max(1),
            rows: 0,
            bytes: 0,
            rows_before: 0,
        })
    }

    /// Complete rows in the block.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of the whole input so far.
    pub(crate) fn rows_total(&self) -> u64 {
        self.rows_before + self.rows as u64
    }

    /// Bytes that a row takes before any text.
    pub(crate) fn row_width(&self) -> usize {
        self.row_width
    }

    /// Bytes that count for the block's bound.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Arrow schema of the batches.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether column `index` has a value in the current row.
    #[inline]
    pub(crate) fn has(&self, index: usize) -> bool {
        self.columns[index].len() > self.rows
    }

    /// Whether the first column may begin with any byte.
    pub(crate) fn begins_with_text(&self) -> bool {
        self.targets.first().is_some_and(|index| holds_text(&self.columns[*index].ty))
    }

    /// The columns that the INSERT names, by name.
    pub(crate) fn by_name(&self, matching: NameMatching) -> ByName {
        let named = |index: &usize| (&*self.columns[*index].name, *index);
        ByName::new(self.targets.iter().map(named), matching)
    }

    /// Appends a column's default.
    pub(crate) fn push_default(&mut self, index: usize) {
        match &self.defaults[index] {
            Some(default) => self.columns[index].push_copy(default, 0),
            None => self.columns[index].push_zero(),
        }
    }

    /// Appends NULL, or the default where NULL is no value and the settings allow it.
    pub(crate) fn push_null(&mut self, index: usize) -> Scan<()> {
        if self.columns[index].nullable() {
            self.columns[index].push_zero();
        } else if self.settings.null_as_default {
            self.push_default(index);
        } else {
            return Err(null_refused(&self.columns[index].name));
        }
        Ok(())
    }

    /// Ends the current row: columns without a value get their default.
    fn end_row(&mut self, bytes: usize, full: bool) {
        if !full {
            for index in 0..self.columns.len() {
                if !self.has(index) {
                    self.push_default(index);
                }
            }
        }
        self.rows += 1;
        self.bytes += bytes + self.row_width;
    }

    /// Ends rows of so many bytes, for which every column has a value; what columns have beyond them is taken back.
    pub(crate) fn end_rows(&mut self, rows: usize, bytes: usize) {
        self.rows += rows;
        self.bytes += bytes + rows * self.row_width;
        self.rollback();
    }

    /// Takes back what the current row has pushed.
    fn rollback(&mut self) {
        let rows = self.rows;
        // All of them: a list cut short has pushed elements but no row.
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
    }

    fn is_full(&self) -> bool {
        self.rows >= BLOCK_ROWS || self.bytes >= BLOCK_BYTES_MAX
    }

    /// Cuts the block.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>>>()?;
        self.rows_before += self.rows as u64;
        self.rows = 0;
        self.bytes = 0;
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }
}

fn holds_text(ty: &ColumnType) -> bool {
    match ty.inner() {
        ColumnType::String | ColumnType::Symbol => true,
        ColumnType::Array(of) => holds_text(of),
        ColumnType::Map(key, value) => holds_text(key) || holds_text(value),
        ColumnType::Tuple(parts) => parts.iter().any(holds_text),
        _ => false,
    }
}

#[cold]
pub(crate) fn null_refused(name: &str) -> Stop {
    let message = format!("Cannot insert NULL value into column {name}, which is not Nullable");
    fault(ErrorCode::CannotInsertNullInOrdinaryColumn, message)
}

fn targets(table: &TableSchema, names: Option<&[String]>) -> Result<Vec<usize>> {
    let Some(names) = names else { return Ok((0..table.columns.len()).collect()) };
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let index = table.index_of(name).ok_or_else(|| {
            let message = format!("No such column {name} in table {}", table.name);
            Error::new(ErrorCode::NoSuchColumnInTable, message)
        })?;
        if found.contains(&index) {
            let message = format!("Column {name} specified more than once");
            return Err(Error::new(ErrorCode::DuplicateColumn, message));
        }
        found.push(index);
    }
    Ok(found)
}

/// One row holding a column's default, or None for the type's zero.
fn default_of(column: &zepto_common::schema::Column, settings: &FormatSettings) -> Result<Option<Column>> {
    let mut row = Column::new(&column.name, &column.ty, settings);
    match &column.default {
        ColumnDefault::Zero => return Ok(None),
        ColumnDefault::Constant(constant) => {
            text::push_text(&mut row, constant.as_bytes()).map_err(error_of)?
        }
        ColumnDefault::Now => match &mut row.values {
            Values::Time(values, clock) => {
                let nanos = chrono::Utc::now().timestamp_nanos_opt().unwrap_or(0);
                let step = 1_000_000_000 / 10i64.pow(u32::from(clock.precision));
                values.push(nanos / step * step / (1_000_000_000 / clock.ticks));
                row.mark_valid();
            }
            Values::Date(values) => {
                let today = chrono::Utc::now().timestamp().div_euclid(86_400);
                values.push(today as i32);
                row.mark_valid();
            }
            _ => {
                let message = format!("Column {}: now() is a default for times only", column.name);
                return Err(Error::new(ErrorCode::BadArguments, message));
            }
        },
    }
    Ok(Some(row))
}

/// The error of a reader that had all its bytes.
pub(crate) fn error_of(stop: Stop) -> Error {
    match stop {
        Stop::Fault(error) => *error,
        Stop::More => Error::new(
            ErrorCode::CannotParseInputAssertionFailed,
            "Cannot parse input: unexpected end of data",
        ),
    }
}

/// Adds the column's name to a fault.
pub(crate) fn in_column(stop: Stop, name: &str) -> Stop {
    match stop {
        Stop::Fault(mut error) => {
            error.message = format!("{}: while reading column {name}", error.message);
            Stop::Fault(error)
        }
        Stop::More => Stop::More,
    }
}
