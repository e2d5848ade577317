//! Accepted connections, after their handshakes: many at a time, so that a peer that says nothing holds up nobody.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use crate::{PeerTls, Tls};

/// Handshakes under way; beyond it new connections wait with the system.
const HANDSHAKES_MAX: usize = 256;
/// Time for one.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// Wait after an accept that failed, for example because the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How connections of a port are secured.
#[derive(Clone, Default)]
pub enum Security {
    /// Not at all.
    #[default]
    Plain,
    /// As a door.
    Door(Arc<Tls>),
    /// Between processes.
    Peer(Arc<PeerTls>),
}

/// One connection.
#[derive(Debug)]
pub enum Accepted {
    /// Without TLS.
    Plain(TcpStream),
    /// With it.
    Tls(Box<TlsStream<TcpStream>>),
}

type Handshake = BoxFuture<'static, Option<(Accepted, SocketAddr)>>;

/// A port's connections.
pub struct Incoming {
    listener: TcpListener,
    security: Security,
    handshakes: FuturesUnordered<Handshake>,
}

impl Incoming {
    /// Those of this port.
    #[must_use]
    pub fn new(listener: TcpListener, security: Security) -> Self {
        Self { listener, security, handshakes: FuturesUnordered::new() }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection whose handshake is done. Those that fail are logged and passed over. Drop the future to stop
    /// waiting: nothing is lost.
    pub async fn next(&mut self) -> (Accepted, SocketAddr) {
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if self.handshakes.len() < HANDSHAKES_MAX => match accepted {
                    Ok((stream, peer)) => {
                        // Messages are written whole: nothing is won by waiting for more.
                        let _costs_latency_only = stream.set_nodelay(true);
                        match self.handshake(stream, peer) {
                            Ok(plain) => return plain,
                            Err(handshake) => self.handshakes.push(handshake),
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%error, "accept failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(done) = self.handshakes.next() => if let Some(done) = done { return done },
            }
        }
    }

    fn handshake(&self, stream: TcpStream, peer: SocketAddr) -> Result<(Accepted, SocketAddr), Handshake> {
        let acceptor = match &self.security {
            Security::Plain => return Ok((Accepted::Plain(stream), peer)),
            Security::Door(tls) => tls.acceptor(),
            Security::Peer(tls) => tls.acceptor(),
        };
        Err(Box::pin(async move {
            match tokio::time::timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => Some((Accepted::Tls(Box::new(stream)), peer)),
                Ok(Err(error)) => {
                    tracing::warn!(%peer, %error, "a connection is refused: its TLS handshake failed");
                    None
                }
                Err(_) => {
                    tracing::warn!(%peer, "a connection is refused: its TLS handshake took too long");
                    None
                }
            }
        }))
    }
}

impl Accepted {
    /// The TCP connection below.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for Accepted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
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
