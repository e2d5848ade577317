//! A print of rows by their values: how they are encoded, and what else was in their block, does not matter.
//!
//! docs/formats/wal.md has the algorithm: copies of other builds compare what they print.

use std::hash::Hasher;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use arrow::row::{RowConverter, SortField};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};
use zepto_common::schema::TableSchema;
use zepto_common::{PartitionId, Result};

/// What stands for NULL among the hashes of values.
const NULL: u64 = 0;

/// The prints of rows that a retry repeats, one of each part; never 0.
pub(crate) fn of_parts(
    schema: &TableSchema,
    rows: &RecordBatch,
    parts: &[(PartitionId, Range<u32>)],
) -> Result<Vec<u64>> {
    let columns = rows.columns().iter().map(Values::of).collect::<Result<Vec<_>>>()?;
    let print = |(_, range): &(PartitionId, Range<u32>)| {
        let mut hash = Xxh3::new();
        hash.update(&u64::from(range.end - range.start).to_le_bytes());
        for (column, values) in schema.columns.iter().zip(&columns) {
            hash.update(&column.id.0.to_le_bytes());
            values.update(&mut hash, range.start as usize..range.end as usize);
        }
        hash.digest().max(1)
    };
    Ok(parts.iter().map(print).collect())
}

/// The print of rows that a retry may fill in another way, as with `DEFAULT now()`: their number; never 0.
pub(crate) fn of_count(rows: usize) -> u64 {
    xxh3_64(&(rows as u64).to_le_bytes()).max(1)
}

/// The values of a column, ready to be hashed. Which way is taken depends on the type alone.
enum Values {
    /// Values of so many bytes each, as they lie in memory, and which of them are NULL.
    Fixed { bytes: arrow::buffer::Buffer, width: usize, nulls: Option<NullBuffer> },
    /// One hash of each value.
    Hashed(Vec<u64>),
    /// Anything else: each value in the bytes by which arrow compares rows.
    Rows(arrow::row::Rows),
}

impl Values {
    fn of(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Utf8 => {
                let texts = array.as_string::<i32>().iter();
                Self::Hashed(texts.map(|text| text.map_or(NULL, |it| xxh3_64(it.as_bytes()))).collect())
            }
            DataType::Dictionary(key, values)
                if (&**key, &**values) == (&DataType::Int32, &DataType::Utf8) =>
            {
                let symbols = array.as_dictionary::<Int32Type>();
                let Self::Hashed(known) = Self::of(symbols.values())? else { return Self::rows(array) };
                let of = |key: Option<usize>| key.and_then(|key| known.get(key).copied()).unwrap_or(NULL);
                Self::Hashed(symbols.keys_iter().map(of).collect())
            }
            other => match width(other) {
                Some(width) => {
                    let data = array.to_data();
                    let bytes =
                        data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width);
                    Self::Fixed {
                        bytes,
                        width,
                        nulls: array.logical_nulls().filter(|it| it.null_count() > 0),
                    }
                }
                None => return Self::rows(array),
            },
        })
    }

    fn rows(array: &ArrayRef) -> Result<Self> {
        let plain = match array.data_type() {
            DataType::Dictionary(_, values) => cast(array, values)?,
            _ => array.clone(),
        };
        let converter = RowConverter::new(vec![SortField::new(plain.data_type().clone())])?;
        Ok(Self::Rows(converter.convert_columns(&[plain])?))
    }

    fn update(&self, hash: &mut Xxh3, rows: Range<usize>) {
        match self {
            Self::Fixed { bytes, width, nulls } => {
                let values = &bytes[rows.start * width..rows.end * width];
                let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
                if !rows.clone().any(is_null) {
                    hash.write_u8(0);
                    return hash.update(values);
                }
                // What stands where a value is NULL is nobody's.
                hash.write_u8(1);
                for (value, row) in values.chunks(*width).zip(rows) {
                    hash.write_u8(u8::from(is_null(row)));
                    hash.update(if is_null(row) { &[] } else { value });
                }
            }
            Self::Hashed(hashes) => {
                let bytes: Vec<u8> = hashes[rows].iter().flat_map(|it| it.to_le_bytes()).collect();
                hash.update(&bytes);
            }
            Self::Rows(values) => {
                for row in rows {
                    let row = values.row(row);
                    let bytes: &[u8] = row.as_ref();
                    hash.update(&(bytes.len() as u64).to_le_bytes());
                    hash.update(bytes);
                }
            }
        }
    }
}

