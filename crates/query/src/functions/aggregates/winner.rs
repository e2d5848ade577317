//! The value of one chosen row: `any`, `first`, `last`, `argMin`, `argMax`.
//!
//! The row with the least or greatest key wins; among equal keys the first or the last to arrive. Rows whose
//! value or key is NULL do not take part.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Decimal128Array, Int64Array, make_array};
use arrow::compute::{cast, interleave};
use arrow::datatypes::{DataType, Decimal128Type, FieldRef, Float64Type, Int64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue};
use zepto_common::types::ColumnType;

use super::fold::{Fold, Rule};
use super::folds::field;
use crate::functions::scalar::{field_of, nullable, text_as_view};
use crate::semantics::numbers::zero_of;

/// Which row wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// The first to arrive.
    Any,
    /// The last to arrive.
    AnyLast,
    /// The first to arrive of those with the least key.
    Least,
    /// The first to arrive of those with the greatest key.
    Greatest,
    /// The last to arrive of those with the greatest key.
    Last,
}

#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(super) enum Key {
    None,
    Number(i128),
    /// Text, or Arrow's row form of any other value: their bytes have the values' order.
    Bytes(Box<[u8]>),
}

/// A value: its bits when it has 64 of them, else its place in a column.
#[derive(Debug, Clone)]
pub(super) enum Held {
    Bits(i64),
    Row(ArrayRef, usize),
}

#[derive(Debug, Clone)]
pub(super) struct Winner {
    choice: Choice,
    value: DataType,
    nullable: bool,
}

/// The arguments of a batch.
pub(super) struct Pair {
    value: ArrayRef,
    bits: Option<Int64Array>,
    keys: Keys,
}

enum Keys {
    None,
    Numbers(Decimal128Array),
    Bytes(BinaryArray),
}

fn has_64_bits(ty: &DataType) -> bool {
    matches!(ty, DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Timestamp(..))
}

fn relabel(array: &ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    Ok(make_array(array.to_data().into_builder().data_type(ty.clone()).build()?))
}

/// Keys as numbers whose order is the values' order.
fn keys(array: &ArrayRef) -> Result<Keys> {
    let ordered: Decimal128Array = match array.data_type() {
        ty if matches!(text_as_view(ty), DataType::Utf8View) => {
            return Ok(Keys::Bytes(cast(array, &DataType::Binary)?.as_binary::<i32>().clone()));
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let floats = cast(array, &DataType::Float64)?;
            floats.as_primitive::<Float64Type>().unary(|value| {
                let bits = value.to_bits() as i64;
                i128::from(bits ^ (((bits >> 63) as u64) >> 1) as i64)
            })
        }
        DataType::UInt64 => array.as_primitive::<arrow::datatypes::UInt64Type>().unary(i128::from),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().clone(),
        DataType::Date32 => {
            let days = cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?;
            days.as_primitive::<Int64Type>().unary(i128::from)
        }
        DataType::Timestamp(..) => {
            relabel(array, &DataType::Int64)?.as_primitive::<Int64Type>().unary(i128::from)
        }
        ty if ty.is_integer() || *ty == DataType::Boolean => {
            cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().unary(i128::from)
        }
        ty => {
            let converter = RowConverter::new(vec![SortField::new(ty.clone())])?;
            let rows = converter.convert_columns(std::slice::from_ref(array))?;
            let bytes =
                (0..array.len()).map(|row| array.is_valid(row).then(|| rows.row(row).data().to_vec()));
            return Ok(Keys::Bytes(bytes.collect()));
        }
    };
    Ok(Keys::Numbers(ordered))
}

impl Winner {
    fn wins(&self, new: &Key, old: &Key) -> bool {
        match self.choice {
            Choice::Any => false,
            Choice::AnyLast => true,
            Choice::Least => new < old,
            Choice::Greatest => new > old,
            Choice::Last => new >= old,
        }
    }

    fn values(&self, states: &[Option<(Key, Held)>]) -> Result<ArrayRef> {
        if has_64_bits(&self.value) {
            let bits: Int64Array = states
                .iter()
                .map(|state| match state {
                    Some((_, Held::Bits(bits))) => Some(*bits),
                    _ => None,
                })
                .collect();
            return relabel(&(Arc::new(bits) as ArrayRef), &self.value);
        }
        let void = ScalarValue::try_from(&self.value)?.to_array()?;
        let mut sources: Vec<&dyn Array> = vec![void.as_ref()];
        let mut order = Vec::with_capacity(states.len());
        for state in states {
            match state {
                Some((_, Held::Row(array, row))) => {
                    // Rows of one batch come one after the other, so the last source is nearly always theirs.
                    if !sources.last().is_some_and(|last| std::ptr::addr_eq(*last, array.as_ref())) {
                        sources.push(array.as_ref());
                    }
                    order.push((sources.len() - 1, *row));
                }
                _ => order.push((0, 0)),
            }
        }
        Ok(interleave(&sources, &order)?)
    }
}

impl Fold for Winner {
    type State = Option<(Key, Held)>;
    type Columns = Pair;

