//! Token pass over a query: `COLUMNS('regex')`, `t.COLUMNS(a, b)`, `* APPLY(f)` and `f(*)` stand for several columns, which
//! sqlparser does not read. Each becomes a call of [`MATCHER`], into whose place [`crate::matchers`] puts the columns.
//!
//! `t.COLUMNS('v') EXCEPT(a) REPLACE(b + 1 AS b) APPLY(sum)` is
//! `__columns(__of('t'), __like('v'), __except(a), __replace(b + 1, 'b'), __apply(sum))`.

use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::Tokens;
use super::cursor::is_word;
use super::params::word;

/// The function that stands for columns. Its arguments are calls of the functions below.
pub(crate) const MATCHER: &str = "__columns";
/// The table whose columns are meant.
pub(crate) const OF: &str = "__of";
/// Columns by a regular expression.
pub(crate) const LIKE: &str = "__like";
/// Columns by their names.
pub(crate) const NAMED: &str = "__named";
/// Columns left out: by names, or by a regular expression.
pub(crate) const EXCEPT: &str = "__except";
/// The same, and each name has to be there.
pub(crate) const EXCEPT_STRICT: &str = "__except_strict";
/// Columns whose values are others: pairs of an expression and a name.
pub(crate) const REPLACE: &str = "__replace";
/// The same, and each name has to be there.
pub(crate) const REPLACE_STRICT: &str = "__replace_strict";
/// A function put around each column.
pub(crate) const APPLY: &str = "__apply";

