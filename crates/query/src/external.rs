//! Tables that came with a request, as the planner finds them: before those of the statement's database.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use zepto_common::error::Result;
use zepto_common::service::ExternalTable;

use crate::error::from_datafusion;
use crate::provider::to_query;

/// The tables of one statement. A plan over them is never cached: the next request brings others.
#[derive(Debug, Default)]
pub(crate) struct ExternalTables {
    database: String,
    tables: BTreeMap<String, Arc<dyn TableProvider>>,
}

impl ExternalTables {
    /// These tables, for names without a database or with this one.
    ///
    /// # Errors
    /// Rows that do not fit their columns.
    pub(crate) fn new(database: &str, given: &[ExternalTable]) -> Result<Self> {
        let mut tables: BTreeMap<String, Arc<dyn TableProvider>> = BTreeMap::new();
        for ExternalTable { table, batches } in given {
            let schema = table.query_schema();
            let rows: Result<Vec<_>> = batches.iter().map(|batch| to_query(batch, &schema)).collect();
            let provider = MemTable::try_new(schema, vec![rows?]).map_err(from_datafusion)?;
            tables.insert(table.name.table.clone(), Arc::new(provider));
        }
        Ok(Self { database: database.to_owned(), tables })
    }

    /// The table of this name, as seen from a database.
    pub(crate) fn get(&self, database: &str, name: &str) -> Option<Arc<dyn TableProvider>> {
        self.tables.get(name).filter(|_| self.database == database).cloned()
    }
}
