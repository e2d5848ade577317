//! Token pass over a query: `x IN [1, 2]`, as clients write lists, and `x IN CAST([1, 2] AS Array(T))`, as array
//! parameters expand, become `x IN (1, 2)`: a list's values take the type of what they are compared with.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Tokens;
use super::cursor::is_word;

/// Rewrites a query's tokens. Brackets that do not close are left for the parser to refuse.
pub(crate) fn rewrite(mut tokens: Tokens) -> Tokens {
    let has_list = |pair: &[TokenWithSpan]| {
        is_word(&pair[0].token, "IN") && (pair[1].token == Token::LBracket || is_word(&pair[1].token, "CAST"))
    };
    if !tokens.windows(2).any(has_list) {
        return tokens;
    }
    let ends = ends(&tokens);
    let mut gone = vec![false; tokens.len()];
    for start in 1..tokens.len() {
        if !is_word(&tokens[start - 1].token, "IN") {
            continue;
        }
        let Some((open, close, end)) = list_at(&tokens, &ends, start) else { continue };
        tokens[open].token = Token::LParen;
        tokens[close].token = Token::RParen;
        gone[start..open].fill(true);
        gone[close + 1..=end].fill(true);
    }
    let mut gone = gone.into_iter();
    tokens.retain(|_| !gone.next().unwrap_or(false));
    tokens
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

/// The brackets of the list that begins here, and where all of it ends.
fn list_at(tokens: &[TokenWithSpan], ends: &[Option<usize>], start: usize) -> Option<(usize, usize, usize)> {
    let is = |at: usize, token: &Token| tokens.get(at).is_some_and(|found| found.token == *token);
    if is(start, &Token::LBracket) {
        let close = ends[start]?;
        // An element of the list is no list.
        return (!is(close + 1, &Token::LBracket)).then_some((start, close, close));
    }
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
    fn lists_and_array_parameters_become_lists_of_values() {
        let same = |a: &str, b: &str| assert_eq!(rewritten(a), rewritten(b), "{a}");
        same("a IN [1, 2] AND b", "a IN (1, 2) AND b");
        same("a NOT IN CAST(['x', 'y'] AS Array(String)) OR b", "a NOT IN ('x', 'y') OR b");
        same("a IN [[1], [2]]", "a IN ([1], [2])");
        same("a IN [b IN [1], c IN CAST([2] AS Array(Int8))]", "a IN (b IN (1), c IN (2))");
        for kept in
            ["a IN [1, 2][1]", "a IN CAST(b AS Int8)", "a IN [1", "a IN CAST([1] AS", "a IN (1)", "a[1]"]
        {
            let tokens = tokenize(kept).unwrap();
            assert_eq!(text_of(&rewrite(tokens.clone())), text_of(&tokens), "{kept}");
        }
    }
}