/// Rewrites a query's tokens.
pub(crate) fn rewrite(tokens: Tokens) -> Tokens {
    let mut out: Tokens = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        match matcher(&tokens, at) {
            Some(found) => {
                at = found.end;
                out.truncate(out.len() - found.qualifier.len() * 2);
                if found.in_brackets {
                    out.pop();
                    at += 1;
                }
                found.write(&mut out);
            }
            None => {
                out.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    out
}

/// A part of the call: a function's name and its arguments.
struct Part {
    name: &'static str,
    args: Tokens,
}

/// What stands for columns.
struct Matcher {
    qualifier: Vec<String>,
    parts: Vec<Part>,
    end: usize,
    /// Whether brackets stand around it that say nothing: `SELECT (* EXCEPT a)`.
    in_brackets: bool,
}

impl Matcher {
    fn write(self, out: &mut Tokens) {
        let mut add = |token: Token| out.push(TokenWithSpan::wrap(token));
        add(word(MATCHER));
        add(Token::LParen);
        let mut first = true;
        if !self.qualifier.is_empty() {
            let names = self.qualifier.into_iter().map(Token::SingleQuotedString);
            let args: Vec<Token> = names.flat_map(|name| [Token::Comma, name]).skip(1).collect();
            [word(OF), Token::LParen].into_iter().chain(args).chain([Token::RParen]).for_each(&mut add);
            first = false;
        }
        for part in self.parts {
            if !std::mem::take(&mut first) {
                out.push(TokenWithSpan::wrap(Token::Comma));
            }
            out.push(TokenWithSpan::wrap(word(part.name)));
            out.push(TokenWithSpan::wrap(Token::LParen));
            out.extend(part.args);
            out.push(TokenWithSpan::wrap(Token::RParen));
        }
        out.push(TokenWithSpan::wrap(Token::RParen));
    }
}

fn is(tokens: &[TokenWithSpan], at: usize, name: &str) -> bool {
    tokens.get(at).is_some_and(|token| is_word(&token.token, name))
}

fn opens(tokens: &[TokenWithSpan], at: usize) -> bool {
    tokens.get(at).is_some_and(|token| token.token == Token::LParen)
}

/// The matcher whose `*` or COLUMNS stands here.
fn matcher(tokens: &[TokenWithSpan], at: usize) -> Option<Matcher> {
    let by_name = is(tokens, at, "COLUMNS") && opens(tokens, at + 1);
    if !by_name && tokens[at].token != Token::Mul {
        return None;
    }
    let qualifier = qualifier(&tokens[..at]);
    let start = at - qualifier.len() * 2;
    let mut parts = Vec::new();
    let mut end = at + 1;
    if by_name {
        let close = closing(tokens, at + 1)?;
        parts.push(chosen(&tokens[at + 2..close]));
        end = close + 1;
    } else if !begins(tokens, start) {
        return None;
    }
    let mut plain = true;
    while let Some((part, next, usual)) = step(tokens, end) {
        plain &= usual && !parts.iter().any(|other| other.name == part.name || other.name == REPLACE);
        parts.push(part);
        end = next;
    }
    let in_brackets = is_bracketed(tokens, start, end);
    // sqlparser and DataFusion have the usual forms of `*`.
    if !by_name && plain && !in_brackets && !is_argument(tokens, start, end) {
        return None;
    }
    Some(Matcher { qualifier, parts, end, in_brackets })
}

/// The names before the last period.
fn qualifier(tokens: &[TokenWithSpan]) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = tokens;
    while let [before @ .., TokenWithSpan { token: Token::Word(Word { value, .. }), .. }, dot] = rest
        && dot.token == Token::Period
    {
        names.push(value.clone());
        rest = before;
    }
    names.reverse();
    names
}

/// Whether an expression can begin here: the asterisk is no product.
fn begins(tokens: &[TokenWithSpan], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else { return false };
    matches!(tokens[before].token, Token::Comma | Token::LParen)
        || is_word(&tokens[before].token, "SELECT")
        || is_word(&tokens[before].token, "DISTINCT")
}

/// Whether it is the only argument of a function other than `count`.
fn is_argument(tokens: &[TokenWithSpan], start: usize, end: usize) -> bool {
    let closed = tokens.get(end).is_some_and(|token| token.token == Token::RParen);
    let Some(before) = start.checked_sub(2).filter(|_| closed && opens(tokens, start - 1)) else {
        return false;
    };
    let no_function = ["count", "SELECT", "IN", "AND", "OR", "NOT", "AS", "FROM", "BY", "OVER"];
    match &tokens[before].token {
        Token::Word(name) => !no_function.iter().any(|other| name.value.eq_ignore_ascii_case(other)),
        _ => false,
    }
}

/// Whether it is an item of the list of columns with brackets around it.
fn is_bracketed(tokens: &[TokenWithSpan], start: usize, end: usize) -> bool {
    let ends = tokens.get(end + 1).is_none_or(|next| {
        matches!(next.token, Token::Comma | Token::EOF | Token::SemiColon | Token::RParen)
            || is_word(&next.token, "FROM")
    });
    let closed = ends && tokens.get(end).is_some_and(|token| token.token == Token::RParen);
    let Some(before) = start.checked_sub(2).filter(|_| closed && opens(tokens, start - 1)) else {
        return false;
    };
    is_word(&tokens[before].token, "SELECT")
        || is_word(&tokens[before].token, "DISTINCT")
        || tokens[before].token == Token::Comma
}

/// What stands in the parentheses of COLUMNS.
fn chosen(inside: &[TokenWithSpan]) -> Part {
    let name = match inside {
        [TokenWithSpan { token: Token::SingleQuotedString(_), .. }] => LIKE,
        _ => NAMED,
    };
    Part { name, args: inside.to_vec() }
}

/// A transformer, where it ends, and whether it has a form that sqlparser reads behind `*`.
fn step(tokens: &[TokenWithSpan], at: usize) -> Option<(Part, usize, bool)> {
    if is(tokens, at, "EXCEPT") {
        return except(tokens, at + 1);
    }
    if is(tokens, at, "REPLACE") {
        return replace(tokens, at + 1);
    }
    if !is(tokens, at, "APPLY") {
        return None;
    }
    if opens(tokens, at + 1) {
        let close = closing(tokens, at + 1)?;
        let args = rewrite(tokens[at + 2..close].to_vec());
        return Some((Part { name: APPLY, args }, close + 1, false));
    }
    matches!(tokens.get(at + 1)?.token, Token::Word(_)).then_some(())?;
    let end = if opens(tokens, at + 2) { closing(tokens, at + 2)? + 1 } else { at + 2 };
    Some((Part { name: APPLY, args: tokens[at + 1..end].to_vec() }, end, false))
}

fn except(tokens: &[TokenWithSpan], at: usize) -> Option<(Part, usize, bool)> {
    let strict = is(tokens, at, "STRICT");
    let name = if strict { EXCEPT_STRICT } else { EXCEPT };
    let at = at + usize::from(strict);
    if opens(tokens, at) {
        // `EXCEPT (SELECT …)` takes rows away.
        let query = ["SELECT", "WITH", "FROM", "VALUES"].iter().any(|name| is(tokens, at + 1, name));
        if query || opens(tokens, at + 1) {
            return None;
        }
        let close = closing(tokens, at)?;
        let args = tokens[at + 1..close].to_vec();
        let names = args.iter().all(|token| matches!(token.token, Token::Word(_) | Token::Comma));
        return Some((Part { name, args }, close + 1, names && !strict));
    }
    let rows =
        ["SELECT", "ALL", "DISTINCT", "WITH", "FROM", "VALUES"].iter().any(|name| is(tokens, at, name));
    let one = tokens.get(at).filter(|_| !rows)?;
    matches!(one.token, Token::Word(_) | Token::SingleQuotedString(_)).then_some(())?;
    let usual = matches!(one.token, Token::Word(_)) && !strict;
    Some((Part { name, args: vec![one.clone()] }, at + 1, usual))
}

fn replace(tokens: &[TokenWithSpan], at: usize) -> Option<(Part, usize, bool)> {
    let strict = is(tokens, at, "STRICT");
    let name = if strict { REPLACE_STRICT } else { REPLACE };
    let at = at + usize::from(strict);
    if opens(tokens, at) {
        let close = closing(tokens, at)?;
        let mut args = Tokens::new();
        let mut from = at + 1;
        while from < close {
            let to = replacement(tokens, from, &mut args)?;
            if to < close {
                (tokens[to].token == Token::Comma).then_some(())?;
                args.push(TokenWithSpan::wrap(Token::Comma));
            }
            from = to + 1;
        }
        return Some((Part { name, args }, close + 1, !strict));
    }
    let mut args = Tokens::new();
    let end = replacement(tokens, at, &mut args)?;
    Some((Part { name, args }, end, false))
}

/// Copies `expression AS name` as `expression, 'name'`; where it ends.
fn replacement(tokens: &[TokenWithSpan], from: usize, args: &mut Tokens) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.checked_sub(1)?,
            other if depth == 0 && is_word(other, "AS") => {
                let Token::Word(name) = &tokens.get(at + 1)?.token else { return None };
                args.extend(rewrite(tokens[from..at].to_vec()));
                let name = Token::SingleQuotedString(name.value.clone());
                args.extend([Token::Comma, name].map(TokenWithSpan::wrap));
                return Some(at + 2);
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
    fn what_stands_for_columns_becomes_a_call() {
        let same = |a: &str, b: &str| {
            assert_eq!(text_of(&rewrite(tokenize(a).unwrap())), text_of(&tokenize(b).unwrap()), "{a}");
        };
        same("SELECT COLUMNS('v')", "SELECT __columns(__like('v'))");
        same("SELECT a, t.COLUMNS(b, c) FROM t", "SELECT a, __columns(__of('t'), __named(b, c)) FROM t");
        same("SELECT * APPLY(sum), b", "SELECT __columns(__apply(sum)), b");
        same("SELECT d.t.* APPLY(x -> x + 1)", "SELECT __columns(__of('d', 't'), __apply(x -> x + 1))");
        same(
            "SELECT * EXCEPT(a) REPLACE(b * 2 AS b, f(c, 1) AS c) APPLY quantile(0.9) FROM t",
            "SELECT __columns(__except(a), __replace(b * 2, 'b', f(c, 1), 'c'), __apply(quantile(0.9))) FROM t",
        );
        same("SELECT * EXCEPT 'a|b'", "SELECT __columns(__except('a|b'))");
        same("SELECT * EXCEPT STRICT (a)", "SELECT __columns(__except_strict(a))");
        same(
            "SELECT (* EXCEPT a), (t.*) FROM t",
            "SELECT __columns(__except(a)), __columns(__of('t')) FROM t",
        );
        same("SELECT uniq(*), tuple(t.*)", "SELECT uniq(__columns()), tuple(__columns(__of('t')))");
    }

    #[test]
    fn products_and_what_the_planner_has_stay() {
        for kept in [
            "SELECT *, t.* FROM t",
            "SELECT * EXCEPT(a) REPLACE(b AS c) FROM t",
            "SELECT * EXCEPT a FROM t",
            "SELECT a * b, (a) * COUNT(*), count(*)",
            "SELECT * EXCEPT SELECT 1",
            "SELECT * EXCEPT (SELECT 1)",
            "SELECT columns FROM t",
        ] {
            let tokens = tokenize(kept).unwrap();
            assert_eq!(text_of(&rewrite(tokens.clone())), text_of(&tokens), "{kept}");
        }
    }
}
