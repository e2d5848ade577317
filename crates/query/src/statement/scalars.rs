//! Token pass over a query: `WITH 10 AS x` names an expression, which sqlparser does not read. It becomes
//! `WITH x AS (SELECT __scalar(10))`, and [`crate::semantics`] puts the expression where the name stands.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Tokens;
use super::cursor::is_word;
use super::params::word;

/// The function around a named expression.
pub(crate) const SCALAR_MARKER: &str = "__scalar";

/// Rewrites a query's tokens.
pub(crate) fn rewrite(tokens: Tokens) -> Tokens {
    if !tokens.iter().any(|token| is_word(&token.token, "WITH")) {
        return tokens;
    }
    let mut out: Tokens = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        out.push(tokens[at].clone());
        let begins = at == 0 || tokens[at - 1].token == Token::LParen;
        let opens = begins && is_word(&tokens[at].token, "WITH");
        at += 1;
        if opens {
            at = items(&tokens, at, &mut out);
        }
    }
    out
}

/// Copies the items of a WITH clause; where it ends.
fn items(tokens: &[TokenWithSpan], mut at: usize, out: &mut Tokens) -> usize {
    loop {
        let end = match common_table(tokens, at) {
            Some(end) => {
                out.extend(rewrite(tokens[at..end].to_vec()));
                end
            }
            None => {
                let Some((body, name)) = named(tokens, at) else { return at };
                let mut add = |token: Token| out.push(TokenWithSpan::wrap(token));
                add(tokens[name].token.clone());
                [word("AS"), Token::LParen, word("SELECT"), word(SCALAR_MARKER), Token::LParen]
                    .into_iter()
                    .for_each(&mut add);
                out.extend(rewrite(tokens[at..body].to_vec()));
                out.push(TokenWithSpan::wrap(Token::RParen));
                out.push(TokenWithSpan::wrap(Token::RParen));
                name + 1
            }
        };
        at = end;
        if tokens.get(at).is_none_or(|token| token.token != Token::Comma) {
            return at;
        }
        out.push(tokens[at].clone());
        at += 1;
    }
}

/// Where `name [(columns)] AS [MATERIALIZED] (SELECT …)` ends, if that stands here.
fn common_table(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let recursive = usize::from(tokens.get(at).is_some_and(|token| is_word(&token.token, "RECURSIVE")));
    let mut next = at + recursive;
    if !matches!(tokens.get(next)?.token, Token::Word(_)) {
        return None;
    }
    next += 1;
    if tokens.get(next)?.token == Token::LParen {
        next = closing(tokens, next)? + 1;
    }
    if !is_word(&tokens.get(next)?.token, "AS") || tokens.get(next + 1)?.token != Token::LParen {
        return None;
    }
    let query = ["SELECT", "WITH", "FROM", "VALUES"];
    let first = &tokens.get(next + 2)?.token;
    let is_query = *first == Token::LParen || query.iter().any(|name| is_word(first, name));
    is_query.then_some(())?;
    Some(closing(tokens, next + 1)? + 1)
}

/// The place of AS and of the name behind it, of `expression AS name`.
fn named(tokens: &[TokenWithSpan], start: usize) -> Option<(usize, usize)> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.checked_sub(1)?,
            other if depth == 0 && at > start && is_word(other, "AS") => {
                let name = tokens.get(at + 1)?;
                return matches!(name.token, Token::Word(_)).then_some((at, at + 1));
            }
            _ => {}
        }
    }
    None
}

fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{cursor::text_of, tokenize};
    use super::*;

    #[test]
    fn named_expressions_become_marked_tables_and_tables_stay() {
        let same = |a: &str, b: &str| {
            assert_eq!(text_of(&rewrite(tokenize(a).unwrap())), text_of(&tokenize(b).unwrap()), "{a}");
        };
        same("WITH 10 AS x SELECT x", "WITH x AS (SELECT __scalar(10)) SELECT x");
        same(
            "WITH (SELECT max(a) FROM t) AS m, t AS (SELECT 1) SELECT m",
            "WITH m AS (SELECT __scalar((SELECT max(a) FROM t))), t AS (SELECT 1) SELECT m",
        );
        same("WITH t AS (SELECT 1) SELECT * FROM t", "WITH t AS (SELECT 1) SELECT * FROM t");
        same("SELECT a FROM t ORDER BY a WITH FILL", "SELECT a FROM t ORDER BY a WITH FILL");
        same("WITH 1", "WITH 1");
    }
}
