//! Token pass over a query: types with a text in them, as `DateTime('UTC')`, which sqlparser does not read.
//! `CAST(x AS DateTime('UTC'))` and `x::DateTime('UTC')` become `CAST(x, 'DateTime(\'UTC\')')`.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Tokens;
use super::cursor::{is_word, text_of};
use super::forms::operand_start;
use super::params::word;

/// Rewrites a query's tokens.
pub(crate) fn rewrite(tokens: Tokens) -> Tokens {
    let may_be = |token: &TokenWithSpan| token.token == Token::DoubleColon || is_word(&token.token, "CAST");
    if !tokens.iter().any(may_be) {
        return tokens;
    }
    let mut out: Tokens = Vec::with_capacity(tokens.len());
    // Where the CASTs around this place began.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        match &token.token {
            Token::LParen | Token::LBracket => {
                let cast = out.last().is_some_and(|last| is_word(&last.token, "CAST"));
                open.push(cast.then_some(at));
            }
            Token::RParen | Token::RBracket => {
                open.pop();
            }
            Token::DoubleColon if !out.is_empty() => {
                if let Some(end) = type_end(&tokens, at + 1) {
                    let start = operand_start(&out);
                    out.splice(start..start, [word("CAST"), Token::LParen].map(TokenWithSpan::wrap));
                    out.extend(named(&tokens[at + 1..end]));
                    out.push(TokenWithSpan::wrap(Token::RParen));
                    at = end;
                    continue;
                }
            }
            _ if is_word(&token.token, "AS") && open.last().is_some_and(Option::is_some) => {
                let closes = |end: &usize| tokens.get(*end).is_some_and(|next| next.token == Token::RParen);
                if let Some(end) = type_end(&tokens, at + 1).filter(closes) {
                    out.extend(named(&tokens[at + 1..end]));
                    at = end;
                    continue;
                }
            }
            _ => {}
        }
        out.push(token.clone());
        at += 1;
    }
    out
}

/// A comma and the type's name as a text.
fn named(ty: &[TokenWithSpan]) -> [TokenWithSpan; 2] {
    [Token::Comma, Token::SingleQuotedString(text_of(ty))].map(TokenWithSpan::wrap)
}

/// Where a type that begins here ends, if it has a text in it.
fn type_end(tokens: &[TokenWithSpan], start: usize) -> Option<usize> {
    if !matches!(tokens.get(start)?.token, Token::Word(_)) || tokens.get(start + 1)?.token != Token::LParen {
        return None;
    }
    let (mut depth, mut has_text) = (0_usize, false);
    for (at, token) in tokens.iter().enumerate().skip(start + 1) {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 1 => return has_text.then_some(at + 1),
            Token::RParen => depth -= 1,
            Token::SingleQuotedString(_) => has_text = true,
            Token::Word(_) | Token::Number(..) | Token::Comma | Token::Eq | Token::Minus => {}
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tokenize;
    use super::*;

    fn rewritten(sql: &str) -> String {
        text_of(&rewrite(tokenize(sql).unwrap()))
    }

    #[test]
    fn types_with_a_text_become_texts_and_others_stay() {
        let same = |a: &str, b: &str| assert_eq!(rewritten(a), text_of(&tokenize(b).unwrap()), "{a}");
        same("CAST(x AS DateTime('UTC'))", "CAST(x, 'DateTime(\\'UTC\\')')");
        same("f(x)::Nullable(DateTime('UTC')) + 1", "CAST(f(x), 'Nullable(DateTime(\\'UTC\\'))') + 1");
        same("CAST(CAST('a' AS DateTime('UTC')) AS Date)", "CAST(CAST('a', 'DateTime(\\'UTC\\')') AS Date)");
        for kept in ["CAST(x AS Decimal(9, 2))", "x::Int8", "SELECT 1 AS f", "CAST(x AS", "x::T('a'"] {
            assert_eq!(rewritten(kept), text_of(&tokenize(kept).unwrap()), "{kept}");
        }
    }
}
