//! Times as numbers of ticks since 1970, and back.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::{ColumnType, unit_of};

use crate::functions::convert::{OnFault, convert, in_seconds};
use crate::functions::scalar::{Call, fault};
use crate::functions::timestamps::{from_ticks, rescale, ticks, unit_and_zone};

/// Ticks since 1970 at a resolution.
pub(super) fn unix(call: &Call<'_>, per_second: i64) -> Result<ArrayRef> {
    if per_second == 1 && call.base(0).is_number() {
        // A number is the number of seconds already, in 32 bits.
        return convert(&call.array(0)?, &call.base(0), call.ty, OnFault::Error);
    }
    let array = if unit_and_zone(&call.base(0)).is_none() {
        let zone = call.constant_text(1)?.map(Arc::from);
        convert(&call.array(0)?, &call.base(0), &ColumnType::DateTime(zone), OnFault::Error)?
    } else {
        call.array(0)?
    };
    let (values, held) = ticks(&array)?;
    let ticks = match held / per_second {
        0 | 1 => rescale(&values, held, per_second)?,
        step => values.unary(|tick| tick / step),
    };
    let of_text = matches!(call.base(0), ColumnType::String | ColumnType::Symbol);
    let ticks = if of_text { ticks.unary(in_seconds) } else { ticks };
    if *call.ty.inner() == ColumnType::UInt32
        && ticks.iter().flatten().any(|tick| u32::try_from(tick).is_err())
    {
        return Err(fault(ErrorCode::Decimals, "Convert overflow: the time is before 1970 or after 2106"));
    }
    Ok(cast(&ticks, &call.ty.query_type())?)
}

/// A number of ticks since 1970 as a time.
pub(super) fn from_unix(call: &Call<'_>, digits: u8) -> Result<ArrayRef> {
    let zone = unit_and_zone(call.ty).and_then(|(_, zone)| zone);
    let ticks = call.ints(0)?;
    let is_date_time = matches!(call.ty.inner(), ColumnType::DateTime(_));
    let ticks = if is_date_time { ticks.unary(in_seconds) } else { ticks };
    Ok(from_ticks(ticks, unit_of(digits), zone))
}
