//! Materialized views. A view's query is split at its aggregation: the *partial* half turns rows into states, the
//! *final* half turns states into the answer. The engine keeps states of the rows in segments; a query of the view
//! adds those of the rows that no segment has, and finishes. So the view is never behind, and late rows need
//! nothing special. A query without aggregation is all partial: its rows are its states.

mod check;
mod fold;
mod in_order;
mod leaf;
mod provider;
mod recipe;
mod states;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use zepto_common::error::{Error, Result};
use zepto_common::schema::TableSchema;
use zepto_common::{SchemaVersion, TableId};
use zepto_engine::store::ViewDefinition;

use crate::session::Sessions;
use crate::statement::{self, Params, Statement, Tokens};

pub(crate) use check::{check_names, source_of};
pub use fold::view_fold;
pub(crate) use fold::{block_on, on_own_stack};
pub(crate) use leaf::OnlySource;
pub(crate) use provider::MaterializedView;
pub(crate) use recipe::Recipe;

/// Recipes that are kept.
const RECIPES_MAX: usize = 1_024;

/// The recipes of views, each made once per version of its source.
#[derive(Debug, Default)]
pub(crate) struct Recipes {
    known: Mutex<HashMap<(TableId, SchemaVersion), Arc<Recipe>>>,
}

impl Recipes {
    /// The recipe of a view over this version of its source.
    ///
    /// # Errors
    /// What no longer holds in its definition; states that another version of the program wrote in another form.
    pub(crate) async fn of(
        &self,
        sessions: &Sessions,
        view: &ViewDefinition,
        source: &Arc<TableSchema>,
    ) -> Result<Arc<Recipe>> {
        let id = view.target.ok_or_else(|| Error::internal("a materialized view without an id"))?;
        let key = (id, source.version);
        if let Some(recipe) = self.known.lock().get(&key) {
            return Ok(recipe.clone());
        }
        let query = query_of(view)?;
        let recipe = Arc::new(Recipe::new(sessions, query, &view.name.database, source).await?);
        recipe.check_states(view)?;
        let mut known = self.known.lock();
        if known.len() >= RECIPES_MAX {
            known.clear();
        }
        known.insert(key, recipe.clone());
        Ok(recipe)
    }
}

/// The query of a view's CREATE statement.
///
/// # Errors
/// A definition that is no CREATE VIEW.
pub(crate) fn query_of(view: &ViewDefinition) -> Result<Tokens> {
    match statement::parse(&view.sql, &Params::new())?.statement {
        Statement::CreateView { query, .. } => Ok(query),
        Statement::CreateMaterializedView(create) => Ok(create.query),
        Statement::Query(query) => Ok(query),
        _ => Err(Error::internal(format!("view {} is defined by something else", view.name))),
    }
}
