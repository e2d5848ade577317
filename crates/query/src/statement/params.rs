//! Query parameters: `{name:Type}` becomes a typed literal made of tokens, so a value can never become SQL.

use std::collections::BTreeMap;

use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::types::ColumnType;

use super::cursor::{Cursor, is_word, quote, text_of};
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
        // Within text `\N` is nothing.
        return match (ty.is_nullable(), &ty) {
            (true, _) => Ok(cast(vec![word("NULL")], &ty)),
            (false, ColumnType::String | ColumnType::Symbol) => {
                Ok(vec![Token::SingleQuotedString(String::new())])
            }
            (false, _) => Err(bad(name, "NULL", &ty)),
        };
    };
    let inner = value_tokens(text, ty.inner()).ok_or_else(|| bad(name, text, &ty))?;
    // A text is a literal, and is called by it.
    if ty == ColumnType::String || bare && matches!(inner.as_slice(), [Token::Number(..)]) {
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
        _ if is_whole(ty) => number(text.parse().is_ok_and(|whole| holds(ty, whole))),
        T::Float32 | T::Float64 => {
            let value = text.parse::<f64>().ok()?;
            match value.is_finite() {
                true => Some(number_tokens(text)),
                false => Some(vec![Token::SingleQuotedString(text.to_ascii_lowercase())]),
            }
        }
        T::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "t" | "y" | "yes" | "on" | "enable" => Some(vec![word("true")]),
            "false" | "0" | "f" | "n" | "no" | "off" | "disable" => Some(vec![word("false")]),
            _ => None,
        },
        T::Array(_) | T::Tuple(_) | T::Map(..) => container_tokens(text, ty),
        _ => Some(vec![Token::SingleQuotedString(text.to_owned())]),
    }
}

fn number_tokens(text: &str) -> Vec<Token> {
    match text.strip_prefix('-') {
        Some(positive) => vec![Token::Minus, Token::Number(positive.to_owned(), false)],
        None => vec![Token::Number(text.trim_start_matches('+').to_owned(), false)],
    }
}

/// `['a', -1, NULL]`, `(1, 'x')`, `{'k': 1}`: only literals, commas and brackets pass, and only numbers that the items'
/// types hold.
fn container_tokens(text: &str, ty: &ColumnType) -> Option<Vec<Token>> {
    let dialect: &dyn Dialect = &ZeptoDialect;
    let mut tokens = Tokenizer::new(dialect, text).with_unescape(false).tokenize_with_location().ok()?;
    super::literals::read(&mut tokens).ok()?;
    let tokens = tokens.into_iter().map(|token| token.token);
    let tokens: Vec<Token> = tokens.filter(|t| !matches!(t, Token::Whitespace(_) | Token::EOF)).collect();
    let mut literal = Literal { tokens: tokens.into_iter().peekable(), out: Vec::new() };
    literal.value(ty)?;
    literal.tokens.next().is_none().then_some(literal.out)
}

/// A literal that is being read, and what it is in SQL.
struct Literal {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    out: Vec<Token>,
}

impl Literal {
    fn takes(&mut self, token: &Token) -> bool {
        self.tokens.next_if_eq(token).is_some()
    }

    fn value(&mut self, ty: &ColumnType) -> Option<()> {
        use ColumnType as T;
        match ty.inner() {
            T::Array(of) => {
                self.out.push(Token::LBracket);
                self.items([Token::LBracket, Token::RBracket], |this, _| this.value(of))?;
                self.out.push(Token::RBracket);
            }
            T::Tuple(parts) => {
                self.out.extend([word("tuple"), Token::LParen]);
                let read =
                    self.items([Token::LParen, Token::RParen], |this, at| this.value(parts.get(at)?))?;
                self.out.push(Token::RParen);
                return (read == parts.len()).then_some(());
            }
            T::Map(key, value) => {
                self.out.extend([word("map"), Token::LParen]);
                self.items([Token::LBrace, Token::RBrace], |this, _| {
                    this.value(key)?;
                    this.tokens.next_if_eq(&Token::Colon)?;
                    this.out.push(Token::Comma);
                    this.value(value)
                })?;
                self.out.push(Token::RParen);
            }
            _ => return self.scalar(ty),
        }
        Some(())
    }

    /// What stands between brackets, with commas between; how many there are. A comma may stand behind the last.
    fn items(
        &mut self,
        [open, close]: [Token; 2],
        mut item: impl FnMut(&mut Self, usize) -> Option<()>,
    ) -> Option<usize> {
        self.tokens.next_if_eq(&open)?;
        let mut read = 0;
        while !self.takes(&close) {
            if read > 0 {
                self.tokens.next_if_eq(&Token::Comma)?;
                if self.takes(&close) {
                    break;
                }
                self.out.push(Token::Comma);
            }
            item(self, read)?;
            read += 1;
        }
        Some(read)
    }

    fn scalar(&mut self, ty: &ColumnType) -> Option<()> {
        let negative = self.takes(&Token::Minus);
        match self.tokens.next()? {
            Token::Number(digits, long) => {
                let whole: Option<i128> = digits.parse().ok();
                if whole.is_some_and(|whole| !holds(ty.inner(), if negative { -whole } else { whole })) {
                    return None;
                }
                self.out.extend(negative.then_some(Token::Minus));
                self.out.push(Token::Number(digits, long));
            }
            token @ Token::SingleQuotedString(_) if !negative => self.out.push(token),
            Token::Word(found) if is_denormal(&found) => {
                let text = format!("{}{}", if negative { "-" } else { "" }, found.value.to_ascii_lowercase());
                self.out.extend(cast(vec![Token::SingleQuotedString(text)], &ColumnType::Float64));
            }
            Token::Word(found) if !negative && is_constant_word(&found) => self.out.push(Token::Word(found)),
            _ => return None,
        }
        Some(())
    }
}

fn is_denormal(word: &Word) -> bool {
    word.quote_style.is_none()
        && ["nan", "inf", "infinity"].iter().any(|name| word.value.eq_ignore_ascii_case(name))
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

/// The SQL of a value of this type that is known by its text.
pub(crate) fn literal_of(text: &str, ty: &ColumnType) -> String {
    match ty.inner() {
        ColumnType::String | ColumnType::Symbol => quote(text),
        ty if is_whole(ty) => text.to_owned(),
        ty => format!("CAST({} AS {ty})", quote(text)),
    }
}

fn is_whole(ty: &ColumnType) -> bool {
    use ColumnType as T;
    matches!(ty, T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64)
}

/// An unquoted word token, as the tokenizer makes it.
pub(crate) fn word(text: &str) -> Token {
    Token::make_word(text, None)
}

fn quoted_identifier(text: &str) -> Token {
    Token::Word(Word { value: text.to_owned(), quote_style: Some('"'), keyword: Keyword::NoKeyword })
}
