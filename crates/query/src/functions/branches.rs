//! CASE, `if` and `multiIf` while a statement is planned: a function of conditions and values, which has the type that holds
//! all of them. DataFusion's CASE has its first value's type until types are coerced, which is too late for what is planned
//! around it. [`crate::semantics::supertypes`] makes a CASE of it.

use arrow::array::ArrayRef;
use arrow::compute::kernels::zip::zip;
use arrow::compute::prep_null_mask_filter;
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::convert::{OnFault, convert, truth};
use super::rewrites::CASES;
use super::scalar::{Arguments, Call, Scalar, nullable};
use super::{Plan, Row, row};
use crate::semantics::numbers::common;

/// Whether argument `at` of so many is a value and no condition.
pub(crate) fn is_branch(at: usize, count: usize) -> bool {
    at % 2 == 1 || at + 1 == count
}

/// The type of values of these types. What has no common type is a text if there is a text among it.
///
/// # Errors
/// `NoCommonType`.
pub(crate) fn branch_type(types: &[ColumnType]) -> Result<ColumnType> {
    let is_text = |ty: &ColumnType| matches!(ty.inner(), ColumnType::String | ColumnType::Symbol);
    match common(types) {
        Ok(ty) if *ty.inner() == ColumnType::Symbol => {
            Ok(if ty.is_nullable() { ColumnType::String.nullable() } else { ColumnType::String })
        }
        Err(_) if types.iter().any(is_text) => {
            let may_be_null = types.iter().any(ColumnType::is_nullable);
            Ok(if may_be_null { nullable(ColumnType::String) } else { ColumnType::String })
        }
        other => other,
    }
}

fn planned(args: &Arguments<'_>) -> Result<ColumnType> {
    let count = args.fields.len();
    let types: Vec<ColumnType> =
        (0..count).filter(|at| is_branch(*at, count)).map(|at| args.ty(at)).collect();
    branch_type(&types)
}

/// All values, of which the conditions choose: where no plan has made a CASE of it.
fn computed(call: &Call<'_>) -> Result<ArrayRef> {
    let value = |at: usize| convert(&call.array(at)?, &call.base(at), call.ty, OnFault::Error);
    let last =
        call.len().checked_sub(1).ok_or_else(|| super::fault(ErrorCode::LogicalError, "CASE has values"))?;
    let mut made = value(last)?;
    for at in (0..last / 2).rev() {
        let held = prep_null_mask_filter(&truth(&call.array(at * 2)?)?);
        made = zip(&held, &value(at * 2 + 1)?, &made)?;
    }
    Ok(made)
}

/// CASE.
pub(crate) const ROWS: &[Row] =
    &[row(CASES, &[], "", "", Plan::Scalar(Scalar::pure((1, usize::MAX), planned, computed).own_nulls()))];
