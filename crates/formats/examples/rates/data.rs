//! The rows that are measured: trades as most tables here have them, and wide rows with a column of each kind.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::Schema;
use zepto_common::limits::RESULT_BLOCK_ROWS;
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::types::ColumnType;
use zepto_common::{ColumnId, SchemaVersion, TableId};
use zepto_formats::{Format, FormatSettings, decoder};

use super::Result;

/// Rows of one shape.
pub(crate) struct DataSet {
    pub(crate) name: &'static str,
    pub(crate) rows: usize,
    /// Columns as in CREATE TABLE, separated by a comma and a space; types have none in them.
    pub(crate) columns: &'static str,
    /// Appends one row as TabSeparated.
    row: fn(usize, &mut String),
}

pub(crate) fn sets() -> [DataSet; 2] {
    [
        DataSet {
            name: "trades",
            rows: 1_000_000,
            columns: "symbol LowCardinality(String), ts DateTime64(9), price Float64, volume Int64",
            row: |i, out| {
                trade(i, out);
                out.push('\n');
            },
        },
        DataSet {
            name: "wide",
            rows: 250_000,
            columns: "symbol LowCardinality(String), ts DateTime64(9), price Float64, volume Int64, note String, \
                      bid Nullable(Float64), amount Decimal(18,4), sizes Array(Int64)",
            row: |i, out| {
                trade(i, out);
                let bid = if i % 10 == 0 { "\\N".to_owned() } else { format!("{}.{}", i % 900, i % 8) };
                let (cents, sizes) = (i % 10_000, [i % 7, i % 1_000, i]);
                // Writing to a string does not fail.
                let _ = writeln!(
                    out,
                    "\torder {i} of a client\t{bid}\t{}.{cents:04}\t[{},{},{}]",
                    i % 5_000,
                    sizes[0],
                    sizes[1],
                    sizes[2]
                );
            },
        },
    ]
}

fn trade(i: usize, out: &mut String) {
    let (seconds, nanos) = (1_767_000_000 + i / 1_000, i % 1_000 * 1_000_003);
    let (whole, cents) = (100 + i % 900, i % 100);
    // Writing to a string does not fail.
    let _ = write!(out, "S{}\t{seconds}.{nanos:09}\t{whole}.{cents:02}\t{}", i % 500, i % 10_000);
}

impl DataSet {
    /// The table of these columns.
    pub(crate) fn table(&self) -> Arc<TableSchema> {
        Arc::new(TableSchema {
            id: TableId(1),
            version: SchemaVersion(1),
            name: TableName::new("default", "rows"),
            columns: self.types().into_iter().enumerate().map(column).collect(),
            key: None,
            time: None,
            order_by: Vec::new(),
            ttl_seconds: None,
            engine: String::new(),
            comment: String::new(),
        })
    }

    fn types(&self) -> Vec<(&'static str, ColumnType)> {
        let parts = self.columns.split(", ").filter_map(|part| part.trim().split_once(' '));
        parts.filter_map(|(name, ty)| Some((name, ty.parse().ok()?))).collect()
    }

    /// The rows as they are stored, and as a query gives them, both in batches of a query's size.
    pub(crate) fn rows(&self) -> Result<(Vec<RecordBatch>, Vec<RecordBatch>)> {
        let mut text = String::new();
        (0..self.rows).for_each(|i| (self.row)(i, &mut text));
        let table = self.table();
        let mut reader = decoder(Format::TabSeparated, &table, None, &FormatSettings::default(), None)?;
        let mut stored = Vec::new();
        reader.push(text.as_bytes(), &mut stored)?;
        reader.finish(&mut stored)?;
        let whole = arrow::compute::concat_batches(&stored[0].schema(), &stored)?;
        let part = |start| whole.slice(start, RESULT_BLOCK_ROWS.min(whole.num_rows() - start));
        let stored: Vec<_> = (0..whole.num_rows()).step_by(RESULT_BLOCK_ROWS).map(part).collect();
        let fields: Vec<_> = table.columns.iter().map(|column| column.ty.query_field(&column.name)).collect();
        let schema = Arc::new(Schema::new(fields));
        // As a query's batches go to the door.
        let mut query = BatchCoalescer::new(schema.clone(), RESULT_BLOCK_ROWS);
        for batch in &stored {
            let columns = batch.columns().iter().zip(schema.fields());
            let columns = columns.map(|(array, field)| arrow::compute::cast(array, field.data_type()));
            let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
            query.push_batch(RecordBatch::try_new(schema.clone(), columns)?)?;
        }
        query.finish_buffered_batch()?;
        Ok((stored, std::iter::from_fn(|| query.next_completed_batch()).collect()))
    }
}

fn column((at, (name, ty)): (usize, (&str, ColumnType))) -> Column {
    Column {
        id: ColumnId(at as u32),
        name: name.to_owned(),
        ty,
        default: ColumnDefault::Zero,
        comment: String::new(),
    }
}
