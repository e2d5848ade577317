//! Statements that run on the other nodes, for people: all nodes are asked at once, and one that does not answer in time
//! is passed over.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use tonic::Request;
use tonic::transport::Endpoint;
use zepto_common::ids::{NodeId, PlacementVersion};
use zepto_common::limits::OWNER_CONNECT_TIME_MAX;
use zepto_common::service::{RunningQuery, StatementsElsewhere, StatementsMeant};
use zepto_proto::handshake::check_envelope;
use zepto_proto::query as wire;
use zepto_proto::query::query_client::QueryClient;

use crate::write::pool::OwnerPool;

/// How long one node may take to connect and answer.
const ANSWER_TIME: Duration = OWNER_CONNECT_TIME_MAX;

#[async_trait]
impl StatementsElsewhere for OwnerPool {
    async fn running(&self) -> Vec<RunningQuery> {
        self.statements(None).await
    }

    async fn stop(&self, meant: &StatementsMeant) -> Vec<RunningQuery> {
        let StatementsMeant { query_id, user } = meant.clone();
        self.statements(Some(wire::Stop { query_id, user })).await
    }
}

impl OwnerPool {
    async fn statements(&self, stop: Option<wire::Stop>) -> Vec<RunningQuery> {
        let asked = self.others().into_iter().map(|(node, address)| {
            let stop = stop.clone();
            async move {
                match tokio::time::timeout(ANSWER_TIME, self.statements_at(node, &address, stop)).await {
                    Ok(Ok(told)) => told,
                    Ok(Err(fault)) => passed_over(node, &fault),
                    Err(_) => passed_over(node, "it did not answer in time"),
                }
            }
        });
        join_all(asked).await.concat()
    }

    /// # Errors
    /// Why it cannot be asked or believed.
    async fn statements_at(
        &self,
        node: NodeId,
        address: &str,
        stop: Option<wire::Stop>,
    ) -> Result<Vec<RunningQuery>, String> {
        let (identity, words) = (self.identity(), |error: &dyn std::fmt::Display| error.to_string());
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| words(&error))?;
        let endpoint = endpoint.connect_timeout(ANSWER_TIME).tcp_nodelay(true);
        let channel = identity.secret.wire().connect(endpoint).await.map_err(|error| words(&error))?;
        let mut request = Request::new(wire::StatementsRequest {
            envelope: Some(self.envelope(PlacementVersion::default())),
            to_node_id: node.0,
            stop,
        });
        identity.secret.sign_request(request.metadata_mut());
        let answer = QueryClient::new(channel).statements(request).await.map_err(|error| words(&error))?;
        identity.secret.check_answer(answer.metadata()).map_err(|refused| words(&refused))?;
        let answer = answer.into_inner();
        check_envelope(answer.envelope.as_ref(), &identity.cluster_id, false)
            .map_err(|refused| words(&refused))?;
        let told = |it: wire::Statement| RunningQuery {
            query_id: it.query_id,
            user: it.user,
            query: it.text,
            elapsed: it.elapsed_seconds,
            read_rows: it.read_rows,
            memory_usage: it.memory_bytes,
            node: Some(node.0),
        };
        Ok(answer.statements.into_iter().map(told).collect())
    }
}

fn passed_over(node: NodeId, fault: &str) -> Vec<RunningQuery> {
    tracing::warn!(%node, fault, "a node does not say what runs there");
    Vec::new()
}
