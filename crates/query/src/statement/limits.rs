//! Bounds on a statement's text, checked on its tokens before any recursive code sees it.

use sqlparser::tokenizer::{Token, TokenWithSpan};
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::limits::{DEPTH_MAX, STATEMENT_BYTES_MAX};

use super::cursor::is_word;

/// Operators in one chain (`a + b + …`): each is one level of the syntax tree. ClickHouse's `max_ast_depth`.
const CHAIN_MAX: usize = 1_000;

/// Refuses a text that is too large.
pub(crate) fn check_size(sql: &str) -> Result<()> {
    if sql.len() > STATEMENT_BYTES_MAX {
        let message =
            format!("Query is too large ({} bytes); the most is {STATEMENT_BYTES_MAX} bytes", sql.len());
        return Err(Error::new(ErrorCode::QueryIsTooLarge, message));
    }
    Ok(())
}

/// Refuses a text whose syntax tree would be too deep.
pub(crate) fn check_depth(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut chains = vec![0usize];
    let (mut nots, mut cases) = (0_usize, 0_usize);
    for TokenWithSpan { token, .. } in tokens {
        // Nested without brackets: `NOT NOT …`, `CASE WHEN CASE WHEN …`. The parser would stop there and say something else.
        nots = if is_word(token, "NOT") { nots + 1 } else { 0 };
        if is_word(token, "CASE") {
            cases += 1;
        } else if is_word(token, "END") {
            cases = cases.saturating_sub(1);
        }
        if nots + cases > DEPTH_MAX {
            return Err(too_deep(DEPTH_MAX));
        }
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                deepen(&mut chains)?;
                chains.push(0);
                if chains.len() > DEPTH_MAX {
                    return Err(too_deep(DEPTH_MAX));
                }
            }
            Token::RParen | Token::RBracket | Token::RBrace if chains.len() > 1 => {
                chains.pop();
            }
            Token::Comma => {
                if let Some(chain) = chains.last_mut() {
                    *chain = 0;
                }
            }
            token if is_link(token) => deepen(&mut chains)?,
            _ => {}
        }
    }
    Ok(())
}

fn deepen(chains: &mut [usize]) -> Result<()> {
    if let Some(chain) = chains.last_mut() {
        *chain += 1;
        if *chain > CHAIN_MAX {
            return Err(too_deep(CHAIN_MAX));
        }
    }
    Ok(())
}

fn too_deep(most: usize) -> Error {
    Error::new(ErrorCode::TooDeepAst, format!("AST is too deep. Maximum: {most}"))
}

fn is_link(token: &Token) -> bool {
    match token {
        Token::Word(word) if word.quote_style.is_none() => matches!(
            word.value.to_ascii_uppercase().as_str(),
            "AND"
                | "OR"
                | "XOR"
                | "NOT"
                | "UNION"
                | "EXCEPT"
                | "INTERSECT"
                | "JOIN"
                | "IS"
                | "IN"
                | "LIKE"
                | "BETWEEN"
        ),
        Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) => false,
        Token::SemiColon | Token::Period | Token::EOF => false,
        _ => true,
    }
}
