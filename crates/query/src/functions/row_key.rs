//! `__row_key(a, b, …)`: the bytes by which the values of several columns are told apart, so that a count of different
//! rows keeps bytes and no value of each column. NULL where an argument is NULL: such rows are not counted.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use zepto_common::ErrorCode;

use super::scalar::{column_of, fault};

/// Its name.
pub(crate) const ROW_KEY: &str = "__row_key";

#[derive(Debug, PartialEq, Eq, Hash)]
struct RowKey {
    signature: Signature,
}

/// The function, to be registered.
pub(super) fn row_key() -> ScalarUDF {
    ScalarUDF::from(RowKey { signature: Signature::variadic_any(Volatility::Immutable) })
}

impl ScalarUDFImpl for RowKey {
    fn name(&self) -> &str {
        ROW_KEY
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<Arc<Field>> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(ROW_KEY, DataType::LargeBinary, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns: Result<Vec<ArrayRef>> = args.args.iter().map(|arg| column_of(arg, rows)).collect();
        let keys = keys(&columns?)?;
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&keys, 0)?),
            false => ColumnarValue::Array(keys),
        })
    }
}

fn keys(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let refused =
        |error| fault(ErrorCode::IllegalTypeOfArgument, format!("Rows cannot be told apart: {error}"));
    let rows = RowConverter::new(fields).map_err(refused)?.convert_columns(columns)?;
    let bytes = cast(&rows.try_into_binary()?, &DataType::LargeBinary)?;
    let mut nulls = None;
    for column in columns {
        nulls = arrow::buffer::NullBuffer::union(nulls.as_ref(), column.logical_nulls().as_ref());
    }
    Ok(arrow::array::make_array(bytes.to_data().into_builder().nulls(nulls).build()?))
}
