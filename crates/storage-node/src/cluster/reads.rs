//! Reads at the owners of partitions, in both roles; `query.proto` tells the design.
//!
//! - [`Readers`]: the other owners, as the SQL side asks them; what this node owns
//! - `server`: answers other nodes; `codec`: between messages and the SQL side's types
//!
//! Promises: an answer is believed only from the node that was meant, of this cluster, with its secret; what ends
//! without a closing message is a fault; at most one connection per owner, and of each answer no more than a window of
//! bytes waits here.

mod codec;
pub(super) mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use zepto_common::ids::{Epoch, NodeId, PartitionId, PlacementVersion};
use zepto_common::limits::{OWNER_CONNECT_TIME_MAX, QUERY_MESSAGE_BYTES_MAX};
use zepto_common::placement::Placement;
use zepto_proto::coordinate::Envelope;
use zepto_proto::handshake::{PROTOCOL, check_envelope};
use zepto_proto::query as wire;
use zepto_proto::query::query_client::QueryClient;
use zepto_query::cluster::{Fault, Holdings, Peers, QueryId, Replies, Reply, Request};

use super::agreed::Agreed;
use zepto_cluster::EdgeIdentity;

/// Between two pings of a connection: a node that is stopped is noticed by them.
const PING: Duration = Duration::from_secs(2);
/// How long an answer to a ping may take.
const PING_ANSWER: Duration = Duration::from_secs(3);
/// Bytes of one answer that may wait here.
const STREAM_WINDOW: u32 = 4 << 20;
/// Bytes of all answers of one owner that may wait here.
const CONNECTION_WINDOW: u32 = 32 << 20;

/// The other owners.
pub(crate) struct Readers {
    agreed: Arc<Agreed>,
    identity: EdgeIdentity,
    /// Connections are served here, whatever statements do to the threads that run them.
    runtime: Handle,
    channels: Mutex<BTreeMap<NodeId, (String, Channel)>>,
}

impl Readers {
    pub(super) fn new(agreed: Arc<Agreed>, identity: EdgeIdentity, runtime: Handle) -> Arc<Self> {
        Arc::new(Self { agreed, identity, runtime, channels: Mutex::default() })
    }

    /// Where the node is reached by what is known now.
    fn channel(&self, node: NodeId) -> Result<Channel, Fault> {
        let address = self.agreed.nodes().remove(&node).map(|it| it.rpc);
        let Some(address) = address.filter(|address| !address.is_empty()) else {
            return Err(Fault::Lost("its address is not known".to_owned()));
        };
        let mut channels = self.channels.lock();
        if let Some((known, channel)) = channels.get(&node)
            && *known == address
        {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Fault::Lost(format!("its address {address}: {error}")))?;
        let _inside = self.runtime.enter();
        let endpoint = endpoint
            .connect_timeout(OWNER_CONNECT_TIME_MAX)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING_ANSWER)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let channel = self.identity.secret.wire().connect_lazy(endpoint);
        channels.insert(node, (address, channel.clone()));
        Ok(channel)
    }

    fn client(&self, node: NodeId) -> Result<QueryClient<Channel>, Fault> {
        let client = QueryClient::new(self.channel(node)?);
        Ok(client
            .max_decoding_message_size(QUERY_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(QUERY_MESSAGE_BYTES_MAX))
    }

    fn envelope(&self, placement: PlacementVersion) -> Envelope {
        Envelope {
            protocol: PROTOCOL,
            cluster_id: self.identity.cluster_id.clone(),
            node_id: self.identity.node.0,
            incarnation: self.identity.incarnation,
            placement_version: placement.0,
            catalog_version: self.agreed.store.catalog().version(),
        }
    }

    async fn open(&self, node: NodeId, request: Request) -> Result<Streaming<wire::Reply>, Fault> {
        let message = codec::request_message(self.envelope(request.placement), node, &request)?;
        let mut message = tonic::Request::new(message);
        self.identity.secret.sign_request(message.metadata_mut());
        let mut client = self.client(node)?;
        // The owner answers before it begins to work.
        let opened = tokio::time::timeout(OWNER_CONNECT_TIME_MAX, client.run(message)).await;
        let Ok(opened) = opened else { return Err(Fault::Lost("it did not answer in time".to_owned())) };
        let response = opened.map_err(lost)?;
        let checked = self.identity.secret.check_answer(response.metadata());
        checked.map_err(|refused| Fault::Lost(refused.to_string()))?;
        Ok(response.into_inner())
    }

    /// What a message of `node` says.
    fn checked(&self, node: NodeId, message: wire::Reply) -> Result<Reply, Fault> {
        let envelope = check_envelope(message.envelope.as_ref(), &self.identity.cluster_id, false);
        let envelope = envelope.map_err(|refused| Fault::Lost(refused.to_string()))?;
        if envelope.node_id != node.0 {
            return Err(Fault::Lost(format!("node {} answers in its place", envelope.node_id)));
        }
        codec::reply_of(message)
    }
}

