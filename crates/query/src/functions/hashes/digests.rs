//! Digests of texts as digits. Their bytes are no text, so that a call alone is refused.

use std::borrow::Cow;

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use datafusion::common::Result;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_256};
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use crate::functions::rewrites::{call, text};
use crate::functions::scalar::{Call, Scalar, fault};
use crate::functions::text::map;
use crate::functions::{Plan, Row, row};

/// The digest of a name.
fn digest(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    Some(match name {
        "MD5" => Md5::digest(bytes).to_vec(),
        "SHA1" => Sha1::digest(bytes).to_vec(),
        "SHA224" => Sha224::digest(bytes).to_vec(),
        "SHA256" => Sha256::digest(bytes).to_vec(),
        "SHA384" => Sha384::digest(bytes).to_vec(),
        "SHA512" => Sha512::digest(bytes).to_vec(),
        "SHA512_256" => Sha512_256::digest(bytes).to_vec(),
        _ => return None,
    })
}

/// The first eight bytes of MD5 as a number.
pub(super) fn half_md5(bytes: &[u8]) -> u64 {
    Md5::digest(bytes).iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A digest by its name, which stands alone.
pub(super) const fn digest_row(name: &'static str) -> Row {
    row(
        name,
        &[],
        "hex(MD5(s)), base64Encode(SHA256(s)) …",
        "A digest of a text, inside hex or base64Encode.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Err(bare()), |_| Err(bare()))),
    )
}

fn bare() -> datafusion::common::DataFusionError {
    let message = "A digest is bytes, which are no text here: write hex(…) or base64Encode(…) around it";
    fault(ErrorCode::NotImplemented, message)
}

/// `hex(MD5(s))` as one call; None for other arguments.
pub(crate) fn of_digest(outer: &str, argument: &Expr) -> Option<Expr> {
    let Expr::Function(function) = argument else { return None };
    let name = function.name.to_string();
    let name = name.trim_matches('"');
    digest(name, b"")?;
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(of))] = list.args.as_slice() else { return None };
    Some(call(outer, vec![of.clone(), text(name)]))
}

/// A function of a text and a digest's name.
pub(super) const fn plan(body: fn(&Call<'_>) -> Result<arrow::array::ArrayRef>) -> Plan {
    Plan::Scalar(Scalar::pure((2, 2), |_| Ok(ColumnType::String), body))
}

fn digits(call: &Call<'_>, spelled: fn(&[u8]) -> String) -> Result<arrow::array::ArrayRef> {
    let Some(name) = call.literal_text(1).map(str::to_owned) else { return Err(bare()) };
    map(call, |text, _| {
        digest(&name, text.as_bytes()).map(|made| Cow::Owned(spelled(&made))).ok_or_else(bare)
    })
}

pub(super) fn hex(call: &Call<'_>) -> Result<arrow::array::ArrayRef> {
    digits(call, |bytes| bytes.iter().map(|byte| format!("{byte:02X}")).collect())
}

pub(super) fn base64(call: &Call<'_>) -> Result<arrow::array::ArrayRef> {
    digits(call, |bytes| STANDARD.encode(bytes))
}
