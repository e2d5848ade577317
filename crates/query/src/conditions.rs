//! DELETE and UPDATE on their way through a cluster: their texts, and all that their meaning hangs on besides the schema of
//! the table. Every copy of a partition reads them by itself, perhaps after a restart, and must find the same rows and the
//! same values.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::PhysicalExpr;
use serde::{Deserialize, Serialize};
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::schema::TableSchema;
use zepto_common::service::RequestContext;
use zepto_engine::store::{Condition, Conditions, Rewriter, Update};

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

/// A condition of DELETE as it is stored, in JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredCondition {
    text: String,
    #[serde(flatten)]
    moment: Moment,
}

/// An UPDATE as it is stored, in JSON. It has no `text`, so that a program that knows only DELETE cannot read it: what such a
/// one took for a condition would remove the rows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredUpdate {
    #[serde(rename = "where")]
    condition: String,
    /// Columns and the texts of their next values.
    set: Vec<(String, String)>,
    #[serde(flatten)]
    moment: Moment,
}

/// What the meaning of a statement's text hangs on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// What `now()` is, in nanoseconds since 1970.
    now: i64,
    /// The zone of times that name none.
    zone: String,
    /// Who has asked.
    user: String,
}

/// What is stored; which of them it is shows in its fields.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stored {
    Delete(StoredCondition),
    Update(StoredUpdate),
}

impl Moment {
    /// Of a statement that was planned in this session.
    ///
    /// # Errors
    /// A session whose statement has not begun, so that there is no `now()`.
    pub(crate) fn of(context: &RequestContext, state: &SessionState) -> Result<Self> {
        let now = state.execution_props().query_execution_start_time;
        let now = now.and_then(|now| now.timestamp_nanos_opt());
        let now = now.ok_or_else(|| Error::internal("a condition in a statement without a time"))?;
        let semantics = state.config().options().extensions.get::<SemanticOptions>();
        let zone = semantics.map(|it| it.session_timezone.clone()).unwrap_or_default();
        Ok(Self { now, zone, user: context.user.clone() })
    }
}

/// The bytes of a DELETE's condition.
///
/// # Errors
/// None that is known.
pub(crate) fn stored_delete(text: String, moment: Moment) -> Result<String> {
    json(&StoredCondition { text, moment })
}

/// The bytes of an UPDATE.
///
/// # Errors
/// None that is known.
pub(crate) fn stored_update(condition: String, set: Vec<(String, String)>, moment: Moment) -> Result<String> {
    json(&StoredUpdate { condition, set, moment })
}

fn json(stored: &impl Serialize) -> Result<String> {
    serde_json::to_string(stored).map_err(|error| Error::internal(error.to_string()))
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
        let stored: Stored = serde_json::from_slice(bytes)
            .map_err(|error| Error::new(ErrorCode::IncorrectData, format!("a condition: {error}")))?;
        let (text, set, moment) = match stored {
            Stored::Delete(StoredCondition { text, moment }) => (text, None, moment),
            Stored::Update(StoredUpdate { condition, set, moment }) => (condition, Some(set), moment),
        };
        let (wanted, values) = on_own_stack(|| {
            let state = self.state(schema, &moment);
            let condition = mutate::condition(&state, schema, statement::tokenize(&text)?);
            let wanted = block_on(condition)?;
            let values = set.map(|set| block_on(mutate::values(&state, schema, &set))).transpose()?;
            Ok::<_, Error>((wanted, values))
        })?;
        let column = |at: usize| schema.columns.get(at).map(|column| column.id);
        let exprs = values.iter().flatten().map(|(_, value)| value).chain([&wanted]);
        let named: BTreeSet<usize> = exprs.flat_map(collect_columns).map(|column| column.index()).collect();
        let update = values.map(|values| Update {
            writes: values.iter().filter_map(|(at, _)| column(*at)).collect(),
            rewrite: rewriter(schema.clone(), values),
        });
        let query_schema = schema.query_schema();
        let judge = move |rows: &RecordBatch| outlived(|| mutate::mask(&wanted, rows, &query_schema));
        Ok(Condition {
            reads: named.into_iter().filter_map(column).collect(),
            judge: Arc::new(judge),
            update,
        })
    }
}

impl Reader {
    /// A session as the statement had it, which knows nothing but its table.
    fn state(&self, schema: &Arc<TableSchema>, moment: &Moment) -> SessionState {
        let only = Arc::new(OnlySource(schema.clone()));
        let mut state = self.sessions.view_state(&schema.name.database, only);
        let semantics = SemanticOptions {
            session_timezone: moment.zone.clone(),
            user: moment.user.clone(),
            ..SemanticOptions::default()
        };
        state.config_mut().options_mut().extensions.insert(semantics);
        // Functions see the options as they are now.
        state.mark_start_execution();
        let now = chrono::DateTime::from_timestamp_nanos(moment.now);
        state.execution_props_mut().query_execution_start_time = Some(now);
        state
    }
}

fn rewriter(schema: Arc<TableSchema>, values: Vec<(usize, Arc<dyn PhysicalExpr>)>) -> Arc<Rewriter> {
    let query_schema = schema.query_schema();
    Arc::new(move |rows, met| outlived(|| mutate::assign(rows, met, &values, &schema, &query_schema)))
}

/// On the thread that rewrites segments, which must outlive a fault of one expression.
fn outlived<T>(evaluate: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(evaluate)).unwrap_or_else(|_| Err(Error::internal("a condition panicked")))
}

#[cfg(test)]
mod tests;
