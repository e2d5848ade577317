//! TLS of the door: certificate, key and client authorities from PEM files that may change while it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use zepto_common::auth::FileStamp;
use zepto_common::{Error, ErrorCode, Result};

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

type Stamps = Vec<Option<FileStamp>>;

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

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::clone(&self.acceptor.load())
    }
}

impl TlsFiles {
    fn stamps(&self) -> Stamps {
        let files = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        files.into_iter().flatten().map(|path| FileStamp::of(path)).collect()
    }

    fn acceptor(&self) -> Result<TlsAcceptor> {
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| fault(&self.key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(&self.certificate, &error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path)? {
                    roots.add(authority).map_err(|error| fault(path, &error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|error| fault(path, &error))?)
            }
        };
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| fault(&self.certificate, &error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<_, _>>);
    let certificates = certificates.map_err(|error| fault(path, &error))?;
    if certificates.is_empty() {
        return Err(fault(path, &"no certificate in it"));
    }
    Ok(certificates)
}

fn fault(path: &Path, what: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorCode::InvalidConfigParameter, format!("TLS, {}: {what}", path.display()))
}
