//! One way to write an aggregate: a state per group, rows folded into it, states merged.
//!
//! From a [`Fold`] come the grouped accumulator, the single one and, for sliding windows, one that keeps the
//! frame's rows and folds them again.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use zepto_common::ErrorCode;

use crate::functions::scalar::{check_count, fault};
use crate::window_memory;

/// An aggregate's arithmetic.
pub(crate) trait Fold: Clone + Debug + Send + Sync + 'static {
    /// What is kept per group.
    type State: Clone + Default + Debug + Send + Sync;
    /// The arguments, downcast once per batch.
    type Columns;

    /// Downcasts the arguments.
    fn columns(&self, values: &[ArrayRef]) -> Result<Self::Columns>;
    /// Takes in a row.
    fn add(&self, state: &mut Self::State, columns: &Self::Columns, row: usize);
    /// States as columns, one row per group.
    fn save(&self, states: Vec<Self::State>) -> Result<Vec<ArrayRef>>;
    /// Columns as states.
    fn load(&self, columns: &[ArrayRef]) -> Result<Vec<Self::State>>;
    /// Takes in another state of rows that came later.
    fn merge(&self, state: &mut Self::State, other: Self::State);
    /// The results, one row per group.
    fn finish(&self, states: Vec<Self::State>) -> Result<ArrayRef>;
    /// Bytes that a state holds elsewhere.
    fn heap(&self, _: &Self::State) -> usize {
        0
    }
}

/// The grouped accumulator.
#[derive(Debug, Clone)]
struct Folding<F: Fold> {
    fold: F,
    states: Vec<F::State>,
}

impl<F: Fold> Folding<F> {
    fn new(fold: F) -> Self {
        Self { fold, states: Vec::new() }
    }

    fn grow(&mut self, groups: usize) {
        if self.states.len() < groups {
            self.states.resize_with(groups, F::State::default);
        }
    }

    fn take(&mut self, emit: EmitTo) -> Vec<F::State> {
        match emit {
            EmitTo::All => std::mem::take(&mut self.states),
            EmitTo::First(n) => {
                let rest = self.states.split_off(n);
                std::mem::replace(&mut self.states, rest)
            }
        }
    }
}

impl<F: Fold> GroupsAccumulator for Folding<F> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.grow(total);
        let columns = self.fold.columns(values)?;
        for (row, &group) in groups.iter().enumerate() {
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                self.fold.add(&mut self.states[group], &columns, row);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let states = self.take(emit);
        self.fold.finish(states)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = self.take(emit);
        self.fold.save(states)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.grow(total);
        let others = self.fold.load(values)?;
        for (&group, other) in groups.iter().zip(others) {
            self.fold.merge(&mut self.states[group], other);
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |column| column.len());
        let mut single = Self::new(self.fold.clone());
        single.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
        single.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        let heap: usize = self.states.iter().map(|state| self.fold.heap(state)).sum();
        self.states.capacity() * size_of::<F::State>() + heap
    }
}

/// The accumulator of one group.
#[derive(Debug)]
struct OneGroup<F: Fold>(Folding<F>);

impl<F: Fold> Accumulator for OneGroup<F> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |column| column.len());
        self.0.update_batch(values, &vec![0; rows], None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.grow(1);
        let states = self.0.states.clone();
        let answer = ScalarValue::try_from_array(&self.0.fold.finish(states)?, 0)?;
        window_memory::made(&answer, 1)?;
        Ok(answer)
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.grow(1);
        let columns = self.0.fold.save(self.0.states.clone())?;
        columns.iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |column| column.len());
        self.0.merge_batch(states, &vec![0; rows], 1)
    }
}

/// The accumulator of a sliding frame: it keeps the frame's rows and folds them on demand.
#[derive(Debug)]
struct Replay<F: Fold> {
    fold: F,
    rows: VecDeque<Vec<ArrayRef>>,
}

impl<F: Fold> Replay<F> {
    fn folded(&self) -> Result<OneGroup<F>> {
        let mut group = OneGroup(Folding::new(self.fold.clone()));
        let Some(first) = self.rows.front() else { return Ok(group) };
        let columns: Result<Vec<ArrayRef>> = (0..first.len())
            .map(|i| {
                let pieces: Vec<&dyn Array> = self.rows.iter().map(|row| row[i].as_ref()).collect();
                Ok(concat(&pieces)?)
            })
            .collect();
        Accumulator::update_batch(&mut group, &columns?)?;
        Ok(group)
    }
}

impl<F: Fold> Accumulator for Replay<F> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |column| column.len());
        for row in 0..rows {
            self.rows.push_back(values.iter().map(|column| column.slice(row, 1)).collect());
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.folded()?.evaluate()
    }

    fn size(&self) -> usize {
        self.rows.len() * 64
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.folded()?.state()
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        Err(fault(ErrorCode::LogicalError, "A sliding frame is never merged"))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |column| column.len());
        self.rows.drain(..rows.min(self.rows.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}

/// The types of an aggregate, and how its fold is made.
pub(crate) struct Rule<F: Fold> {
    /// Least and most arguments.
    pub(crate) arguments: (usize, usize),
    /// Types that the arguments are cast to.
    pub(crate) coerce: fn(&[DataType]) -> Result<Vec<DataType>>,
    /// The result.
    pub(crate) returns: fn(&str, &[FieldRef]) -> Result<FieldRef>,
    /// The state's columns.
    pub(crate) state: fn(&[FieldRef], &FieldRef) -> Vec<FieldRef>,
    /// The fold of a call.
    pub(crate) make: fn(&AccumulatorArgs<'_>) -> Result<F>,
}

/// A fold as DataFusion sees it.
struct Folded<F: Fold> {
    name: &'static str,
    signature: Signature,
    rule: Rule<F>,
}

/// An aggregate function of this rule.
pub(crate) fn aggregate<F: Fold>(name: &'static str, rule: Rule<F>) -> AggregateUDF {
    AggregateUDF::from(Folded { name, signature: Signature::user_defined(Volatility::Immutable), rule })
}

impl<F: Fold> Debug for Folded<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<F: Fold> PartialEq for Folded<F> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<F: Fold> Eq for Folded<F> {}

impl<F: Fold> std::hash::Hash for Folded<F> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl<F: Fold> AggregateUDFImpl for Folded<F> {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let fields: Vec<FieldRef> =
            types.iter().map(|ty| Arc::new(arrow::datatypes::Field::new("", ty.clone(), true))).collect();
        Ok((self.rule.returns)(self.name, &fields)?.data_type().clone())
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        check_count(self.name, fields.len(), self.rule.arguments)?;
        let types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
        (self.rule.coerce)(&types)?;
        (self.rule.returns)(self.name, fields)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // Faults are told by return_field: errors from here lose their code.
        if check_count(self.name, types.len(), self.rule.arguments).is_err() {
            return Ok(types.to_vec());
        }
        Ok((self.rule.coerce)(types).unwrap_or_else(|_| types.to_vec()))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup(Folding::new((self.rule.make)(&args)?))))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok((self.rule.state)(args.input_fields, &args.return_field))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Folding::new((self.rule.make)(&args)?)))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Replay { fold: (self.rule.make)(&args)?, rows: VecDeque::new() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
