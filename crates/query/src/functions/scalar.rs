//! The one shape of our scalar functions: a table row's type rule and body, made into a DataFusion function.
//!
//! A body gets its arguments as columns or constants and never cares about NULL when the row says
//! [`Nulls::Spread`]: a NULL argument makes the result NULL, and only then is the result Nullable.

mod definition;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, StringViewArray, UInt64Array, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, UInt64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode};

use super::calendar::in_session_zone;
use super::meter::Meter;
use crate::constants::{check, is_folding};
use crate::semantics::numbers::{bits_of, zero_of};
use crate::semantics::session_zone;

pub(crate) use definition::{Body, MANY, Nulls, Scalar};

/// An error that keeps its ClickHouse code on the way through DataFusion.
pub(crate) fn fault(code: ErrorCode, message: impl Into<String>) -> DataFusionError {
    DataFusionError::External(Box::new(Error::new(code, message)))
}

/// A field of this type; its name is kept as metadata only where the Arrow type alone does not tell it.
pub(crate) fn field_of(name: &str, ty: &ColumnType) -> Field {
    let plain = Field::new(name, ty.query_type(), ty.is_nullable());
    if ColumnType::of_field(&plain) == *ty { plain } else { ty.query_field(name) }
}

/// What is known about a call's arguments when it is planned.
pub(crate) struct Arguments<'a> {
    /// One field per argument.
    pub(crate) fields: &'a [FieldRef],
    /// The value of each argument that is a constant.
    pub(crate) literals: &'a [Option<&'a ScalarValue>],
}

impl Arguments<'_> {
    /// The type of argument `i`, with Nullable. `NULL` stands for an argument that is not there.
    pub(crate) fn ty(&self, i: usize) -> ColumnType {
        self.fields.get(i).map_or(ColumnType::Nothing.nullable(), |field| ColumnType::of_field(field))
    }

    /// The type of argument `i` without Nullable.
    pub(crate) fn base(&self, i: usize) -> ColumnType {
        self.ty(i).inner().clone()
    }

    /// The text of argument `i` when it is a constant.
    pub(crate) fn text(&self, i: usize) -> Option<&str> {
        self.literals.get(i).copied().flatten().and_then(|value| value.try_as_str().flatten())
    }

    /// The integer value of argument `i` when it is a constant.
    pub(crate) fn int(&self, i: usize) -> Option<i64> {
        self.literals.get(i).copied().flatten().and_then(int_of)
    }

    /// Whether one argument is LowCardinality and the others are constants: the result is LowCardinality too.
    fn is_of_one_dictionary(&self) -> bool {
        let mut columns =
            (0..self.fields.len()).filter(|i| self.literals.get(*i).copied().flatten().is_none());
        columns.next().is_some_and(|i| self.ty(i) == ColumnType::Symbol) && columns.next().is_none()
    }

    /// Refuses a number or a time where a text is wanted.
    fn check_text(&self, name: &str) -> Result<()> {
        let ty = self.base(0);
        if ty.is_number() || ty.is_time() || matches!(ty, ColumnType::Bool | ColumnType::Date) {
            let message = format!("Illegal type {ty} of argument of function {name}");
            return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
        }
        Ok(())
    }

    /// Whether any argument may be NULL.
    pub(crate) fn any_nullable(&self) -> bool {
        self.fields.iter().any(|field| field.is_nullable())
    }
}

/// The integer in a scalar of any integer type.
pub(crate) fn int_of(value: &ScalarValue) -> Option<i64> {
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(value)) => value,
        _ => None,
    }
}

/// A value as a column; a constant is written out for each row, if there is room for that.
pub(crate) fn column_of(value: &ColumnarValue, rows: usize) -> Result<ArrayRef> {
    if let ColumnarValue::Scalar(value) = value {
        Meter::of_rows().take(value.size().saturating_mul(rows))?;
    }
    value.to_array(rows)
}

