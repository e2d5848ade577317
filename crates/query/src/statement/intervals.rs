//! Token pass: `INTERVAL n * 2 SECOND` becomes `INTERVAL (n * 2) SECOND`. sqlparser reads one operand before the unit.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Tokens;
use super::cursor::is_word;
use super::forms::ends_operand;

const UNITS: [&str; 11] = [
    "NANOSECOND",
    "MICROSECOND",
    "MILLISECOND",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "WEEK",
    "MONTH",
    "QUARTER",
    "YEAR",
];

/// Words that no count goes past. INTERVAL itself is one: each token is looked at for one interval only.
const STOPS: [&str; 20] = [
    "SELECT", "FROM", "WHERE", "PREWHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "ON", "AS", "AND",
    "OR", "WHEN", "THEN", "ELSE", "END", "INTERVAL", "SETTINGS", "FORMAT",
];

/// Puts the brackets.
pub(super) fn rewrite(tokens: Tokens) -> Tokens {
    if !tokens.iter().any(|token| is_word(&token.token, "INTERVAL")) {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len());
    let mut close = None;
    for (at, token) in tokens.iter().enumerate() {
        if close == Some(at) {
            out.push(TokenWithSpan::wrap(Token::RParen));
        }
        out.push(token.clone());
        if is_word(&token.token, "INTERVAL")
            && let Some(unit) = unit_of(&tokens, at + 1)
        {
            out.push(TokenWithSpan::wrap(Token::LParen));
            close = Some(unit);
        }
    }
    out
}

/// Where the unit stands behind a count of several tokens that has no brackets around it.
fn unit_of(tokens: &[TokenWithSpan], start: usize) -> Option<usize> {
    let first = &tokens.get(start)?.token;
    if !matches!(first, Token::Word(_) | Token::Number(..) | Token::LParen) {
        return None;
    }
    let (mut depth, mut whole) = (0_usize, *first == Token::LParen);
    for at in start..tokens.len() {
        match &tokens[at].token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.checked_sub(1)?,
            Token::Comma if depth == 0 => return None,
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => {
                let call = tokens.get(at + 1).is_some_and(|next| next.token == Token::LParen);
                let behind = at > start && ends_operand(&tokens[at - 1].token);
                if behind && !call && is_unit(&word.value) {
                    return (at > start + 1 && !whole).then_some(at);
                }
                if STOPS.iter().any(|stop| word.value.eq_ignore_ascii_case(stop)) {
                    return None;
                }
            }
            _ => {}
        }
        // The first bracket closes before the count ends: `(n + 1) * 2`.
        whole &= depth > 0 || at + 1 >= tokens.len() || matches!(&tokens[at + 1].token, Token::Word(_));
    }
    None
}

fn is_unit(word: &str) -> bool {
    let word = word.to_ascii_uppercase();
    UNITS.contains(&word.strip_suffix('S').unwrap_or(&word))
}

#[cfg(test)]
mod tests {
    use super::super::{cursor::text_of, tokenize};
    use super::*;

    #[test]
    fn a_count_of_several_tokens_gets_brackets_and_nothing_else_does() {
        let same = |a: &str, b: &str| {
            assert_eq!(text_of(&rewrite(tokenize(a).unwrap())), text_of(&tokenize(b).unwrap()), "{a}");
        };
        same("ts + INTERVAL n*2 SECOND", "ts + INTERVAL (n*2) SECOND");
        same("INTERVAL n+1 SECONDS", "INTERVAL (n+1) SECONDS");
        same("INTERVAL (n+1)*2 DAY", "INTERVAL ((n+1)*2) DAY");
        same("INTERVAL 2*day DAY", "INTERVAL (2*day) DAY");
        same("INTERVAL f(a, b) HOUR", "INTERVAL (f(a, b)) HOUR");
        same("f(INTERVAL n*2 DAY, INTERVAL k+1 DAY)", "f(INTERVAL (n*2) DAY, INTERVAL (k+1) DAY)");
        for kept in [
            "INTERVAL 1 DAY",
            "INTERVAL (n*2) DAY",
            "INTERVAL '1 day' + second(ts)",
            "SELECT interval, n AS day",
            "SELECT interval + 1 AS second FROM t",
            "INTERVAL 1 DAY + INTERVAL 2 DAY",
        ] {
            same(kept, kept);
        }
    }
}
