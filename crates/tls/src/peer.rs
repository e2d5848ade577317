//! TLS between the processes of a cluster: each shows its certificate, and each asks for one of the cluster's authority.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use zepto_common::Result;

use crate::pem::{self, Stamps, fault};

/// Distance of the looks at the files; they are taken when a connection is made.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The files of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerFiles {
    /// Its certificate and those between it and the authority, PEM; good for server and client, and for the host under
    /// which others reach it.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The cluster's authority, PEM.
    pub authority: PathBuf,
}

struct Sides {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    to_doors: TlsConnector,
}

/// What is in force.
pub struct PeerTls {
    files: PeerFiles,
    sides: ArcSwap<Sides>,
    seen: Mutex<(Instant, Stamps)>,
}

impl std::fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerTls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl PeerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// `InvalidConfigParameter` naming the file that cannot be read, or what rustls says of the pair.
    pub fn load(files: PeerFiles) -> Result<Self> {
        let seen = (Instant::now(), files.stamps());
        let sides = ArcSwap::from_pointee(files.sides()?);
        Ok(Self { files, sides, seen: Mutex::new(seen) })
    }

    /// For the next connection that comes in.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        self.look();
        self.sides.load().acceptor.clone()
    }

    /// For the next connection to a peer.
    #[must_use]
    pub fn connector(&self) -> TlsConnector {
        self.look();
        self.sides.load().connector.clone()
    }

    /// For the next connection to another process's HTTP door.
    #[must_use]
    pub fn door_connector(&self) -> TlsConnector {
        self.look();
        self.sides.load().to_doors.clone()
    }

    /// Reads the files again if they were changed. Connections between processes are few and stay: looking at three
    /// files when one is made costs less than a task that looks for ever.
    fn look(&self) {
        let mut seen = self.seen.lock();
        if seen.0.elapsed() < LOOK_EVERY {
            return;
        }
        seen.0 = Instant::now();
        let now = self.files.stamps();
        if seen.1 == now {
            return;
        }
        seen.1 = now;
        match self.files.sides() {
            Ok(sides) => {
                self.sides.store(Arc::new(sides));
                tracing::info!(certificate = %self.files.certificate.display(), "the cluster's certificate was read again");
            }
            Err(error) => {
                tracing::error!(%error, "the cluster's new certificate cannot be used; the old one stays")
            }
        }
    }
}

impl PeerFiles {
    fn stamps(&self) -> Stamps {
        pem::stamps([&self.certificate, &self.key, &self.authority])
    }

    fn sides(&self) -> Result<Sides> {
        let broken = |error: rustls::Error| fault(&self.certificate, &error);
        let (chain, key) = (pem::certificates(&self.certificate)?, pem::key(&self.key)?);
        let mut server = ServerConfig::builder_with_provider(pem::provider())
            .with_safe_default_protocol_versions()
            .map_err(broken)?
            .with_client_cert_verifier(pem::clients_of(&self.authority)?)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(broken)?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        let to_doors = ClientConfig::builder_with_provider(pem::provider())
            .with_safe_default_protocol_versions()
            .map_err(broken)?
            .with_root_certificates(pem::authorities(&self.authority)?)
            .with_client_auth_cert(chain, key)
            .map_err(broken)?;
        let mut client = to_doors.clone();
        client.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Sides {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
            to_doors: TlsConnector::from(Arc::new(to_doors)),
        })
    }
}
