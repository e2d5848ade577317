//! Native values into columns, as far as the bytes at hand go: a column that is cut short goes on where it was.
//! Nothing is allocated for a count that was only declared; columns grow with the bytes that come.

use zepto_common::ErrorCode;
use zepto_common::limits::VALUE_BYTES_MAX;
use zepto_common::types::ColumnType;

use super::wire::Wire;
use super::write::{DICTIONARY_FLAGS, OWN_DICTIONARIES};
use crate::column::{Column, Text, Values};
use crate::columnar::{justified_bytes, unjustified};
use crate::digits::put_start;
use crate::row_binary::{length, swap_halves};
use crate::scan::{Cursor, Scan, Stop, fault};
use crate::settings::FormatSettings;

/// Fixed-size numbers of a dictionary's head, for messages.
const DICTIONARY: &str = "words in a dictionary";

/// A column that is being read.
#[derive(Debug)]
pub(super) struct Reader {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Flat,
    LongDate,
    Nullable(Box<Reader>),
    Low(Box<Low>),
    Array(Box<Reader>),
    Map(Box<(Reader, Reader)>),
    Tuple(Vec<Reader>),
}

/// A dictionary and how far it is read.
#[derive(Debug)]
struct Low {
    versioned: bool,
    /// Width of the numbers in bytes, once known.
    width: usize,
    /// Words, once known.
    count: Option<usize>,
    words: Column,
    reader: Reader,
    /// The count of rows was read.
    counted: bool,
    /// Numbers of rows, where the column itself has no dictionary.
    numbers: Vec<i32>,
    nullable: bool,
    /// The column has its values.
    delivered: bool,
}

#[cold]
pub(super) fn incorrect(message: impl Into<String>) -> Stop {
    fault(ErrorCode::IncorrectData, message)
}

impl Reader {
    pub(super) fn new(wire: Wire, ty: &ColumnType, settings: &FormatSettings) -> Self {
        let kind = match (wire, ty.inner()) {
            (Wire::LongDate, _) => Kind::LongDate,
            (Wire::Nullable(of), _) => Kind::Nullable(Box::new(Self::new(*of, ty, settings))),
            (Wire::Low(of, words), _) => Kind::Low(Box::new(Low {
                versioned: false,
                width: 0,
                count: None,
                reader: Self::new(*of, &words, settings),
                words: Column::new("", &words, settings),
                counted: false,
                numbers: Vec::new(),
                nullable: ty.is_nullable(),
                delivered: false,
            })),
            (Wire::Array(of), ColumnType::Array(ty)) => Kind::Array(Box::new(Self::new(*of, ty, settings))),
            (Wire::Map(pair), ColumnType::Map(key, value)) => {
                Kind::Map(Box::new((Self::new(pair.0, key, settings), Self::new(pair.1, value, settings))))
            }
            (Wire::Tuple(parts), ColumnType::Tuple(types)) => {
                let parts = parts.into_iter().zip(types);
                Kind::Tuple(parts.map(|(part, ty)| Self::new(part, ty, settings)).collect())
            }
            _ => Kind::Flat,
        };
        Self { kind }
    }

    /// Reads what comes before all values.
    pub(super) fn prefix(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        match &mut self.kind {
            Kind::Low(low) if !low.versioned => {
                let version = number(cursor)?;
                if version != OWN_DICTIONARIES {
                    return Err(incorrect(format!("Version {version} of LowCardinality is not known")));
                }
                low.versioned = true;
                Ok(())
            }
            Kind::Low(_) | Kind::Flat | Kind::LongDate => Ok(()),
            Kind::Nullable(of) | Kind::Array(of) => of.prefix(cursor),
            Kind::Map(pair) => {
                pair.0.prefix(cursor)?;
                pair.1.prefix(cursor)
            }
            Kind::Tuple(parts) => parts.iter_mut().try_for_each(|part| part.prefix(cursor)),
        }
    }

