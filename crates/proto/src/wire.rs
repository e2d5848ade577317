//! How connections between the processes of a cluster are made and taken: plain, or by TLS with certificates of the
//! cluster's authority on both sides. Names and certificates are looked at anew for each connection.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use futures::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tonic::transport::{Channel, Endpoint, Error};
use tower_service::Service;
use zepto_tls::{Accepted, Incoming, PeerTls, Security};

/// One way for all connections of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Wire(Option<Arc<PeerTls>>);

impl Wire {
    /// By TLS, with these certificates.
    #[must_use]
    pub fn tls(tls: Arc<PeerTls>) -> Self {
        Self(Some(tls))
    }

    /// The certificates, if TLS is spoken.
    #[must_use]
    pub fn peer_tls(&self) -> Option<&Arc<PeerTls>> {
        self.0.as_ref()
    }

    /// A connection that is made when it is needed, and again when it broke. Needs a runtime.
    #[must_use]
    pub fn connect_lazy(&self, endpoint: Endpoint) -> Channel {
        match &self.0 {
            None => endpoint.connect_lazy(),
            Some(tls) => endpoint.connect_with_connector_lazy(Connector(tls.clone())),
        }
    }

    /// A connection now.
    ///
    /// # Errors
    /// It cannot be made, or the peer's certificate is not believed.
    pub async fn connect(&self, endpoint: Endpoint) -> Result<Channel, Error> {
        match &self.0 {
            None => endpoint.connect().await,
            Some(tls) => endpoint.connect_with_connector(Connector(tls.clone())).await,
        }
    }

    /// The connections that come to this port, after their handshakes.
    pub fn incoming(
        &self,
        listener: TcpListener,
    ) -> impl Stream<Item = io::Result<Arrived>> + Send + 'static {
        let security = self.0.clone().map_or(Security::Plain, Security::Peer);
        futures::stream::unfold(Incoming::new(listener, security), |mut incoming| async move {
            let (accepted, _) = incoming.next().await;
            Some((Ok(Arrived(accepted)), incoming))
        })
    }
}

/// Makes connections by TLS.
#[derive(Clone)]
struct Connector(Arc<PeerTls>);

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let tls = self.0.connector();
        Box::pin(async move {
            let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{uri}: {what}"));
            let host = uri.host().ok_or_else(|| wrong("no host"))?;
            let port = uri.port_u16().ok_or_else(|| wrong("no port"))?;
            let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(bare.clone())
                .map_err(|_| wrong("no name that a certificate can have"))?;
            let stream = TcpStream::connect((bare.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(tls.connect(name, stream).await?))
        })
    }
}

/// A connection that came in.
#[derive(Debug)]
pub struct Arrived(Accepted);

impl Connected for Arrived {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.0.tcp().connect_info()
    }
}

impl tokio::io::AsyncRead for Arrived {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Arrived {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
