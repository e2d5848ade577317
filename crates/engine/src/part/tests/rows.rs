//! Random tables and rows for the tests of chunks, runs, segments and parts, and the naive order to compare with.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray, UInt32Array, UInt64Array,
    new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat_batches, nullif, take};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use zepto_common::partition::{group_rows, partitions_of};
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::types::ColumnType as T;
use zepto_common::{ColumnId, PartitionId, SchemaVersion, TableId};

use crate::chunk::Chunk;
use crate::part::Part;

/// Partitions of the tests.
pub(crate) const PARTITIONS: u16 = 5;

/// A small deterministic source of chance (splitmix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn integer(&mut self) -> i64 {
        match self.below(8) {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => 0,
            3 => self.next() as i64,
            _ => self.below(40) as i64 - 20,
        }
    }

    fn text(&mut self) -> String {
        match self.below(12) {
            0 => String::new(),
            1 => "é\0\t".to_owned(),
            2 => "x".repeat(10 << 10),
            n => format!("{}{n}", "longer than eight bytes ".repeat(self.below(2))),
        }
    }

    fn float(&mut self) -> f64 {
        match self.below(8) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => -0.0,
            _ => self.below(1000) as f64 / 8.0 - 50.0,
        }
    }
}

/// Every storable type of the contract, plain.
pub(crate) fn plain_types() -> Vec<T> {
    let zone = Some(Arc::from("Europe/Berlin"));
    vec![
        T::Bool,
        T::Int8,
        T::Int16,
        T::Int32,
        T::Int64,
        T::UInt8,
        T::UInt16,
        T::UInt32,
        T::UInt64,
        T::Float32,
        T::Float64,
        T::Decimal(38, 5),
        T::Decimal(9, 2),
        T::String,
        T::Symbol,
        T::Date,
        T::DateTime(None),
        T::DateTime(zone.clone()),
        T::DateTime64(3, None),
        T::DateTime64(6, zone),
        T::DateTime64(9, None),
        T::Uuid,
    ]
}

/// Plain, Nullable, and lists of them.
pub(crate) fn all_types() -> Vec<T> {
    let mut types = plain_types();
    types.extend(plain_types().into_iter().map(T::nullable));
    types.extend(plain_types().into_iter().map(|ty| T::Array(Box::new(ty))));
    types.push(T::Array(Box::new(T::Nullable(Box::new(T::Int32)))));
    types.push(T::Array(Box::new(T::Array(Box::new(T::String)))));
    types.push(T::Tuple(vec![T::Int32, T::String]));
    types
}

/// A table: key and time first (if any), then the others.
pub(crate) fn table(key: Option<T>, time: Option<T>, others: &[T]) -> Arc<TableSchema> {
    let mut columns = Vec::new();
    let mut add = |name: String, ty: T| {
        let id = ColumnId(columns.len() as u32 + 1);
        columns.push(Column { id, name, ty, default: ColumnDefault::Zero, comment: String::new() });
        id
    };
    let key = key.map(|ty| add("key".to_owned(), ty));
    let time = time.map(|ty| add("time".to_owned(), ty));
    for (i, ty) in others.iter().enumerate() {
        add(format!("c{i}"), ty.clone());
    }
    Arc::new(TableSchema {
        id: TableId(7),
        version: SchemaVersion(1),
        name: TableName::new("default", "t"),
        columns,
        key,
        time,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: String::new(),
        comment: String::new(),
    })
}

/// Random values of a type in its storage form.
pub(crate) fn values(ty: &T, rows: usize, chance: &mut Chance) -> ArrayRef {
    let plain = plain_values(ty.inner(), rows, chance);
    if !ty.is_nullable() {
        return plain;
    }
    let nulls: BooleanArray = (0..rows).map(|_| Some(chance.below(4) == 0)).collect();
    nullif(&plain, &nulls).unwrap()
}

