//! The owner's side of the query service: checks who asks, hands on, and stops when the asker goes.

use std::sync::{Arc, OnceLock};

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use tonic::{Request, Response, Status};
use zepto_cluster::OwnerIdentity;
use zepto_common::limits::QUERY_MESSAGE_BYTES_MAX;
use zepto_common::service::StatementsMeant;
use zepto_proto::convert::bad_message;
use zepto_proto::coordinate::Envelope;
use zepto_proto::handshake::{PROTOCOL, check_envelope};
use zepto_proto::query as wire;
use zepto_proto::query::query_server::{Query, QueryServer};
use zepto_proto::refusal::{Refused, RefusedReason};
use zepto_query::cluster::{Fault, Owner};

use super::super::agreed::Agreed;
use super::codec;

/// The SQL side, from when it is there: the port is open before.
pub(crate) type Late = Arc<OnceLock<Owner>>;

struct Shared {
    owner: Late,
    agreed: Arc<Agreed>,
    identity: OwnerIdentity,
}

/// The query service of one owner.
pub(crate) struct QueryService(Arc<Shared>);

/// The service, to be added to a gRPC server.
pub(crate) fn query_server(
    owner: Late,
    agreed: Arc<Agreed>,
    identity: OwnerIdentity,
) -> QueryServer<QueryService> {
    QueryServer::new(QueryService(Arc::new(Shared { owner, agreed, identity })))
        .max_decoding_message_size(QUERY_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(QUERY_MESSAGE_BYTES_MAX)
}

impl Shared {
    fn envelope(&self) -> Envelope {
        Envelope {
            protocol: PROTOCOL,
            cluster_id: self.identity.cluster_id.clone(),
            node_id: self.identity.node.0,
            incarnation: self.identity.incarnation,
            placement_version: self.agreed.placement_version().0,
            catalog_version: self.agreed.store.catalog().version(),
        }
    }

    fn check(&self, envelope: Option<&Envelope>, to: u32) -> Result<(), Refused> {
        check_envelope(envelope, &self.identity.cluster_id, false)?;
        if to != self.identity.node.0 {
            let message = format!("a read for node {to} came to node {}", self.identity.node);
            return Err(Refused::new(RefusedReason::WrongMember, message));
        }
        Ok(())
    }

    fn reply(&self, part: wire::reply::Part) -> wire::Reply {
        wire::Reply { envelope: Some(self.envelope()), part: Some(part) }
    }
}

#[tonic::async_trait]
impl Query for QueryService {
    type RunStream = BoxStream<'static, Result<wire::Reply, Status>>;

    async fn run(&self, request: Request<wire::RunRequest>) -> Result<Response<Self::RunStream>, Status> {
        let shared = self.0.clone();
        shared.identity.secret.check_request(request.metadata())?;
        let message = request.into_inner();
        shared.check(message.envelope.as_ref(), message.to_node_id)?;
        let replies = match (codec::request_of(message)?, shared.owner.get()) {
            (Ok(request), Some(owner)) => owner.run(request),
            (Err(fault), Some(_)) => stream::iter([Err(fault)]).boxed(),
            (_, None) => stream::iter([Err(Fault::Lost("it is starting".to_owned()))]).boxed(),
        };
        let signer = shared.clone();
        let parts = replies.map(codec::reply_parts).flat_map(stream::iter);
        let mut response = Response::new(parts.map(move |part| Ok(shared.reply(part))).boxed());
        signer.identity.secret.sign_answer(response.metadata_mut());
        Ok(response)
    }

    async fn end(&self, request: Request<wire::EndRequest>) -> Result<Response<wire::EndReply>, Status> {
        let shared = &self.0;
        shared.identity.secret.check_request(request.metadata())?;
        let message = request.into_inner();
        shared.check(message.envelope.as_ref(), message.to_node_id)?;
        let query = message.query.ok_or_else(|| bad_message("the end of no statement"))?;
        if let Some(owner) = shared.owner.get() {
            owner.end(codec::query_of(&query));
        }
        let mut response = Response::new(wire::EndReply { envelope: Some(shared.envelope()) });
        shared.identity.secret.sign_answer(response.metadata_mut());
        Ok(response)
    }

    async fn statements(
        &self,
        request: Request<wire::StatementsRequest>,
    ) -> Result<Response<wire::StatementsReply>, Status> {
        let shared = &self.0;
        shared.identity.secret.check_request(request.metadata())?;
        let message = request.into_inner();
        shared.check(message.envelope.as_ref(), message.to_node_id)?;
        let told = match (shared.owner.get(), message.stop) {
            (None, _) => Vec::new(),
            (Some(owner), None) => owner.statements(),
            (Some(_), Some(wire::Stop { query_id: None, user: None })) => {
                return Err(bad_message("a stop of no statement in particular").into());
            }
            (Some(owner), Some(wire::Stop { query_id, user })) => {
                let meant = StatementsMeant { query_id, user };
                tracing::info!(?meant, "statements are stopped for another node");
                owner.stop(&meant)
            }
        };
        let statements = told.into_iter().map(codec::statement_message).collect();
        let mut response =
            Response::new(wire::StatementsReply { envelope: Some(shared.envelope()), statements });
        shared.identity.secret.sign_answer(response.metadata_mut());
        Ok(response)
    }
}
