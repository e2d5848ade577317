//! Token pass over a query: what stands behind IN gets the parentheses that sqlparser wants.
//!
//! - `x IN [1, 2]`, `x IN 1` and `x IN f(y)` become `x IN ([1, 2])`, `x IN (1)` and `x IN (f(y))`
//! - `x IN t` becomes `x IN (SELECT * FROM t)`
//! - `x IN CAST([1, 2] AS Array(T))`, as array parameters expand, becomes `x IN (1, 2)`: a list's values take the type of
//!   what they are compared with

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Tokens;
use super::cursor::is_word;
use super::params::word;
use super::scalars::SCALAR_MARKER;

/// Rewrites a query's tokens. Brackets that do not close are left for the parser to refuse.
pub(crate) fn rewrite(mut tokens: Tokens) -> Tokens {
    let is_bare = |pair: &[TokenWithSpan]| is_word(&pair[0].token, "IN") && pair[1].token != Token::LParen;
    if !tokens.windows(2).any(is_bare) {
        return tokens;
    }
    let ends = ends(&tokens);
    let scalars = scalars(&tokens);
    let opens = |token: &TokenWithSpan| token.token == Token::LParen;
    let mut gone = vec![false; tokens.len()];
    // What is put before and behind the tokens of these places.
    let mut around: Vec<(usize, usize, bool)> = Vec::new();
    for start in 1..tokens.len() {
        if !is_word(&tokens[start - 1].token, "IN") || tokens[start].token == Token::LParen {
            continue;
        }
        // `POSITION(a IN b)` is no test.
        let enclosing = around_of(&tokens, &ends, start);
        if enclosing.is_some_and(|open| open > 0 && is_word(&tokens[open - 1].token, "POSITION")) {
            continue;
        }
        if let Some((open, close, end)) = cast_at(&tokens, &ends, start) {
            tokens[open].token = Token::LParen;
            tokens[close].token = Token::RParen;
            gone[start..open].fill(true);
            gone[close + 1..=end].fill(true);
        } else if is_word(&tokens[start].token, "tuple") && tokens.get(start + 1).is_some_and(opens) {
            gone[start] = true;
        } else if let Some((end, is_table)) = operand(&tokens, &ends, start, &scalars) {
            around.push((start, end, is_table));
        }
    }
    let mut out = Tokens::with_capacity(tokens.len() + 8 * around.len());
    let mut add = |token: TokenWithSpan| out.push(token);
    for (at, token) in tokens.into_iter().enumerate() {
        for (_, _, is_table) in around.iter().filter(|(start, ..)| *start == at) {
            add(TokenWithSpan::wrap(Token::LParen));
            if *is_table {
                [word("SELECT"), Token::Mul, word("FROM")]
                    .map(TokenWithSpan::wrap)
                    .into_iter()
                    .for_each(&mut add);
            }
        }
        if !gone[at] {
            add(token);
        }
        for _ in around.iter().filter(|(_, end, _)| *end == at) {
            add(TokenWithSpan::wrap(Token::RParen));
        }
    }
    out
}

/// The innermost parenthesis around a place.
fn around_of(tokens: &[TokenWithSpan], ends: &[Option<usize>], at: usize) -> Option<usize> {
    let encloses =
        |open: &usize| tokens[*open].token == Token::LParen && ends[*open].is_some_and(|end| end > at);
    (0..at).rev().find(encloses)
}

/// Names of `WITH expression AS name`, which the pass over those has put as `name AS (SELECT __scalar(`.
fn scalars(tokens: &[TokenWithSpan]) -> Vec<String> {
    let named = tokens.windows(5).filter_map(|five| match &five[0].token {
        Token::Word(name) if is_word(&five[1].token, "AS") && is_word(&five[4].token, SCALAR_MARKER) => {
            Some(name.value.clone())
        }
        _ => None,
    });
    named.collect()
}