    fn columns(&self, values: &[ArrayRef]) -> Result<Pair> {
        let value = cast(&values[0], &self.value)?;
        let bits = if has_64_bits(&self.value) {
            Some(relabel(&value, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
        } else {
            None
        };
        let keys = match values.get(1) {
            Some(array) => keys(array)?,
            None => Keys::None,
        };
        Ok(Pair { value, bits, keys })
    }

    fn add(&self, state: &mut Self::State, pair: &Pair, row: usize) {
        if pair.value.is_null(row) {
            return;
        }
        let key = match &pair.keys {
            Keys::None => Key::None,
            Keys::Numbers(keys) if keys.is_valid(row) => Key::Number(keys.value(row)),
            Keys::Bytes(keys) if keys.is_valid(row) => Key::Bytes(keys.value(row).into()),
            _ => return,
        };
        if state.as_ref().is_none_or(|(old, _)| self.wins(&key, old)) {
            let held = match &pair.bits {
                Some(bits) => Held::Bits(bits.value(row)),
                None => Held::Row(Arc::clone(&pair.value), row),
            };
            *state = Some((key, held));
        }
    }

    fn save(&self, states: Vec<Self::State>) -> Result<Vec<ArrayRef>> {
        let numbers: Decimal128Array = states
            .iter()
            .map(|state| match state {
                Some((Key::Number(key), _)) => Some(*key),
                Some((Key::None, _)) => Some(0),
                _ => None,
            })
            .collect();
        let bytes: BinaryArray = states
            .iter()
            .map(|state| match state {
                Some((Key::Bytes(key), _)) => Some(key.as_ref()),
                _ => None,
            })
            .collect();
        let numbers = numbers.with_precision_and_scale(38, 0)?;
        Ok(vec![Arc::new(numbers), Arc::new(bytes), self.values(&states)?])
    }

    fn load(&self, columns: &[ArrayRef]) -> Result<Vec<Self::State>> {
        let (numbers, bytes) = (columns[0].as_primitive::<Decimal128Type>(), columns[1].as_binary::<i32>());
        let pair = self.columns(&columns[2..3])?;
        Ok((0..numbers.len())
            .map(|row| {
                let key = match (numbers.is_valid(row), bytes.is_valid(row)) {
                    (true, _) => Key::Number(numbers.value(row)),
                    (_, true) => Key::Bytes(bytes.value(row).into()),
                    _ => return None,
                };
                let held = match &pair.bits {
                    Some(bits) => Held::Bits(bits.value(row)),
                    None => Held::Row(Arc::clone(&pair.value), row),
                };
                Some((key, held))
            })
            .collect())
    }

    fn merge(&self, state: &mut Self::State, other: Self::State) {
        if let Some((key, held)) = other
            && state.as_ref().is_none_or(|(old, _)| self.wins(&key, old))
        {
            *state = Some((key, held));
        }
    }

    fn finish(&self, states: Vec<Self::State>) -> Result<ArrayRef> {
        let values = self.values(&states)?;
        super::adapted::fill_zero(values, self.nullable, &zero_of(&self.value)?)
    }

    fn heap(&self, state: &Self::State) -> usize {
        match state {
            Some((Key::Bytes(bytes), _)) => bytes.len(),
            _ => 0,
        }
    }
}

fn value_field(name: &str, fields: &[FieldRef]) -> Result<FieldRef> {
    let ty = ColumnType::of_field(&fields[0]);
    // A key that may be NULL may be so in every row.
    if fields.iter().skip(1).any(|key| key.is_nullable()) && !ty.is_nullable() {
        return Ok(Arc::new(field_of(name, &nullable(super::adapted::plain_text(&ty)))));
    }
    if *ty.inner() == ColumnType::Symbol {
        return Ok(Arc::new(field_of(name, &super::adapted::plain_text(&ty))));
    }
    Ok(Arc::new(fields[0].as_ref().clone().with_name(name)))
}

fn state_fields(_: &[FieldRef], result: &FieldRef) -> Vec<FieldRef> {
    vec![
        field("number", DataType::Decimal128(38, 0), true),
        field("bytes", DataType::Binary, true),
        field("value", result.data_type().clone(), true),
    ]
}

fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
    Ok(types.iter().map(text_as_view).collect())
}

macro_rules! rule {
    ($arguments:expr, $choice:expr) => {
        Rule {
            arguments: $arguments,
            coerce,
            returns: value_field,
            state: state_fields,
            make: |args| {
                let (value, nullable) =
                    (args.return_field.data_type().clone(), args.return_field.is_nullable());
                let choice = if args.exprs.len() == 1 && $choice == Choice::Least {
                    Choice::Any
                } else if args.exprs.len() == 1 && $choice == Choice::Last {
                    Choice::AnyLast
                } else {
                    $choice
                };
                Ok(Winner { choice, value, nullable })
            },
        }
    };
}

pub(super) fn any() -> Rule<Winner> {
    rule!((1, 1), Choice::Any)
}

pub(super) fn any_last() -> Rule<Winner> {
    rule!((1, 1), Choice::AnyLast)
}

pub(super) fn arg_min() -> Rule<Winner> {
    rule!((2, 2), Choice::Least)
}

pub(super) fn arg_max() -> Rule<Winner> {
    rule!((2, 2), Choice::Greatest)
}

/// `first(x[, ts])`.
pub(super) fn first() -> Rule<Winner> {
    rule!((1, 2), Choice::Least)
}

/// `last(x[, ts])`.
pub(super) fn last() -> Rule<Winner> {
    rule!((1, 2), Choice::Last)
}