fn plain_values(ty: &T, rows: usize, chance: &mut Chance) -> ArrayRef {
    let storage = ty.storage_type();
    match (ty, &storage) {
        (T::Bool, _) => Arc::new((0..rows).map(|_| Some(chance.below(2) == 0)).collect::<BooleanArray>()),
        (T::Float32, _) => Arc::new(Float32Array::from_iter_values((0..rows).map(|_| chance.float() as f32))),
        (T::Float64, _) => Arc::new(Float64Array::from_iter_values((0..rows).map(|_| chance.float()))),
        (T::UInt64, _) => Arc::new(UInt64Array::from_iter_values((0..rows).map(|_| chance.integer() as u64))),
        (T::Decimal(precision, scale), _) => {
            let most = 10i128.pow(u32::from(*precision)) - 1;
            let value = |_| match chance.below(3) {
                0 => most,
                1 => -most,
                _ => i128::from(chance.integer()) % (most + 1),
            };
            let values = Decimal128Array::from_iter_values((0..rows).map(value));
            Arc::new(values.with_precision_and_scale(*precision, *scale as i8).unwrap())
        }
        (T::String, _) => Arc::new(StringArray::from_iter_values((0..rows).map(|_| chance.text()))),
        (T::Symbol, _) => {
            let text: ArrayRef =
                Arc::new(StringArray::from_iter_values((0..rows + 3).map(|_| chance.text())));
            // The last values stay in the dictionary unused.
            cast(&text, &storage).unwrap().slice(0, rows)
        }
        (T::Uuid, _) => {
            let bytes: Vec<[u8; 16]> = (0..rows).map(|_| (chance.below(3) as u128).to_be_bytes()).collect();
            let flat = arrow::buffer::Buffer::from_vec(bytes.concat());
            Arc::new(FixedSizeBinaryArray::try_new(16, flat, None).unwrap())
        }
        (T::Array(of), DataType::List(item)) => {
            let lengths: Vec<usize> = (0..rows).map(|_| chance.below(4)).collect();
            let inner = cast(&values(of, lengths.iter().sum(), chance), item.data_type()).unwrap();
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, inner, None).unwrap())
        }
        (T::Tuple(of), DataType::Struct(fields)) => {
            let column = |(ty, field): (&T, &arrow::datatypes::FieldRef)| {
                cast(&values(ty, rows, chance), field.data_type()).unwrap()
            };
            let columns = of.iter().zip(fields).map(column).collect();
            Arc::new(StructArray::try_new(fields.clone(), columns, None).unwrap())
        }
        (_, DataType::Timestamp(..)) => {
            cast(&Int64Array::from_iter_values((0..rows).map(|_| chance.integer())), &storage).unwrap()
        }
        _ => {
            let small = Int64Array::from_iter_values((0..rows).map(|_| chance.below(100) as i64));
            let wide = if *ty == T::Int64 {
                Int64Array::from_iter_values((0..rows).map(|_| chance.integer()))
            } else {
                small
            };
            let narrow = if *ty == T::Date { cast(&wide, &DataType::Int32).unwrap() } else { Arc::new(wide) };
            cast(&narrow, &storage).unwrap()
        }
    }
}

/// Rows of a table whose keys come from a set of at most `keys` values.
pub(crate) fn rows(schema: &TableSchema, rows: usize, keys: usize, chance: &mut Chance) -> RecordBatch {
    let columns = schema
        .columns
        .iter()
        .map(|column| {
            if schema.key != Some(column.id) {
                return values(&column.ty, rows, chance);
            }
            let few = match column.ty {
                T::String | T::Symbol if keys > 10 => {
                    let text = StringArray::from_iter_values((0..keys).map(|i| format!("key {i}")));
                    cast(&text, &column.ty.storage_type()).unwrap()
                }
                _ => values(&column.ty, keys.max(1), &mut Chance(9)),
            };
            let picks = UInt32Array::from_iter_values((0..rows).map(|_| chance.below(few.len()) as u32));
            take(&few, &picks, None).unwrap()
        })
        .collect();
    RecordBatch::try_new(schema.storage_schema(), columns).unwrap()
}

/// These rows as a chunk.
pub(crate) fn chunk(schema: &Arc<TableSchema>, rows: &RecordBatch, chance: &mut Chance) -> Arc<Chunk> {
    if rows.num_rows() == 0 {
        return Arc::new(Chunk::new(Arc::clone(schema), rows.clone(), Vec::new()).unwrap());
    }
    let partitions = match schema.key_index() {
        Some(key) => partitions_of(rows.column(key), PARTITIONS).unwrap(),
        None => vec![chance.below(usize::from(PARTITIONS)) as u16; rows.num_rows()],
    };
    let grouped = group_rows(rows, &partitions, PARTITIONS, 1, |_| 0).unwrap().remove(0);
    Arc::new(Chunk::new(Arc::clone(schema), grouped.rows, grouped.parts).unwrap())
}

