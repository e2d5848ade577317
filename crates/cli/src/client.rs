//! The client's side of the HTTP interface for people: credentials, TLS, sessions, results as they stream.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use ureq::http::{Method, Response};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, RequestBuilder, SendBody};

/// Bytes of an error text that are read.
const ERROR_BYTES_MAX: u64 = 64 << 10;
/// Bytes of a status that are read.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Where the server is and who asks.
#[derive(Args, Clone, Debug)]
pub(crate) struct Server {
    /// The node's address
    #[arg(long, env = "ZEPTO_URL", default_value = "http://127.0.0.1:8123")]
    url: String,
    /// User name
    #[arg(long, env = "ZEPTO_USER")]
    user: Option<String>,
    /// Password of the user (an API key)
    #[arg(long, env = "ZEPTO_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// API key
    #[arg(long, env = "ZEPTO_KEY", hide_env_values = true, conflicts_with = "password")]
    key: Option<String>,
    /// Authorities that an https server may be certified by (PEM), instead of the well-known ones
    #[arg(long, env = "ZEPTO_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Certificate to show to a server that asks for one (PEM)
    #[arg(long, env = "ZEPTO_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, env = "ZEPTO_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

impl Server {
    /// Whom an https server is believed, and who asks.
    fn tls(&self) -> Result<TlsConfig> {
        let mut config = TlsConfig::builder();
        if let Some(path) = &self.ca {
            config = config.root_certs(RootCerts::Specific(Arc::new(certificates(path)?)));
        }
        if let (Some(chain), Some(key)) = (&self.client_cert, &self.client_key) {
            let secret = PrivateKey::from_pem(&pem(key)?);
            let secret = secret.with_context(|| format!("{} is no private key", key.display()))?;
            let chain_of = certificates(chain)?;
            check_pair(&chain_of, key).with_context(|| {
                format!("{} and {} cannot be shown to a server", chain.display(), key.display())
            })?;
            config = config.client_cert(Some(ClientCert::new_with_certs(&chain_of, secret)));
        }
        Ok(config.build())
    }
}

/// What the connection would stop the program for: a certificate of version 1, a key of another certificate.
fn check_pair(chain: &[Certificate<'static>], key: &Path) -> Result<()> {
    use rustls::pki_types::pem::PemObject;
    let chain = chain.iter().map(|certificate| certificate.der().to_vec().into()).collect();
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_client_auth_cert(chain, key)?;
    Ok(())
}

fn pem(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// All certificates of a file; at least one.
fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let bytes = pem(path)?;
    let mut found = Vec::new();
    for item in parse_pem(&bytes) {
        if let PemItem::Certificate(certificate) = item.with_context(|| path.display().to_string())? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(anyhow!("{} has no certificate", path.display()));
    }
    Ok(found)
}

/// A client of one server; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    server: Server,
}

/// A statement that the server refused, in its own words (`Code: 60. DB::Exception: … (UNKNOWN_TABLE)`).
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Client {
    /// A client for this server; nothing is sent yet.
    ///
    /// # Errors
    /// Files with certificates that cannot be read.
    pub(crate) fn new(server: &Server) -> Result<Self> {
        Self::with(server, None)
    }

    /// The same with bounds for the time until an answer begins, and until all of it is there.
    pub(crate) fn with_waits(&self, answer: Duration, body: Duration) -> Result<Self> {
        Self::with(&self.server, Some((answer, body)))
    }

    fn with(server: &Server, waits: Option<(Duration, Duration)>) -> Result<Self> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_recv_response(waits.map(|(answer, _)| answer))
            .timeout_recv_body(waits.map(|(_, body)| body))
            .timeout_connect(Some(Duration::from_secs(10)))
            .accept_encoding("identity")
            .tls_config(server.tls()?)
            .user_agent(concat!("zepto/", env!("CARGO_PKG_VERSION")));
        let mut server = server.clone();
        server.url = server.url.trim_end_matches('/').to_owned();
        Ok(Self { agent: config.build().new_agent(), server })
    }

    /// The same client of another node, `host:port`.
    pub(crate) fn of_node(&self, address: &str) -> Self {
        let scheme = self.server.url.split_once("://").map_or("http", |(scheme, _)| scheme);
        let mut other = self.clone();
        other.server.url = format!("{scheme}://{address}");
        other
    }

