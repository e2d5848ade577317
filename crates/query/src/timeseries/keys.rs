//! The keys of a unit in order, each with its rows in all sources.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{cast, interleave, take};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, internal_err};

use super::load::Loaded;

/// Rows of one key in one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    /// The source.
    pub(super) source: usize,
    /// The slot in its index.
    pub(super) slot: usize,
    /// Rows of the loaded columns.
    pub(super) rows: Range<usize>,
}

/// All stretches of a unit with those of one key together: keys ascending, the stretches of one as their rows arrived.
#[derive(Debug, Default)]
pub(super) struct Keys {
    stretches: Vec<Stretch>,
    /// Where the stretches of each key end.
    ends: Vec<usize>,
}

impl Keys {
    /// The keys of these sources, which have been loaded as their rows arrived.
    ///
    /// # Errors
    /// Keys of a type without an order.
    pub(super) fn of(sources: &[&Loaded]) -> Result<Self> {
        let stretches = sources.iter().enumerate().flat_map(|(source, loaded)| {
            let of_slot = move |slot: &super::load::SlotRows| Stretch {
                source,
                slot: slot.slot,
                rows: slot.rows.clone(),
            };
            loaded.slots.iter().map(of_slot)
        });
        let stretches: Vec<Stretch> = stretches.collect();
        let keyless = sources.first().is_none_or(|loaded| loaded.index.keys.is_none());
        if keyless {
            let ends = (!stretches.is_empty()).then_some(stretches.len());
            return Ok(Self { stretches, ends: ends.into_iter().collect() });
        }
        if sources.len() == 1 {
            let ends = (1..=stretches.len()).collect();
            return Ok(Self { stretches, ends });
        }
        Self::merged(sources, stretches)
    }

    fn merged(sources: &[&Loaded], stretches: Vec<Stretch>) -> Result<Self> {
        let mut rows = Vec::with_capacity(sources.len());
        let mut converter: Option<RowConverter> = None;
        for loaded in sources {
            let Some(keys) = &loaded.index.keys else { return internal_err!("a source has no keys") };
            let slots: UInt32Array = loaded.slots.iter().map(|slot| slot.slot as u32).collect();
            let keys = take(keys, &slots, None)?;
            if converter.is_none() {
                converter = Some(RowConverter::new(vec![SortField::new(keys.data_type().clone())])?);
            }
            let Some(converter) = &converter else { return internal_err!("there is no converter of keys") };
            rows.push(converter.convert_columns(&[keys])?);
        }
        let of_source = |(rows, loaded): (usize, &&Loaded)| (0..loaded.slots.len()).map(move |at| (rows, at));
        let places = sources.iter().enumerate().flat_map(of_source);
        let mut keyed: Vec<((usize, usize), Stretch)> = places.zip(stretches).collect();
        // Each source's keys ascend already, which this sort makes use of, and it keeps the order of sources.
        keyed.sort_by(|(a, _), (b, _)| rows[a.0].row(a.1).cmp(&rows[b.0].row(b.1)));
        let mut keys = Self { stretches: Vec::with_capacity(keyed.len()), ends: Vec::new() };
        let mut last: Option<(usize, usize)> = None;
        for (place, stretch) in keyed {
            if last.is_some_and(|last| rows[last.0].row(last.1) != rows[place.0].row(place.1)) {
                keys.ends.push(keys.stretches.len());
            }
            last = Some(place);
            keys.stretches.push(stretch);
        }
        if last.is_some() {
            keys.ends.push(keys.stretches.len());
        }
        Ok(keys)
    }

    /// The stretches of each key.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[Stretch]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.stretches[start..end])
    }

    /// All stretches.
    pub(super) fn all(&self) -> &[Stretch] {
        &self.stretches
    }

    /// The keys of two lists of sources: for each key of the left ones its stretches on both sides. NULL equals nothing.
    ///
    /// # Errors
    /// Keys of a type without an order.
    pub(super) fn paired(left: &[Loaded], right: &[Loaded]) -> Result<Vec<(Vec<Stretch>, Vec<Stretch>)>> {
        let all: Vec<&Loaded> = left.iter().chain(right).collect();
        let keys = Self::of(&all)?;
        let pairs = keys.iter().filter_map(|stretches| {
            let (of_left, of_right) =
                stretches.split_at(stretches.partition_point(|stretch| stretch.source < left.len()));
            let first = of_left.first()?;
            let is_null = all[first.source].index.keys.as_ref().is_some_and(|keys| keys.is_null(first.slot));
            let moved =
                |stretch: &Stretch| Stretch { source: stretch.source - left.len(), ..stretch.clone() };
            let of_right = if is_null { Vec::new() } else { of_right.iter().map(moved).collect() };
            Some((of_left.to_vec(), of_right))
        });
        Ok(pairs.collect())
    }

    /// The keys of these places (source, slot), in the index's type.
    ///
    /// # Errors
    /// A table without a key.
    pub(super) fn values(sources: &[Loaded], places: &[(usize, usize)]) -> Result<ArrayRef> {
        let keys: Option<Vec<&dyn Array>> =
            sources.iter().map(|loaded| loaded.index.keys.as_ref().map(AsRef::as_ref)).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(interleave(&keys, places)?),
            _ => internal_err!("a table without a key has no key values"),
        }
    }
}

/// The keys of rows of a source.
pub(super) fn key_column(source: &Loaded, group: &[Range<usize>], ty: &DataType) -> Result<ArrayRef> {
    let Some(keys) = &source.index.keys else {
        return internal_err!("a table without a key is joined by it");
    };
    let mut slots: Vec<u32> = Vec::with_capacity(group.iter().map(Range::len).sum());
    for range in group {
        let mut at = source.slots.partition_point(|slot| slot.rows.end <= range.start);
        let mut row = range.start;
        while row < range.end {
            let Some(slot) = source.slots.get(at) else { return internal_err!("a row has no slot") };
            let end = slot.rows.end.min(range.end);
            slots.resize(slots.len() + end - row, slot.slot as u32);
            (row, at) = (end, at + 1);
        }
    }
    let (first, last) = match (slots.first(), slots.last()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => (0, 0),
    };
    // Only the keys in reach are converted.
    let reach = cast(&keys.slice(first as usize, (last - first) as usize + 1), ty)?;
    slots.iter_mut().for_each(|slot| *slot -= first);
    Ok(take(&reach, &UInt32Array::from(slots), None)?)
}
