//! LowCardinality: the words of a block in the order in which they first come, and a number per row.

use std::hash::BuildHasher;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{self as dt, DataType};
use hashbrown::HashTable;
use zepto_common::Result;

use super::{DICTIONARY_FLAGS, each};
use crate::row_binary::write_string;
use crate::views::INLINE_BYTES;

/// A dictionary and the number of each row in it.
struct Numbered<'a, N> {
    words: Vec<&'a str>,
    numbers: Vec<N>,
}

/// What a row's number is kept in.
trait Number: Copy + Default + Into<u32> {
    /// None for a number that is too large.
    fn of(number: u32) -> Option<Self>;
}

impl Number for u16 {
    #[inline]
    fn of(number: u32) -> Option<Self> {
        number.try_into().ok()
    }
}

impl Number for u32 {
    #[inline]
    fn of(number: u32) -> Option<Self> {
        Some(number)
    }
}

/// Writes a dictionary in the order in which its words first come, and a number per row. The first word is always
/// the empty string, and NULL comes even before it.
pub(super) fn symbols(
    array: &ArrayRef,
    nulls: Option<&NullBuffer>,
    nullable: bool,
    out: &mut Vec<u8>,
) -> Result<()> {
    if array.is_empty() {
        return Ok(());
    }
    match array.data_type() {
        DataType::Dictionary(key, _) if **key == DataType::Int32 => {
            let dictionary = array.as_dictionary::<dt::Int32Type>();
            let words = cast(dictionary.values(), &DataType::Utf8View)?;
            write_numbered(
                &of_dictionary(dictionary.keys().values(), words.as_string_view(), nulls, nullable),
                out,
            );
        }
        DataType::Utf8View => words_of_views(array.as_string_view(), nulls, nullable, out),
        _ => {
            let views = cast(array, &DataType::Utf8View)?;
            words_of_views(views.as_string_view(), nulls, nullable, out);
        }
    }
    Ok(())
}

fn first_words(nullable: bool) -> Vec<&'static str> {
    vec![""; 1 + usize::from(nullable)]
}

fn of_dictionary<'a>(
    keys: &[i32],
    words: &'a StringViewArray,
    nulls: Option<&NullBuffer>,
    nullable: bool,
) -> Numbered<'a, u32> {
    let mut found = Numbered { words: first_words(nullable), numbers: Vec::with_capacity(keys.len()) };
    let empty = found.words.len() as u32 - 1;
    let mut known = vec![u32::MAX; words.len()];
    for (row, key) in keys.iter().enumerate() {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            found.numbers.push(0);
            continue;
        }
        let number = &mut known[*key as usize];
        if *number == u32::MAX {
            let word = words.value(*key as usize);
            *number = if word.is_empty() { empty } else { found.words.len() as u32 };
            if !word.is_empty() {
                found.words.push(word);
            }
        }
        found.numbers.push(*number);
    }
    found
}

fn words_of_views(array: &StringViewArray, nulls: Option<&NullBuffer>, nullable: bool, out: &mut Vec<u8>) {
    match of_views::<u16>(array, nulls, nullable) {
        Some(found) => write_numbered(&found, out),
        // Blocks have fewer rows; the lists in a block may have more elements.
        None => {
            if let Some(found) = of_views::<u32>(array, nulls, nullable) {
                write_numbered(&found, out);
            }
        }
    }
}

/// None if there are more words than numbers of this kind.
fn of_views<'a, N: Number>(
    array: &'a StringViewArray,
    nulls: Option<&NullBuffer>,
    nullable: bool,
) -> Option<Numbered<'a, N>> {
    let mut numbering = Numbering::new(array, nullable);
    let mut numbers = vec![N::default(); array.len()];
    match nulls {
        None => {
            let mut row = 0;
            while row < numbers.len() {
                row += numbering.places.numbers(&array.views()[row..], &mut numbers[row..]);
                if let (Some(number), Some(view)) = (numbers.get_mut(row), array.views().get(row)) {
                    *number = N::of(numbering.number(row, *view))?;
                    row += 1;
                }
            }
        }
        Some(nulls) => {
            for ((row, valid), view) in nulls.iter().enumerate().zip(array.views()) {
                if valid {
                    numbers[row] = N::of(numbering.number(row, *view))?;
                }
            }
        }
    }
    Some(Numbered { words: numbering.words, numbers })
}

/// No entry.
const NONE: u16 = u16::MAX;
/// Entries that are kept at most.
const ENTRIES_MAX: usize = NONE as usize;
/// Places at first.
const PLACES: usize = 1 << 12;
/// How many times more places there are than entries, so that few views have to look further than their first place.
const ROOM: usize = 4;
/// How many times more places there are than before when there are too few.
const GROWTH: usize = 4;
/// Places in a row that may hold a view, so that views that were made to meet cost no more than this.
const TRIES: usize = 8;

/// Views with their numbers. A view is found by way of the place that its bits choose, or one of the next; the places
/// hold numbers of entries, so that both they and the entries stay near the processor.
struct Places {
    places: Vec<u16>,
    /// The highest bits of a product are the place: by so much they are shifted.
    shift: u32,
    entries: Vec<Entry>,
}

