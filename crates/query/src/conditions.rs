//! Conditions of DELETE on their way through a cluster: the text, and all that its meaning hangs on besides the schema of
//! the table. Every copy of a partition reads it by itself, perhaps after a restart, and must find the same rows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_expr::utils::collect_columns;
use serde::{Deserialize, Serialize};
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::schema::TableSchema;
use zepto_common::service::RequestContext;
use zepto_engine::store::{Condition, Conditions};

use crate::execute::mutate;
use crate::options::SqlOptions;
use crate::semantics::SemanticOptions;
use crate::session::Sessions;
use crate::statement;
use crate::views::{OnlySource, block_on, on_own_stack};

/// Functions whose value changes, and that are the same on every node once it is known what the time is, and whose
/// statement it was.
pub(crate) const SAME_EVERYWHERE: [&str; 6] =
    ["now", "now64", "today", "yesterday", "currentUser", "utcTimestamp"];

/// A condition as it is stored, in JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredCondition {
    text: String,
    /// What `now()` is, in nanoseconds since 1970.
    now: i64,
    /// The zone of times that name none.
    zone: String,
    /// Who has asked.
    user: String,
}

impl StoredCondition {
    /// A condition in a statement that was planned in this session.
    ///
    /// # Errors
    /// A session whose statement has not begun, so that there is no `now()`.
    pub(crate) fn of(context: &RequestContext, state: &SessionState, text: String) -> Result<Self> {
        let now = state.execution_props().query_execution_start_time;
        let now = now.and_then(|now| now.timestamp_nanos_opt());
        let now = now.ok_or_else(|| Error::internal("a condition in a statement without a time"))?;
        let semantics = state.config().options().extensions.get::<SemanticOptions>();
        let zone = semantics.map(|it| it.session_timezone.clone()).unwrap_or_default();
        Ok(Self { text, now, zone, user: context.user.clone() })
    }
}

#[derive(Debug)]
struct Reader {
    sessions: Sessions,
}

/// Who understands conditions, for [`zepto_engine::StoreOptions`].
///
/// # Errors
/// A function that cannot be registered.
pub fn conditions(options: &SqlOptions) -> Result<Arc<dyn Conditions>> {
    let options = SqlOptions { spill_dir: None, ..options.clone() };
    Ok(Arc::new(Reader { sessions: Sessions::new(&options)? }))
}

impl Conditions for Reader {
    fn condition(&self, schema: &Arc<TableSchema>, bytes: &[u8]) -> Result<Condition> {
        let stored: StoredCondition = serde_json::from_slice(bytes)
            .map_err(|error| Error::new(ErrorCode::IncorrectData, format!("a condition: {error}")))?;
        let wanted = on_own_stack(|| {
            let only = Arc::new(OnlySource(schema.clone()));
            let mut state = self.sessions.view_state(&schema.name.database, only);
            let semantics = SemanticOptions {
                session_timezone: stored.zone.clone(),
                user: stored.user.clone(),
                ..SemanticOptions::default()
            };
            state.config_mut().options_mut().extensions.insert(semantics);
            // Functions see the options as they are now.
            state.mark_start_execution();
            let now = chrono::DateTime::from_timestamp_nanos(stored.now);
            state.execution_props_mut().query_execution_start_time = Some(now);
            block_on(mutate::condition(&state, schema, statement::tokenize(&stored.text)?))
        })?;
        let query_schema = schema.query_schema();
        let named = collect_columns(&wanted).into_iter().map(|column| column.index());
        let reads = named.filter_map(|at| schema.columns.get(at)).map(|column| column.id).collect();
        // On the thread that rewrites segments, which must outlive a fault of one expression.
        let judge = move |rows: &RecordBatch| {
            catch_unwind(AssertUnwindSafe(|| mutate::mask(&wanted, rows, &query_schema)))
                .unwrap_or_else(|_| Err(Error::internal("a condition panicked")))
        };
        Ok(Condition { reads, judge: Arc::new(judge) })
    }
}

#[cfg(test)]
mod tests;
