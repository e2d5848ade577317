//! A place in a list of tokens: the small hand parser behind every statement that is not a query.

use sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use zepto_common::error::{Error, ErrorCode, Result};

/// Tokens without whitespace, and how far they are read.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    tokens: Vec<TokenWithSpan>,
    at: usize,
}

/// A table's name as written: its database, if one was named, and its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameText {
    /// As written.
    pub(crate) database: Option<String>,
    /// As written.
    pub(crate) table: String,
}

impl Cursor {
    /// At the first of these tokens.
    pub(crate) fn new(tokens: Vec<TokenWithSpan>) -> Self {
        Self { tokens, at: 0 }
    }

    /// The token `ahead` places on.
    pub(crate) fn peek_at(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|token| &token.token)
    }

    /// The next token.
    pub(crate) fn peek(&self) -> Option<&Token> {
        self.peek_at(0)
    }

    /// Whether nothing is left.
    pub(crate) fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// Whether one token is left.
    pub(crate) fn at_last(&self) -> bool {
        self.at + 1 >= self.tokens.len()
    }

    /// Takes the next token.
    pub(crate) fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|token| token.token.clone());
        self.at += usize::from(token.is_some());
        token
    }

    /// Whether these unquoted words come next, without regard to case.
    pub(crate) fn sees(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, word)| self.peek_at(i).is_some_and(|token| is_word(token, word)))
    }

    /// Takes these words if all of them come next.
    pub(crate) fn words(&mut self, words: &[&str]) -> bool {
        let seen = self.sees(words);
        if seen {
            self.at += words.len();
        }
        seen
    }

    /// Takes this word if it comes next.
    pub(crate) fn word(&mut self, word: &str) -> bool {
        self.words(&[word])
    }

    /// Takes this word or fails.
    pub(crate) fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.word(word) { Ok(()) } else { Err(self.unexpected(word)) }
    }

    /// Takes this punctuation if it comes next.
    pub(crate) fn symbol(&mut self, symbol: &Token) -> bool {
        let seen = self.peek() == Some(symbol);
        self.at += usize::from(seen);
        seen
    }

    /// Takes this punctuation or fails.
    pub(crate) fn expect_symbol(&mut self, symbol: &Token) -> Result<()> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.unexpected(&symbol.to_string())) }
    }

    /// Takes an identifier, quoted or not.
    pub(crate) fn identifier(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(Word { value, .. })) => {
                let value = value.clone();
                self.at += 1;
                Ok(value)
            }
            _ => Err(self.unexpected("identifier")),
        }
    }

    /// Takes `[database.]table`.
    pub(crate) fn table_name(&mut self) -> Result<NameText> {
        let first = self.identifier()?;
        if self.symbol(&Token::Period) {
            return Ok(NameText { database: Some(first), table: self.identifier()? });
        }
        Ok(NameText { database: None, table: first })
    }

    /// Takes a string literal.
    pub(crate) fn string(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::SingleQuotedString(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.unexpected("string literal")),
        }
    }

    /// Takes `IF EXISTS`.
    pub(crate) fn if_exists(&mut self) -> bool {
        self.words(&["IF", "EXISTS"])
    }

    /// Takes `IF NOT EXISTS`.
    pub(crate) fn if_not_exists(&mut self) -> bool {
        self.words(&["IF", "NOT", "EXISTS"])
    }

    /// Takes tokens up to one at depth 0 for which `stop` is true (or the end), with balanced brackets.
    pub(crate) fn until(&mut self, stop: impl Fn(&Self) -> bool) -> Vec<TokenWithSpan> {
        let (start, mut depth) = (self.at, 0usize);
        while let Some(token) = self.peek() {
            if depth == 0 && stop(self) {
                break;
            }
            match token {
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace if depth == 0 => break,
                Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        self.tokens[start..self.at].to_vec()
    }

    /// Takes all that is left.
    pub(crate) fn rest(&mut self) -> Vec<TokenWithSpan> {
        let rest = self.tokens[self.at.min(self.tokens.len())..].to_vec();
        self.at = self.tokens.len();
        rest
    }

    /// Takes what stands between the parentheses that come next.
    pub(crate) fn parenthesised(&mut self) -> Result<Vec<TokenWithSpan>> {
        self.expect_symbol(&Token::LParen)?;
        let inside = self.until(|_| false);
        self.expect_symbol(&Token::RParen)?;
        Ok(inside)
    }

    /// Fails unless everything was read.
    pub(crate) fn expect_end(&self) -> Result<()> {
        if self.at_end() { Ok(()) } else { Err(self.unexpected("end of query")) }
    }

    /// The error for what stands here.
    pub(crate) fn unexpected(&self, expected: &str) -> Error {
        let message = match self.tokens.get(self.at) {
            Some(token) => {
                let place = token.span.start;
                format!(
                    "Syntax error: failed at '{}' (line {}, col {}). Expected {expected}",
                    token.token, place.line, place.column
                )
            }
            None => format!("Syntax error: failed at end of query. Expected {expected}"),
        };
        Error::new(ErrorCode::SyntaxError, message)
    }
}

/// Whether this is an unquoted word, without regard to case.
pub(crate) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// The text of tokens, as it can be parsed again: a blank between two words or literals, none at brackets.
pub(crate) fn text_of(tokens: &[TokenWithSpan]) -> String {
    let mut text = String::new();
    let tight = |token: &Token| matches!(token, Token::LParen | Token::RParen | Token::Comma | Token::Period);
    let mut last: Option<&Token> = None;
    for TokenWithSpan { token, .. } in tokens {
        let joined = tight(token) || last.is_some_and(|l| matches!(l, Token::LParen | Token::Period));
        if last.is_some() && !joined {
            text.push(' ');
        }
        match token {
            Token::SingleQuotedString(value) => text.push_str(&quote(value)),
            // The token's own text leaves the quotes in a name as they are.
            Token::Word(Word { value, quote_style: Some(mark), .. }) if value.contains(*mark) => {
                let doubled = value.replace(*mark, &String::from_iter([*mark, *mark]));
                text.extend([*mark].into_iter().chain(doubled.chars()).chain([*mark]));
            }
            other => text.push_str(&other.to_string()),
        }
        last = Some(token);
    }
    text
}

/// A string literal that the tokenizer reads back as this value.
pub(crate) fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}