/// A view in halves, so that less room is lost, and its number.
struct Entry {
    low: u64,
    high: u64,
    number: u32,
}

impl Entry {
    fn new(view: u128, number: u32) -> Self {
        Self { low: view as u64, high: (view >> 64) as u64, number }
    }

    #[inline(always)]
    fn is_of(&self, view: u128) -> bool {
        self.low == view as u64 && self.high == (view >> 64) as u64
    }

    fn view(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

/// What is known of a view.
enum Known {
    Number(u32),
    /// It is new, and its entry may be put here.
    Free(usize),
    /// All its places are taken.
    Crowded,
}

impl Places {
    fn new(size: usize) -> Self {
        debug_assert!(size.is_power_of_two(), "{size} places");
        Self { places: vec![NONE; size], shift: 64 - size.trailing_zeros(), entries: Vec::new() }
    }

    /// Writes the numbers of views that are at their first places, as most are, up to one that is not;
    /// gives how many.
    fn numbers<N: Number>(&self, views: &[u128], numbers: &mut [N]) -> usize {
        let (places, entries, shift) = (&self.places[..], &self.entries[..], self.shift);
        let mut done = 0;
        for (view, number) in views.iter().zip(numbers) {
            let entry = places.get(first(*view, shift)).and_then(|entry| entries.get(usize::from(*entry)));
            let Some(entry) = entry.filter(|entry| entry.is_of(*view)) else { break };
            let Some(found) = N::of(entry.number) else { break };
            *number = found;
            done += 1;
        }
        done
    }

    fn find(&self, view: u128) -> Known {
        let mut place = first(view, self.shift);
        for _ in 0..TRIES {
            match self.entries.get(usize::from(self.places[place])) {
                None => return Known::Free(place),
                Some(entry) if entry.is_of(view) => return Known::Number(entry.number),
                Some(_) => place = (place + 1) & (self.places.len() - 1),
            }
        }
        Known::Crowded
    }

    /// Puts a view at a free place that was found for it; false if there are too many.
    fn put(&mut self, place: usize, view: u128, number: u32) -> bool {
        if self.entries.len() == ENTRIES_MAX {
            return false;
        }
        self.places[place] = self.entries.len() as u16;
        self.entries.push(Entry::new(view, number));
        true
    }

    fn is_full(&self) -> bool {
        ROOM * self.entries.len() > self.places.len()
    }
}

/// The place that a view's bits choose.
#[inline(always)]
fn first(view: u128, shift: u32) -> usize {
    let (low, high) = (view as u64, (view >> 64) as u64);
    let mixed = low.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ high.wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    (mixed >> shift) as usize
}

/// Words and what finds them again.
struct Numbering<'a> {
    array: &'a StringViewArray,
    words: Vec<&'a str>,
    /// The number of the empty string.
    empty: u32,
    state: foldhash::fast::RandomState,
    /// Equal views are equal words.
    places: Places,
    /// Views that found no place.
    crowded: HashTable<(u128, u32)>,
    /// Long words can have several views: those are looked up by their text.
    long: HashTable<u32>,
}

impl<'a> Numbering<'a> {
    fn new(array: &'a StringViewArray, nullable: bool) -> Self {
        let words = first_words(nullable);
        Self {
            array,
            empty: words.len() as u32 - 1,
            words,
            state: foldhash::fast::RandomState::default(),
            places: Places::new(PLACES),
            crowded: HashTable::new(),
            long: HashTable::new(),
        }
    }

    /// The number of a row's view, which may be new.
    #[inline(never)]
    fn number(&mut self, row: usize, view: u128) -> u32 {
        let place = match self.places.find(view) {
            Known::Number(number) => return number,
            Known::Free(place) => Some(place),
            Known::Crowded => None,
        };
        // A view may have found no place when there were fewer.
        if !self.crowded.is_empty() {
            let hash = self.state.hash_one(view);
            if let Some((_, number)) = self.crowded.find(hash, |(known, _)| *known == view) {
                return *number;
            }
        }
        let number = self.word(row);
        match place {
            Some(place) if self.places.put(place, view, number) => {
                if self.places.is_full() {
                    self.grow();
                }
            }
            _ => self.crowd(view, number),
        }
        number
    }

    fn crowd(&mut self, view: u128, number: u32) {
        let (hash, state) = (self.state.hash_one(view), &self.state);
        self.crowded.insert_unique(hash, (view, number), |(view, _)| state.hash_one(view));
    }

    fn grow(&mut self) {
        let larger = Places::new(GROWTH * self.places.places.len());
        let smaller = std::mem::replace(&mut self.places, larger);
        for entry in smaller.entries {
            let (view, number) = (entry.view(), entry.number);
            match self.places.find(view) {
                Known::Free(place) if self.places.put(place, view, number) => {}
                _ => self.crowd(view, number),
            }
        }
    }