/// Bytes of a value, where all have as many and nothing else is a part of it.
fn width(ty: &DataType) -> Option<usize> {
    match ty {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).ok().filter(|width| *width > 0),
        other => other.primitive_width(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, DictionaryArray, Int32Array, Int64Array, StringArray};
    use zepto_common::types::ColumnType as T;

    use super::*;
    use crate::part::tests::rows;

    /// The prints of rows 0..2 and 2..3 of columns symbol, number, flag, text.
    fn prints(columns: [ArrayRef; 4]) -> Vec<u64> {
        let nullable = |ty| T::Nullable(Box::new(ty));
        let schema =
            rows::table(Some(T::Symbol), None, &[nullable(T::Int64), nullable(T::Bool), nullable(T::String)]);
        let rows = RecordBatch::try_new(schema.storage_schema(), columns.to_vec()).unwrap();
        let parts = [(PartitionId(1), 0..2), (PartitionId(2), 2..3)];
        of_parts(&schema, &rows, &parts).unwrap()
    }

    fn symbols(keys: [i32; 3], values: &[&str]) -> ArrayRef {
        let values = Arc::new(StringArray::from(values.to_vec()));
        Arc::new(DictionaryArray::try_new(Int32Array::from(keys.to_vec()), values).unwrap())
    }

    fn numbers(values: [i64; 3], nulls: Option<[bool; 3]>) -> ArrayRef {
        let nulls = nulls.map(|it| NullBuffer::from(it.to_vec()));
        Arc::new(Int64Array::new(values.to_vec().into(), nulls))
    }

    fn others() -> [ArrayRef; 2] {
        [
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            Arc::new(StringArray::from(vec![Some("x"), Some(""), None])),
        ]
    }

    #[test]
    fn a_print_tells_values_and_not_how_they_are_encoded() {
        let [flags, texts] = others();
        let plain =
            prints([symbols([0, 1, 0], &["a", "b"]), numbers([1, 2, 3], None), flags.clone(), texts.clone()]);
        let same = [
            (symbols([2, 0, 2], &["b", "unused", "a"]), numbers([1, 2, 3], Some([true; 3]))),
            (symbols([0, 1, 0], &["a", "b"]), {
                let more: ArrayRef = Arc::new(Int64Array::from(vec![9, 1, 2, 3]));
                more.slice(1, 3)
            }),
        ];
        for (symbols, numbers) in same {
            assert_eq!(prints([symbols, numbers, flags.clone(), texts.clone()]), plain);
        }
        let garbage = |at_null| numbers([1, at_null, 3], Some([true, false, true]));
        let with_null =
            |numbers| prints([symbols([0, 1, 0], &["a", "b"]), numbers, flags.clone(), texts.clone()]);
        assert_eq!(with_null(garbage(7)), with_null(garbage(0)));
        assert_ne!(with_null(garbage(0))[0], with_null(numbers([1, 0, 3], None))[0]);
    }

    #[test]
    fn another_value_anywhere_is_another_print_of_its_part_alone() {
        let [flags, texts] = others();
        let of = |symbol, number| [symbol, number, flags.clone(), texts.clone()];
        let plain = prints(of(symbols([0, 1, 0], &["a", "b"]), numbers([1, 2, 3], None)));
        let other_flag: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(false)]));
        let other_text: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None, None]));
        let changed = [
            of(symbols([0, 0, 0], &["a", "b"]), numbers([1, 2, 3], None)),
            of(symbols([0, 1, 0], &["a", "b"]), numbers([2, 1, 3], None)),
            [symbols([0, 1, 0], &["a", "b"]), numbers([1, 2, 3], None), other_flag, texts.clone()],
            [symbols([0, 1, 0], &["a", "b"]), numbers([1, 2, 3], None), flags.clone(), other_text],
        ];
        for columns in changed {
            let other = prints(columns);
            assert_ne!(other[0], plain[0]);
            assert_eq!(other[1], plain[1]);
        }
    }
}
