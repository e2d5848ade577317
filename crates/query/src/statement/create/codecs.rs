//! CODEC: read, and passed over.

use sqlparser::tokenizer::Token;
use zepto_common::error::{Error, ErrorCode, Result};

use super::check_list;
use crate::statement::Tokens;
use crate::statement::cursor::{Cursor, text_of};

/// ClickHouse's codecs. None changes what a column holds.
const CODECS: [&str; 15] = [
    "None",
    "Default",
    "LZ4",
    "LZ4HC",
    "ZSTD",
    "T64",
    "Delta",
    "DoubleDelta",
    "Gorilla",
    "FPC",
    "GCD",
    "ALP",
    "AES_128_GCM_SIV",
    "AES_256_GCM_SIV",
    "Multiple",
];

fn check_codecs(tokens: Tokens) -> Result<()> {
    let mut cursor = Cursor::new(tokens);
    loop {
        let name = cursor.identifier()?;
        if !CODECS.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            return Err(Error::new(ErrorCode::UnknownCodec, format!("Unknown codec family code: {name}")));
        }
        if cursor.peek() == Some(&Token::LParen) {
            check_list(cursor.parenthesised()?)?;
        }
        if !cursor.symbol(&Token::Comma) {
            return cursor.expect_end();
        }
    }
}

/// What stands behind CODEC, as text.
pub(crate) fn read(cursor: &mut Cursor) -> Result<String> {
    let codec = cursor.parenthesised()?;
    check_codecs(codec.clone())?;
    Ok(text_of(&codec))
}