    /// The address asked.
    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    /// Sends a statement as the body; the answer's body streams.
    ///
    /// # Errors
    /// [`Refused`] with the server's words, or what broke on the way.
    pub(crate) fn run(&self, sql: &str, params: &[(&str, &str)]) -> Result<Response<Body>> {
        self.send(params, SendBody::from_reader(&mut sql.as_bytes()))
    }

    /// Sends an INSERT's statement in the URL and its rows as the body.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) fn insert(
        &self,
        statement: &str,
        rows: &mut dyn Read,
        params: &[(&str, &str)],
    ) -> Result<Response<Body>> {
        let mut rows = rows;
        let params: Vec<_> = params.iter().copied().chain([("query", statement)]).collect();
        self.send(&params, SendBody::from_reader(&mut rows))
    }

    /// Runs a statement and gives its result as text.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) fn text(&self, sql: &str) -> Result<String> {
        let mut response = self.run(sql, &[])?;
        Ok(response.body_mut().with_config().limit(u64::MAX).read_to_string()?)
    }

    /// The server's version, as `/health` tells it to everybody.
    ///
    /// # Errors
    /// When nobody answers there, or not as this server does.
    pub(crate) fn version(&self) -> Result<String> {
        let mut response = self.agent.get(format!("{}/health", self.server.url)).call()?;
        let health =
            response.body_mut().with_config().limit(ERROR_BYTES_MAX).lossy_utf8(true).read_to_string()?;
        let version = health.split_once("\"version\":\"").and_then(|(_, rest)| rest.split_once('"'));
        version.map(|(version, _)| version.to_owned()).context("this is no ZeptoDB")
    }

    fn send(&self, params: &[(&str, &str)], body: SendBody<'_>) -> Result<Response<Body>> {
        let mut request = self.with_credentials(self.agent.post(format!("{}/", self.server.url)));
        for (name, value) in params {
            request = request.query(name, value);
        }
        let sent = request.send(body).with_context(|| format!("cannot ask {}", self.server.url))?;
        accepted(sent)
    }

    /// What a path shows, as text.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        let request = self.with_credentials(self.agent.get(format!("{}{path}", self.server.url)));
        let sent = request.call().with_context(|| format!("cannot ask {}", self.server.url))?;
        Ok(accepted(sent)?.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?)
    }

    /// What a path has, as it streams, and its length.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) fn open(&self, path: &str) -> Result<Response<Body>> {
        let request = self.with_credentials(self.agent.get(format!("{}{path}", self.server.url)));
        accepted(request.call().with_context(|| format!("cannot ask {}", self.server.url))?)
    }

    /// Asks for a change that has no body; what the server says of it, as text.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) fn change(&self, method: Method, path: &str) -> Result<String> {
        let url = format!("{}{path}", self.server.url);
        let sent = if method == Method::DELETE {
            self.with_credentials(self.agent.delete(url)).call()
        } else {
            self.with_credentials(self.agent.post(url)).send_empty()
        };
        let sent = sent.with_context(|| format!("cannot ask {}", self.server.url))?;
        Ok(accepted(sent)?.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?)
    }

    fn with_credentials<B>(&self, mut request: RequestBuilder<B>) -> RequestBuilder<B> {
        if let Some(key) = &self.server.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        if let Some(user) = &self.server.user {
            request = request.header("X-ClickHouse-User", user);
        }
        if let Some(password) = &self.server.password {
            request = request.header("X-ClickHouse-Key", password);
        }
        request
    }
}

/// The answer, if the server did what it was asked.
fn accepted(mut response: Response<Body>) -> Result<Response<Body>> {
    if response.status() == 200 {
        return Ok(response);
    }
    let status = response.status();
    let text = response.body_mut().with_config().limit(ERROR_BYTES_MAX).lossy_utf8(true).read_to_string()?;
    let text = text.trim_end();
    if text.is_empty() {
        return Err(anyhow!(Refused(format!("the server answered {status} without a word"))));
    }
    Err(anyhow!(Refused(text.to_owned())))
}
