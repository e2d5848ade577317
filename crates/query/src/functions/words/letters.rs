//! The plain functions of texts behind the rows. Pure.

use datafusion::common::Result;
use zepto_common::ErrorCode;

use crate::functions::scalar::fault;

/// A distance costs the product of the lengths.
const DISTANCE_CELLS_MAX: usize = 1 << 24;

/// Levenshtein's distance.
pub(super) fn distance(left: &str, right: &str, utf8: bool) -> Result<u64> {
    let units = |text: &str| -> Vec<u32> {
        if utf8 { text.chars().map(u32::from).collect() } else { text.bytes().map(u32::from).collect() }
    };
    let (left, right) = (units(left), units(right));
    if left.len().saturating_mul(right.len()) > DISTANCE_CELLS_MAX {
        let message =
            format!("The texts are too long for a distance: at most {DISTANCE_CELLS_MAX} pairs of letters");
        return Err(fault(ErrorCode::TooLargeStringSize, message));
    }
    let mut above: Vec<u64> = (0..=right.len() as u64).collect();
    for (at, a) in left.iter().enumerate() {
        let mut corner = above[0];
        above[0] = at as u64 + 1;
        for (place, b) in right.iter().enumerate() {
            let changed = corner + u64::from(a != b);
            corner = above[place + 1];
            above[place + 1] = changed.min(corner + 1).min(above[place] + 1);
        }
    }
    Ok(above[right.len()])
}

/// Each letter of `from` becomes the one at its place in `to`, or goes.
pub(super) fn translated(text: &str, from: &str, to: &str) -> String {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    text.chars()
        .filter_map(|letter| match from.iter().rposition(|known| *known == letter) {
            Some(at) => to.get(at).copied(),
            None => Some(letter),
        })
        .collect()
}

/// A bar in eighths of a block.
pub(super) fn bar(value: f64, least: f64, most: f64, width: f64) -> Result<String> {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let fault = |message: &str| Err(fault(ErrorCode::BadArguments, message.to_owned()));
    if width.is_nan() || !(1.0..=1_000.0).contains(&width) {
        return fault("The width of a bar is from 1 to 1000");
    }
    if least >= most {
        return fault("The least value of a bar must be below the greatest");
    }
    if value.is_nan() || value <= least {
        return Ok(String::new());
    }
    let filled = if value >= most { width } else { (value - least) * width / (most - least) };
    // Rounded down, with room for what a division loses.
    let eighths = ((filled * 8.0) + 1e-9).floor() as usize;
    Ok(format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8]))
}

/// Every run of `length` characters.
pub(super) fn ngrams(text: &str, length: i64) -> Result<Vec<String>> {
    let length = usize::try_from(length).ok().filter(|length| *length > 0);
    let Some(length) = length else {
        return Err(fault(ErrorCode::BadArguments, "ngrams takes a length above 0"));
    };
    let letters: Vec<char> = text.chars().collect();
    Ok(letters.windows(length).map(|run| run.iter().collect()).collect())
}

/// Escapes as ClickHouse sets them.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if "\0\\|()^$.[]?*+{:-".contains(letter) {
            out.push('\\');
        }
        out.push(if letter == '\0' { '0' } else { letter });
    }
    out
}

/// The American Soundex.
pub(super) fn soundex(text: &str) -> String {
    let code = |letter: u8| match letter {
        b'B' | b'F' | b'P' | b'V' => b'1',
        b'C' | b'G' | b'J' | b'K' | b'Q' | b'S' | b'X' | b'Z' => b'2',
        b'D' | b'T' => b'3',
        b'L' => b'4',
        b'M' | b'N' => b'5',
        b'R' => b'6',
        _ => b'0',
    };
    let mut letters = text.bytes().filter(u8::is_ascii_alphabetic).map(|letter| letter.to_ascii_uppercase());
    let Some(first) = letters.next() else { return "0000".to_owned() };
    let mut out = vec![first];
    let mut last = code(first);
    for letter in letters {
        let next = code(letter);
        match next {
            b'0' => last = next,
            _ if next == last => {}
            _ => {
                last = next;
                out.push(next);
            }
        }
        if out.len() == 4 {
            break;
        }
    }
    out.resize(4, b'0');
    out.into_iter().map(char::from).collect()
}

/// What stands before `?` or `#`, between them, and behind `#`.
pub(super) fn parts(url: &str) -> (&str, &str, &str) {
    let (front, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (path, query) = front.split_once('?').unwrap_or((front, ""));
    (path, query, fragment)
}

/// The address without the part between `?` and `#`.
pub(super) fn without_query(url: &str) -> String {
    let (path, _, _) = parts(url);
    let fragment = url.find('#').map_or("", |at| &url[at..]);
    format!("{path}{fragment}")
}

/// The parameters of an address, in their order.
pub(super) fn parameters(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = url.split_once(['?', '#']).map_or("", |(_, query)| query);
    query.split(['&', '?', '#']).filter_map(|pair| pair.split_once('='))
}
