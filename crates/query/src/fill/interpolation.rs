//! What stands in the other columns of rows that were made.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, UInt32Array};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::common::{Result, ScalarValue, plan_err};

use super::{CONSTANT, LINEAR, PREVIOUS, invalid};
use crate::semantics::numbers::zero_of;

/// How a column's missing cells are found. Without one they are the type's zero value, or NULL.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Interpolation {
    /// The cell of the row before that was there.
    Previous,
    /// On the straight line between the rows before and behind; NULL, or NaN, where one of them is missing.
    Linear,
    /// One value, of the column's type.
    Constant(ScalarValue),
}

impl Interpolation {
    /// As the marker says it.
    ///
    /// # Errors
    /// `InvalidWithFillExpression` for a constant that is no value of the column, and for a line through what is no float.
    pub(super) fn of(how: &str, constant: &ScalarValue, field: &Field) -> Result<Self> {
        let (name, ty) = (field.name(), field.data_type());
        match how {
            PREVIOUS => Ok(Self::Previous),
            LINEAR if ty.is_floating() => Ok(Self::Linear),
            LINEAR => Err(invalid(format!("linear({name}) needs a column of floats, not {ty}"))),
            CONSTANT if constant.is_null() && !field.is_nullable() => {
                Err(invalid(format!("{name} of made rows cannot be NULL: its type is not Nullable")))
            }
            CONSTANT => match constant.cast_to(ty) {
                Ok(value) if value.is_null() == constant.is_null() => Ok(Self::Constant(value)),
                _ => Err(invalid(format!("{constant} is no value of {name}"))),
            },
            other => plan_err!("INTERPOLATE knows no {other}"),
        }
    }
}

/// Where the rows of the answer come from.
#[derive(Debug)]
pub(super) struct Places {
    /// Rows of the input, or [`Self::absent`].
    pub(super) there: UInt32Array,
    /// The last that was there, of the same part.
    pub(super) before: UInt32Array,
    /// The first row of the part.
    pub(super) part: UInt32Array,
    /// Values of the filled column.
    pub(super) ticks: Vec<i64>,
    /// One behind the input's last row.
    pub(super) absent: u32,
}

impl Places {
    /// A column of the answer.
    pub(super) fn column(
        &self,
        column: &ArrayRef,
        how: Option<&Interpolation>,
        nullable: bool,
    ) -> Result<ArrayRef> {
        let made = match how {
            Some(Interpolation::Linear) => return self.on_lines(column, nullable),
            Some(Interpolation::Constant(value)) => value.clone(),
            _ if nullable => ScalarValue::try_from(column.data_type())?,
            _ => zero_of(column.data_type())?,
        };
        let made = cast(&made.to_array()?, column.data_type())?;
        let with_made = concat(&[column.as_ref(), made.as_ref()])?;
        let places = if how == Some(&Interpolation::Previous) { &self.before } else { &self.there };
        Ok(take(&with_made, places, None)?)
    }

    /// The next row that is there, of the same part.
    fn behind(&self) -> Vec<u32> {
        let mut behind = vec![self.absent; self.ticks.len()];
        let mut next = (self.absent, self.absent);
        for at in (0..behind.len()).rev() {
            let (part, there) = (self.part.value(at), self.there.value(at));
            if next.0 != part {
                next = (part, self.absent);
            }
            if there != self.absent {
                next.1 = at as u32;
            }
            behind[at] = next.1;
        }
        behind
    }

    fn on_lines(&self, column: &ArrayRef, nullable: bool) -> Result<ArrayRef> {
        let values = cast(column, &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        let value = |row: u32| values.is_valid(row as usize).then(|| values.value(row as usize));
        let nothing = if nullable { None } else { Some(f64::NAN) };
        // Places in the answer of rows that were there: the last so far, and the next.
        let mut last: Option<usize> = None;
        let behind = self.behind();
        let filled = (0..self.ticks.len()).map(|at| {
            let there = self.there.value(at);
            if there != self.absent {
                last = Some(at);
                return value(there);
            }
            let before = last.filter(|last| self.part.value(*last) == self.part.value(at));
            let next = behind[at] as usize;
            let ends = before.filter(|_| behind[at] != self.absent).and_then(|before| {
                let (a, b) = (value(self.there.value(before))?, value(self.there.value(next))?);
                let length = self.ticks[next].abs_diff(self.ticks[before]) as f64;
                let done = self.ticks[at].abs_diff(self.ticks[before]) as f64;
                Some(a + (b - a) * (done / length))
            });
            ends.or(nothing)
        });
        let filled: ArrayRef = Arc::new(filled.collect::<Float64Array>());
        Ok(cast(&filled, column.data_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two parts: 0 . 10 . . | . 40 with the input's rows 0, 1 | 2.
    fn places() -> Places {
        let absent = 3;
        Places {
            there: vec![0, absent, 1, absent, absent, 2].into(),
            before: vec![0, 0, 1, 1, absent, 2].into(),
            part: vec![0, 0, 0, 0, 2, 2].into(),
            ticks: vec![0, 5, 10, 15, 35, 40],
            absent,
        }
    }

    #[test]
    fn lines_go_between_rows_of_one_part_and_not_beyond() {
        let column: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(3.0), Some(9.0)]));
        let filled = places().column(&column, Some(&Interpolation::Linear), true).unwrap();
        let filled: Vec<Option<f64>> = filled.as_primitive::<Float64Type>().iter().collect();
        assert_eq!(filled, [Some(1.0), Some(2.0), Some(3.0), None, None, Some(9.0)]);
        let filled = places().column(&column, Some(&Interpolation::Linear), false).unwrap();
        assert!(filled.as_primitive::<Float64Type>().value(3).is_nan() && filled.null_count() == 0);
    }

    #[test]
    fn a_constant_stands_in_made_rows_only() {
        let column: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 3.0, 9.0]));
        let constant = Interpolation::Constant(ScalarValue::Float64(Some(-1.0)));
        let filled = places().column(&column, Some(&constant), false).unwrap();
        let filled: Vec<f64> = filled.as_primitive::<Float64Type>().values().to_vec();
        assert_eq!(filled, [1.0, -1.0, 3.0, -1.0, -1.0, 9.0]);
    }
}
