//! The file's bytes: an [`crate::envelope`] around a JSON document and the deduplication windows behind it.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use zepto_common::{Error, ErrorCode, Result, TableId};

use super::Manifest;
use crate::envelope;

const MAGIC: [u8; 4] = *b"ZPMF";
/// Of a store that stands alone.
const FORMAT: u32 = 1;
/// With the memory of copies.
const FORMAT_COPIES: u32 = 2;
/// Offset of the payload in the file, for messages.
const PAYLOAD_AT: usize = 20;

#[derive(Serialize, Deserialize)]
struct Document {
    manifest: Manifest,
    windows: Vec<WindowEntry>,
}

#[derive(Serialize, Deserialize)]
struct WindowEntry {
    table: TableId,
    shard: u16,
    bytes: u64,
}

impl Manifest {
    /// The file's bytes.
    ///
    /// # Errors
    /// A broken invariant.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let windows = self.windows.iter();
        let document = Document {
            manifest: Self { windows: BTreeMap::new(), ..self.clone() },
            windows: windows
                .map(|(&(table, shard), bytes)| WindowEntry { table, shard, bytes: bytes.len() as u64 })
                .collect(),
        };
        let json = serde_json::to_vec(&document).map_err(|error| Error::internal(error.to_string()))?;
        let mut payload = (json.len() as u64).to_le_bytes().to_vec();
        payload.extend_from_slice(&json);
        for bytes in self.windows.values() {
            payload.extend_from_slice(bytes);
        }
        let format = if self.copies.is_some() { FORMAT_COPIES } else { FORMAT };
        Ok(envelope::seal(MAGIC, format, &payload))
    }

    /// The manifest in a file's bytes.
    ///
    /// # Errors
    /// `CorruptedData` with the file and the place.
    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        let mut rest = Bytes::from(envelope::unseal(MAGIC, FORMAT_COPIES, bytes, path)?);
        let total = rest.len();
        let corrupt = |left: usize, what: String| {
            let at = PAYLOAD_AT + total - left;
            Error::new(ErrorCode::CorruptedData, format!("{}: byte {at}: {what}", path.display()))
        };
        let mut take = |length: u64, what: &str| {
            if length > rest.len() as u64 {
                return Err(corrupt(rest.len(), format!("the file ends within {what}")));
            }
            Ok(rest.split_to(length as usize))
        };
        let length = take(8, "the document's length")?;
        let length = length.iter().rev().fold(0u64, |sum, &byte| (sum << 8) | u64::from(byte));
        let json = take(length, "the document")?;
        let document: Document =
            serde_json::from_slice(&json).map_err(|error| corrupt(total - 8, error.to_string()))?;
        let mut manifest = document.manifest;
        for entry in document.windows {
            let bytes = take(entry.bytes, "a deduplication window")?;
            manifest.windows.insert((entry.table, entry.shard), bytes);
        }
        let copies = manifest.copies.as_ref().map_or(manifest.applied.len(), Vec::len);
        if manifest.applied.len() != usize::from(manifest.partitions) || copies != manifest.applied.len() {
            return Err(corrupt(total - 8, "the applied lsns do not fit the partitions".to_owned()));
        }
        Ok(manifest)
    }
}