/// One evaluation: constants have length one, columns have `rows`.
pub(crate) struct Call<'a> {
    args: &'a [ColumnarValue],
    /// One field per argument.
    pub(crate) fields: &'a [FieldRef],
    /// Rows to give.
    pub(crate) rows: usize,
    /// The planned result type.
    pub(crate) ty: &'a ColumnType,
    /// The session's options.
    pub(crate) config: &'a ConfigOptions,
}

impl Call<'_> {
    /// Counts what this call makes.
    pub(crate) fn meter(&self) -> Meter {
        if is_folding() { Meter::of_constants() } else { Meter::of_rows() }
    }

    /// How many arguments there are.
    pub(crate) fn len(&self) -> usize {
        self.args.len()
    }

    /// Argument `i` as a column.
    pub(crate) fn array(&self, i: usize) -> Result<ArrayRef> {
        column_of(&self.args[i], self.rows)
    }

    /// Argument `i` when it is a constant.
    pub(crate) fn literal(&self, i: usize) -> Option<&ScalarValue> {
        match self.args.get(i) {
            Some(ColumnarValue::Scalar(value)) => Some(value),
            _ => None,
        }
    }

    /// Argument `i` when it is a constant text.
    pub(crate) fn literal_text(&self, i: usize) -> Option<&str> {
        self.literal(i).and_then(|value| value.try_as_str().flatten())
    }

    /// The same; a column is refused, since its text would be passed over.
    pub(crate) fn constant_text(&self, i: usize) -> Result<Option<&str>> {
        match self.args.get(i) {
            Some(ColumnarValue::Array(_)) if self.rows > 0 => {
                Err(fault(ErrorCode::IllegalColumn, format!("Argument {} must be a constant", i + 1)))
            }
            _ => Ok(self.literal_text(i)),
        }
    }

    /// The type of argument `i` without Nullable.
    pub(crate) fn base(&self, i: usize) -> ColumnType {
        ColumnType::of_field(&self.fields[i]).inner().clone()
    }

    /// Argument `i` as a column of another Arrow type.
    pub(crate) fn cast(&self, i: usize, to: &DataType) -> Result<ArrayRef> {
        let array = self.array(i)?;
        if array.data_type() == to { Ok(array) } else { Ok(cast(&array, to)?) }
    }

    /// Argument `i` as floats.
    pub(crate) fn floats(&self, i: usize) -> Result<Float64Array> {
        self.refuse_text(i)?;
        Ok(self.cast(i, &DataType::Float64)?.as_primitive().clone())
    }

    /// Argument `i` as integers; an unsigned one beyond them is the largest.
    pub(crate) fn ints(&self, i: usize) -> Result<Int64Array> {
        self.refuse_text(i)?;
        let array = self.array(i)?;
        if let Some(unsigned) = array.as_primitive_opt::<UInt64Type>() {
            return Ok(unsigned.unary(|value| i64::try_from(value).unwrap_or(i64::MAX)));
        }
        if let DataType::Float32 | DataType::Float64 = array.data_type() {
            // A cast would make NULL of what is no integer.
            let floats = cast(&array, &DataType::Float64)?;
            return Ok(floats.as_primitive::<Float64Type>().unary(super::convert::machine_i64));
        }
        Ok(self.cast(i, &DataType::Int64)?.as_primitive().clone())
    }

    /// A text is no number: a cast would make NULL of it.
    fn refuse_text(&self, i: usize) -> Result<()> {
        match self.base(i) {
            ty @ (ColumnType::String | ColumnType::Symbol) => {
                let message = format!("Illegal type {ty} of argument {}: expected a number", i + 1);
                Err(fault(ErrorCode::IllegalTypeOfArgument, message))
            }
            _ => Ok(()),
        }
    }

    /// The bits of argument `i`, a whole number: a negative one has as many as its type.
    pub(crate) fn bits(&self, i: usize) -> Result<UInt64Array> {
        let array = self.array(i)?;
        if let Some(unsigned) = array.as_primitive_opt::<UInt64Type>() {
            return Ok(unsigned.clone());
        }
        let mask = u64::MAX >> (64 - bits_of(&self.base(i)).clamp(1, 64));
        Ok(self.ints(i)?.unary(|number| number as u64 & mask))
    }

    /// Argument `i` as text.
    pub(crate) fn texts(&self, i: usize) -> Result<StringViewArray> {
        Ok(self.cast(i, &DataType::Utf8View)?.as_string_view().clone())
    }
}

