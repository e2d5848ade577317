//! TLS of the door: certificate, key and client authorities from PEM files that may change while it runs.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;
use zepto_common::Result;

use crate::pem::{self, Stamps, fault};

/// The files that TLS needs.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate and those between it and a root, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Authorities of client certificates, PEM; with it a client without a certificate is turned away.
    pub client_ca: Option<PathBuf>,
}

/// The certificate in force.
pub struct Tls {
    files: TlsFiles,
    acceptor: ArcSwap<TlsAcceptor>,
    seen: Mutex<Stamps>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// `InvalidConfigParameter` naming the file that cannot be read, or what rustls says of the pair.
    pub fn load(files: TlsFiles) -> Result<Self> {
        let seen = files.stamps();
        let acceptor = ArcSwap::from_pointee(files.acceptor()?);
        Ok(Self { files, acceptor, seen: Mutex::new(seen) })
    }

    /// Reads the files again if one was changed; true if what is in force is new. Blocks on the disk.
    ///
    /// # Errors
    /// As [`Self::load`]; what was in force stays.
    pub fn refresh(&self) -> Result<bool> {
        let mut seen = self.seen.lock();
        let now = self.files.stamps();
        if *seen == now {
            return Ok(false);
        }
        *seen = now;
        self.acceptor.store(Arc::new(self.files.acceptor()?));
        Ok(true)
    }

    /// For the next connection.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::clone(&self.acceptor.load())
    }
}

impl TlsFiles {
    fn stamps(&self) -> Stamps {
        pem::stamps([Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten())
    }

    fn acceptor(&self) -> Result<TlsAcceptor> {
        let (chain, key) = (pem::certificates(&self.certificate)?, pem::key(&self.key)?);
        let builder = ServerConfig::builder_with_provider(pem::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(&self.certificate, &error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => builder.with_client_cert_verifier(pem::clients_of(path)?),
        };
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| fault(&self.certificate, &error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
