//! CREATE MATERIALIZED VIEW.

use std::sync::Arc;

use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::service::Answer;
use zepto_engine::store::ViewDefinition;

use super::show::columns_of;
use crate::service::{Core, Run};
use crate::statement::CreateMaterializedView;
use crate::statement::cursor::text_of;
use crate::system::backticks;
use crate::views::{Recipe, check_names, source_of};

/// Plans the view's query to learn its source, its columns and its states, then has the engine begin it.
pub(super) async fn create(mut run: Run, create: CreateMaterializedView) -> Result<Answer> {
    run.core.require_alone("CREATE MATERIALIZED VIEW")?;
    let name = run.writable_name(&create.name)?;
    let catalog = run.core.store.catalog();
    if catalog.table(&name).is_some() || catalog.view(&name).is_some() {
        if create.if_not_exists {
            return Ok(run.done());
        }
        return Err(Error::new(ErrorCode::TableAlreadyExists, format!("Table {name} already exists")));
    }
    run.warnings.extend(create.warnings);
    // Names in the text are looked up in the view's own database later.
    let state = run.core.sessions.plan_state(&run.core, &name.database, 0);
    let plan = run.core.logical_plan(&state, create.query.clone()).await?;
    let source = source_of(&plan)?;
    check_names(&Core::rewritten(create.query.clone())?, &name.database, &source)?;
    let columns = columns_of(plan.schema());
    let recipe = Recipe::new(&run.core.sessions, create.query.clone(), &name.database, &source).await?;
    let populate = if create.populate { "POPULATE " } else { "" };
    let mut definition = ViewDefinition {
        sql: format!(
            "CREATE MATERIALIZED VIEW {}.{} {populate}AS {}",
            backticks(&name.database),
            backticks(&name.table),
            text_of(&create.query)
        ),
        columns,
        materialized: true,
        target: None,
        source: Some(source.id),
        states: None,
        reads: recipe.reads.clone(),
        name,
    };
    definition.states = Some(recipe.states_schema(&definition)?);
    let store = Arc::clone(&run.core.store);
    match store.create_materialized_view(definition, create.populate).await {
        Err(error) if create.if_not_exists && error.code == ErrorCode::TableAlreadyExists => {}
        other => other?,
    }
    Ok(run.done())
}