    /// The number of a row's word, which may be new.
    fn word(&mut self, row: usize) -> u32 {
        let word = self.array.value(row);
        match word.len() {
            0 => self.empty,
            1..=INLINE_BYTES => self.new_word(word),
            _ => {
                let hash = self.state.hash_one(word);
                if let Some(number) = self.long.find(hash, |number| self.words[*number as usize] == word) {
                    return *number;
                }
                let number = self.new_word(word);
                let (state, words) = (&self.state, &self.words);
                self.long.insert_unique(hash, number, |number| state.hash_one(words[*number as usize]));
                number
            }
        }
    }

    fn new_word(&mut self, word: &'a str) -> u32 {
        self.words.push(word);
        self.words.len() as u32 - 1
    }
}

fn write_numbered<N: Number>(found: &Numbered<'_, N>, out: &mut Vec<u8>) {
    let width = match found.words.len() {
        ..=0xFF => 0,
        0x100..=0xFFFF => 1,
        _ => 2,
    };
    out.extend_from_slice(&(DICTIONARY_FLAGS | width).to_le_bytes());
    out.extend_from_slice(&(found.words.len() as u64).to_le_bytes());
    found.words.iter().for_each(|word| write_string(word.as_bytes(), out));
    out.extend_from_slice(&(found.numbers.len() as u64).to_le_bytes());
    match width {
        0 => each(&found.numbers, |number| [(*number).into() as u8], out),
        1 => each(&found.numbers, |number| ((*number).into() as u16).to_le_bytes(), out),
        _ => each(&found.numbers, |number| (*number).into().to_le_bytes(), out),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words and numbers found the plain way.
    fn plainly(array: &StringViewArray, nullable: bool) -> (Vec<&str>, Vec<u32>) {
        let mut words = first_words(nullable);
        let empty = words.len() as u32 - 1;
        let numbers = array.iter().map(|word| match word {
            None => 0,
            Some("") => empty,
            Some(word) => match words.iter().position(|known| *known == word) {
                Some(number) => number as u32,
                None => {
                    words.push(word);
                    words.len() as u32 - 1
                }
            },
        });
        let numbers = numbers.collect();
        (words, numbers)
    }

    fn check(array: &StringViewArray) {
        let nullable = array.nulls().is_some();
        let found = of_views::<u32>(array, array.nulls(), nullable).expect("there is room for every number");
        let short = of_views::<u16>(array, array.nulls(), nullable).expect("there are few words");
        assert!(
            short.words == found.words
                && short.numbers.iter().copied().map(u32::from).eq(found.numbers.iter().copied())
        );
        assert_eq!((found.words, found.numbers), plainly(array, nullable));
    }

    #[test]
    fn a_word_has_one_number_in_the_order_of_first_coming_however_it_is_stored() {
        let short = |i: usize| format!("S{}", i * 7 % 900);
        let long = |i: usize| format!("a long word with number {}", i * 11 % 700);
        let mixed = |i: usize| match i % 5 {
            0 => None,
            1 => Some(String::new()),
            2 => Some(short(i)),
            3 => Some(long(i)),
            _ => Some("twelve bytes".to_owned()),
        };
        check(&StringViewArray::from_iter_values((0..5_000).map(short)));
        check(&StringViewArray::from_iter_values((0..5_000).map(long)));
        check(&StringViewArray::from_iter((0..5_000).map(mixed)));
        // One view for all of a word's rows as dictionaries have it, so that views and words are equally many.
        let words = StringViewArray::from_iter_values((0..300).map(long));
        let keys = arrow::array::Int32Array::from_iter_values((0..4_000).map(|i| i * 13 % 300));
        let of_keys = arrow::compute::take(&words, &keys, None).expect("keys are in range");
        check(of_keys.as_string_view());
    }

    #[test]
    fn views_that_meet_at_one_place_keep_their_own_numbers() {
        // Of the same first place in the smallest table, many times more than there are places in a row.
        let places = Places::new(PLACES);
        let view = |word: &String| StringViewArray::from_iter_values([word]).views()[0];
        let words =
            (0..1_000_000).map(|i| format!("w{i}")).filter(|word| first(view(word), places.shift) == 5);
        let words: Vec<String> = words.take(8 * TRIES).collect();
        assert_eq!(words.len(), 8 * TRIES);
        let rows = (0..3_000).map(|i| words[i * 7 % words.len()].clone());
        check(&StringViewArray::from_iter_values(rows.clone()));
        // The table grows when some have found no place, and they come again.
        let others = (0..PLACES).map(|i| format!("other {i}"));
        check(&StringViewArray::from_iter_values(rows.clone().chain(others).chain(rows)));
    }

    #[test]
    fn more_words_than_entries_are_all_found_again() {
        let words = 5 * ENTRIES_MAX / 4;
        let word = |i: usize| format!("{}", i % words);
        let array = StringViewArray::from_iter_values((0..2 * words).map(word));
        assert!(of_views::<u16>(&array, None, false).is_none(), "65,536 numbers are not enough");
        let found = of_views::<u32>(&array, None, false).expect("there is room for every number");
        assert_eq!(found.words.len(), 1 + words);
        assert!(found.numbers.iter().enumerate().all(|(i, number)| *number as usize == 1 + i % words));
    }
}
