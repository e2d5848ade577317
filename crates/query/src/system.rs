//! The databases that are always there: `system`, what the server knows about itself, as tables; and `information_schema`,
//! the same as views. And `numbers`.

mod cells;
mod create_text;
mod declared;
mod information;
mod numbers;
mod tables;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use zepto_common::schema::TableName;
use zepto_common::types::ColumnType;
use zepto_engine::catalog::Catalog;
use zepto_engine::store::ViewDefinition;

use crate::error::external;
use crate::service::{Core, Settings};

pub(crate) use cells::{Cells, batch};
pub(crate) use create_text::{Lines, create_statement, create_view, default_text};
pub use create_text::{backticks, create_table};
pub(crate) use tables::type_name;

/// The database's name.
pub(crate) const SYSTEM: &str = "system";

/// Whether this database is always there, and nothing can be made in it.
pub(crate) fn is_built_in(catalog: &Catalog, database: &str) -> bool {
    database == SYSTEM || (information::is_name(database) && !catalog.has_database(database))
}

/// A view that is always there.
pub(crate) fn built_in_view(catalog: &Catalog, name: &TableName) -> Option<ViewDefinition> {
    let there = name.database != SYSTEM && is_built_in(catalog, &name.database);
    there.then(|| information::view(&name.database, &name.table)).flatten()
}

/// Registers the table functions.
pub(crate) fn register(state: &mut SessionState) {
    numbers::register(state);
}

/// Makes a table's rows as they are now.
type Rows = fn(&Core) -> zepto_common::Result<RecordBatch>;

/// Every table here, by name.
const TABLES: [(&str, Rows); 13] = [
    ("columns", tables::columns),
    ("databases", tables::databases),
    ("feed_positions", tables::feed_positions),
    ("functions", tables::functions),
    ("metrics", tables::metrics),
    ("nodes", tables::nodes),
    ("one", tables::one),
    ("partitions", tables::partitions),
    ("parts", tables::parts),
    ("processes", tables::processes),
    ("settings", tables::settings),
    ("tables", tables::tables),
    ("views", tables::views),
];

/// Tables here with names and types of their columns, but for `columns` itself.
///
/// # Errors
/// Rows that cannot be made.
fn described(core: &Core) -> zepto_common::Result<Vec<(&'static str, SchemaRef)>> {
    let number = || Arc::new(Schema::new(vec![ColumnType::UInt64.query_field("number")]));
    let mut all = vec![("numbers", number()), ("numbers_mt", number())];
    for (name, rows) in TABLES.iter().filter(|(name, _)| *name != "columns") {
        let rows = declared::completed(name, rows(core)?);
        all.push((*name, rows.map_err(crate::error::from_datafusion)?.schema()));
    }
    for name in declared::tables() {
        all.push((name, declared::schema(name).map_err(crate::error::from_datafusion)?));
    }
    Ok(all)
}

/// Names of the tables here.
pub(crate) fn table_names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(name, _)| *name).chain(["numbers", "numbers_mt"]).chain(declared::tables())
}

/// A table of this database.
///
/// # Errors
/// Rows that cannot be made.
pub(crate) fn table(core: &Arc<Core>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    if matches!(name, "numbers" | "numbers_mt") {
        return Ok(Some(numbers::endless()));
    }
    if let Some(declared) = declared::table(name) {
        return declared.map(Some);
    }
    let Some((_, rows)) = TABLES.iter().find(|(table, _)| *table == name) else { return Ok(None) };
    let rows = *rows;
    let schema = declared::completed(name, rows(core).map_err(external)?)?.schema();
    Ok(Some(Arc::new(SystemTable { core: core.clone(), name: name.to_owned(), rows, schema })))
}

/// A table whose rows are made when it is scanned.
#[derive(Debug)]
struct SystemTable {
    core: Arc<Core>,
    name: String,
    rows: Rows,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut rows = (self.rows)(&self.core).map_err(external)?;
        let asked = state.config().get_extension::<Settings>().filter(|_| self.name == "settings");
        if let Some(asked) = asked {
            rows = tables::settings_with(&self.core, &asked.0).map_err(external)?;
        }
        if self.name == "processes" {
            rows = tables::processes_of(&self.core.running_everywhere().await).map_err(external)?;
        }
        let rows = declared::completed(&self.name, rows)?;
        MemTable::try_new(self.schema.clone(), vec![vec![rows]])?
            .scan(state, projection, filters, limit)
            .await
    }
}
