//! Query parameters: `{name:Type}` becomes a typed literal made of tokens, so a value can never become SQL.

use std::collections::BTreeMap;

use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::types::ColumnType;

use super::cursor::{Cursor, is_word, text_of};
use crate::dialect::ZeptoDialect;
use crate::functions::holds;

/// Values by name, unescaped; None is NULL.
pub(crate) type Params = BTreeMap<String, Option<String>>;

/// Replaces every `{name:Type}`.
///
/// # Errors
/// `UnknownQueryParameter` when a value is missing, `BadQueryParameter` when it is not of the type.
pub(crate) fn substitute(tokens: Vec<TokenWithSpan>, params: &Params) -> Result<Vec<TokenWithSpan>> {
    if !tokens.iter().any(|token| token.token == Token::LBrace) {
        return Ok(tokens);
    }
    let mut out = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        match parameter_at(&tokens, at) {
            Some((name, ty, next)) => {
                // After LIMIT a bare number must stand: the planner takes no cast there.
                let bare = out.last().is_some_and(|last: &TokenWithSpan| {
                    ["LIMIT", "OFFSET", "BY"].iter().any(|word| is_word(&last.token, word))
                });
                let literal = literal(&name, &ty, params, bare)?;
                out.extend(literal.into_iter().map(|token| TokenWithSpan { token, span: tokens[at].span }));
                at = next;
            }
            None => {
                out.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    Ok(out)
}

/// `{ name : Type }` at this place: the name, the type's text and the place after it.
fn parameter_at(tokens: &[TokenWithSpan], at: usize) -> Option<(String, String, usize)> {
    let mut cursor = Cursor::new(tokens[at..].to_vec());
    if !cursor.symbol(&Token::LBrace) {
        return None;
    }
    let name = cursor.identifier().ok()?;
    if !cursor.symbol(&Token::Colon) {
        return None;
    }
    let ty = cursor.until(|c| c.peek() == Some(&Token::RBrace));
    if ty.is_empty() || !cursor.symbol(&Token::RBrace) {
        return None;
    }
    let length = 4 + ty.len();
    Some((name, text_of(&ty), at + length))
}

fn literal(name: &str, ty: &str, params: &Params, bare: bool) -> Result<Vec<Token>> {
    let value = params.get(name).ok_or_else(|| {
        Error::new(ErrorCode::UnknownQueryParameter, format!("Substitution `{name}` is not set"))
    })?;
    if ty.eq_ignore_ascii_case("Identifier") {
        let text = value.as_deref().unwrap_or_default();
        return Ok(vec![quoted_identifier(text)]);
    }
    let ty: ColumnType = ty.parse()?;
    let Some(text) = value else {
        return match ty.is_nullable() {
            true => Ok(vec![word("NULL")]),
            false => Err(bad(name, "NULL", &ty)),
        };
    };
    let inner = value_tokens(text, ty.inner()).ok_or_else(|| bad(name, text, &ty))?;
    if bare && matches!(inner.as_slice(), [Token::Number(..)]) {
        return Ok(inner);
    }
    Ok(cast(inner, &ty))
}

fn bad(name: &str, value: &str, ty: &ColumnType) -> Error {
    let message = format!("Value {value} cannot be parsed as {ty} for query parameter '{name}'");
    Error::new(ErrorCode::BadQueryParameter, message)
}

/// The literal for a value of this type; None when the text is not one.
fn value_tokens(text: &str, ty: &ColumnType) -> Option<Vec<Token>> {
    use ColumnType as T;
    let number = |valid: bool| valid.then(|| number_tokens(text));
    match ty {
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => {
            number(text.parse().is_ok_and(|whole| holds(ty, whole)))
        }
        T::Float32 | T::Float64 => {
            let value = text.parse::<f64>().ok()?;
            match value.is_finite() {
                true => Some(number_tokens(text)),
                false => Some(vec![Token::SingleQuotedString(text.to_ascii_lowercase())]),
            }
        }
        T::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(vec![word("true")]),
            "false" | "0" => Some(vec![word("false")]),
            _ => None,
        },
        T::Array(of) => list_tokens(text, of),
        T::Tuple(_) | T::Map(..) => None,
        _ => Some(vec![Token::SingleQuotedString(text.to_owned())]),
    }
}

fn number_tokens(text: &str) -> Vec<Token> {
    match text.strip_prefix('-') {
        Some(positive) => vec![Token::Minus, Token::Number(positive.to_owned(), false)],
        None => vec![Token::Number(text.trim_start_matches('+').to_owned(), false)],
    }
}

/// `['a', -1, NULL]`: only literals, commas and brackets pass, and only whole numbers that the items' type holds.
fn list_tokens(text: &str, of: &ColumnType) -> Option<Vec<Token>> {
    let dialect: &dyn Dialect = &ZeptoDialect;
    let mut tokens = Tokenizer::new(dialect, text).with_unescape(false).tokenize_with_location().ok()?;
    super::literals::read(&mut tokens).ok()?;
    let tokens = tokens.into_iter().map(|token| token.token);
    let tokens: Vec<Token> = tokens.filter(|t| !matches!(t, Token::Whitespace(_) | Token::EOF)).collect();
    let (mut depth, mut closed) = (0usize, false);
    for token in &tokens {
        match token {
            _ if closed => return None,
            Token::LBracket => depth += 1,
            Token::RBracket => {
                depth = depth.checked_sub(1)?;
                closed = depth == 0;
            }
            Token::SingleQuotedString(_) | Token::Number(..) | Token::Comma | Token::Minus if depth > 0 => {}
            Token::Word(w) if depth > 0 && is_constant_word(w) => {}
            _ => return None,
        }
    }
    let mut item = of.inner();
    while let ColumnType::Array(of) = item {
        item = of.inner();
    }
    let fits = tokens.iter().enumerate().all(|(at, token)| match token {
        Token::Number(digits, _) => {
            let negative = at > 0 && tokens[at - 1] == Token::Minus;
            digits.parse().ok().is_none_or(|whole: i128| holds(item, if negative { -whole } else { whole }))
        }
        _ => true,
    });
    (closed && fits).then_some(tokens)
}

fn is_constant_word(word: &Word) -> bool {
    word.quote_style.is_none()
        && ["NULL", "TRUE", "FALSE"].iter().any(|constant| word.value.eq_ignore_ascii_case(constant))
}

/// `CAST(value AS type)`; the type's text is our own canonical one.
fn cast(value: Vec<Token>, ty: &ColumnType) -> Vec<Token> {
    let dialect: &dyn Dialect = &ZeptoDialect;
    let type_tokens = Tokenizer::new(dialect, &ty.to_string()).tokenize().unwrap_or_default();
    let mut out = vec![word("CAST"), Token::LParen];
    out.extend(value);
    out.push(word("AS"));
    out.extend(type_tokens.into_iter().filter(|t| !matches!(t, Token::Whitespace(_))));
    out.push(Token::RParen);
    out
}

/// An unquoted word token, as the tokenizer makes it.
pub(crate) fn word(text: &str) -> Token {
    Token::make_word(text, None)
}

fn quoted_identifier(text: &str) -> Token {
    Token::Word(Word { value: text.to_owned(), quote_style: Some('"'), keyword: Keyword::NoKeyword })
}
