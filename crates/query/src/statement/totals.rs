//! Token pass over a whole statement: `WITH TOTALS` of its outermost select is said twice, which permits
//! [`crate::rewrite`] to add the row of totals and the column that marks it. Inside subqueries it is refused there.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Tokens;
use super::cursor::is_word;

/// Rewrites a statement's tokens.
pub(crate) fn permit(mut tokens: Tokens) -> Tokens {
    let mut depth = 0_usize;
    let mut found = None;
    for (at, pair) in tokens.windows(2).enumerate() {
        match &pair[0].token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            token if depth == 0 && is_word(token, "WITH") && is_word(&pair[1].token, "TOTALS") => {
                found = Some(at);
            }
            _ => {}
        }
    }
    if let Some(at) = found {
        let again: Vec<TokenWithSpan> = tokens[at..at + 2].to_vec();
        tokens.splice(at..at, again);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::super::{cursor::text_of, tokenize};
    use super::*;

    #[test]
    fn totals_of_the_outermost_select_are_permitted_and_those_of_subqueries_not() {
        let permitted = |sql: &str| text_of(&permit(tokenize(sql).unwrap()));
        let twice = "SELECT a FROM t GROUP BY a WITH TOTALS WITH TOTALS ORDER BY a";
        assert_eq!(permitted("SELECT a FROM t GROUP BY a WITH TOTALS ORDER BY a"), twice);
        let inner = "SELECT a FROM (SELECT a FROM t GROUP BY a WITH TOTALS)";
        assert_eq!(permitted(inner), text_of(&tokenize(inner).unwrap()));
    }
}