fn lost(status: Status) -> Fault {
    Fault::Lost(status.message().to_owned())
}

/// The answer of one owner while it is read.
enum Reading {
    Asked(NodeId, Box<Request>),
    Open(NodeId, Box<Streaming<wire::Reply>>),
    Over,
}

#[async_trait]
impl Peers for Readers {
    fn placement(&self) -> Arc<Placement> {
        self.agreed.placement().borrow().clone()
    }

    fn run(self: Arc<Self>, node: NodeId, request: Request) -> Replies {
        let begin = (self, Reading::Asked(node, Box::new(request)));
        let replies = stream::unfold(begin, |(readers, reading)| async move {
            let (node, mut replies) = match reading {
                Reading::Asked(node, request) => match readers.open(node, *request).await {
                    Ok(replies) => (node, Box::new(replies)),
                    Err(fault) => return Some((Err(fault), (readers, Reading::Over))),
                },
                Reading::Open(node, replies) => (node, replies),
                Reading::Over => return None,
            };
            let reply = match replies.message().await {
                Ok(Some(message)) => readers.checked(node, message),
                Ok(None) => return None,
                Err(status) => Err(lost(status)),
            };
            let next = if reply.is_ok() { Reading::Open(node, replies) } else { Reading::Over };
            Some((reply, (readers, next)))
        });
        replies.boxed()
    }

    fn end(&self, query: QueryId, nodes: &[NodeId]) {
        for &node in nodes {
            let Ok(mut client) = self.client(node) else { continue };
            let mut message = tonic::Request::new(wire::EndRequest {
                envelope: Some(self.envelope(PlacementVersion::default())),
                to_node_id: node.0,
                query: Some(codec::query_message(query)),
            });
            self.identity.secret.sign_request(message.metadata_mut());
            self.runtime.spawn(async move {
                // Who does not hear it forgets at the deadline.
                let _told = tokio::time::timeout(OWNER_CONNECT_TIME_MAX, client.end(message)).await;
            });
        }
    }

    async fn newer_than(&self, version: PlacementVersion, until: Instant) {
        let mut placement = self.agreed.placement();
        let newer = placement.wait_for(|placement| placement.version > version);
        let _newer_or_late = tokio::time::timeout_at(until.into(), newer).await;
    }
}

/// What the agreed placement gives this disk.
pub(super) struct Held(pub(super) Arc<Agreed>);

#[async_trait]
impl Holdings for Held {
    fn epoch(&self, partition: PartitionId) -> Option<Epoch> {
        self.0.held(partition)
    }

    fn placement(&self) -> PlacementVersion {
        self.0.placement_version()
    }

    async fn confirm(&self, partitions: &[PartitionId]) -> zepto_common::Result<()> {
        let store = &self.0.store;
        if store.has_copies() { store.confirm_reads(partitions).await.map(drop) } else { Ok(()) }
    }
}
