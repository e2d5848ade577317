//! Made-up trades and quotes of one day, slightly out of order. The same numbers make the same rows.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use zepto_harness::Request;

use crate::bench::load::Door;
use crate::bench::rig::Rig;
use crate::bench::rows::symbol;

/// 2024-01-02 00:00:00 UTC in nanoseconds.
const START: i64 = 1_704_153_600_000_000_000;
/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;
/// Rows are late by up to so many nanoseconds.
const LATE: i64 = 50_000_000;
/// Rows of an INSERT.
const BATCH: u64 = 65_536;
/// Values of the key that is not the table's.
const IDS: u32 = 100_000;

/// The tables' sizes.
pub(super) struct Market {
    keys: u32,
    rows: u64,
}

/// The tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Trades,
    Quotes,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Trades => "trades",
            Self::Quotes => "quotes",
        }
    }

    fn columns(self) -> &'static str {
        match self {
            Self::Trades => {
                "symbol LowCardinality(String), ts DateTime64(9), price Float64, volume Int64, id UInt32"
            }
            Self::Quotes => "symbol LowCardinality(String), ts DateTime64(9), bid Float64, ask Float64",
        }
    }
}

impl Market {
    pub(super) fn new(keys: u32, rows: u64) -> Self {
        Self { keys: keys.max(1), rows: rows.max(1) }
    }

    /// Rows of each table.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Makes the tables and sends their rows; for the peers also as Parquet in this folder.
    pub(super) fn fill(&self, rig: &Rig, folder: &Path, for_peers: bool) -> Result<()> {
        for table in [Table::Trades, Table::Quotes] {
            let name = table.name();
            rig.query(&format!("DROP TABLE IF EXISTS {name}"))?;
            let columns = table.columns();
            rig.query(&format!("CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY (symbol, ts)"))?;
            let mut connection = rig.connect()?;
            let mut file: Option<ArrowWriter<File>> = None;
            let mut random = StdRng::seed_from_u64(1 + table as u64);
            let mut first = 0;
            while first < self.rows {
                let rows = BATCH.min(self.rows - first);
                let batch = self.batch(table, first, rows, &mut random)?;
                let insert =
                    Request::insert(&format!("INSERT INTO {name} FORMAT ArrowStream"), stream(&batch)?);
                let answer = connection.send(&insert)?;
                if answer.status != 200 {
                    bail!("INSERT INTO {name}: {}", answer.text());
                }
                if for_peers {
                    write(&mut file, &folder.join(format!("{name}.parquet")), &batch)?;
                }
                first += rows;
            }
            if let Some(file) = file {
                file.close()?;
            }
        }
        Ok(())
    }

    fn batch(&self, table: Table, first: u64, rows: u64, random: &mut StdRng) -> Result<RecordBatch> {
        let step = (DAY / self.rows as i64).max(1);
        let names = StringArray::from_iter_values((0..self.keys).map(symbol));
        let keys: Int32Array = (0..rows).map(|_| random.random_range(0..self.keys) as i32).collect();
        let times = (first..first + rows).map(|row| START + row as i64 * step + random.random_range(0..LATE));
        let times = TimestampNanosecondArray::from_iter_values(times.collect::<Vec<_>>());
        let mut price = || f64::from(random.random_range(1_000_u32..100_000)) / 100.0;
        let prices: Vec<f64> = (0..rows).map(|_| price()).collect();
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("symbol", Arc::new(DictionaryArray::try_new(keys, Arc::new(names))?)),
            ("ts", Arc::new(times)),
        ];
        match table {
            Table::Trades => {
                let volumes: Int64Array = (0..rows).map(|_| random.random_range(1_i64..1_000)).collect();
                let ids: UInt32Array = (0..rows).map(|_| random.random_range(0..IDS)).collect();
                columns.push(("price", Arc::new(Float64Array::from(prices))));
                columns.push(("volume", Arc::new(volumes)));
                columns.push(("id", Arc::new(ids)));
            }
            Table::Quotes => {
                let asks: Vec<f64> = prices.iter().map(|bid| bid + 0.01).collect();
                columns.push(("bid", Arc::new(Float64Array::from(prices))));
                columns.push(("ask", Arc::new(Float64Array::from(asks))));
            }
        }
        Ok(RecordBatch::try_from_iter(columns)?)
    }
}

fn stream(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

/// Symbols are plain text there: not every reader takes a dictionary.
fn write(file: &mut Option<ArrowWriter<File>>, path: &Path, batch: &RecordBatch) -> Result<()> {
    let schema = batch.schema();
    let columns: Result<Vec<(&str, ArrayRef)>> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            let plain = matches!(column.data_type(), DataType::Dictionary(..));
            let column = if plain { cast(column, &DataType::Utf8)? } else { Arc::clone(column) };
            Ok((field.name().as_str(), column))
        })
        .collect();
    let batch = RecordBatch::try_from_iter(columns?)?;
    let mut writer = match file.take() {
        Some(writer) => writer,
        None => ArrowWriter::try_new(File::create(path)?, batch.schema(), None)?,
    };
    writer.write(&batch)?;
    *file = Some(writer);
    Ok(())
}
