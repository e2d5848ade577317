//! Token pass over a query: what sqlparser cannot parse is put into a form that it can.
//!
//! - `ASOF [LEFT] JOIN t ON … [TOLERANCE …]` becomes a plain join whose condition begins with a call of [`ASOF_MARKER`],
//!   with the tolerance as its argument;
//! - `LATEST ON ts PARTITION BY k` becomes `QUALIFY` of [`LATEST_MARKER`] over `row_number()`;
//! - `FINAL`, `GLOBAL` and the `ALL` strictness say nothing here and go.

use sqlparser::tokenizer::{Span, Token, TokenWithSpan};
use zepto_common::error::{Error, ErrorCode, Result};

use super::cursor::{Cursor, is_word};
use super::params::word;
use super::tolerance;

/// The function whose call marks a join condition as an as-of one.
pub(crate) const ASOF_MARKER: &str = "__asof_join";
/// The function around the row number of LATEST ON.
pub(crate) const LATEST_MARKER: &str = "__latest";

/// Rewrites a query's tokens.
///
/// # Errors
/// A clause that is cut short, or a join strictness that is not supported.
pub(crate) fn rewrite(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let tokens = drop_noise(tokens);
    let tokens = rewrite_asof(with_parentheses(tokens))?;
    rewrite_latest(tokens)
}

fn at(token: Token, span: Span) -> TokenWithSpan {
    TokenWithSpan { token, span }
}

fn any_word(token: Option<&TokenWithSpan>, words: &[&str]) -> bool {
    token.is_some_and(|token| words.iter().any(|word| is_word(&token.token, word)))
}

fn drop_noise(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out = Vec::with_capacity(tokens.len());
    let joins = ["JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "ASOF", "SEMI", "ANTI", "ALL", "OUTER"];
    for (i, token) in tokens.iter().enumerate() {
        let next = tokens.get(i + 1);
        let follows_name = i > 0 && matches!(tokens[i - 1].token, Token::Word(_) | Token::RParen);
        let noise = (is_word(&token.token, "GLOBAL")
            && (any_word(next, &joins) || any_word(next, &["IN", "NOT"])))
            || (is_word(&token.token, "ALL") && follows_name && any_word(next, &joins))
            || (is_word(&token.token, "FINAL") && follows_name && ends_table(next));
        if !noise {
            out.push(token.clone());
        }
    }
    out
}

/// `USING a, b` becomes `USING (a, b)`.
fn with_parentheses(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out = Vec::with_capacity(tokens.len() + 2);
    let mut rest = tokens.into_iter().peekable();
    let mut joined = false;
    while let Some(token) = rest.next() {
        joined |= is_word(&token.token, "JOIN");
        let joins = joined && is_word(&token.token, "USING");
        out.push(token);
        if !joins || !rest.peek().is_some_and(|next| matches!(next.token, Token::Word(_))) {
            continue;
        }
        out.push(at(Token::LParen, Span::empty()));
        out.extend(rest.next());
        while rest.peek().is_some_and(|next| next.token == Token::Comma) {
            out.extend(rest.next());
            out.extend(rest.next());
        }
        out.push(at(Token::RParen, Span::empty()));
    }
    out
}

/// Whether what follows can stand behind `FROM t FINAL`.
fn ends_table(next: Option<&TokenWithSpan>) -> bool {
    let words = [
        "WHERE", "PREWHERE", "GROUP", "ORDER", "LIMIT", "HAVING", "JOIN", "LEFT", "RIGHT", "INNER", "FULL",
        "CROSS", "ASOF", "SEMI", "ANTI", "UNION", "AS", "SAMPLE", "LATEST", "WINDOW", "QUALIFY", "SETTINGS",
        "FORMAT",
    ];
    match next {
        None => true,
        Some(token) => {
            matches!(token.token, Token::RParen | Token::Comma | Token::SemiColon)
                || any_word(Some(token), &words)
        }
    }
}

/// Length and kind (is it LEFT?) of the `ASOF … JOIN` words at this place.
fn asof_at(tokens: &[TokenWithSpan]) -> Option<(usize, bool)> {
    let patterns: [(&[&str], bool); 7] = [
        (&["ASOF", "JOIN"], false),
        (&["ASOF", "INNER", "JOIN"], false),
        (&["INNER", "ASOF", "JOIN"], false),
        (&["ASOF", "LEFT", "JOIN"], true),
        (&["LEFT", "ASOF", "JOIN"], true),
        (&["ASOF", "LEFT", "OUTER", "JOIN"], true),
        (&["LEFT", "OUTER", "ASOF", "JOIN"], true),
    ];
    patterns.into_iter().find_map(|(words, left)| {
        let seen = words.iter().enumerate().all(|(i, word)| any_word(tokens.get(i), &[word]));
        seen.then_some((words.len(), left))
    })
}

fn rewrite_asof(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut i = 0;
    while i < tokens.len() {
        let Some((length, left)) = asof_at(&tokens[i..]) else {
            out.push(tokens[i].clone());
            i += 1;
            continue;
        };
        // `ASOF JOIN t MATCH_CONDITION (…)` is sqlparser's own; it is left alone.
        let (end, clause) = join_clause(&tokens, i + length)?;
        if clause == Clause::MatchCondition {
            out.push(at(word("ASOF"), tokens[i].span));
            out.push(at(word("JOIN"), tokens[i].span));
            i += length;
            continue;
        }
        let span = tokens[i].span;
        if left {
            out.push(at(word("LEFT"), span));
        }
        out.push(at(word("JOIN"), span));
        let right = rewrite_asof(tokens[i + length..end].to_vec())?;
        let right_name = relation_name(&right);
        let left_name = left_relation(&out);
        out.extend(right);
        i = end + 1;
        let distance = tolerance::take_out(&mut tokens, i)?.map(Token::SingleQuotedString);
        let mark = [word("ON"), word(ASOF_MARKER), Token::LParen].into_iter().chain(distance);
        out.extend(mark.chain([Token::RParen, word("AND")]).map(|token| at(token, span)));
        if clause == Clause::Using {
            i = using_as_condition(&tokens, i, &left_name, &right_name, &mut out)?;
        }
    }
    Ok(out)
}

#[derive(Debug, PartialEq, Eq)]
enum Clause {
    On,
    Using,
    MatchCondition,
}

/// Where the ON, USING or MATCH_CONDITION of the join whose right side begins at `start` stands.
fn join_clause(tokens: &[TokenWithSpan], start: usize) -> Result<(usize, Clause)> {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().skip(start) {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => break,
            Token::RParen => depth -= 1,
            word if depth == 0 && is_word(word, "ON") => return Ok((i, Clause::On)),
            word if depth == 0 && is_word(word, "USING") => return Ok((i, Clause::Using)),
            word if depth == 0 && is_word(word, "MATCH_CONDITION") => return Ok((i, Clause::MatchCondition)),
            _ => {}
        }
    }
    Err(Error::new(ErrorCode::SyntaxError, "Syntax error: ASOF JOIN needs an ON clause"))
}

