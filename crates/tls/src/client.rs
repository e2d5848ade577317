//! TLS to servers of others: which authorities are believed, and who this process is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use tokio_rustls::TlsConnector;
use zepto_common::Result;

use crate::pem::{self, fault};

/// The files of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// Authorities that the server's certificate is of, PEM; no others are believed.
    pub authority: PathBuf,
    /// Certificate and private key, PEM, for servers that ask who calls.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl ClientFiles {
    /// Reads the files.
    ///
    /// # Errors
    /// `InvalidConfigParameter` naming the file that cannot be read, or what rustls says of the pair.
    pub fn connector(&self) -> Result<TlsConnector> {
        let broken = |path: &Path| {
            let path = path.to_owned();
            move |error: rustls::Error| fault(&path, &error)
        };
        let believes = ClientConfig::builder_with_provider(pem::provider())
            .with_safe_default_protocol_versions()
            .map_err(broken(&self.authority))?
            .with_root_certificates(pem::authorities(&self.authority)?);
        let config = match &self.identity {
            None => believes.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = pem::certificates(certificate)?;
                believes.with_client_auth_cert(chain, pem::key(key)?).map_err(broken(certificate))?
            }
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }
}
