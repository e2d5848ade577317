//! Texts in the quotes and with the escapes of each style.
//!
//! Nearly no text has anything to escape. Short ones lie in their views, so both the look for bytes that have an escape
//! and the copy are a few instructions of a fixed size; longer ones are looked through eight bytes at a time.

use arrow::array::StringViewArray;

use super::Style;
use crate::digits::{put, put_start};
use crate::json_value::write_json_string;
use crate::tab_separated::escape;
use crate::views::{self, INLINE_BYTES};

/// One in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
const HIGHS: u64 = 0x8080_8080_8080_8080;
/// A byte that no style escapes, sixteen times.
const HARMLESS: u128 = 0x6161_6161_6161_6161_6161_6161_6161_6161;

/// Not 0 if a byte is less than `limit`, which is at most 128. A borrow makes a byte look less than it is only above one
/// that is less.
#[inline(always)]
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGHS
}

/// Not 0 if a byte is this one.
#[inline(always)]
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}

/// Not 0 if `escape` may have something to do.
#[inline(always)]
fn escaped(word: u64) -> u64 {
    below(word, b' ') | equal(word, b'\'') | equal(word, b'\\')
}

/// Not 0 if `write_json_string` may have something to do.
#[inline(always)]
fn escaped_in_json(word: u64) -> u64 {
    below(word, b' ') | equal(word, b'"') | equal(word, b'\\') | equal(word, b'/') | equal(word, 0xE2)
}

/// Not 0 if there is a double quote.
#[inline(always)]
fn doubled(word: u64) -> u64 {
    equal(word, b'"')
}

/// Whether `found` is 0 for all bytes of a text.
#[inline(always)]
fn is_clean(text: &[u8], found: impl Fn(u64) -> u64) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let any = words.iter().fold(0, |any, word| any | found(u64::from_le_bytes(*word)));
    let last = match text.last_chunk::<8>() {
        // Some bytes twice rather than few bytes one by one.
        Some(last) => u64::from_le_bytes(*last),
        None => rest.iter().fold(HARMLESS as u64, |word, byte| word << 8 | u64::from(*byte)),
    };
    any | found(last) == 0
}

/// Appends a text that has nothing to escape, between quotes; false, and nothing is appended, if it has.
#[inline(always)]
fn put_clean(
    array: &StringViewArray,
    row: usize,
    quote: Option<u8>,
    found: impl Fn(u64) -> u64,
    out: &mut Vec<u8>,
) -> bool {
    let view = array.views()[row];
    let length = views::length(view);
    if length <= INLINE_BYTES {
        // The bytes behind the text are 0.
        let bytes = view >> 32;
        let all = bytes | HARMLESS << (8 * length);
        if found(all as u64) | found((all >> 64) as u64) != 0 {
            return false;
        }
        match quote {
            None => put(&bytes.to_le_bytes(), length, out),
            Some(quote) => {
                let quote = u128::from(quote);
                put(&(quote | bytes << 8 | quote << (8 * (length + 1))).to_le_bytes(), length + 2, out);
            }
        }
        return true;
    }
    let text_and_more = views::long_and_more(array, view);
    if !is_clean(&text_and_more[..length], found) {
        return false;
    }
    if let Some(quote) = quote {
        out.push(quote);
    }
    put_start(text_and_more, length, out);
    if let Some(quote) = quote {
        out.push(quote);
    }
    true
}

/// Writes a text of a column.
#[inline]
pub(super) fn text(array: &StringViewArray, row: usize, style: Style, out: &mut Vec<u8>) {
    let clean = match style {
        Style::Escaped => put_clean(array, row, None, escaped, out),
        Style::Raw | Style::Pretty => put_clean(array, row, None, |_| 0, out),
        Style::Csv => put_clean(array, row, Some(b'"'), doubled, out),
        Style::Quoted => put_clean(array, row, Some(b'\''), escaped, out),
        Style::Json(_) => put_clean(array, row, Some(b'"'), escaped_in_json, out),
    };
    if !clean {
        with_escapes(array.value(row).as_bytes(), style, out);
    }
}

#[inline(never)]
fn with_escapes(value: &[u8], style: Style, out: &mut Vec<u8>) {
    match style {
        Style::Escaped => escape(value, out),
        Style::Raw | Style::Pretty => out.extend_from_slice(value),
        Style::Csv => csv_string(value, out),
        Style::Quoted => {
            out.push(b'\'');
            escape(value, out);
            out.push(b'\'');
        }
        Style::Json(json) => write_json_string(value, json.escape_slash, out),
    }
}

/// A string in double quotes, which are doubled inside.
pub(crate) fn csv_string(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut start = 0;
    for at in memchr::memchr_iter(b'"', value) {
        out.extend_from_slice(&value[start..=at]);
        out.push(b'"');
        start = at + 1;
    }
    out.extend_from_slice(&value[start..]);
    out.push(b'"');
}

/// Text that needs no escapes, in the style's quotes.
#[inline(always)]
pub(super) fn marked(style: Style, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let quote = match style {
        Style::Escaped | Style::Raw | Style::Pretty => return write(out),
        Style::Csv | Style::Json(_) => b'"',
        Style::Quoted => b'\'',
    };
    out.push(quote);
    write(out);
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::super::JsonStyle;
    use super::*;

    const JSON: JsonStyle = JsonStyle {
        quote_64bit: false,
        quote_floats: false,
        quote_decimals: false,
        quote_denormals: false,
        escape_slash: true,
        indent: None,
    };

    #[test]
    fn every_character_at_every_place_of_a_text_of_any_length_is_escaped_as_if_looked_for_byte_by_byte() {
        let special = (0..=0xFFu32).chain([0x7FF, 0x800, 0x2027, 0x2028, 0x2029, 0x222B, 0xFFFD, 0x1_F600]);
        let special: Vec<char> = special.filter_map(char::from_u32).collect();
        for length in 0..34 {
            let texts: Vec<String> = special
                .iter()
                .flat_map(|c| {
                    (0..=length).map(move |at| format!("{}{c}{}", "x".repeat(at), "~".repeat(length - at)))
                })
                .chain([String::new(), "a".repeat(length)])
                .collect();
            let array = StringViewArray::from_iter_values(&texts);
            for style in
                [Style::Escaped, Style::Raw, Style::Csv, Style::Quoted, Style::Pretty, Style::Json(JSON)]
            {
                for (row, value) in texts.iter().enumerate() {
                    let (mut out, mut wanted) = (b"{".to_vec(), b"{".to_vec());
                    text(&array, row, style, &mut out);
                    with_escapes(value.as_bytes(), style, &mut wanted);
                    assert_eq!(out, wanted, "{value:?} in {style:?}");
                }
            }
        }
    }
}
