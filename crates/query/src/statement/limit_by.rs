//! Token pass over a query: `LIMIT n [OFFSET m] BY a, b` becomes the last entry of ORDER BY, a call of
//! [`LIMIT_BY_MARKER`], which [`crate::rewrite`] turns into a condition on row numbers.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Tokens;
use super::cursor::is_word;
use super::params::word;

/// The function that carries the clause: rows, rows to leave out, keys.
pub(crate) const LIMIT_BY_MARKER: &str = "__limit_by";

/// What can follow the clause.
const BEHIND: [&str; 7] = ["LIMIT", "OFFSET", "SETTINGS", "FORMAT", "UNION", "INTERSECT", "EXCEPT"];

/// Rewrites a query's tokens.
pub(crate) fn rewrite(tokens: Tokens) -> Tokens {
    let mut out: Tokens = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let Some((rows, skipped, keys)) = clause(&tokens, at) else {
            out.push(tokens[at].clone());
            at += 1;
            continue;
        };
        let end = keys_end(&tokens, keys);
        let mut add = |token: Token| out.push(TokenWithSpan::wrap(token));
        if ordered(&tokens[..at]) {
            add(Token::Comma);
        } else {
            add(word("ORDER"));
            add(word("BY"));
        }
        add(word(LIMIT_BY_MARKER));
        add(Token::LParen);
        add(rows);
        add(Token::Comma);
        add(skipped);
        add(Token::Comma);
        out.extend_from_slice(&tokens[keys..end]);
        out.push(TokenWithSpan::wrap(Token::RParen));
        at = end;
    }
    out
}

/// The rows, the rows left out and where the keys begin, of a clause at this place.
fn clause(tokens: &[TokenWithSpan], at: usize) -> Option<(Token, Token, usize)> {
    let number =
        |at: usize| tokens.get(at).map(|t| t.token.clone()).filter(|t| matches!(t, Token::Number(..)));
    let is = |at: usize, name: &str| tokens.get(at).is_some_and(|t| is_word(&t.token, name));
    if !is(at, "LIMIT") {
        return None;
    }
    let first = number(at + 1)?;
    if is(at + 2, "BY") {
        return Some((first, Token::Number("0".to_owned(), false), at + 3));
    }
    let second = number(at + 3).filter(|_| is(at + 4, "BY"))?;
    if is(at + 2, "OFFSET") {
        return Some((first, second, at + 5));
    }
    // `LIMIT m, n BY` has what is left out first.
    (tokens.get(at + 2)?.token == Token::Comma).then_some((second, first, at + 5))
}

fn keys_end(tokens: &[TokenWithSpan], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket if depth == 0 => return at,
            Token::RParen | Token::RBracket => depth -= 1,
            other if depth == 0 && BEHIND.iter().any(|name| is_word(other, name)) => return at,
            _ => {}
        }
    }
    tokens.len()
}

/// Whether the select that ends here has an ORDER BY already.
fn ordered(before: &[TokenWithSpan]) -> bool {
    let mut depth = 0_usize;
    for (at, token) in before.iter().enumerate().rev() {
        match &token.token {
            Token::RParen | Token::RBracket => depth += 1,
            Token::LParen | Token::LBracket if depth == 0 => return false,
            Token::LParen | Token::LBracket => depth -= 1,
            other if depth == 0 && is_word(other, "SELECT") => return false,
            other if depth == 0 && is_word(other, "ORDER") => {
                return before.get(at + 1).is_some_and(|next| is_word(&next.token, "BY"));
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::{cursor::text_of, tokenize};
    use super::*;

    #[test]
    fn the_clause_becomes_the_last_entry_of_order_by() {
        let same = |a: &str, b: &str| {
            assert_eq!(text_of(&rewrite(tokenize(a).unwrap())), text_of(&tokenize(b).unwrap()), "{a}");
        };
        same("SELECT a FROM t LIMIT 2 BY a", "SELECT a FROM t ORDER BY __limit_by(2, 0, a)");
        same(
            "SELECT a FROM t ORDER BY b DESC LIMIT 1 BY a, f(b) LIMIT 5",
            "SELECT a FROM t ORDER BY b DESC, __limit_by(1, 0, a, f(b)) LIMIT 5",
        );
        same(
            "SELECT * FROM (SELECT a FROM t ORDER BY b LIMIT 1 OFFSET 3 BY a)",
            "SELECT * FROM (SELECT a FROM t ORDER BY b, __limit_by(1, 3, a))",
        );
        same("SELECT a FROM t LIMIT 3, 1 BY a", "SELECT a FROM t ORDER BY __limit_by(1, 3, a)");
        same("SELECT a FROM t LIMIT 3, 1", "SELECT a FROM t LIMIT 3, 1");
    }
}
