//! The different values of a group in the order in which they come: `groupArray(DISTINCT x)` and what is made of it. The
//! planner's own has the order of a hash table, another one in each process.

use std::collections::HashSet;
use std::mem::size_of;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

/// Values without NULL, each once.
#[derive(Debug)]
pub(super) struct FirstSeen {
    item: DataType,
    seen: HashSet<ScalarValue>,
    values: Vec<ScalarValue>,
    /// Bytes of the values; each is held twice.
    bytes: usize,
}

impl FirstSeen {
    /// Of items of this type.
    pub(super) fn new(item: DataType) -> Self {
        Self { item, seen: HashSet::new(), values: Vec::new(), bytes: 0 }
    }

    fn add(&mut self, column: &ArrayRef) -> Result<()> {
        for row in (0..column.len()).filter(|row| column.is_valid(*row)) {
            let mut value = ScalarValue::try_from_array(column, row)?;
            if self.seen.contains(&value) {
                continue;
            }
            // A slice would hold the whole block.
            value.compact();
            self.bytes += 2 * value.size();
            self.seen.insert(value.clone());
            self.values.push(value);
        }
        Ok(())
    }
}

impl Accumulator for FirstSeen {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states[0].as_list::<i32>();
        lists.iter().flatten().try_for_each(|list| self.add(&list))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::List(ScalarValue::new_list(&self.values, &self.item, true)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    fn numbers(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    #[test]
    fn values_keep_the_order_in_which_they_came_also_when_states_are_joined() {
        let mut one = FirstSeen::new(DataType::Int64);
        one.update_batch(&[numbers(&[Some(5), Some(1), None, Some(5), Some(70_000)])]).unwrap();
        let mut other = FirstSeen::new(DataType::Int64);
        other.update_batch(&[numbers(&[Some(1), Some(-3), Some(100)])]).unwrap();
        let state = other.state().unwrap().remove(0).to_array().unwrap();
        one.merge_batch(&[state]).unwrap();
        let ScalarValue::List(list) = one.evaluate().unwrap() else { panic!("a list") };
        let wanted: Vec<Option<i64>> = [5, 1, 70_000, -3, 100].map(Some).to_vec();
        assert_eq!(*list.value(0), *numbers(&wanted));
    }
}
