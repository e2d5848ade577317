//! Token pass over a query: `LIMIT n [OFFSET m] BY a, b` becomes the last entry of ORDER BY, a call of
//! [`LIMIT_BY_MARKER`], which [`crate::rewrite`] turns into a condition on row numbers; `LIMIT n [OFFSET m] WITH TIES`
//! becomes a call of [`TIES_MARKER`] in the same place.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Tokens;
use super::cursor::is_word;
use super::params::word;

/// The function that carries the clause: rows, rows to leave out, keys.
pub(crate) const LIMIT_BY_MARKER: &str = "__limit_by";

/// The function that carries a limit with ties: rows, rows to leave out.
pub(crate) const TIES_MARKER: &str = "__with_ties";

/// What can follow the clause.
const BEHIND: [&str; 7] = ["LIMIT", "OFFSET", "SETTINGS", "FORMAT", "UNION", "INTERSECT", "EXCEPT"];

/// Rewrites a query's tokens.
pub(crate) fn rewrite(tokens: Tokens) -> Tokens {
    let mut out: Tokens = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let Some(Clause { rows, skipped, behind, ties }) = clause(&tokens, at) else {
            out.push(tokens[at].clone());
            at += 1;
            continue;
        };
        let end = if ties { behind } else { keys_end(&tokens, behind) };
        let mut add = |token: Token| out.push(TokenWithSpan::wrap(token));
        if ordered(&tokens[..at]) {
            add(Token::Comma);
        } else {
            add(word("ORDER"));
            add(word("BY"));
        }
        add(word(if ties { TIES_MARKER } else { LIMIT_BY_MARKER }));
        add(Token::LParen);
        add(rows);
        add(Token::Comma);
        add(skipped);
        if !ties {
            add(Token::Comma);
            out.extend_from_slice(&tokens[behind..end]);
        }
        out.push(TokenWithSpan::wrap(Token::RParen));
        at = end;
    }
    out
}

/// A limit with keys or with ties.
struct Clause {
    rows: Token,
    skipped: Token,
    /// Where the keys begin, or what follows the ties.
    behind: usize,
    ties: bool,
}

/// The clause at this place.
fn clause(tokens: &[TokenWithSpan], at: usize) -> Option<Clause> {
    let number =
        |at: usize| tokens.get(at).map(|t| t.token.clone()).filter(|t| matches!(t, Token::Number(..)));
    let is = |at: usize, name: &str| tokens.get(at).is_some_and(|t| is_word(&t.token, name));
    if !is(at, "LIMIT") {
        return None;
    }
    // Where the clause ends its numbers, and whether with ties.
    let end = |at: usize| match (is(at, "BY"), is(at, "WITH") && is(at + 1, "TIES")) {
        (true, _) => Some((at + 1, false)),
        (_, true) => Some((at + 2, true)),
        _ => None,
    };
    let first = number(at + 1)?;
    if let Some((behind, ties)) = end(at + 2) {
        return Some(Clause { rows: first, skipped: Token::Number("0".to_owned(), false), behind, ties });
    }
    let second = number(at + 3)?;
    let (behind, ties) = end(at + 4)?;
    if is(at + 2, "OFFSET") {
        return Some(Clause { rows: first, skipped: second, behind, ties });
    }
    // `LIMIT m, n BY` has what is left out first.
    let swapped = tokens.get(at + 2)?.token == Token::Comma;
    swapped.then_some(Clause { rows: second, skipped: first, behind, ties })
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