    /// Reads on until the column has this many rows.
    pub(super) fn read(&mut self, column: &mut Column, rows: usize, cursor: &mut Cursor<'_>) -> Scan<()> {
        match &mut self.kind {
            Kind::Flat => flat(column, rows, cursor),
            Kind::LongDate => match &mut column.values {
                Values::Date(v) => fixed(v, rows, cursor, |bytes| Ok(i32::from_le_bytes(bytes))),
                _ => Err(unfit()),
            },
            Kind::Nullable(of) => {
                let Some(valid) = &mut column.valid else { return Err(unfit()) };
                copied(valid, rows, cursor, |[byte]: [u8; 1]| byte == 0)?;
                of.read(column, rows, cursor)
            }
            Kind::Low(low) => low.read(column, rows, cursor),
            Kind::Array(of) => {
                let Values::Array(ends, item) = &mut column.values else { return Err(unfit()) };
                let items = list_ends(ends, rows, cursor)?;
                of.read(item, items, cursor)
            }
            Kind::Map(readers) => {
                let Values::Map(ends, pair) = &mut column.values else { return Err(unfit()) };
                let items = list_ends(ends, rows, cursor)?;
                readers.0.read(&mut pair.0, items, cursor)?;
                readers.1.read(&mut pair.1, items, cursor)
            }
            Kind::Tuple(readers) => {
                let Values::Tuple(parts, count) = &mut column.values else { return Err(unfit()) };
                if parts.is_empty() {
                    return zeros(count, rows, cursor);
                }
                for (reader, part) in readers.iter_mut().zip(parts) {
                    reader.read(part, rows, cursor)?;
                }
                *count = rows;
                Ok(())
            }
        }
    }
}

/// A column that was not made for the layout: both come from one type.
#[cold]
fn unfit() -> Stop {
    zepto_common::Error::internal("a column does not fit its layout").into()
}

impl Low {
    fn read(&mut self, column: &mut Column, rows: usize, cursor: &mut Cursor<'_>) -> Scan<()> {
        if rows == 0 || self.delivered {
            return Ok(());
        }
        let count = self.dictionary(cursor)?;
        if !self.counted {
            let declared = number(cursor)?;
            if declared != rows as u64 {
                return Err(incorrect(format!("A dictionary has {declared} numbers for {rows} rows")));
            }
            self.counted = true;
        }
        let numbers = match &mut column.values {
            Values::Symbol(symbols) => &mut symbols.ids,
            _ => &mut self.numbers,
        };
        // What is no number of 31 bits becomes a negative one, which no dictionary has.
        match self.width {
            1 => copied(numbers, rows, cursor, |bytes| i32::from(u8::from_le_bytes(bytes)))?,
            2 => copied(numbers, rows, cursor, |bytes| i32::from(u16::from_le_bytes(bytes)))?,
            4 => copied(numbers, rows, cursor, i32::from_le_bytes)?,
            _ => {
                copied(numbers, rows, cursor, |bytes| i32::try_from(u64::from_le_bytes(bytes)).unwrap_or(-1))?
            }
        }
        let largest = numbers.iter().fold(0, |most: u32, number| most.max(number.cast_unsigned()));
        if largest as usize >= count {
            return Err(incorrect(format!("A number is not in its dictionary of {count} words")));
        }
        self.delivered = true;
        self.deliver(column)
    }

    /// Reads the dictionary; gives its words' number.
    fn dictionary(&mut self, cursor: &mut Cursor<'_>) -> Scan<usize> {
        if self.width == 0 {
            let flags = number(cursor)?;
            let width = flags & 0xFF;
            if flags & !0xFF != DICTIONARY_FLAGS || width > 3 {
                return Err(incorrect(format!("A dictionary's kind {flags:#x} is not known")));
            }
            self.width = 1 << width;
        }
        let count = match self.count {
            Some(count) => count,
            None => {
                let count = number(cursor)?;
                match i32::try_from(count) {
                    // A word takes a byte at least, so a dictionary of many words needs as many bytes.
                    Ok(small) if small >= 0 => *self.count.insert(small as usize),
                    _ => return Err(incorrect(format!("{count} {DICTIONARY} are too many"))),
                }
            }
        };
        self.reader.read(&mut self.words, count, cursor)?;
        Ok(count)
    }

    /// Gives the column its values; the first word of a dictionary that has NULL is NULL.
    fn deliver(&mut self, column: &mut Column) -> Scan<()> {
        if let Values::Symbol(symbols) = &mut column.values {
            if let Some(valid) = &mut column.valid {
                valid.extend(symbols.ids.iter().map(|id| *id != 0));
            }
            if let Values::Text(words) = &mut self.words.values {
                symbols.values = std::mem::take(words);
            }
            return Ok(());
        }
        self.justified()?;
        for id in std::mem::take(&mut self.numbers) {
            if self.nullable && id == 0 {
                column.push_zero();
            } else {
                column.mark_valid();
                column.push_copy(&self.words, id as usize);
            }
        }
        Ok(())
    }

