//! Token pass over a query: ClickHouse's orders of words in joins.
//!
//! sqlparser knows `LEFT SEMI` and `LEFT ANTI`. `ANY LEFT` and `ANY INNER` become its bare `SEMI` and `ANTI`, which
//! mean the LEFT ones in ClickHouse and are written out here; `rewrite::join_kinds` reads them. `ANY RIGHT` becomes a bare `RIGHT`,
//! which is written `RIGHT OUTER` where it is meant.

use sqlparser::tokenizer::TokenWithSpan;
use zepto_common::error::{Error, ErrorCode, Result};

use super::Tokens;
use super::cursor::is_word;
use super::params::word;

/// What is written, and what is put there instead.
const WORDS: [(&[&str], &[&str]); 22] = [
    (&["SEMI", "LEFT", "JOIN"], &["LEFT", "SEMI", "JOIN"]),
    (&["LEFT", "SEMI", "JOIN"], &["LEFT", "SEMI", "JOIN"]),
    (&["SEMI", "JOIN"], &["LEFT", "SEMI", "JOIN"]),
    (&["SEMI", "RIGHT", "JOIN"], &["RIGHT", "SEMI", "JOIN"]),
    (&["RIGHT", "SEMI", "JOIN"], &["RIGHT", "SEMI", "JOIN"]),
    (&["ANTI", "LEFT", "JOIN"], &["LEFT", "ANTI", "JOIN"]),
    (&["LEFT", "ANTI", "JOIN"], &["LEFT", "ANTI", "JOIN"]),
    (&["ANTI", "JOIN"], &["LEFT", "ANTI", "JOIN"]),
    (&["ANTI", "RIGHT", "JOIN"], &["RIGHT", "ANTI", "JOIN"]),
    (&["RIGHT", "ANTI", "JOIN"], &["RIGHT", "ANTI", "JOIN"]),
    (&["ANY", "LEFT", "JOIN"], &["SEMI", "JOIN"]),
    (&["ANY", "LEFT", "OUTER", "JOIN"], &["SEMI", "JOIN"]),
    (&["LEFT", "ANY", "JOIN"], &["SEMI", "JOIN"]),
    (&["LEFT", "OUTER", "ANY", "JOIN"], &["SEMI", "JOIN"]),
    (&["ANY", "INNER", "JOIN"], &["ANTI", "JOIN"]),
    (&["INNER", "ANY", "JOIN"], &["ANTI", "JOIN"]),
    (&["ANY", "JOIN"], &["ANTI", "JOIN"]),
    (&["ANY", "RIGHT", "JOIN"], &["RIGHT", "JOIN"]),
    (&["ANY", "RIGHT", "OUTER", "JOIN"], &["RIGHT", "JOIN"]),
    (&["RIGHT", "ANY", "JOIN"], &["RIGHT", "JOIN"]),
    (&["RIGHT", "OUTER", "ANY", "JOIN"], &["RIGHT", "JOIN"]),
    (&["RIGHT", "JOIN"], &["RIGHT", "OUTER", "JOIN"]),
];

/// Rewrites a query's tokens.
///
/// # Errors
/// `NotImplemented` for ANY with FULL and for PASTE.
pub(crate) fn rewrite(tokens: Tokens) -> Result<Tokens> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut i = 0;
    while i < tokens.len() {
        let span = tokens[i].span;
        if let Some((written, instead)) = WORDS.iter().find(|(words, _)| sees(&tokens[i..], words)) {
            out.extend(instead.iter().map(|name| TokenWithSpan { token: word(name), span }));
            i += written.len();
            continue;
        }
        if sees(&tokens[i..], &["PASTE", "JOIN"]) {
            return Err(Error::new(ErrorCode::NotImplemented, "PASTE JOIN is not supported"));
        }
        if sees(&tokens[i..], &["ANY", "FULL"]) || sees(&tokens[i..], &["FULL", "ANY", "JOIN"]) {
            return Err(Error::new(ErrorCode::NotImplemented, "ANY FULL JOIN is not supported"));
        }
        out.push(tokens[i].clone());
        i += 1;
    }
    Ok(out)
}

fn sees(tokens: &[TokenWithSpan], words: &[&str]) -> bool {
    words.iter().enumerate().all(|(i, word)| tokens.get(i).is_some_and(|token| is_word(&token.token, word)))
}

#[cfg(test)]
mod tests {
    use super::super::{cursor::text_of, tokenize};
    use super::*;

    #[test]
    fn orders_of_words() {
        let text = |sql: &str| rewrite(tokenize(sql).unwrap()).map(|tokens| text_of(&tokens));
        let same = |a: &str, b: &str| assert_eq!(text(a).unwrap(), text_of(&tokenize(b).unwrap()), "{a}");
        same("a SEMI LEFT JOIN b USING (x)", "a LEFT SEMI JOIN b USING (x)");
        same("a ANTI JOIN b USING (x, y) WHERE z", "a LEFT ANTI JOIN b USING (x, y) WHERE z");
        same("a ANY LEFT JOIN b ON c", "a SEMI JOIN b ON c");
        same("a RIGHT ANY JOIN b ON c", "a RIGHT JOIN b ON c");
        same("a RIGHT JOIN b ON c", "a RIGHT OUTER JOIN b ON c");
        same("a RIGHT OUTER JOIN b ON c", "a RIGHT OUTER JOIN b ON c");
        assert!(text("a ANY FULL JOIN b USING x").is_err());
    }
}