/// Where the operand without parentheses ends that begins here, and whether it is a table's name: a literal, a list,
/// a call, or a name.
fn operand(
    tokens: &[TokenWithSpan],
    ends: &[Option<usize>],
    start: usize,
    scalars: &[String],
) -> Option<(usize, bool)> {
    let is = |at: usize, token: &Token| tokens.get(at).is_some_and(|found| found.token == *token);
    match &tokens[start].token {
        Token::LBracket => {
            let close = ends[start]?;
            // An element of the list is no list.
            (!is(close + 1, &Token::LBracket)).then_some((close, false))
        }
        Token::Number(..) | Token::SingleQuotedString(_) => Some((start, false)),
        Token::Minus => {
            matches!(tokens.get(start + 1)?.token, Token::Number(..)).then_some((start + 1, false))
        }
        Token::Word(name) if is_word(&tokens[start].token, "NULL") || scalars.contains(&name.value) => {
            Some((start, false))
        }
        Token::Word(name) if name.quote_style.is_none() && is(start + 1, &Token::LParen) => {
            let special =
                ["CAST", "UNNEST", "INTERVAL"].iter().any(|word| name.value.eq_ignore_ascii_case(word));
            (!special).then_some((ends[start + 1]?, false))
        }
        Token::Word(_) => {
            let mut end = start;
            while is(end + 1, &Token::Period) && matches!(tokens.get(end + 2)?.token, Token::Word(_)) {
                end += 2;
            }
            (!is(end + 1, &Token::LParen)).then_some((end, true))
        }
        _ => None,
    }
}

/// For each opening bracket or parenthesis, where it closes.
fn ends(tokens: &[TokenWithSpan]) -> Vec<Option<usize>> {
    let mut ends = vec![None; tokens.len()];
    let (mut brackets, mut parentheses) = (Vec::new(), Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        let opened = match token.token {
            Token::LBracket => {
                brackets.push(at);
                None
            }
            Token::LParen => {
                parentheses.push(at);
                None
            }
            Token::RBracket => brackets.pop(),
            Token::RParen => parentheses.pop(),
            _ => None,
        };
        if let Some(opened) = opened {
            ends[opened] = Some(at);
        }
    }
    ends
}

/// The brackets in `CAST([…] AS Array(T))` that begins here, and where all of it ends.
fn cast_at(tokens: &[TokenWithSpan], ends: &[Option<usize>], start: usize) -> Option<(usize, usize, usize)> {
    let is = |at: usize, token: &Token| tokens.get(at).is_some_and(|found| found.token == *token);
    let is_cast = tokens.get(start).is_some_and(|token| is_word(&token.token, "CAST"));
    if !is_cast || !is(start + 1, &Token::LParen) || !is(start + 2, &Token::LBracket) {
        return None;
    }
    let (close, end) = (ends[start + 2]?, ends[start + 1]?);
    let typed = close < end && tokens.get(close + 1).is_some_and(|token| is_word(&token.token, "AS"));
    typed.then_some((start + 2, close, end))
}

#[cfg(test)]
mod tests {
    use super::super::{cursor::text_of, tokenize};
    use super::*;

    fn rewritten(sql: &str) -> String {
        text_of(&rewrite(tokenize(sql).unwrap())).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn operands_of_in_have_parentheses() {
        let same = |a: &str, b: &str| assert_eq!(rewritten(a), rewritten(b), "{a}");
        same("a IN [1, 2] AND b", "a IN ([1, 2]) AND b");
        same("a NOT IN CAST(['x', 'y'] AS Array(String)) OR b", "a NOT IN ('x', 'y') OR b");
        same("a IN [[1], [2]]", "a IN ([[1], [2]])");
        same("a IN [b IN [1], c IN CAST([2] AS Array(Int8))]", "a IN ([b IN ([1]), c IN (2)])");
        same("a IN 1 OR b IN -2 OR c IN 'x'", "a IN (1) OR b IN (-2) OR c IN ('x')");
        same("a IN tuple(1, 2)", "a IN (1, 2)");
        same("a IN range(3) AND b IN t", "a IN (range(3)) AND b IN (SELECT * FROM t)");
        same("POSITION('x' IN s)", "POSITION('x' IN s)");
        same("a IN d.t", "a IN (SELECT * FROM d.t)");
        same(
            "WITH s AS (SELECT __scalar([1])) SELECT 1 IN s",
            "WITH s AS (SELECT __scalar([1])) SELECT 1 IN (s)",
        );
        for kept in
            ["a IN [1, 2][1]", "a IN CAST(b AS Int8)", "a IN [1", "a IN CAST([1] AS", "a IN (1)", "a[1]"]
        {
            let tokens = tokenize(kept).unwrap();
            assert_eq!(text_of(&rewrite(tokens.clone())), text_of(&tokens), "{kept}");
        }
    }
}
