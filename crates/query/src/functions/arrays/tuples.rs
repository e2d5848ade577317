//! Tuples and their elements.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use crate::functions::scalar::{Arguments, Call, fault, int_of};

fn tuple_index(index: Option<i64>, of: &[ColumnType]) -> Result<usize> {
    match index {
        Some(index @ 1..) if index as usize <= of.len() => Ok(index as usize - 1),
        Some(_) => {
            Err(fault(ErrorCode::ArgumentOutOfBound, format!("A tuple of {} has no such element", of.len())))
        }
        None => Err(fault(ErrorCode::BadArguments, "An element of a tuple is named by its constant number")),
    }
}

pub(super) fn tuple_element_type(args: &Arguments<'_>) -> Result<ColumnType> {
    match args.base(0) {
        ColumnType::Tuple(of) => Ok(of[tuple_index(args.int(1), &of)?].clone()),
        other => Err(fault(ErrorCode::IllegalTypeOfArgument, format!("{other} has no elements"))),
    }
}

pub(super) fn tuple_element(call: &Call<'_>) -> Result<ArrayRef> {
    let ColumnType::Tuple(of) = call.base(0) else {
        return Err(fault(ErrorCode::IllegalTypeOfArgument, format!("{} has no elements", call.base(0))));
    };
    let at = tuple_index(call.literal(1).and_then(int_of), &of)?;
    Ok(Arc::clone(call.array(0)?.as_struct().column(at)))
}

pub(super) fn tuple(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::Struct(fields) = call.ty.query_type() else {
        return Err(fault(ErrorCode::LogicalError, "A tuple is a struct"));
    };
    let columns: Result<Vec<ArrayRef>> =
        (0..call.len()).map(|i| Ok(cast(&call.array(i)?, fields[i].data_type())?)).collect();
    Ok(Arc::new(StructArray::try_new(fields, columns?, None)?))
}

pub(super) fn tuple_type(args: &Arguments<'_>) -> Result<ColumnType> {
    Ok(ColumnType::Tuple((0..args.fields.len()).map(|i| args.ty(i)).collect()))
}
