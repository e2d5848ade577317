//! Statements on a clustered node: whoever names a table sees every change that was answered before, on whichever node.
//!
//! Promises: a statement that changes the catalog begins with the newest one, or is told 503; one that finds a name
//! missing is told so only after a coordinator was asked. Reads of what is known go on without coordinators.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use zepto_common::service::{Answer, ExpressionEvaluator, QueryService, RequestContext, RunningQuery};
use zepto_common::{ErrorCode, Result};
use zepto_http::statement::StatementKind;
use zepto_query::SqlService;

use super::agreed::Agreed;

/// How long an INSERT … SELECT waits for the newest catalog before it goes on with the one here.
const HASTE: Duration = Duration::from_secs(1);

/// A SQL service with a catalog that is new enough.
pub(crate) struct ClusterQueries {
    inner: Arc<SqlService>,
    agreed: Arc<Agreed>,
}

impl ClusterQueries {
    pub(crate) fn new(inner: Arc<SqlService>, agreed: Arc<Agreed>) -> Self {
        Self { inner, agreed }
    }
}

/// Whether a newer catalog may have what this fault misses.
fn may_be_old(code: ErrorCode) -> bool {
    use ErrorCode as C;
    matches!(
        code,
        C::UnknownTable
            | C::UnknownDatabase
            | C::UnknownIdentifier
            | C::NoSuchColumnInTable
            | C::NotFoundColumnInBlock
            | C::ThereIsNoColumn
    )
}

#[async_trait]
impl QueryService for ClusterQueries {
    async fn run(&self, sql: &str, context: RequestContext) -> Result<Answer> {
        self.agreed.first_word().await;
        let kind = StatementKind::of(sql.as_bytes());
        if StatementKind::changes_catalog(sql.as_bytes()) {
            self.agreed.catch_up().await?;
        } else if kind == StatementKind::Insert {
            // What it stores cannot be taken back and tried again, so its names are looked up before.
            let _away = tokio::time::timeout(HASTE, self.agreed.catch_up()).await;
        }
        let repeatable = kind.reads().then(|| context.clone());
        let version = || self.agreed.store.catalog().version();
        let before = version();
        let answer = self.inner.run(sql, context).await;
        match (answer, repeatable) {
            (Err(error), Some(context)) if may_be_old(error.code) => {
                self.agreed.catch_up().await?;
                // The newer catalog may have come by itself, while the statement was refused.
                if version() > before { self.inner.run(sql, context).await } else { Err(error) }
            }
            (answer, _) => answer,
        }
    }

    fn evaluator(&self, context: &RequestContext) -> Arc<dyn ExpressionEvaluator> {
        self.inner.evaluator(context)
    }

    fn running(&self) -> Vec<RunningQuery> {
        self.inner.running()
    }

    fn kill(&self, query_id: &str) -> bool {
        self.inner.kill(query_id)
    }

    async fn running_everywhere(&self) -> Vec<RunningQuery> {
        self.inner.running_everywhere().await
    }

    async fn kill_everywhere(&self, query_id: &str) -> bool {
        self.inner.kill_everywhere(query_id).await
    }
}
