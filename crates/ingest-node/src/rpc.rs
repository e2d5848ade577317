//! The RPC port: tells those who know the cluster's secret how the node is; `tier.proto` tells the design.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use zepto_http::NodeInfo;
use zepto_proto::coordinate::Envelope;
use zepto_proto::handshake::{PROTOCOL, Secret, check_envelope};
use zepto_proto::tier::tier_server::{Tier, TierServer};
use zepto_proto::tier::{LookReply, LookRequest};

use crate::agreed::Agreed;
use crate::info::IngestInfo;

/// What the port tells from.
pub(crate) struct Port {
    pub(crate) info: Arc<IngestInfo>,
    pub(crate) agreed: Arc<Agreed>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) secret: Secret,
}

#[tonic::async_trait]
impl Tier for Port {
    async fn look(&self, request: Request<LookRequest>) -> Result<Response<LookReply>, Status> {
        let peer = request.remote_addr();
        let (me, cluster_id) = self.agreed.me();
        let checked = self
            .secret
            .check_request(request.metadata())
            .and_then(|()| check_envelope(request.get_ref().envelope.as_ref(), cluster_id, false));
        checked.map_err(|refused| {
            tracing::warn!(?peer, %refused, "a look at this node is refused");
            Status::from(refused)
        })?;
        let (placement_version, catalog_version) = self.agreed.versions();
        let envelope = Envelope {
            protocol: PROTOCOL,
            cluster_id: cluster_id.to_owned(),
            node_id: me.0,
            incarnation: self.agreed.incarnation(),
            placement_version,
            catalog_version,
        };
        let metrics = if request.get_ref().metrics {
            self.info.refresh_gauges();
            self.metrics.render()
        } else {
            String::new()
        };
        let reply = LookReply { envelope: Some(envelope), not_ready: self.info.not_ready(), metrics };
        let mut response = Response::new(reply);
        self.secret.sign_answer(response.metadata_mut());
        Ok(response)
    }
}

/// Answers until the node stops.
pub(crate) async fn serve(listener: TcpListener, port: Port, stop: CancellationToken) {
    let incoming = port.secret.wire().incoming(listener);
    let server = Server::builder().add_service(TierServer::new(port));
    tokio::select! {
        served = server.serve_with_incoming(incoming) => {
            if let Err(error) = served {
                tracing::error!(%error, "the RPC port closed by itself");
            }
        }
        () = stop.cancelled() => {}
    }
}
