//! The file `CATALOG`: the catalog as JSON in an [`crate::envelope`], replaced whole.

use std::path::Path;

use zepto_common::catalog::Catalog;
use zepto_common::{Error, ErrorCode, Result};

use crate::envelope;

const MAGIC: [u8; 4] = *b"ZPCT";
const FORMAT: u32 = 1;

/// The file's bytes.
///
/// # Errors
/// A broken invariant.
pub(crate) fn encode(catalog: &Catalog) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(catalog).map_err(|error| Error::internal(error.to_string()))?;
    Ok(envelope::seal(MAGIC, FORMAT, &json))
}

/// The catalog in a file's bytes.
///
/// # Errors
/// `CorruptedData` with the file and the place.
pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Catalog> {
    let json = envelope::unseal(MAGIC, FORMAT, bytes, path)?;
    serde_json::from_slice(&json).map_err(|error| {
        Error::new(ErrorCode::CorruptedData, format!("{}: byte 20: {error}", path.display()))
    })
}