    /// Few long words may stand for many rows: their sum has a bound before they are written out.
    fn justified(&self) -> Scan<()> {
        let Values::Text(words) = &self.words.values else { return Ok(()) };
        let bytes: usize = self.numbers.iter().map(|id| words.get(*id as usize).len()).sum();
        if bytes > justified_bytes(words.bytes.len() + 4 * self.numbers.len()) {
            return Err(unjustified().into());
        }
        Ok(())
    }
}

/// What stands for `count` rows less than were declared.
#[cold]
fn short(read: usize, rows: usize, cursor: &Cursor<'_>) -> Stop {
    if !cursor.last {
        return Stop::More;
    }
    let message = format!("Cannot read all data in Native format. Rows read: {read}. Rows expected: {rows}.");
    fault(ErrorCode::CannotReadAllData, message)
}

/// A 64-bit number.
pub(super) fn number(cursor: &mut Cursor<'_>) -> Scan<u64> {
    let Some(bytes) = cursor.rest().first_chunk::<8>() else { return Err(short(0, 1, cursor)) };
    cursor.at += 8;
    Ok(u64::from_le_bytes(*bytes))
}

/// Makes room for a column's values at once, so that it does not grow by copying; for long columns, which may only
/// be declared, as they come.
fn reserve<T>(values: &mut Vec<T>, rows: usize) {
    /// Bytes that are taken for what is declared: one column's at a time.
    const RESERVED_BYTES: usize = 1 << 20;
    if values.is_empty() {
        values.reserve_exact(rows.min(RESERVED_BYTES / size_of::<T>()));
    }
}

/// Reads on values of `N` bytes.
fn fixed<T, const N: usize>(
    values: &mut Vec<T>,
    rows: usize,
    cursor: &mut Cursor<'_>,
    value: impl Fn([u8; N]) -> Scan<T>,
) -> Scan<()> {
    let (chunks, _) = cursor.rest().as_chunks::<N>();
    let chunks = &chunks[..chunks.len().min(rows - values.len())];
    reserve(values, rows);
    for chunk in chunks {
        values.push(value(*chunk)?);
    }
    cursor.at += chunks.len() * N;
    if values.len() < rows { Err(short(values.len(), rows, cursor)) } else { Ok(()) }
}

/// As [`fixed`] for values that every byte pattern is one of: copied, not looked at.
fn copied<T, const N: usize>(
    values: &mut Vec<T>,
    rows: usize,
    cursor: &mut Cursor<'_>,
    value: impl Fn([u8; N]) -> T,
) -> Scan<()> {
    let (chunks, _) = cursor.rest().as_chunks::<N>();
    let chunks = &chunks[..chunks.len().min(rows - values.len())];
    reserve(values, rows);
    values.extend(chunks.iter().map(|chunk| value(*chunk)));
    cursor.at += chunks.len() * N;
    if values.len() < rows { Err(short(values.len(), rows, cursor)) } else { Ok(()) }
}

