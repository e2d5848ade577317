//! Which values are missing. Pure: whole numbers in, places out.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use zepto_common::error::{Error, ErrorCode};

use super::invalid;
use crate::error::external;
use crate::functions::{TimeWidth, add_months};

/// Most rows that one WITH FILL gives.
const FILL_ROWS_MAX: usize = 1 << 22;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// How far the next value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Ticks of the column: numbers, days, seconds or their fractions.
    Ticks(i64),
    /// Months of a column with this many ticks per day.
    Months(i64, i64),
}

/// Ticks per second of a time, per day of a date.
fn per_second(ty: &DataType) -> Option<i64> {
    match ty {
        DataType::Timestamp(TimeUnit::Second, _) => Some(1),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Some(1_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(1_000_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(1_000_000_000),
        _ => None,
    }
}

impl Step {
    /// A step: a number (seconds of a time), or a text like `5 minute`.
    pub(super) fn of(value: &ScalarValue, ty: &DataType) -> Result<Self> {
        let whole = |value: i128| i64::try_from(value).map_err(|_| invalid("The step is too large"));
        let Some(text) = value.try_as_str().flatten() else {
            let step = whole_of(value)?;
            return whole(i128::from(step) * i128::from(per_second(ty).unwrap_or(1))).map(Self::Ticks);
        };
        let (count, unit) = text.trim().split_once(' ').unwrap_or(("1", text));
        let count: i64 = count.parse().map_err(|_| invalid(format!("{text} is no step")))?;
        let per_day = per_second(ty).map_or(1, |per_second| per_second.saturating_mul(DAY));
        Ok(match (TimeWidth::of_word(unit.trim(), count), per_second(ty)) {
            (Some(TimeWidth::Nanos(nanos)), Some(per_second)) => {
                Self::Ticks(whole(i128::from(nanos) * i128::from(per_second) / 1_000_000_000)?)
            }
            (Some(TimeWidth::Days(days)), _) => Self::Ticks(whole(i128::from(days) * i128::from(per_day))?),
            (Some(TimeWidth::Weeks(weeks)), _) => {
                Self::Ticks(whole(i128::from(weeks) * 7 * i128::from(per_day))?)
            }
            (Some(TimeWidth::Months(months)), _) => Self::Months(months, per_day),
            (Some(TimeWidth::Years(years)), _) => Self::Months(years.saturating_mul(12), per_day),
            _ => return Err(invalid(format!("{text} is no step of this column"))),
        })
    }

    fn after(self, value: i64) -> Option<i64> {
        match self {
            Self::Ticks(step) => value.checked_add(step),
            Self::Months(months, per_day) => {
                let day = add_months(value.div_euclid(per_day), months);
                day.checked_mul(per_day)?.checked_add(value.rem_euclid(per_day))
            }
        }
    }

    fn sign(self) -> i64 {
        match self {
            Self::Ticks(step) => step.signum(),
            Self::Months(months, _) => months.signum(),
        }
    }
}

fn whole_of(value: &ScalarValue) -> Result<i64> {
    match value.cast_to(&DataType::Int64)? {
        ScalarValue::Int64(Some(value)) => Ok(value),
        _ => Err(invalid("WITH FILL needs constant bounds")),
    }
}

/// A bound as ticks of the column; None for NULL. A number is seconds of a time.
pub(super) fn bound(value: &ScalarValue, ty: &DataType) -> Result<Option<i64>> {
    if value.is_null() {
        return Ok(None);
    }
    let numeric = value.data_type().is_numeric();
    if numeric {
        return Ok(Some(whole_of(value)?.saturating_mul(per_second(ty).unwrap_or(1))));
    }
    let value = value.cast_to(ty)?;
    let value = if *ty == DataType::Date32 { value.cast_to(&DataType::Int32)? } else { value };
    whole_of(&value).map(Some)
}

/// From where to where, and how.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    pub(super) step: Step,
    pub(super) descending: bool,
}

impl Bounds {
    /// A step that goes nowhere, or against the order.
    pub(super) fn check(&self) -> Result<()> {
        let wanted = if self.descending { -1 } else { 1 };
        match self.step.sign() {
            sign if sign == wanted => Ok(()),
            0 => Err(invalid("STEP value cannot be zero")),
            _ => Err(invalid("STEP goes against the order")),
        }
    }

    fn before(&self, a: i64, b: i64) -> bool {
        if self.descending { a > b } else { a < b }
    }

    /// The rows of one part, in order: the place of a row that is there, or None, with the value. `values` are sorted.
    pub(super) fn filled(
        &self,
        values: &[Option<i64>],
        total: &mut usize,
    ) -> Result<Vec<(Option<usize>, i64)>> {
        let mut rows = Vec::with_capacity(values.len());
        let mut push = |row: (Option<usize>, i64)| {
            *total += 1;
            if *total > FILL_ROWS_MAX {
                let message = format!("WITH FILL gives up to {FILL_ROWS_MAX} rows");
                return Err(external(Error::new(ErrorCode::TooManyRows, message)));
            }
            rows.push(row);
            Ok(())
        };
        let mut next = self.from;
        for (at, value) in values.iter().enumerate() {
            let Some(value) = *value else {
                push((Some(at), 0))?;
                continue;
            };
            let mut expected = next.unwrap_or(value);
            while self.before(expected, value) {
                push((None, expected))?;
                let Some(after) = self.step.after(expected) else { break };
                expected = after;
            }
            push((Some(at), value))?;
            while !self.before(value, expected) {
                let Some(after) = self.step.after(expected) else { break };
                expected = after;
            }
            next = Some(expected);
        }
        if let (Some(mut expected), Some(to)) = (next, self.to) {
            while self.before(expected, to) {
                push((None, expected))?;
                let Some(after) = self.step.after(expected) else { break };
                expected = after;
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bounds: &Bounds, values: &[i64]) -> Vec<(bool, i64)> {
        let values: Vec<Option<i64>> = values.iter().copied().map(Some).collect();
        let rows = bounds.filled(&values, &mut 0).unwrap();
        rows.into_iter().map(|(place, value)| (place.is_some(), value)).collect()
    }

    fn bounds(from: Option<i64>, to: Option<i64>, step: i64) -> Bounds {
        Bounds { from, to, step: Step::Ticks(step), descending: step < 0 }
    }

    #[test]
    fn gaps_are_filled_and_rows_beside_the_grid_stay() {
        assert_eq!(run(&bounds(None, None, 1), &[1, 3]), [(true, 1), (false, 2), (true, 3)]);
        assert_eq!(
            run(&bounds(Some(0), Some(6), 2), &[3, 4]),
            [(false, 0), (false, 2), (true, 3), (true, 4)]
        );
        assert_eq!(run(&bounds(Some(0), Some(2), 1), &[]), [(false, 0), (false, 1)]);
        assert_eq!(run(&bounds(None, Some(9), -1), &[3, 1]), [(true, 3), (false, 2), (true, 1)]);
        assert_eq!(run(&bounds(None, None, 1), &[1, 1, 2]), [(true, 1), (true, 1), (true, 2)]);
    }

    #[test]
    fn the_number_of_rows_is_bounded_and_a_step_must_lead_somewhere() {
        assert!(bounds(Some(0), Some(i64::MAX), 1).filled(&[], &mut 0).is_err());
        assert!(bounds(None, None, 0).check().is_err());
        assert!(Bounds { descending: true, ..bounds(None, None, 1) }.check().is_err());
    }

    #[test]
    fn months_are_as_long_as_they_are() {
        let step = Step::Months(1, 1);
        // 2024-01-31, then the last day of February.
        assert_eq!(step.after(19_753), Some(19_782));
    }
}