/// Several chunks of random rows; some are empty.
pub(crate) fn chunks(
    schema: &Arc<TableSchema>,
    count: usize,
    most: usize,
    keys: usize,
    chance: &mut Chance,
) -> Vec<Arc<Chunk>> {
    (0..count)
        .map(|_| {
            let length = chance.below(most + 1);
            let batch = rows(schema, length, keys, chance);
            chunk(schema, &batch, chance)
        })
        .collect()
}

/// One row, comparable: the bytes of all its values, and what it is sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) partition: Option<PartitionId>,
    pub(crate) key: Vec<u8>,
    pub(crate) time: Option<i64>,
    pub(crate) all: Vec<u8>,
}

fn encode(columns: &[ArrayRef]) -> Vec<Vec<u8>> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let rows = RowConverter::new(fields).unwrap().convert_columns(columns).unwrap();
    rows.iter().map(|row| row.data().to_vec()).collect()
}

/// The rows of batches of this schema (all columns), in their order.
pub(crate) fn rows_of(schema: &TableSchema, batches: &[RecordBatch]) -> Vec<Row> {
    let mut found = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayRef> = batch.columns().to_vec();
        let all = encode(&columns);
        let keys = schema.key_index().map(|key| encode(&columns[key..=key]));
        let ticks = schema.time_index().map(|time| cast(&columns[time], &DataType::Int64).unwrap());
        for (row, all) in all.into_iter().enumerate() {
            found.push(Row {
                partition: None,
                key: keys.as_ref().map(|keys| keys[row].clone()).unwrap_or_default(),
                time: ticks.as_ref().map(|t| t.as_primitive::<arrow::datatypes::Int64Type>().value(row)),
                all,
            });
        }
    }
    found
}

/// The rows of chunks in arrival order, with their partitions.
pub(crate) fn arrived(chunks: &[Arc<Chunk>]) -> Vec<Row> {
    let mut found = Vec::new();
    for chunk in chunks {
        let mut rows = rows_of(&chunk.schema, std::slice::from_ref(&chunk.rows));
        for (partition, range) in &chunk.parts {
            rows[range.start as usize..range.end as usize]
                .iter_mut()
                .for_each(|row| row.partition = Some(*partition));
        }
        found.extend(rows);
    }
    found
}

/// The order that a run promises, by the simplest means.
pub(crate) fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| (a.partition, &a.key, a.time).cmp(&(b.partition, &b.key, b.time)));
    rows
}

/// All rows of a part, in batches of a chance size.
pub(crate) fn scanned(part: &Part, ranges: &[std::ops::Range<usize>], batch_rows: usize) -> Vec<Row> {
    let schema = part.schema();
    let all: Vec<usize> = (0..schema.columns.len()).collect();
    let batches: Vec<RecordBatch> =
        part.scan(schema, &all, ranges, batch_rows).collect::<zepto_common::Result<_>>().unwrap();
    assert!(batches.iter().all(|batch| batch.num_rows() <= batch_rows && batch.num_rows() > 0));
    assert!(batches.iter().all(|batch| batch.schema() == schema.storage_schema()));
    rows_of(schema, &batches)
}

/// Rows without their partition, which a scan does not tell.
pub(crate) fn bare(rows: &[Row]) -> Vec<Vec<u8>> {
    rows.iter().map(|row| row.all.clone()).collect()
}

/// Random ascending disjoint ranges within `rows`.
pub(crate) fn some_ranges(rows: usize, chance: &mut Chance) -> Vec<std::ops::Range<usize>> {
    let cuts: BTreeSet<usize> = (0..2 * chance.below(6)).map(|_| chance.below(rows + 1)).collect();
    let cuts: Vec<usize> = cuts.into_iter().collect();
    cuts.chunks_exact(2).map(|cut| cut[0]..cut[1]).collect()
}

/// A one-row NULL of a type, for wanted keys.
pub(crate) fn null_of(ty: &DataType) -> ArrayRef {
    new_null_array(ty, 1)
}

/// All rows of a part as one batch.
pub(crate) fn whole(part: &Part) -> RecordBatch {
    let schema = part.schema();
    let all: Vec<usize> = (0..schema.columns.len()).collect();
    let rows = part.rows();
    let batches: Vec<RecordBatch> = part
        .scan(schema, &all, std::slice::from_ref(&(0..rows)), 1000)
        .collect::<zepto_common::Result<_>>()
        .unwrap();
    concat_batches(&schema.storage_schema(), &batches).unwrap()
}