/// The last word of a relation: its alias, or its name.
fn relation_name(tokens: &[TokenWithSpan]) -> Option<Token> {
    tokens.iter().rev().map(|t| &t.token).find(|t| matches!(t, Token::Word(_))).cloned()
}

/// The relation that stands before the join words just written.
fn left_relation(out: &[TokenWithSpan]) -> Option<Token> {
    out.iter()
        .rev()
        .map(|t| &t.token)
        .find(|t| matches!(t, Token::Word(_)) && !["LEFT", "JOIN"].iter().any(|word| is_word(t, word)))
        .cloned()
}

/// `USING (k, …, ts)`: equal keys, and the last column is the as-of one, as in ClickHouse.
fn using_as_condition(
    tokens: &[TokenWithSpan],
    start: usize,
    left: &Option<Token>,
    right: &Option<Token>,
    out: &mut Vec<TokenWithSpan>,
) -> Result<usize> {
    let mut cursor = Cursor::new(tokens[start..].to_vec());
    let inside = match cursor.peek() {
        Some(Token::LParen) => cursor.parenthesised()?,
        _ => cursor.until(|c| !matches!(c.peek(), Some(Token::Word(_) | Token::Comma))),
    };
    let (Some(left), Some(right)) = (left, right) else {
        return Err(Error::new(ErrorCode::SyntaxError, "Syntax error: ASOF JOIN USING needs named tables"));
    };
    let columns: Vec<&TokenWithSpan> = inside.iter().filter(|t| matches!(t.token, Token::Word(_))).collect();
    let span = tokens[start - 1].span;
    for (i, column) in columns.iter().enumerate() {
        let compare = if i + 1 == columns.len() { Token::GtEq } else { Token::Eq };
        let condition = [
            left.clone(),
            Token::Period,
            column.token.clone(),
            compare,
            right.clone(),
            Token::Period,
            column.token.clone(),
        ];
        if i > 0 {
            out.push(at(word("AND"), span));
        }
        out.extend(condition.into_iter().map(|token| at(token, span)));
    }
    let parentheses = if tokens.get(start).map(|t| &t.token) == Some(&Token::LParen) { 2 } else { 0 };
    Ok(start + inside.len() + parentheses)
}

fn rewrite_latest(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    if !tokens.windows(2).any(|pair| is_word(&pair[0].token, "LATEST") && is_word(&pair[1].token, "ON")) {
        return Ok(tokens);
    }
    let mut out = Vec::with_capacity(tokens.len() + 16);
    let mut cursor = Cursor::new(tokens);
    while !cursor.at_end() {
        let span = Span::empty();
        if !cursor.words(&["LATEST", "ON"]) {
            if let Some(token) = cursor.next() {
                out.push(at(token, span));
            }
            continue;
        }
        let time = cursor.until(|c| c.sees(&["PARTITION", "BY"]));
        if time.is_empty() || !cursor.words(&["PARTITION", "BY"]) {
            return Err(cursor.unexpected("LATEST ON time PARTITION BY columns"));
        }
        let ends = ["GROUP", "ORDER", "LIMIT", "UNION", "EXCEPT", "INTERSECT", "HAVING", "WINDOW", "WHERE"];
        let keys = cursor.until(|c| ends.iter().any(|end| c.sees(&[end])));
        if keys.is_empty() || cursor.sees(&["WHERE"]) {
            return Err(cursor.unexpected("columns of PARTITION BY, with WHERE before LATEST ON"));
        }
        let head = [
            word("QUALIFY"),
            word(LATEST_MARKER),
            Token::LParen,
            word("row_number"),
            Token::LParen,
            Token::RParen,
            word("OVER"),
            Token::LParen,
            word("PARTITION"),
            word("BY"),
        ];
        out.extend(head.into_iter().map(|token| at(token, span)));
        out.extend(keys);
        out.extend([word("ORDER"), word("BY")].map(|token| at(token, span)));
        out.extend(time);
        let tail = [word("DESC"), Token::RParen, Token::RParen];
        out.extend(tail.into_iter().map(|token| at(token, span)));
    }
    Ok(out)
}