fn flat(column: &mut Column, rows: usize, cursor: &mut Cursor<'_>) -> Scan<()> {
    match &mut column.values {
        Values::I8(v) => copied(v, rows, cursor, i8::from_le_bytes),
        Values::I16(v) => copied(v, rows, cursor, i16::from_le_bytes),
        Values::I32(v) => copied(v, rows, cursor, i32::from_le_bytes),
        Values::I64(v) => copied(v, rows, cursor, i64::from_le_bytes),
        Values::U8(v) => copied(v, rows, cursor, u8::from_le_bytes),
        Values::U16(v) => copied(v, rows, cursor, u16::from_le_bytes),
        Values::U32(v) => copied(v, rows, cursor, u32::from_le_bytes),
        Values::U64(v) => copied(v, rows, cursor, u64::from_le_bytes),
        Values::F32(v) => copied(v, rows, cursor, f32::from_le_bytes),
        Values::F64(v) => copied(v, rows, cursor, f64::from_le_bytes),
        // As ClickHouse: any byte but 0 is true.
        Values::Bool(v) => copied(v, rows, cursor, |[byte]: [u8; 1]| byte != 0),
        Values::Date(v) => copied(v, rows, cursor, |bytes| i32::from(u16::from_le_bytes(bytes))),
        Values::Uuid(v) => copied(v, rows, cursor, swap_halves),
        Values::Text(text) => strings(text, rows, cursor),
        Values::Time(v, clock) => match column.ty.inner() {
            ColumnType::DateTime(_) => copied(v, rows, cursor, |bytes| i64::from(u32::from_le_bytes(bytes))),
            _ if matches!(clock.precision, 0 | 3 | 6 | 9) => copied(v, rows, cursor, i64::from_le_bytes),
            _ => fixed(v, rows, cursor, |bytes| Ok(clock.of_binary(i64::from_le_bytes(bytes))?)),
        },
        Values::Decimal(v, precision, _) => {
            let limit = 10u128.pow(u32::from(*precision));
            let fits = |value: i128| match value.unsigned_abs() < limit {
                true => Ok(value),
                false => Err(fault(ErrorCode::ArgumentOutOfBound, "A Decimal has more digits than its type")),
            };
            match *precision {
                ..=9 => fixed(v, rows, cursor, |bytes| fits(i128::from(i32::from_le_bytes(bytes)))),
                10..=18 => fixed(v, rows, cursor, |bytes| fits(i128::from(i64::from_le_bytes(bytes)))),
                _ => fixed(v, rows, cursor, |bytes| fits(i128::from_le_bytes(bytes))),
            }
        }
        Values::Nothing(count) => zeros(count, rows, cursor),
        Values::Symbol(_) | Values::Array(..) | Values::Tuple(..) | Values::Map(..) => Err(unfit()),
    }
}

/// Values without content are a byte each.
fn zeros(count: &mut usize, rows: usize, cursor: &mut Cursor<'_>) -> Scan<()> {
    let found = cursor.rest().len().min(rows - *count);
    *count += found;
    cursor.at += found;
    if *count < rows { Err(short(*count, rows, cursor)) } else { Ok(()) }
}

fn strings(text: &mut Text, rows: usize, cursor: &mut Cursor<'_>) -> Scan<()> {
    let data = cursor.data;
    text.ends.reserve((data.len() - cursor.at).min(rows - text.ends.len()));
    while text.ends.len() < rows {
        let start = cursor.at;
        let value = match data.get(start) {
            Some(size @ ..0x80) => {
                let (size, value_and_more) = (usize::from(*size), &data[start + 1..]);
                if size > value_and_more.len() {
                    return Err(short(text.ends.len(), rows, cursor));
                }
                put_start(value_and_more, size, &mut text.bytes);
                text.ends.push(text.bytes.len() as i32);
                cursor.at = start + 1 + size;
                continue;
            }
            Some(_) => match length(cursor, VALUE_BYTES_MAX, "bytes in a value").and_then(|n| cursor.take(n))
            {
                Ok(value) => value,
                Err(stop) => {
                    cursor.at = start;
                    return Err(stop);
                }
            },
            None => return Err(short(text.ends.len(), rows, cursor)),
        };
        text.push(value);
    }
    Ok(())
}

/// Reads on the ends of lists; gives the number of elements.
fn list_ends(ends: &mut Vec<i32>, rows: usize, cursor: &mut Cursor<'_>) -> Scan<usize> {
    if ends.len() < rows {
        let mut last = ends.last().copied().unwrap_or(0);
        let (chunks, _) = cursor.rest().as_chunks::<8>();
        let chunks = &chunks[..chunks.len().min(rows - ends.len())];
        ends.reserve(chunks.len());
        for chunk in chunks {
            let end = u64::from_le_bytes(*chunk);
            match i32::try_from(end) {
                Ok(end) if end >= last => {
                    ends.push(end);
                    last = end;
                }
                Ok(_) => return Err(incorrect("Ends of lists do not grow")),
                Err(_) => return Err(incorrect(format!("{end} elements of lists are too many"))),
            }
        }
        cursor.at += chunks.len() * 8;
        if ends.len() < rows {
            return Err(short(ends.len(), rows, cursor));
        }
    }
    Ok(ends.last().map_or(0, |end| *end as usize))
}
