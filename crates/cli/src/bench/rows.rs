//! Made-up ticks and their encodings. The same seed makes the same rows.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::TimestampNanosecondArray;
use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::ipc::writer::StreamWriter;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use zepto_harness::Request;

/// 2024-01-02 14:30:00 UTC in nanoseconds: the first tick.
const START: i64 = 1_704_205_800_000_000_000;
/// Nanoseconds between two ticks of one batch.
const STEP: i64 = 1_000_000;

/// One tick.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    key: u32,
    timestamp: i64,
    price: f64,
    volume: i64,
}

/// How rows travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `INSERT … VALUES` text.
    Values,
    /// RowBinary.
    RowBinary,
    /// Arrow stream with dictionary-encoded symbols.
    Arrow,
}

/// Makes batches of ticks.
pub(super) struct Maker {
    random: StdRng,
    keys: u32,
    batch: u32,
    next: i64,
}

impl Maker {
    /// Ticks of `keys` keys in batches of `batch` rows; writers with different numbers get different rows.
    pub(super) fn new(keys: u32, batch: u32, writer: u32) -> Self {
        let random = StdRng::seed_from_u64(u64::from(writer) + 1);
        Self { random, keys: keys.max(1), batch, next: START + i64::from(writer) }
    }

    /// The next batch, in time order, keys at random.
    pub(super) fn batch(&mut self) -> Vec<Tick> {
        let ticks = (0..self.batch).map(|_| {
            self.next += STEP;
            Tick {
                key: self.random.random_range(0..self.keys),
                timestamp: self.next,
                price: f64::from(self.random.random_range(1_000_u32..100_000)) / 100.0,
                volume: self.random.random_range(1..1_000),
            }
        });
        ticks.collect()
    }

    /// The next batch as a request, ready to be sent.
    pub(super) fn request(&mut self, table: &str, encoding: Encoding) -> Result<Request> {
        let ticks = self.batch();
        Ok(match encoding {
            Encoding::Values => {
                let mut body = format!("INSERT INTO {table} VALUES ").into_bytes();
                values(&ticks, &mut body)?;
                Request::new("POST", "/", &[], body)
            }
            Encoding::RowBinary => {
                Request::insert(&format!("INSERT INTO {table} FORMAT RowBinary"), row_binary(&ticks)?)
            }
            Encoding::Arrow => {
                Request::insert(&format!("INSERT INTO {table} FORMAT ArrowStream"), arrow_stream(&ticks)?)
            }
        })
    }
}

/// A key's name.
pub(super) fn symbol(key: u32) -> String {
    format!("S{key:05}")
}

fn values(ticks: &[Tick], out: &mut Vec<u8>) -> Result<()> {
    for (i, tick) in ticks.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let (seconds, nanos) = (tick.timestamp / 1_000_000_000, tick.timestamp % 1_000_000_000);
        // All ticks lie within the day that begins at midnight before START.
        let of_day = seconds - START / 1_000_000_000 + 52_200;
        let (day, hour, minute, second) =
            (2 + of_day / 86_400, of_day / 3_600 % 24, of_day / 60 % 60, of_day % 60);
        write!(
            out,
            "{comma}('{}','2024-01-{day:02} {hour:02}:{minute:02}:{second:02}.{nanos:09}',{},{})",
            symbol(tick.key),
            tick.price,
            tick.volume
        )?;
    }
    Ok(())
}

fn row_binary(ticks: &[Tick]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(ticks.len() * 32);
    for tick in ticks {
        let symbol = symbol(tick.key);
        // A length below 128 is one byte.
        out.push(u8::try_from(symbol.len())?);
        out.extend_from_slice(symbol.as_bytes());
        out.extend_from_slice(&tick.timestamp.to_le_bytes());
        out.extend_from_slice(&tick.price.to_le_bytes());
        out.extend_from_slice(&tick.volume.to_le_bytes());
    }
    Ok(out)
}

fn arrow_stream(ticks: &[Tick]) -> Result<Vec<u8>> {
    let mut keys: Vec<u32> = ticks.iter().map(|tick| tick.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let slots = ticks.iter().map(|tick| keys.binary_search(&tick.key).unwrap_or_default() as i32);
    let names = StringArray::from_iter_values(keys.iter().map(|key| symbol(*key)));
    let symbols = DictionaryArray::try_new(Int32Array::from_iter_values(slots), Arc::new(names))?;
    let columns: [(&str, ArrayRef); 4] = [
        ("symbol", Arc::new(symbols)),
        (
            "timestamp",
            Arc::new(TimestampNanosecondArray::from_iter_values(ticks.iter().map(|t| t.timestamp))),
        ),
        ("price", Arc::new(Float64Array::from_iter_values(ticks.iter().map(|t| t.price)))),
        ("volume", Arc::new(Int64Array::from_iter_values(ticks.iter().map(|t| t.volume)))),
    ];
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_writer_makes_the_same_rows_and_another_does_not() {
        let of = |writer| Maker::new(100, 50, writer).batch();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn a_tick_is_written_as_text_and_as_bytes() {
        let tick = Tick { key: 7, timestamp: START + 86_400_000_000_000 + 5, price: 1.5, volume: -2 };
        let mut text = Vec::new();
        values(std::slice::from_ref(&tick), &mut text).expect("writing to memory");
        assert_eq!(String::from_utf8_lossy(&text), "('S00007','2024-01-03 14:30:00.000000005',1.5,-2)");
        let bytes = row_binary(&[tick]).expect("the symbol is short");
        assert_eq!(bytes.len(), 1 + 6 + 24);
        assert_eq!(&bytes[..7], b"\x06S00007");
    }
}
