//! Connections to the doors of storage nodes: plain, or by TLS where the node says `https://`, believed by the cluster's
//! authority.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tower_service::Service;
use zepto_tls::PeerTls;

/// Makes them.
#[derive(Clone)]
pub(super) struct DoorConnector {
    plain: HttpConnector,
    tls: Option<Arc<PeerTls>>,
}

/// One of them.
pub(super) enum DoorStream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl DoorConnector {
    pub(super) fn new(mut plain: HttpConnector, tls: Option<Arc<PeerTls>>) -> Self {
        plain.enforce_http(false);
        Self { plain, tls }
    }
}

impl Service<Uri> for DoorConnector {
    type Response = TokioIo<DoorStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.plain.poll_ready(cx).map_err(io::Error::other)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.plain.call(uri.clone());
        let tls = self.tls.clone();
        Box::pin(async move {
            let stream = connecting.await.map_err(io::Error::other)?.into_inner();
            if uri.scheme_str() != Some("https") {
                return Ok(TokioIo::new(DoorStream::Plain(stream)));
            }
            let missing = "the storage node's door speaks TLS: give this node cluster.tls, to believe it";
            let tls = tls.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, missing))?;
            let host =
                uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(host).map_err(io::Error::other)?;
            let stream = tls.door_connector().connect(name, stream).await?;
            Ok(TokioIo::new(DoorStream::Tls(Box::new(stream))))
        })
    }
}

impl Connection for DoorStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for DoorStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for DoorStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
