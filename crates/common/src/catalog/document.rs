//! A catalog as JSON: what the file `CATALOG`, the coordinator's snapshots and the watch stream carry.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Catalog, TableEntry, ViewDefinition};
use crate::schema::TableSchema;

#[derive(Serialize, Deserialize)]
struct CatalogDocument {
    version: u64,
    next_table: u64,
    databases: Vec<String>,
    tables: Vec<TableDocument>,
    views: Vec<ViewDefinition>,
}

#[derive(Serialize, Deserialize)]
struct TableDocument {
    next_column: u32,
    /// Ascending by version; the last is the newest.
    versions: Vec<TableSchema>,
}

impl Serialize for Catalog {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let tables = self.tables.values().map(|entry| TableDocument {
            next_column: entry.next_column,
            versions: entry.versions.values().map(|schema| (**schema).clone()).collect(),
        });
        let document = CatalogDocument {
            version: self.version,
            next_table: self.next_table,
            databases: self.databases.clone(),
            tables: tables.collect(),
            views: self.views.values().map(|view| (**view).clone()).collect(),
        };
        document.serialize(out)
    }
}

impl<'de> Deserialize<'de> for Catalog {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let document = CatalogDocument::deserialize(from)?;
        let mut catalog = Self {
            version: document.version,
            next_table: document.next_table,
            databases: document.databases,
            views: document.views.into_iter().map(|view| (view.name.clone(), Arc::new(view))).collect(),
            tables: BTreeMap::new(),
            by_name: Default::default(),
        };
        for table in document.tables {
            let versions: BTreeMap<_, _> =
                table.versions.into_iter().map(|schema| (schema.version, Arc::new(schema))).collect();
            let Some((_, newest)) = versions.last_key_value() else {
                return Err(serde::de::Error::custom("a table without a schema"));
            };
            let newest = newest.clone();
            catalog.insert(TableEntry { newest, versions, next_column: table.next_column });
        }
        Ok(catalog)
    }
}
