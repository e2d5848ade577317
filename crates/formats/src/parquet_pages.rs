//! What the pages of a Parquet file say of their size, before anything is allocated for them.
//!
//! Each column chunk is a row of pages, each behind a header in Thrift's compact protocol (`PageHeader` of
//! parquet.thrift: field 2 is the size of the page without its compression, field 3 the size in the file). The library
//! allocates what a header says; the footer, which says the sizes of whole groups, need not agree with it.

use zepto_common::{Error, ErrorCode, Result};

/// Structures within structures of a header; those of real ones are three deep.
const DEPTH_MAX: usize = 16;
/// Field of the size of a page without its compression.
const PLAIN_SIZE: i64 = 2;
/// Field of the size of a page in the file.
const PACKED_SIZE: i64 = 3;

/// Bytes that the pages of one column chunk have without their compression.
///
/// # Errors
/// `IncorrectData` for what is no row of pages.
pub(crate) fn plain_bytes(mut chunk: &[u8]) -> Result<u64> {
    let mut total = 0u64;
    while !chunk.is_empty() {
        let page = PageHeader::read(&mut chunk).ok_or_else(broken)?;
        chunk = chunk.get(page.packed..).ok_or_else(broken)?;
        total = total.saturating_add(page.plain);
    }
    Ok(total)
}

fn broken() -> Error {
    Error::new(ErrorCode::IncorrectData, "Broken Parquet file: a page is not where it should be")
}

#[derive(Debug, PartialEq, Eq)]
struct PageHeader {
    plain: u64,
    packed: usize,
}

impl PageHeader {
    fn read(from: &mut &[u8]) -> Option<Self> {
        let mut sizes = (None, None);
        structure(from, 0, &mut |field, number| match field {
            PLAIN_SIZE => sizes.0 = u64::try_from(number).ok(),
            PACKED_SIZE => sizes.1 = usize::try_from(number).ok(),
            _ => {}
        })?;
        Some(Self { plain: sizes.0?, packed: sizes.1? })
    }
}

fn byte(from: &mut &[u8]) -> Option<u8> {
    let (first, rest) = from.split_first()?;
    *from = rest;
    Some(*first)
}

fn varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let next = byte(from)?;
        number |= u64::from(next & 0x7F) << shift;
        if next < 0x80 {
            return Some(number);
        }
    }
    None
}

fn zigzag(from: &mut &[u8]) -> Option<i64> {
    let number = varint(from)?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

fn skip(from: &mut &[u8], bytes: u64) -> Option<()> {
    *from = from.get(usize::try_from(bytes).ok()?..)?;
    Some(())
}

/// Passes over a structure; the numbers in its fields are shown by the field's id.
fn structure(from: &mut &[u8], depth: usize, see: &mut dyn FnMut(i64, i64)) -> Option<()> {
    let mut field = 0i64;
    loop {
        let head = byte(from)?;
        if head == 0 {
            return Some(());
        }
        field = match head >> 4 {
            0 => zigzag(from)?,
            step => field.checked_add(i64::from(step))?,
        };
        match head & 0x0F {
            // A field's truth is its type.
            1 | 2 => {}
            4..=6 => see(field, zigzag(from)?),
            kind => value(from, kind, depth)?,
        }
    }
}

/// Passes over a value that stands by itself.
fn value(from: &mut &[u8], kind: u8, depth: usize) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    match kind {
        1..=3 => skip(from, 1),
        4..=6 => varint(from).map(drop),
        7 => skip(from, 8),
        8 => {
            let bytes = varint(from)?;
            skip(from, bytes)
        }
        9 | 10 => {
            let head = byte(from)?;
            let count = if head >> 4 == 15 { varint(from)? } else { u64::from(head >> 4) };
            values(from, count, &[head & 0x0F], depth)
        }
        11 => {
            let count = varint(from)?;
            let kinds = if count > 0 { byte(from)? } else { 0 };
            values(from, count, &[kinds >> 4, kinds & 0x0F], depth)
        }
        12 => structure(from, depth + 1, &mut |_, _| ()),
        _ => None,
    }
}

/// Every value takes at least a byte, so a count that the input does not justify ends with the input.
fn values(from: &mut &[u8], count: u64, kinds: &[u8], depth: usize) -> Option<()> {
    (0..count).try_for_each(|_| kinds.iter().try_for_each(|kind| value(from, *kind, depth + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_found_among_other_fields() {
        // Type 0, plain size 300, packed size 5, then a data page header and a crc with a long field id.
        let header = [0x15, 0, 0x15, 0xD8, 0x04, 0x15, 10, 0x2C, 0x15, 2, 0x15, 0, 0, 0x05, 0x08, 7, 0];
        let mut rest = &[&header[..], b"page!"].concat()[..];
        assert_eq!(PageHeader::read(&mut rest), Some(PageHeader { plain: 300, packed: 5 }));
        assert_eq!(rest, b"page!");
        let chunk = [&header[..], b"page!", &header[..], b"page!"].concat();
        assert_eq!(plain_bytes(&chunk).ok(), Some(600));
        for cut in [1, 5, header.len(), header.len() + 3, chunk.len() - 1] {
            assert!(plain_bytes(&chunk[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn nesting_and_counts_end() {
        assert_eq!(value(&mut &[0x1C; 10_000][..], 12, 0), None);
        let mut long: &[u8] = &[0xF3, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1, 2];
        assert_eq!(value(&mut long, 9, 0), None);
        assert_eq!(varint(&mut &[0xFF; 20][..]), None);
    }
}
