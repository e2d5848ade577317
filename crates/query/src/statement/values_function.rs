//! Token pass over a query: the table function `values('a Int32, b String', (1, 'x'), (2, 'y'))` becomes
//! `(SELECT CAST(column1, 'Int32') AS a, CAST(column2, 'String') AS b FROM (VALUES (1, 'x'), (2, 'y')))`, and
//! `values((1, 'x'), (2, 'y'))` has columns `c1`, `c2`. `VALUES (1, 'x'), (2, 'y')` of standard SQL stays.

use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::Tokens;
use super::cursor::is_word;
use super::params::word;

/// Rewrites a query's tokens.
pub(crate) fn rewrite(tokens: Tokens) -> Tokens {
    let begins = |pair: &[TokenWithSpan]| {
        ["FROM", "JOIN"].iter().any(|name| is_word(&pair[0].token, name)) && is_word(&pair[1].token, "VALUES")
    };
    if !tokens.windows(2).any(begins) {
        return tokens;
    }
    let mut out: Tokens = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let function = (at > 0 && begins(&tokens[at - 1..=at])).then(|| call(&tokens, at)).flatten();
        match function {
            Some((made, end)) => {
                out.extend(made);
                at = end;
            }
            None => {
                out.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    out
}

/// What stands for the call that begins here, and where that ends.
fn call(tokens: &[TokenWithSpan], at: usize) -> Option<(Tokens, usize)> {
    let close = closing(tokens, at + 1)?;
    let next =
        |ahead: usize, token: Token| tokens.get(close + ahead).is_some_and(|found| found.token == token);
    if next(1, Token::Comma) && next(2, Token::LParen) {
        return None;
    }
    let mut args = split(&tokens[at + 2..close]);
    let columns: Option<Vec<(String, Option<String>)>> = match *args.first()? {
        [TokenWithSpan { token: Token::SingleQuotedString(structure), .. }] if args.len() > 1 => {
            let columns = structure_columns(structure);
            args.remove(0);
            columns
        }
        first => Some((1..=elements(first).len()).map(|place| (format!("c{place}"), None)).collect()),
    };
    let mut out = Tokens::new();
    let mut add = |token: Token| out.push(TokenWithSpan::wrap(token));
    add(Token::LParen);
    add(word("SELECT"));
    for (place, (name, ty)) in columns?.into_iter().enumerate() {
        if place > 0 {
            add(Token::Comma);
        }
        let column = word(&format!("column{}", place + 1));
        match ty {
            Some(ty) => [
                word("CAST"),
                Token::LParen,
                column,
                Token::Comma,
                Token::SingleQuotedString(ty),
                Token::RParen,
            ]
            .into_iter()
            .for_each(&mut add),
            None => add(column),
        }
        add(word("AS"));
        add(Token::Word(Word {
            value: name,
            quote_style: Some('"'),
            keyword: sqlparser::keywords::Keyword::NoKeyword,
        }));
    }
    [word("FROM"), Token::LParen, word("VALUES")].into_iter().for_each(&mut add);
    for (place, row) in args.into_iter().enumerate() {
        if place > 0 {
            out.push(TokenWithSpan::wrap(Token::Comma));
        }
        out.push(TokenWithSpan::wrap(Token::LParen));
        out.extend_from_slice(inside(row));
        out.push(TokenWithSpan::wrap(Token::RParen));
    }
    out.extend([Token::RParen, Token::RParen].map(TokenWithSpan::wrap));
    Some((out, close + 1))
}

/// A row without its parentheses.
fn inside(row: &[TokenWithSpan]) -> &[TokenWithSpan] {
    match row {
        [first, middle @ .., _] if first.token == Token::LParen && closing(row, 0) == Some(row.len() - 1) => {
            middle
        }
        _ => row,
    }
}

fn elements(row: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    split(inside(row))
}

/// The parts between the commas outside of brackets.
fn split(tokens: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}

/// Names and types in `a Int32, b Array(String)`.
fn structure_columns(structure: &str) -> Option<Vec<(String, Option<String>)>> {
    let (mut columns, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    let ends = structure.char_indices().filter(|(_, char)| {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        *char == ',' && depth == 0
    });
    let ends: Vec<usize> = ends.map(|(at, _)| at).chain([structure.len()]).collect();
    for end in ends {
        let (name, ty) = structure[start..end].trim().split_once(char::is_whitespace)?;
        columns.push((name.trim_matches(['`', '"']).to_owned(), Some(ty.trim().to_owned())));
        start = end + 1;
    }
    Some(columns)
}

fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    if tokens.get(open)?.token != Token::LParen {
        return None;
    }
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
    fn the_table_function_has_its_columns_and_standard_values_stay() {
        let same = |a: &str, b: &str| {
            let squeezed = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let made = squeezed(text_of(&rewrite(tokenize(a).unwrap())));
            assert_eq!(made, squeezed(text_of(&tokenize(b).unwrap())), "{a}");
        };
        same(
            "SELECT * FROM values('a Int32, b Array(DateTime64(3, \\'UTC\\'))', (1, []), (2, [x(1, 2)])) AS v",
            "SELECT * FROM (SELECT CAST(column1, 'Int32') AS \"a\", \
             CAST(column2, 'Array(DateTime64(3, \\'UTC\\'))') AS \"b\" FROM (VALUES(1, []), (2, [x(1, 2)]))) AS v",
        );
        same(
            "SELECT * FROM values('a Int32', 1, 2)",
            "SELECT * FROM (SELECT CAST(column1, 'Int32') AS \"a\" FROM (VALUES(1), (2)))",
        );
        same(
            "SELECT * FROM t JOIN VALUES((1, 'a'), (2, 'b')) v ON 1",
            "SELECT * FROM t JOIN (SELECT column1 AS \"c1\", column2 AS \"c2\" FROM (VALUES(1, 'a'), (2, 'b'))) v ON 1",
        );
        for kept in ["SELECT * FROM VALUES (1, 2), (3, 4)", "SELECT * FROM (VALUES (1, 2))", "VALUES (1)"] {
            let tokens = tokenize(kept).unwrap();
            assert_eq!(text_of(&rewrite(tokens.clone())), text_of(&tokens), "{kept}");
        }
    }
}