/// Functions whose result has its type also of a bare NULL.
const TYPED: [&str; 9] = [
    "CAST",
    "accurateCast",
    "accurateCastOrNull",
    "__held",
    "__fitting",
    "__setting",
    "toBool",
    "arrayWithConstant",
    "replicate",
];

/// A table row's scalar as DataFusion sees it.
pub(crate) struct ScalarFunction {
    name: &'static str,
    scalar: Scalar,
    signature: Signature,
}

impl ScalarFunction {
    pub(crate) fn new(name: &'static str, scalar: Scalar) -> Self {
        Self { name, scalar, signature: Signature::user_defined(scalar.volatility) }
    }

    /// Whether an argument is a bare NULL, of which nothing but NULL is made, whatever the other arguments are.
    fn is_of_null(&self, arguments: &Arguments<'_>) -> bool {
        self.scalar.nulls == Nulls::Spread
            && !self.scalar.test
            && !TYPED.contains(&self.name)
            && (0..arguments.fields.len()).any(|i| arguments.base(i) == ColumnType::Nothing)
    }

    fn compute(&self, call: &Call<'_>) -> Result<ArrayRef> {
        match self.scalar.body {
            Body::Floats(body) => {
                Ok(Arc::new(call.floats(0)?.unary::<_, arrow::datatypes::Float64Type>(body)))
            }
            Body::Call(body) => body(call),
        }
    }
}

impl std::fmt::Debug for ScalarFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for ScalarFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ScalarFunction {}

impl Hash for ScalarFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for ScalarFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(fault(ErrorCode::LogicalError, "return_field_from_args tells the type"))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // A wrong count is told by return_field_from_args: errors from here lose their code.
        Ok(types.iter().map(plain).collect())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        check_count(self.name, args.arg_fields.len(), self.scalar.arguments)?;
        let arguments = Arguments { fields: args.arg_fields, literals: args.scalar_arguments };
        if self.is_of_null(&arguments) {
            return Ok(Arc::new(field_of(self.name, &ColumnType::Nothing.nullable())));
        }
        if super::text::OF_TEXT.contains(&self.name) {
            arguments.check_text(self.name)?;
        }
        if self.name == "__truth" && matches!(arguments.base(0), ColumnType::String | ColumnType::Symbol) {
            let message =
                format!("Illegal type {} of a condition: it must be UInt8 or Bool", arguments.ty(0));
            return Err(fault(ErrorCode::IllegalTypeOfColumnForFilter, message));
        }
        if self.scalar.test {
            let nullable = self.scalar.nulls == Nulls::Spread && arguments.any_nullable();
            return Ok(Arc::new(Field::new(self.name, DataType::Boolean, nullable)));
        }
        if let Body::Floats(_) = self.scalar.body
            && !(arguments.base(0).is_number()
                || matches!(arguments.base(0), ColumnType::Bool | ColumnType::Nothing))
        {
            let message = format!("Illegal type {} of argument of function {}", arguments.base(0), self.name);
            return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
        }
        let mut ty = (self.scalar.returns)(&arguments)?;
        if ty == ColumnType::String && self.name != "toTypeName" && arguments.is_of_one_dictionary() {
            ty = ColumnType::Symbol;
        }
        if self.scalar.nulls == Nulls::Spread && arguments.any_nullable() {
            ty = nullable(ty);
        }
        Ok(Arc::new(field_of(self.name, &ty)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)))
            && self.scalar.volatility != Volatility::Volatile;
        let rows = if constant { 1 } else { args.number_rows };
        let ty = ColumnType::of_field(&args.return_field);
        let call =
            Call { args: &args.args, fields: &args.arg_fields, rows, ty: &ty, config: &args.config_options };
        let array = in_session_zone(session_zone(&args.config_options), || match self.scalar.nulls {
            Nulls::Spread => self.compute_spread(&call, args.return_field.data_type()),
            Nulls::Own => self.compute(&call),
        })?;
        let wanted = args.return_field.data_type();
        let array = if array.data_type() == wanted { array } else { cast(&array, wanted)? };
        if constant {
            let value = ScalarValue::try_from_array(&array, 0)?;
            check(&value)?;
            Ok(ColumnarValue::Scalar(value))
        } else {
            Ok(ColumnarValue::Array(array))
        }
    }
}

