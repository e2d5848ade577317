//! Texts as digits and letters and back: base64, base58, hexadecimal and binary digits. Bytes that are no text are refused.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use datafusion::common::Result;
use sqlparser::ast::Expr;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::hashes::of_digest;
use super::rewrites::call as call_of;
use super::scalar::{Arguments, Call, Scalar, fault};
use super::text::{by_bytes, map, text_of_bytes};
use super::{Plan, Row, row};

/// Reads with and without padding.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn one(name: &str, args: &[Expr]) -> zepto_common::Result<()> {
    if args.len() == 1 {
        return Ok(());
    }
    let message =
        format!("Number of arguments for function {name} doesn't match: passed {}, should be 1", args.len());
    Err(zepto_common::Error::new(ErrorCode::NumberOfArgumentsDoesntMatch, message))
}

/// `hex(x)`, also of a digest.
fn hex(args: Vec<Expr>) -> zepto_common::Result<Expr> {
    one("hex", &args)?;
    Ok(of_digest("__hex_of_digest", &args[0]).unwrap_or_else(|| call_of("__hex", args)))
}

/// `base64Encode(s)`, also of a digest.
fn base64_encode(args: Vec<Expr>) -> zepto_common::Result<Expr> {
    one("base64Encode", &args)?;
    Ok(of_digest("__base64_of_digest", &args[0]).unwrap_or_else(|| call_of("__base64", args)))
}

fn encoded(call: &Call<'_>, spelled: fn(&[u8]) -> String) -> Result<ArrayRef> {
    map(call, |text, _| Ok(Cow::Owned(spelled(text.as_bytes()))))
}

/// What does not decode is refused, or empty with `lenient`.
fn decoded(call: &Call<'_>, lenient: bool, read: fn(&str) -> Option<Vec<u8>>) -> Result<ArrayRef> {
    map(call, |text, _| {
        let Some(bytes) = read(text) else {
            if lenient {
                return Ok(Cow::Borrowed(""));
            }
            let message =
                format!("Failed to decode the text '{}'", text.chars().take(100).collect::<String>());
            return Err(fault(ErrorCode::IncorrectData, message));
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(_) => Err(fault(ErrorCode::NotImplemented, "The decoded bytes are no text")),
        }
    })
}

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Base 58 costs the square of the length.
const BASE58_BYTES_MAX: usize = 4_096;

fn to_base58(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits: Vec<u32> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % 58;
            carry /= 58;
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    let digits = digits.iter().rev().map(|digit| char::from(BASE58[*digit as usize]));
    std::iter::repeat_n('1', zeros).chain(digits).collect()
}

fn from_base58(text: &str) -> Option<Vec<u8>> {
    let zeros = text.bytes().take_while(|byte| *byte == b'1').count();
    let mut bytes: Vec<u32> = Vec::new();
    for letter in text.bytes() {
        let mut carry = BASE58.iter().position(|known| *known == letter)? as u32;
        for byte in &mut bytes {
            carry += *byte * 58;
            *byte = carry & 0xff;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(carry & 0xff);
            carry >>= 8;
        }
    }
    Some(std::iter::repeat_n(0, zeros).chain(bytes.iter().rev().map(|byte| *byte as u8)).collect())
}

fn check_base58(call: &Call<'_>) -> Result<()> {
    match call.texts(0)?.iter().flatten().any(|text| text.len() > BASE58_BYTES_MAX) {
        true => Err(fault(
            ErrorCode::TooLargeStringSize,
            format!("base58 takes at most {BASE58_BYTES_MAX} bytes"),
        )),
        false => Ok(()),
    }
}

fn unbin(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().collect();
    let byte = |bits: &[u8]| {
        bits.iter().try_fold(0_u8, |byte, bit| match bit {
            b'0' => Some(byte << 1),
            b'1' => Some(byte << 1 | 1),
            _ => None,
        })
    };
    let mut bytes: Vec<u8> = digits.rchunks(8).map(byte).collect::<Option<_>>()?;
    bytes.reverse();
    Some(bytes)
}

const STRING: fn(&Arguments<'_>) -> Result<ColumnType> = |_| Ok(ColumnType::String);

macro_rules! text_row {
    ($name:literal, $aliases:expr, $about:literal, $body:expr) => {
        row($name, $aliases, concat!($name, "(s)"), $about, Plan::Scalar(Scalar::pure((1, 1), STRING, $body)))
    };
}

/// Encodings.
pub(crate) const ROWS: &[Row] = &[
    row("hex", &[], "hex(s)", "The bytes in hexadecimal digits.", Plan::Ast(hex)),
    row(
        "__hex",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure((1, 1), text_of_bytes, |call| {
            by_bytes(call, |bytes| bytes.iter().map(|byte| format!("{byte:02X}")).collect())
        })),
    ),
    row(
        "bin",
        &[],
        "bin(s)",
        "The bits.",
        Plan::Scalar(Scalar::pure((1, 1), text_of_bytes, |call| {
            by_bytes(call, |bytes| bytes.iter().map(|byte| format!("{byte:08b}")).collect())
        })),
    ),
    text_row!("unbin", &[], "The text of bits.", |call| decoded(call, false, unbin)),
    row("base64Encode", &["TO_BASE64"], "base64Encode(s)", "Base 64.", Plan::Ast(base64_encode)),
    row(
        "__base64",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure((1, 1), STRING, |call| encoded(call, |bytes| STANDARD.encode(bytes)))),
    ),
    text_row!("base64Decode", &["FROM_BASE64"], "The text of base 64.", |call| {
        decoded(call, false, |text| STANDARD.decode(text).ok())
    }),
    text_row!("tryBase64Decode", &[], "The text of base 64; empty when it is none.", |call| {
        decoded(call, true, |text| STANDARD.decode(text).ok())
    }),
    text_row!("base64URLEncode", &[], "Base 64 for addresses.", |call| {
        encoded(call, |bytes| URL_SAFE_NO_PAD.encode(bytes))
    }),
    text_row!("base64URLDecode", &[], "The text of base 64 for addresses.", |call| {
        decoded(call, false, |text| URL_SAFE.decode(text).ok())
    }),
    text_row!("tryBase64URLDecode", &[], "The same; empty when it is none.", |call| {
        decoded(call, true, |text| URL_SAFE.decode(text).ok())
    }),
    text_row!("base58Encode", &[], "Base 58.", |call| {
        check_base58(call)?;
        encoded(call, to_base58)
    }),
    text_row!("base58Decode", &[], "The text of base 58.", |call| {
        check_base58(call)?;
        decoded(call, false, from_base58)
    }),
    text_row!("tryBase58Decode", &[], "The same; empty when it is none.", |call| {
        check_base58(call)?;
        decoded(call, true, from_base58)
    }),
];
