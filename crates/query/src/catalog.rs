//! The engine's catalog as DataFusion asks for it: databases, tables, views and `system`.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::ViewTable;
use zepto_common::error::{Error, ErrorCode};
use zepto_common::schema::TableName;

use crate::error::external;
use crate::external::ExternalTables;
use crate::provider::EngineTable;
use crate::service::Core;
use crate::system::{self, SYSTEM};
use crate::views::MaterializedView;

/// Views within views.
const VIEW_DEPTH_MAX: usize = 32;

/// All databases.
#[derive(Debug, Clone)]
pub(crate) struct Databases {
    core: Arc<Core>,
    depth: usize,
    external: Arc<ExternalTables>,
}

impl Databases {
    /// As a statement (depth 0) or a view within it sees them.
    pub(crate) fn new(core: Arc<Core>, depth: usize) -> Self {
        Self { core, depth, external: Arc::default() }
    }

    /// As a statement sees them that brought tables along.
    pub(crate) fn with_external(core: Arc<Core>, external: Arc<ExternalTables>) -> Self {
        Self { core, depth: 0, external }
    }
}

impl CatalogProviderList for Databases {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![crate::session::CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == crate::session::CATALOG).then(|| Arc::new(self.clone()) as Arc<dyn CatalogProvider>)
    }
}

impl CatalogProvider for Databases {
    fn schema_names(&self) -> Vec<String> {
        self.core.store.catalog().databases().to_vec()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.core.has_database(name).then(|| {
            let database = name.to_owned();
            let external = self.external.clone();
            Arc::new(Database { core: self.core.clone(), database, depth: self.depth, external })
                as Arc<dyn SchemaProvider>
        })
    }
}

/// One database.
#[derive(Debug)]
struct Database {
    core: Arc<Core>,
    database: String,
    depth: usize,
    external: Arc<ExternalTables>,
}

#[async_trait]
impl SchemaProvider for Database {
    fn table_names(&self) -> Vec<String> {
        let catalog = self.core.store.catalog();
        catalog.tables().filter(|t| t.name.database == self.database).map(|t| t.name.table.clone()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if let Some(table) = self.external.get(&self.database, name) {
            return Ok(Some(table));
        }
        if self.database == SYSTEM {
            return system::table(&self.core, name);
        }
        let catalog = self.core.store.catalog();
        let full = TableName::new(&self.database, name);
        if let Some(schema) = catalog.table(&full) {
            let elsewhere = self.core.reads.is_some();
            return Ok(Some(Arc::new(EngineTable::new(self.core.store.clone(), schema.clone(), elsewhere))));
        }
        let built_in = || system::built_in_view(&catalog, &full).map(Arc::new);
        let Some(view) = catalog.view(&full).cloned().or_else(built_in) else { return Ok(None) };
        if let Some(source) = view.source.filter(|_| view.materialized) {
            let Some(schema) = catalog.table_by_id(source) else { return Ok(None) };
            if self.core.reads.is_some() {
                self.core.require_alone("Reading a materialized view").map_err(external)?;
            }
            let recipe = self.core.recipes.of(&self.core.sessions, &view, schema).await.map_err(external)?;
            return Ok(Some(Arc::new(MaterializedView::new(self.core.store.clone(), view.clone(), recipe))));
        }
        if self.depth >= VIEW_DEPTH_MAX {
            let message = format!("View {full} is nested too deep");
            return Err(external(Error::new(ErrorCode::TooDeepRecursion, message)));
        }
        let plan = self.core.plan_view(&view, self.depth + 1).await.map_err(external)?;
        Ok(Some(Arc::new(ViewTable::new(plan, Some(view.sql.clone())))))
    }

    fn table_exist(&self, name: &str) -> bool {
        let full = TableName::new(&self.database, name);
        let catalog = self.core.store.catalog();
        self.external.get(&self.database, name).is_some()
            || catalog.table(&full).is_some()
            || catalog.view(&full).is_some()
            || system::built_in_view(&catalog, &full).is_some()
            || self.database == SYSTEM
    }
}
