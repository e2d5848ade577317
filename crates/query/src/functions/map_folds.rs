//! `sumMap`, `minMap` and `maxMap`: values summed, or the least or greatest taken, key by key. They take maps, or arrays of
//! keys beside arrays of values; keys come out sorted. The aggregates are these functions of a group's gathered values.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNumericType, AsArray, ListArray, PrimitiveArray, StructArray, new_empty_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat, interleave, take};
use arrow::datatypes::{ArrowNativeTypeOp, DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{DataFusionError, Result};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::arrays::{item, item_field, list};
use super::convert::{OnFault, convert};
use super::maps::assembled;
use super::scalar::{Arguments, Call, Scalar, fault};
use super::{Plan, Row, row};
use crate::semantics::numbers::{sum_type, zero};

/// What is done with the values of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fold {
    Sum,
    Least,
    Greatest,
}

impl Fold {
    /// The type of what comes out of values of a type.
    fn of(self, ty: &ColumnType) -> Result<ColumnType> {
        let plain = bare(ty);
        match self {
            _ if plain == ColumnType::Nothing => Ok(ColumnType::Nothing),
            Self::Sum if plain.is_number() => Ok(sum_type(&plain)),
            Self::Sum => {
                Err(fault(ErrorCode::IllegalTypeOfArgument, format!("Values of type {ty} cannot be summed")))
            }
            _ => Ok(plain),
        }
    }
}

/// A type without Nullable; a text comes out of an aggregate without a dictionary.
fn bare(ty: &ColumnType) -> ColumnType {
    match ty.inner() {
        ColumnType::Symbol => ColumnType::String,
        other => other.clone(),
    }
}

fn no_map(ty: &ColumnType) -> DataFusionError {
    let message = format!("Expected a map, or arrays of keys and of values, not {ty}");
    fault(ErrorCode::IllegalTypeOfArgument, message)
}

/// The types of keys and of each column of values.
fn parts(gathered: &ColumnType) -> Result<(ColumnType, Vec<ColumnType>)> {
    match gathered {
        ColumnType::Map(key, value) => Ok((*key.clone(), vec![*value.clone()])),
        ColumnType::Tuple(of) => {
            let items: Option<Vec<ColumnType>> = of
                .iter()
                .map(|ty| if let ColumnType::Array(item) = ty { Some(*item.clone()) } else { None })
                .collect();
            match items.as_deref() {
                Some([keys, values @ ..]) if !values.is_empty() => Ok((keys.clone(), values.to_vec())),
                _ => Err(no_map(gathered)),
            }
        }
        other => Err(no_map(other)),
    }
}

/// Maps become a map, arrays a tuple of arrays.
fn returns(args: &Arguments<'_>, fold: Fold) -> Result<ColumnType> {
    let gathered = item(args, 0)?;
    let (key, values) = parts(&gathered)?;
    let values: Vec<ColumnType> = values.iter().map(|ty| fold.of(ty)).collect::<Result<_>>()?;
    if let (ColumnType::Map(..), [value]) = (&gathered, values.as_slice()) {
        return Ok(ColumnType::Map(Box::new(bare(&key)), Box::new(value.clone())));
    }
    let arrays = std::iter::once(bare(&key)).chain(values);
    Ok(ColumnType::Tuple(arrays.map(|ty| ColumnType::Array(Box::new(ty))).collect()))
}

/// The keys and values of one group, each as one column.
struct Pairs {
    keys: ArrayRef,
    values: Vec<ArrayRef>,
}

fn items(list: &ListArray) -> ArrayRef {
    let (start, end) = (list.value_offsets()[0] as usize, list.value_offsets()[list.len()] as usize);
    list.values().slice(start, end - start)
}

