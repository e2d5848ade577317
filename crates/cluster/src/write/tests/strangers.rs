use std::time::{Duration, Instant};

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use tonic::{Request, Response, Status, Streaming};
use zepto_common::{Error, ErrorCode};
use zepto_proto::coordinate::Envelope;
use zepto_proto::handshake::{PROTOCOL, Secret};
use zepto_proto::write as wire;
use zepto_proto::write::write_server::{Write, WriteServer};

use super::fake::{CLUSTER, Edge, Node, SECRET, edge_identity, placement, request};
use crate::write::pool::PoolLimits;
use crate::write::sink::SinkTimes;

async fn refused(edge: &Edge) -> Error {
    let begun = Instant::now();
    let error = edge.write(request(10, None)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotReady, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5), "asking again would change nothing");
    error
}

fn edge_as(node: &Node, cluster: &str, secret: &str) -> Edge {
    let identity = edge_identity(cluster, secret);
    let placed = placement(1, 1, &[1]);
    Edge::with(&[(1, node.address)], placed, PoolLimits::default(), SinkTimes::default(), identity)
}

#[tokio::test]
async fn an_edge_with_another_secret_or_cluster_is_refused_by_the_owner_and_told_why() {
    let node = Node::start(1).await;
    let error = refused(&edge_as(&node, CLUSTER, "another")).await;
    assert!(error.message.contains("wrong-secret: the peer that asks does not know"), "{error}");
    let error = refused(&edge_as(&node, "other", SECRET)).await;
    assert!(error.message.contains("wrong-cluster: the peer is of cluster \"other\""), "{error}");
    assert!(error.message.contains("this side of \"lab\""), "{error}");
    assert!(node.books.seen.lock().is_empty(), "no row got through");
}

#[tokio::test]
async fn rows_for_another_node_are_not_taken() {
    let node = Node::start(2).await;
    let times = SinkTimes { whole: Duration::from_millis(500), ..SinkTimes::default() };
    let (limits, identity) = (PoolLimits::default(), edge_identity(CLUSTER, SECRET));
    let edge = Edge::with(&[(1, node.address)], placement(1, 1, &[1]), limits, times, identity);
    let error = edge.write(request(10, None)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotReady);
    assert!(error.message.contains("rows for node 1 came to node 2"), "{error}");
    assert!(node.books.seen.lock().is_empty());
}

/// Believes everybody, and says that everything is stored.
struct Liar {
    cluster: &'static str,
    secret: &'static str,
}

#[tonic::async_trait]
impl Write for Liar {
    type WriteStream = BoxStream<'static, Result<wire::WriteReply, Status>>;

    async fn write(
        &self,
        _request: Request<Streaming<wire::WriteMessage>>,
    ) -> Result<Response<Self::WriteStream>, Status> {
        let envelope = Envelope {
            protocol: PROTOCOL,
            cluster_id: self.cluster.to_owned(),
            node_id: 1,
            ..Envelope::default()
        };
        let first = wire::WriteReply { envelope: Some(envelope), replies: Vec::new() };
        let mut response = Response::new(stream::iter([Ok(first)]).chain(stream::pending()).boxed());
        Secret::new(self.secret).sign_answer(response.metadata_mut());
        Ok(response)
    }

    async fn positions(
        &self,
        _request: Request<wire::PositionsRequest>,
    ) -> Result<Response<wire::PositionsReply>, Status> {
        Err(Status::unimplemented("only rows"))
    }
}

#[tokio::test]
async fn an_owner_with_another_secret_or_cluster_is_not_believed_by_the_edge() {
    for (cluster, secret, reason) in [
        (CLUSTER, "another", "wrong-secret: the peer that answers does not know"),
        ("other", SECRET, "wrong-cluster: the peer is of cluster \"other\""),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let service = WriteServer::new(Liar { cluster, secret });
        let server = tonic::transport::Server::builder().add_service(service);
        let task = tokio::spawn(server.serve_with_incoming(incoming));
        let (limits, times) = (PoolLimits::default(), SinkTimes::default());
        let identity = edge_identity(CLUSTER, SECRET);
        let edge = Edge::with(&[(1, address)], placement(1, 1, &[1]), limits, times, identity);
        let error = refused(&edge).await;
        assert!(error.message.contains(reason), "{error}");
        task.abort();
    }
}
