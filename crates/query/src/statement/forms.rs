//! Token pass over a query: small forms of ClickHouse that sqlparser does not read.
//!
//! - `t.1` becomes `tupleElement(t, 1)`;
//! - `0x1F`, `0b101` and `1_000` become plain numbers; `a MOD b` becomes `a % b`;
//! - `a ?1:2` has its question mark apart from the number.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Tokens;
use super::cursor::is_word;
use super::params::word;

/// Words that may stand before a bracket without being a function's name.
const NO_NAMES: [&str; 18] = [
    "SELECT", "IN", "AND", "OR", "NOT", "BY", "WHERE", "THEN", "ELSE", "WHEN", "ON", "FROM", "BETWEEN",
    "LIKE", "AS", "HAVING", "DISTINCT", "VALUES",
];

/// Rewrites a query's tokens.
pub(crate) fn rewrite(tokens: Tokens) -> Tokens {
    let tokens = super::intervals::rewrite(tokens);
    let mut out: Tokens = Vec::with_capacity(tokens.len());
    for mut token in tokens {
        let operand = out.last().is_some_and(|last| ends_operand(&last.token));
        let adjacent = out.last().is_some_and(|last| last.span.end == token.span.start);
        match &token.token {
            Token::Number(digits, _) if operand && adjacent && is_place(digits) => {
                let place = digits[1..].to_owned();
                let start = operand_start(&out);
                let close = TokenWithSpan { token: Token::RParen, span: token.span };
                token.token = Token::Number(place, false);
                out.splice(
                    start..start,
                    [TokenWithSpan::wrap(word("tupleElement")), TokenWithSpan::wrap(Token::LParen)],
                );
                out.extend([TokenWithSpan::wrap(Token::Comma), token, close]);
                continue;
            }
            Token::Number(digits, long) if digits.contains('_') => {
                token.token = Token::Number(digits.replace('_', ""), *long);
            }
            Token::Word(digits) if adjacent && out.last().is_some_and(|last| is_zero(&last.token)) => {
                // `0b101` comes as a zero and a word.
                let number =
                    digits.value.strip_prefix('b').and_then(|digits| u64::from_str_radix(digits, 2).ok());
                if digits.quote_style.is_none()
                    && number.is_none()
                    && digits.value.starts_with(['b', 'B', 'x', 'X'])
                {
                    // No column's name: the parser refuses two numbers in a row.
                    token.token = Token::Number("0".to_owned(), false);
                } else if let (Some(number), Some(zero)) = (number, out.last_mut()) {
                    zero.token = Token::Number(number.to_string(), false);
                    zero.span.end = token.span.end;
                    continue;
                }
            }
            _ if operand && is_word(&token.token, "MOD") => token.token = Token::Mod,
            Token::Placeholder(sign) if operand && sign.len() > 1 && sign.starts_with('?') => {
                let number = Token::Number(sign[1..].to_owned(), false);
                out.push(TokenWithSpan { token: Token::Placeholder("?".to_owned()), span: token.span });
                token.token = number;
            }
            _ => {}
        }
        out.push(token);
    }
    out
}

fn is_zero(token: &Token) -> bool {
    matches!(token, Token::Number(digits, _) if digits == "0")
}

/// `.1` behind an operand is a place in a tuple.
fn is_place(digits: &str) -> bool {
    digits.strip_prefix('.').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

pub(super) fn ends_operand(token: &Token) -> bool {
    match token {
        Token::Word(w) => {
            w.quote_style.is_some() || !NO_NAMES.iter().any(|name| w.value.eq_ignore_ascii_case(name))
        }
        Token::Number(..) | Token::RParen | Token::RBracket => true,
        _ => false,
    }
}

/// Where the operand at the end begins: `a.b`, `f(x)`, `(x, y)`, `a[1]`.
pub(super) fn operand_start(tokens: &[TokenWithSpan]) -> usize {
    let mut at = tokens.len().saturating_sub(1);
    loop {
        let bracket = matches!(tokens[at].token, Token::RParen | Token::RBracket);
        if bracket {
            let subscript = tokens[at].token == Token::RBracket;
            at = opening(tokens, at);
            let named = at > 0
                && ends_operand(&tokens[at - 1].token)
                && !matches!(tokens[at - 1].token, Token::Number(..));
            if named && (subscript || matches!(tokens[at - 1].token, Token::Word(_))) {
                at -= 1;
                continue;
            }
            return at;
        }
        match at.checked_sub(2) {
            Some(before) if tokens[at - 1].token == Token::Period => at = before,
            _ => return at,
        }
    }
}

fn opening(tokens: &[TokenWithSpan], close: usize) -> usize {
    let mut depth = 0_usize;
    for at in (0..=close).rev() {
        match tokens[at].token {
            Token::RParen | Token::RBracket => depth += 1,
            Token::LParen | Token::LBracket => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::super::{cursor::text_of, tokenize};
    use super::*;

    fn rewritten(sql: &str) -> String {
        text_of(&rewrite(tokenize(sql).unwrap()))
    }

    #[test]
    fn places_in_tuples_become_calls() {
        let same = |a: &str, b: &str| assert_eq!(rewritten(a), text_of(&tokenize(b).unwrap()), "{a}");
        same("t.1", "tupleElement(t, 1)");
        same("a.t.2", "tupleElement(a.t, 2)");
        same("(1, 'a').2 + 1", "tupleElement((1, 'a'), 2) + 1");
        same("f(x).1", "tupleElement(f(x), 1)");
        same("x IN (1).1", "x IN tupleElement((1), 1)");
        same("a + .5", "a + .5");
        same("1.5", "1.5");
    }

    #[test]
    fn numbers_of_other_spellings_are_plain_ones() {
        assert_eq!(rewritten("0x1F"), "31");
        assert_eq!(rewritten("1_000"), "1000");
        assert_eq!(rewritten("0b101"), "5");
        assert_eq!(rewritten("0 b101"), "0 b101");
        assert_eq!(rewritten("7 MOD 2"), "7 % 2");
        assert_eq!(rewritten("SELECT MOD(7, 2)"), "SELECT MOD(7, 2)");
        assert_eq!(rewritten("a ?1 : 2"), text_of(&tokenize("a ? 1 : 2").unwrap()));
    }
}
