//! EXCHANGE TABLES: two names change places in one step, so that no reader finds one of them missing.

use std::sync::Arc;

use super::Catalog;
use crate::schema::{TableName, TableSchema};
use crate::{Error, ErrorCode, Result, SchemaVersion};

impl Catalog {
    /// With two tables under each other's name.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownDatabase`; `BadArguments` for one table twice.
    pub fn with_tables_exchanged(&self, one: &TableName, other: &TableName) -> Result<Self> {
        let ids = [self.require(one)?.id, self.require(other)?.id];
        if one == other {
            let message = format!("Table {one} cannot change places with itself");
            return Err(Error::new(ErrorCode::BadArguments, message));
        }
        let mut next = self.next();
        for (id, name) in ids.into_iter().zip([other, one]) {
            let Some(entry) = next.tables.get(&id) else { continue };
            let mut entry = (**entry).clone();
            let version = SchemaVersion(entry.newest.version.0 + 1);
            let schema = Arc::new(TableSchema { name: name.clone(), version, ..(*entry.newest).clone() });
            entry.versions.insert(version, schema.clone());
            entry.newest = schema;
            next.insert(entry);
        }
        Ok(next)
    }
}
