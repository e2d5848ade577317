//! The right side of an as-of join, put in order: per key the times, ascending, with their rows.

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::Result;
use hashbrown::HashMap;
use zepto_common::error::{Error, ErrorCode};

use super::{How, Match};
use crate::error::external;

/// The right rows of one key: time and row number, ascending by both.
type Rows = Vec<(i64, u32)>;

/// Finds right rows by key and time.
#[derive(Debug)]
pub(super) struct Lookup {
    converter: Option<RowConverter>,
    by_key: HashMap<Vec<u8>, Rows, foldhash::fast::RandomState>,
    how: How,
}

impl Lookup {
    /// Of right rows with these keys (possibly none) and times.
    pub(super) fn new(keys: &[ArrayRef], times: &ArrayRef, how: How) -> Result<Self> {
        let fields: Vec<SortField> = keys.iter().map(|key| SortField::new(key.data_type().clone())).collect();
        let converter = if fields.is_empty() { None } else { Some(RowConverter::new(fields)?) };
        let mut lookup = Self { converter, by_key: HashMap::default(), how };
        let order = order_keys(times)?;
        let valid = |row: usize| times.is_valid(row) && keys.iter().all(|key| key.is_valid(row));
        match &lookup.converter {
            None => {
                let rows =
                    (0..times.len()).filter(|&row| valid(row)).map(|row| (order[row], row as u32)).collect();
                lookup.by_key.insert(Vec::new(), rows);
            }
            Some(converter) => {
                let encoded = converter.convert_columns(keys)?;
                for row in (0..times.len()).filter(|&row| valid(row)) {
                    let key = encoded.row(row);
                    let bytes: &[u8] = key.as_ref();
                    lookup.by_key.entry_ref(bytes).or_default().push((order[row], row as u32));
                }
            }
        }
        for rows in lookup.by_key.values_mut() {
            rows.sort_unstable();
        }
        Ok(lookup)
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        self.by_key.iter().map(|(key, rows)| key.len() + 64 + rows.capacity() * size_of::<(i64, u32)>()).sum()
    }

    /// For each left row the right row, or NULL.
    pub(super) fn find(&self, keys: &[ArrayRef], times: &ArrayRef) -> Result<UInt32Array> {
        let order = order_keys(times)?;
        let rows = times.len();
        let valid = |row: usize| times.is_valid(row) && keys.iter().all(|key| key.is_valid(row));
        match &self.converter {
            None => {
                let all = self.by_key.get(&[][..]);
                Ok((0..rows).map(|row| self.nearest(all.filter(|_| valid(row))?, order[row])).collect())
            }
            Some(converter) => {
                let encoded = converter.convert_columns(keys)?;
                // Neighbouring rows mostly share their key.
                let mut last: Option<(usize, Option<&Rows>)> = None;
                let found = (0..rows).map(|row| {
                    if !valid(row) {
                        return None;
                    }
                    let of_key = match last {
                        Some((other, of_key)) if encoded.row(other) == encoded.row(row) => of_key,
                        _ => {
                            let key = encoded.row(row);
                            self.by_key.get::<[u8]>(key.as_ref())
                        }
                    };
                    last = Some((row, of_key));
                    self.nearest(of_key?, order[row])
                });
                Ok(found.collect())
            }
        }
    }

    fn nearest(&self, rows: &Rows, time: i64) -> Option<u32> {
        let at = match self.how.kind {
            Match::AtOrBefore => rows.partition_point(|&(t, _)| t <= time).checked_sub(1)?,
            Match::Before => rows.partition_point(|&(t, _)| t < time).checked_sub(1)?,
            Match::AtOrAfter => last_of_equal(rows, rows.partition_point(|&(t, _)| t < time)),
            Match::After => last_of_equal(rows, rows.partition_point(|&(t, _)| t <= time)),
        };
        rows.get(at).filter(|&&(other, _)| self.how.is_near(time, other)).map(|&(_, row)| row)
    }
}

/// Of rows with the time at `at`, the last.
fn last_of_equal(rows: &Rows, at: usize) -> usize {
    match rows.get(at) {
        Some(&(time, _)) => at + rows[at..].partition_point(|&(t, _)| t == time) - 1,
        None => at,
    }
}

/// Integers in the order of the values.
fn order_keys(times: &ArrayRef) -> Result<Vec<i64>> {
    let wide = |array: &ArrayRef| -> Result<Vec<i64>> {
        Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().values().to_vec())
    };
    match times.data_type() {
        DataType::UInt64 => {
            let values = times.as_primitive::<UInt64Type>().values();
            Ok(values.iter().map(|&value| (value ^ (1 << 63)) as i64).collect())
        }
        DataType::Float32 | DataType::Float64 => {
            let values = cast(times, &DataType::Float64)?;
            let total = |value: &f64| {
                let bits = value.to_bits() as i64;
                bits ^ (((bits >> 63) as u64) >> 1) as i64
            };
            Ok(values.as_primitive::<Float64Type>().values().iter().map(total).collect())
        }
        DataType::Date32 => wide(&cast(times, &DataType::Int32)?),
        ty if ty.is_integer() || matches!(ty, DataType::Timestamp(..)) => wide(times),
        other => {
            let message = format!("ASOF JOIN cannot order by a column of type {other}");
            Err(external(Error::new(ErrorCode::IllegalTypeOfArgument, message)))
        }
    }
}