impl ScalarFunction {
    fn compute_spread(&self, call: &Call<'_>, wanted: &DataType) -> Result<ArrayRef> {
        let mut nulls: Option<NullBuffer> = None;
        for i in 0..call.len() {
            match call.literal(i) {
                // Arrays, tuples and maps have no NULL.
                Some(value) if value.is_null() && wanted.is_nested() => {
                    return zero_of(wanted)?.to_array_of_size(call.rows);
                }
                Some(value) if value.is_null() => return Ok(new_null_array(wanted, call.rows)),
                Some(_) => {}
                None => {
                    let array = call.array(i)?;
                    if *array.data_type() == DataType::Null {
                        return Ok(new_null_array(wanted, call.rows));
                    }
                    nulls = NullBuffer::union(nulls.as_ref(), array.nulls());
                }
            }
        }
        let Some(nulls) = nulls else { return self.compute(call) };
        if nulls.null_count() > 0 && matches!(call.ty, ColumnType::Array(_)) {
            return self.compute(&Call { args: &without_nulls(call.args)?, ..*call });
        }
        let array = self.compute(call)?;
        let nulls = NullBuffer::union(Some(&nulls), array.logical_nulls().as_ref());
        Ok(arrow::array::make_array(array.to_data().into_builder().nulls(nulls).build()?))
    }
}

/// The arguments with zero values for NULLs, for what gives arrays: those cannot be NULL.
fn without_nulls(args: &[ColumnarValue]) -> Result<Vec<ColumnarValue>> {
    let filled = |arg: &ColumnarValue| match arg {
        ColumnarValue::Array(array) if array.null_count() > 0 => {
            let zeros = zero_of(array.data_type())?.to_array_of_size(array.len())?;
            let is_null = arrow::compute::is_null(array)?;
            Ok(ColumnarValue::Array(arrow::compute::kernels::zip::zip(&is_null, &zeros, array)?))
        }
        other => Ok(other.clone()),
    };
    args.iter().map(filled).collect()
}

/// Nullable, except for types that cannot be.
pub(crate) fn nullable(ty: ColumnType) -> ColumnType {
    match ty {
        ty @ (ColumnType::Array(_) | ColumnType::Tuple(_) | ColumnType::Map(..)) => ty,
        ty => ty.nullable(),
    }
}

/// Dictionaries are taken as their values. Text keeps its form: a cast would hide a constant from the type rule.
fn plain(ty: &DataType) -> DataType {
    match ty {
        DataType::Dictionary(_, value) => plain(value),
        other => other.clone(),
    }
}

/// Text in any Arrow form is taken as views, so that bodies see one form.
pub(crate) fn text_as_view(ty: &DataType) -> DataType {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Dictionary(_, value) => text_as_view(value),
        other => other.clone(),
    }
}

/// The error for a wrong number of arguments, if there is one.
pub(crate) fn check_count(name: &str, count: usize, (least, most): (usize, usize)) -> Result<()> {
    if (least..=most).contains(&count) {
        return Ok(());
    }
    let expected = match (least, most) {
        (a, b) if a == b => a.to_string(),
        (a, MANY) => format!("at least {a}"),
        (a, b) => format!("{a} to {b}"),
    };
    let message = format!(
        "Number of arguments for function {name} doesn't match: passed {count}, should be {expected}"
    );
    Err(fault(ErrorCode::NumberOfArgumentsDoesntMatch, message))
}