impl Pairs {
    fn of(gathered: &ArrayRef) -> Result<Self> {
        if let Some(map) = gathered.as_map_opt() {
            let (start, end) = (map.value_offsets()[0] as usize, map.value_offsets()[map.len()] as usize);
            let part = |column: &ArrayRef| column.slice(start, end - start);
            return Ok(Self { keys: part(map.keys()), values: vec![part(map.values())] });
        }
        let lists: Vec<&ListArray> =
            gathered.as_struct().columns().iter().map(|column| column.as_list()).collect();
        let [keys, values @ ..] = lists.as_slice() else {
            return Err(fault(ErrorCode::LogicalError, "Keys and values are at least two columns"));
        };
        if !values.iter().all(|list| list.offsets().lengths().eq(keys.offsets().lengths())) {
            return Err(fault(ErrorCode::BadArguments, "Sizes of keys and values arrays do not match"));
        }
        Ok(Self { keys: items(keys), values: values.iter().map(|list| items(list)).collect() })
    }

    /// Where the values of each key are, by the order of keys. A key that is NULL is none.
    fn places(&self) -> Result<Vec<Vec<usize>>> {
        let rows = comparable(&self.keys)?;
        let mut places: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for at in (0..self.keys.len()).filter(|at| self.keys.is_valid(*at)) {
            places.entry(rows.row(at)).or_default().push(at);
        }
        Ok(places.into_values().collect())
    }
}

fn comparable(column: &ArrayRef) -> Result<Rows> {
    let converter = RowConverter::new(vec![SortField::new(column.data_type().clone())])?;
    Ok(converter.convert_columns(&[Arc::clone(column)])?)
}

/// The sum of each key's values; whole numbers wrap.
fn sums<T: ArrowNumericType>(values: &ArrayRef, places: &[Vec<usize>]) -> PrimitiveArray<T> {
    let column = values.as_primitive::<T>();
    let add = |sum: T::Native, at: &usize| {
        if column.is_valid(*at) { sum.add_wrapping(column.value(*at)) } else { sum }
    };
    let sums = places.iter().map(|places| places.iter().fold(T::Native::ZERO, add));
    PrimitiveArray::from_iter_values(sums).with_data_type(values.data_type().clone())
}

/// The least or greatest value of each key; the zero value where all are NULL.
fn extremes(values: &ArrayRef, ty: &ColumnType, places: &[Vec<usize>], fold: Fold) -> Result<ArrayRef> {
    let rows = comparable(values)?;
    let none = zero(ty)?.cast_to(values.data_type())?.to_array()?;
    let best = |places: &Vec<usize>| {
        let known = places.iter().copied().filter(|at| values.is_valid(*at));
        let best = match fold {
            Fold::Greatest => known.max_by_key(|at| rows.row(*at)),
            _ => known.min_by_key(|at| rows.row(*at)),
        };
        best.map_or((1, 0), |at| (0, at))
    };
    let order: Vec<(usize, usize)> = places.iter().map(best).collect();
    Ok(interleave(&[values.as_ref(), none.as_ref()], &order)?)
}

/// One value per key.
fn folded(values: &ArrayRef, from: &ColumnType, places: &[Vec<usize>], fold: Fold) -> Result<ArrayRef> {
    let to = fold.of(from)?;
    if to == ColumnType::Nothing || fold != Fold::Sum {
        return extremes(values, &to, places, fold);
    }
    let wide = convert(values, from, &to, OnFault::Error)?;
    Ok(match wide.data_type() {
        DataType::UInt64 => Arc::new(sums::<UInt64Type>(&wide, places)),
        DataType::Int64 => Arc::new(sums::<Int64Type>(&wide, places)),
        DataType::Float64 => Arc::new(sums::<Float64Type>(&wide, places)),
        DataType::Decimal128(..) => Arc::new(sums::<Decimal128Type>(&wide, places)),
        other => return Err(fault(ErrorCode::LogicalError, format!("{other} is no type of sums"))),
    })
}

/// Which keys stay: of sums of arrays those whose sums are not all zero, as in ClickHouse.
fn kept(columns: &[ArrayRef], keys: usize, of_arrays: bool, fold: Fold) -> Result<Vec<u64>> {
    let all = 0..keys as u64;
    if !of_arrays || fold != Fold::Sum {
        return Ok(all.collect());
    }
    let truths: Result<Vec<_>> = columns.iter().map(super::convert::truth).collect();
    let truths = truths?;
    Ok(all.filter(|at| truths.iter().any(|truth| truth.value(*at as usize))).collect())
}

