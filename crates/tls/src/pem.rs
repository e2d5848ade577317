//! PEM files, with errors that name them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zepto_common::auth::FileStamp;
use zepto_common::{Error, ErrorCode, Result};

/// When files were last changed.
pub(crate) type Stamps = Vec<Option<FileStamp>>;

pub(crate) fn stamps<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Stamps {
    files.into_iter().map(|path| FileStamp::of(path)).collect()
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<_, _>>);
    let certificates = certificates.map_err(|error| fault(path, &error))?;
    if certificates.is_empty() {
        return Err(fault(path, &"no certificate in it"));
    }
    Ok(certificates)
}

pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| fault(path, &error))
}

/// The authorities of a file.
pub(crate) fn authorities(path: &Path) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(path)? {
        roots.add(authority).map_err(|error| fault(path, &error))?;
    }
    Ok(Arc::new(roots))
}

/// Believes clients with a certificate of these authorities, and nobody else.
pub(crate) fn clients_of(path: &Path) -> Result<Arc<dyn ClientCertVerifier>> {
    let verifier = WebPkiClientVerifier::builder_with_provider(authorities(path)?, provider());
    verifier.build().map_err(|error| fault(path, &error))
}

pub(crate) fn fault(path: &Path, what: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorCode::InvalidConfigParameter, format!("TLS, {}: {what}", path.display()))
}
