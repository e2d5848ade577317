//! Token pass over a query: the arrays of `ARRAY JOIN a, f(b) AS c` become the arguments of [`ARRAYS_MARKER`], each with
//! its name behind it: a text for a new column, an identifier for a column that the items take the place of.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Tokens;
use super::cursor::is_word;
use super::params::word;

/// The function that holds the arrays of ARRAY JOIN.
pub(crate) const ARRAYS_MARKER: &str = "__arrays";

/// Words that end the list of arrays.
const ENDS: [&str; 25] = [
    "WHERE",
    "PREWHERE",
    "GROUP",
    "ORDER",
    "LIMIT",
    "HAVING",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "QUALIFY",
    "WINDOW",
    "SETTINGS",
    "FORMAT",
    "OFFSET",
    "LATEST",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "CROSS",
    "ASOF",
    "SEMI",
    "ANTI",
    "ARRAY",
];

/// Rewrites a query's tokens. A list with an item that has no name is left for the parser.
pub(crate) fn rewrite(tokens: Tokens) -> Tokens {
    let starts = |pair: &[TokenWithSpan]| is_word(&pair[0].token, "ARRAY") && is_word(&pair[1].token, "JOIN");
    if !tokens.windows(2).any(starts) {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len() + 8);
    let mut i = 0;
    while i < tokens.len() {
        if i < 2 || !starts(&tokens[i - 2..i]) {
            out.push(tokens[i].clone());
            i += 1;
            continue;
        }
        let end = list_end(&tokens, i);
        match marked(&tokens[i..end]) {
            Some(call) => out.extend(call),
            None => out.extend_from_slice(&tokens[i..end]),
        }
        i = end.max(i + 1);
    }
    out
}

/// Where the list that begins at `start` ends.
fn list_end(tokens: &[TokenWithSpan], start: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket if depth == 0 => return at,
            Token::RParen | Token::RBracket => depth -= 1,
            // A function may have the name of such a word: `left(…)`.
            found if depth == 0 && ENDS.iter().any(|end| is_word(found, end)) => {
                let calls = tokens.get(at + 1).is_some_and(|next| next.token == Token::LParen);
                if !calls || is_word(found, "WHERE") || is_word(found, "PREWHERE") {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// `__arrays(a, a, f(b), 'c')`; nothing if an item has no name.
fn marked(list: &[TokenWithSpan]) -> Option<Tokens> {
    let span = list.first()?.span;
    let at = |token: Token| TokenWithSpan { token, span };
    let mut out = vec![at(word(ARRAYS_MARKER)), at(Token::LParen)];
    for (number, item) in items(list).into_iter().enumerate() {
        if number > 0 {
            out.push(at(Token::Comma));
        }
        let named = match item {
            [expr @ .., by, name] if !expr.is_empty() && is_word(&by.token, "AS") => Some((expr, name)),
            _ => None,
        };
        let (expr, name) = match (named, item) {
            (Some((expr, TokenWithSpan { token: Token::Word(name), .. })), _) => {
                (expr, Token::SingleQuotedString(name.value.clone()))
            }
            (None, [.., TokenWithSpan { token: Token::Word(name), .. }]) if is_column(item) => {
                (item, Token::Word(name.clone()))
            }
            _ => return None,
        };
        out.extend_from_slice(expr);
        out.extend([at(Token::Comma), at(name)]);
    }
    out.push(at(Token::RParen));
    Some(out)
}

/// Whether it is `a` or `t.a`.
fn is_column(tokens: &[TokenWithSpan]) -> bool {
    tokens.iter().all(|token| matches!(token.token, Token::Word(_) | Token::Period)) && tokens.len() % 2 == 1
}

/// The parts between the commas.
fn items(list: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    let (mut depth, mut start, mut items) = (0usize, 0, Vec::new());
    for (at, token) in list.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&list[start..]);
    items
}

#[cfg(test)]
mod tests {
    use super::super::{cursor::text_of, tokenize};
    use super::*;

    #[test]
    fn arrays_become_arguments_with_their_names() {
        let same = |a: &str, b: &str| {
            assert_eq!(text_of(&rewrite(tokenize(a).unwrap())), text_of(&tokenize(b).unwrap()), "{a}");
        };
        same("FROM t ARRAY JOIN a WHERE x", "FROM t ARRAY JOIN __arrays(a, a) WHERE x");
        same(
            "(FROM t LEFT ARRAY JOIN t.a, f(b, [1, 2]) AS c)",
            "(FROM t LEFT ARRAY JOIN __arrays(t.a, a, f(b, [1, 2]), 'c'))",
        );
        same("FROM t ARRAY JOIN f(a)", "FROM t ARRAY JOIN f(a)");
    }
}
