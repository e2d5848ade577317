//! The query service of a node that has no SQL engine: the door forwards statements before it comes here.

use std::sync::Arc;

use arrow::array::ArrayRef;
use async_trait::async_trait;
use zepto_cluster::OwnerPool;
use zepto_common::service::{
    Answer, ExpressionEvaluator, QueryService, RequestContext, RunningQuery, StatementsElsewhere,
    StatementsMeant,
};
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode, Result};

/// Says that it cannot; it knows the nodes that can.
pub(crate) struct NoQueries(pub(crate) Arc<OwnerPool>);

struct NoExpressions;

fn elsewhere(what: &str) -> Error {
    let message = format!("an ingest node has no SQL engine: {what} to a storage node");
    Error::new(ErrorCode::NotImplemented, message)
}

#[async_trait]
impl QueryService for NoQueries {
    async fn run(&self, _sql: &str, _context: RequestContext) -> Result<Answer> {
        Err(elsewhere("send the statement"))
    }

    fn evaluator(&self, _context: &RequestContext) -> Arc<dyn ExpressionEvaluator> {
        Arc::new(NoExpressions)
    }

    fn running(&self) -> Vec<RunningQuery> {
        Vec::new()
    }

    fn kill(&self, _query_id: &str) -> bool {
        false
    }

    async fn running_everywhere(&self) -> Vec<RunningQuery> {
        StatementsElsewhere::running(self.0.as_ref()).await
    }

    async fn kill_everywhere(&self, query_id: &str) -> bool {
        !self.0.stop(&StatementsMeant::of_id(query_id)).await.is_empty()
    }
}

impl ExpressionEvaluator for NoExpressions {
    fn evaluate(&self, _expression: &str, _ty: &ColumnType) -> Result<ArrayRef> {
        Err(elsewhere("send an INSERT with expressions in VALUES"))
    }
}
