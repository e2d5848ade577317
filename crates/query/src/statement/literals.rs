//! Text literals as ClickHouse reads them, in a statement as in the values of an INSERT: `\n` and its like, `\xHH` for
//! a byte, and a backslash before anything else stays, so that patterns (`'\d+'`, `'50\%'`) arrive as they were written.

use sqlparser::tokenizer::{Token, TokenWithSpan};
use zepto_common::escapes::unescape_literal;
use zepto_common::{Error, ErrorCode, Result};

/// Puts what the literals and names mean in the place of how they are written.
///
/// # Errors
/// `CannotParseEscapeSequence`; `BadArguments` for bytes that are no UTF-8.
pub(super) fn read(tokens: &mut [TokenWithSpan]) -> Result<()> {
    for token in tokens {
        match &mut token.token {
            Token::SingleQuotedString(text) if text.contains(['\\', '\'']) => *text = meant(text)?,
            Token::HexStringLiteral(digits) => {
                // `0x1F` is a number, `x'1F'` a text of bytes: only the width tells them apart, and only here.
                let width = token.span.end.column.saturating_sub(token.span.start.column);
                let number = u64::from_str_radix(digits, 16).ok();
                if let Some(number) = number.filter(|_| width == digits.len() as u64 + 2) {
                    token.token = Token::Number(number.to_string(), false);
                }
            }
            Token::Word(word) => match word.quote_style {
                Some(quote) if word.value.contains(quote) => {
                    word.value = word.value.replace(&String::from_iter([quote, quote]), &quote.to_string());
                }
                _ => {}
            },
            _ => {}
        }
    }
    Ok(())
}

/// A text between `$tag$` and the same again is taken as it is.
pub(super) fn read_here_documents(tokens: &mut [TokenWithSpan]) {
    for token in tokens {
        if let Token::DollarQuotedString(text) = &mut token.token {
            token.token = Token::SingleQuotedString(std::mem::take(&mut text.value));
        }
    }
}

fn meant(raw: &str) -> Result<String> {
    String::from_utf8(unescape_literal(raw.as_bytes())?)
        .map_err(|_| Error::new(ErrorCode::BadArguments, format!("The text '{raw}' is not UTF-8")))
}
