//! `TOLERANCE 5 SECOND` behind the condition of an as-of join: how far the nearest row may be away.

use sqlparser::tokenizer::{Token, TokenWithSpan};
use zepto_common::error::{Error, ErrorCode, Result};

use super::Tokens;
use super::cursor::is_word;

/// Behind the number of nanoseconds, where a tolerance has a unit.
pub(crate) const NANOSECONDS: &str = "ns";

/// Units with their nanoseconds: the words of INTERVAL, also with S at the end, and short forms.
const UNITS: [(&str, &str, u64); 8] = [
    ("NANOSECOND", "ns", 1),
    ("MICROSECOND", "us", 1_000),
    ("MILLISECOND", "ms", 1_000_000),
    ("SECOND", "s", 1_000_000_000),
    ("MINUTE", "m", 60_000_000_000),
    ("HOUR", "h", 3_600_000_000_000),
    ("DAY", "d", 86_400_000_000_000),
    ("WEEK", "w", 604_800_000_000_000),
];

/// Where the clause of one join cannot be any more.
const ENDS: [&str; 14] = [
    "JOIN",
    "WHERE",
    "PREWHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "WINDOW",
    "QUALIFY",
    "SETTINGS",
    "FORMAT",
];

/// Takes the clause out that stands behind the condition that begins at `start`: the distance as a text, a number of
/// nanoseconds with [`NANOSECONDS`] behind it or of whatever the ordered column counts.
///
/// # Errors
/// A clause without a number, or with a unit that has no fixed length.
pub(super) fn take_out(tokens: &mut Tokens, start: usize) -> Result<Option<String>> {
    let Some(at) = place_of(tokens, start) else { return Ok(None) };
    let mut end = at + 1;
    let mut next = |tokens: &[TokenWithSpan]| {
        end += 1;
        tokens.get(end - 1).map(|it| it.token.clone())
    };
    let mut count = next(tokens);
    let interval = count.as_ref().is_some_and(|word| is_word(word, "INTERVAL"));
    if interval {
        count = next(tokens);
    }
    let text = match count {
        Some(Token::Number(digits, _)) => digits,
        Some(Token::SingleQuotedString(text)) => text,
        // Where a number runs into a word, both are one token.
        Some(Token::Word(word)) if word.quote_style.is_none() => word.value,
        _ => return Err(refused("a number is missing")),
    };
    let letters = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, mut unit) = (&text[..letters], text[letters..].trim().to_owned());
    if unit.is_empty()
        && let Some(Token::Word(word)) = tokens.get(end).map(|it| &it.token)
        && word.quote_style.is_none()
        && (interval || nanos_of(&word.value).is_some())
    {
        unit.clone_from(&word.value);
        end += 1;
    }
    let count: u64 = digits.parse().map_err(|_| refused(&format!("{text:?} begins with no number")))?;
    let distance = match unit.as_str() {
        "" => count.to_string(),
        unit => {
            let nanos =
                nanos_of(unit).ok_or_else(|| refused(&format!("{unit:?} is no unit of a fixed length")))?;
            let nanos = count.checked_mul(nanos).ok_or_else(|| refused("it is too long"))?;
            format!("{nanos}{NANOSECONDS}")
        }
    };
    tokens.drain(at..end);
    Ok(Some(distance))
}

fn refused(why: &str) -> Error {
    let message = format!("Syntax error: TOLERANCE is a number and a unit, such as 5 SECOND or 250ms: {why}");
    Error::new(ErrorCode::SyntaxError, message)
}

fn place_of(tokens: &[TokenWithSpan], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.checked_sub(1)?,
            word if depth == 0 && ENDS.iter().any(|end| is_word(word, end)) => return None,
            // A column of this name is compared, or a part of a name.
            word if depth == 0 && is_word(word, "TOLERANCE") => {
                let counts = |next: &Token| match next {
                    Token::Number(..) | Token::SingleQuotedString(_) => true,
                    Token::Word(word) => {
                        word.value.starts_with(|c: char| c.is_ascii_digit()) || is_word(next, "INTERVAL")
                    }
                    _ => false,
                };
                if tokens.get(at + 1).is_some_and(|next| counts(&next.token)) {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn nanos_of(unit: &str) -> Option<u64> {
    let of = |(long, short, nanos): (&str, &str, u64)| {
        let bare = unit.strip_suffix(['s', 'S']).filter(|bare| bare.len() > 1).unwrap_or(unit);
        (bare.eq_ignore_ascii_case(long) || unit == short).then_some(nanos)
    };
    UNITS.into_iter().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::super::{cursor::text_of, tokenize};
    use super::*;

    fn taken(sql: &str) -> (String, Result<Option<String>>) {
        let mut tokens = tokenize(sql).unwrap();
        let distance = take_out(&mut tokens, 0);
        (text_of(&tokens), distance)
    }

    #[test]
    fn a_distance_with_each_way_to_write_its_unit() {
        for (written, nanos) in [
            ("5 SECOND", 5_000_000_000_u64),
            ("INTERVAL 5 SECONDS", 5_000_000_000),
            ("INTERVAL '2 minutes'", 120_000_000_000),
            ("5s", 5_000_000_000),
            ("250ms", 250_000_000),
            ("3us", 3_000),
            ("7 ns", 7),
            ("1 week", 604_800_000_000_000),
            ("INTERVAL 1 day", 86_400_000_000_000),
        ] {
            let (rest, distance) = taken(&format!("l.ts >= r.ts TOLERANCE {written} WHERE x > 1"));
            assert_eq!(distance.unwrap(), Some(format!("{nanos}ns")), "{written}");
            assert_eq!(rest, text_of(&tokenize("l.ts >= r.ts WHERE x > 1").unwrap()), "{written}");
        }
        assert_eq!(taken("a >= b TOLERANCE 10").1.unwrap(), Some("10".to_owned()));
    }

    #[test]
    fn what_is_no_clause_of_this_join_stays() {
        for sql in [
            "a.tolerance = b.tolerance AND a.ts >= b.ts",
            "a.ts >= b.ts WHERE tolerance 5",
            "a.ts >= b.ts) TOLERANCE 5",
            "a.ts >= b.ts ASOF JOIN c ON b.ts >= c.ts TOLERANCE 5s",
        ] {
            let (rest, distance) = taken(sql);
            assert_eq!((rest, distance.unwrap()), (text_of(&tokenize(sql).unwrap()), None), "{sql}");
        }
    }

    #[test]
    fn a_unit_without_a_fixed_length_is_refused() {
        for sql in
            ["a >= b TOLERANCE INTERVAL 1 MONTH", "a >= b TOLERANCE 'x'", "a >= b TOLERANCE 99999999999 week"]
        {
            assert!(taken(sql).1.is_err(), "{sql}");
        }
    }
}