fn run(call: &Call<'_>, fold: Fold) -> Result<ArrayRef> {
    let ColumnType::Array(gathered) = call.base(0) else { return call.array(0) };
    let (_, types) = parts(&gathered)?;
    let of_arrays = matches!(*gathered, ColumnType::Tuple(_));
    let groups = list(call, 0)?;
    let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::with_capacity(groups.len()); types.len() + 1];
    for group in 0..groups.len() {
        let pairs = Pairs::of(&groups.value(group))?;
        let places = pairs.places()?;
        let first = places.iter().map(|places| places[0] as u64).collect::<arrow::array::UInt64Array>();
        let keys = take(&pairs.keys, &first, None)?;
        let values: Result<Vec<ArrayRef>> =
            pairs.values.iter().zip(&types).map(|(values, ty)| folded(values, ty, &places, fold)).collect();
        let values = values?;
        let kept: arrow::array::UInt64Array = kept(&values, keys.len(), of_arrays, fold)?.into();
        for (column, part) in columns.iter_mut().zip(std::iter::once(&keys).chain(&values)) {
            column.push(take(part, &kept, None)?);
        }
    }
    built(call.ty, &columns)
}

/// The parts of each group as maps, or as tuples of arrays.
fn built(ty: &ColumnType, columns: &[Vec<ArrayRef>]) -> Result<ArrayRef> {
    let joined = |parts: &[ArrayRef], to: &DataType| -> Result<ArrayRef> {
        let sources: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        if sources.is_empty() { Ok(new_empty_array(to)) } else { Ok(cast(&concat(&sources)?, to)?) }
    };
    let lengths: Vec<usize> = columns[0].iter().map(|part| part.len()).collect();
    match (ty, ty.query_type()) {
        (ColumnType::Map(key, value), _) => {
            let keys = joined(&columns[0], &key.query_type())?;
            assembled(ty, keys, joined(&columns[1], &value.query_type())?, lengths)
        }
        (ColumnType::Tuple(of), DataType::Struct(fields)) => {
            let lists: Result<Vec<ArrayRef>> = of
                .iter()
                .zip(columns)
                .map(|(ty, parts)| {
                    let field = item_field(ty)?;
                    let items = joined(parts, field.data_type())?;
                    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
                    Ok(Arc::new(ListArray::try_new(field, offsets, items, None)?) as ArrayRef)
                })
                .collect();
            Ok(Arc::new(StructArray::try_new(fields, lists?, None)?))
        }
        _ => Err(fault(ErrorCode::LogicalError, "Values by key are a map or a tuple of arrays")),
    }
}

/// Aggregates by which several arguments are taken as one tuple.
pub(crate) const OF_TUPLES: [&str; 3] = ["sumMap", "minMap", "maxMap"];

macro_rules! by_key {
    ($name:literal, $aliases:expr, $about:literal, $inner:literal, $template:literal, $fold:expr) => {
        [
            row(
                $name,
                $aliases,
                concat!($name, "(map), or of arrays ", $name, "(keys, values, …)"),
                $about,
                Plan::AggregateSql($template),
            ),
            row(
                $inner,
                &[],
                "",
                "",
                Plan::Scalar(Scalar::pure((1, 1), |args| returns(args, $fold), |call| run(call, $fold))),
            ),
        ]
    };
}

/// Sums of values by key.
pub(crate) const SUMS: [Row; 2] = by_key!(
    "sumMap",
    &["sumMappedArrays"],
    "The sum of each key's values.",
    "__sum_map",
    "__sum_map(groupArray($1))",
    Fold::Sum
);
/// The least values by key.
pub(crate) const LEAST: [Row; 2] = by_key!(
    "minMap",
    &["minMappedArrays"],
    "The least of each key's values.",
    "__min_map",
    "__min_map(groupArray($1))",
    Fold::Least
);
/// The greatest values by key.
pub(crate) const GREATEST: [Row; 2] = by_key!(
    "maxMap",
    &["maxMappedArrays"],
    "The greatest of each key's values.",
    "__max_map",
    "__max_map(groupArray($1))",
    Fold::Greatest
);
