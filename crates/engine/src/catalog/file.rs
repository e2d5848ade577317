//! The file `CATALOG`: the catalog as JSON in an [`crate::envelope`], replaced whole.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, Result};

use super::{Catalog, TableEntry, ViewDefinition};
use crate::envelope;

const MAGIC: [u8; 4] = *b"ZPCT";
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct CatalogFile {
    version: u64,
    next_table: u64,
    databases: Vec<String>,
    tables: Vec<TableFile>,
    views: Vec<ViewDefinition>,
}

#[derive(Serialize, Deserialize)]
struct TableFile {
    next_column: u32,
    /// Ascending by version; the last is the newest.
    versions: Vec<TableSchema>,
}

impl Catalog {
    /// The file's bytes.
    ///
    /// # Errors
    /// A broken invariant.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let file = CatalogFile {
            version: self.version,
            next_table: self.next_table,
            databases: self.databases.clone(),
            tables: self
                .tables
                .values()
                .map(|entry| TableFile {
                    next_column: entry.next_column,
                    versions: entry.versions.values().map(|schema| (**schema).clone()).collect(),
                })
                .collect(),
            views: self.views.values().map(|view| (**view).clone()).collect(),
        };
        let json = serde_json::to_vec(&file).map_err(|error| Error::internal(error.to_string()))?;
        Ok(envelope::seal(MAGIC, FORMAT, &json))
    }

    /// The catalog in a file's bytes.
    ///
    /// # Errors
    /// `CorruptedData` with the file and the place.
    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        let json = envelope::unseal(MAGIC, FORMAT, bytes, path)?;
        let corrupt = |what: String| {
            Error::new(ErrorCode::CorruptedData, format!("{}: byte 20: {what}", path.display()))
        };
        let file: CatalogFile = serde_json::from_slice(&json).map_err(|error| corrupt(error.to_string()))?;
        let mut catalog = Self {
            version: file.version,
            next_table: file.next_table,
            databases: file.databases,
            views: file.views.into_iter().map(|view| (view.name.clone(), Arc::new(view))).collect(),
            tables: Default::default(),
            by_name: Default::default(),
        };
        for table in file.tables {
            let versions: std::collections::BTreeMap<_, _> =
                table.versions.into_iter().map(|schema| (schema.version, Arc::new(schema))).collect();
            let Some((_, newest)) = versions.last_key_value() else {
                return Err(corrupt("a table without a schema".to_owned()));
            };
            let newest = newest.clone();
            catalog.insert(TableEntry { newest, versions, next_column: table.next_column });
        }
        Ok(catalog)
    }
}
