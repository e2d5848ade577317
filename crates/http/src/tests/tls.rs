use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zepto_common::ErrorCode;

use super::client::{Reply, over, raw, request};
use super::doubles::{Running, Wish, start};
use zepto_tls::{Tls, TlsFiles};

/// An authority and a certificate of its for `localhost`, as files.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = dir.join(format!("{name}.pem"));
        std::fs::write(&file, certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    fn sign(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (certificate_file, key_file) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
        std::fs::write(&certificate_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (certificate_file, key_file)
    }
}

fn connector(trusts: &Path, identity: Option<&(PathBuf, PathBuf)>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusts).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

async fn ask(door: &Running, connector: &TlsConnector) -> std::io::Result<Reply> {
    let tcp = TcpStream::connect(door.address).await?;
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await?;
    let answer = over(&mut stream, &request("POST", "/", &[], b"SELECT batches 2 ROWS 10000")).await;
    Reply::parse(&answer).ok_or_else(|| std::io::Error::other("no answer"))
}

#[tokio::test]
async fn statements_go_over_tls_and_plain_text_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca");
    let (certificate, key) = authority.sign(dir.path(), "server");
    let tls = Tls::load(TlsFiles { certificate, key, client_ca: None }).unwrap();
    let door = start(Wish { tls: Some(tls), ..Wish::default() }).await;
    let reply = ask(&door, &connector(&authority.file, None)).await.unwrap();
    assert_eq!((reply.status, reply.text().lines().count()), (200, 20_000));
    let plain = raw(door.address, &request("GET", "/ping", &[], b"")).await;
    assert!(Reply::parse(&plain).is_none());
}

#[tokio::test]
async fn with_a_client_authority_only_its_clients_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(dir.path(), "ca"), Authority::new(dir.path(), "other"));
    let (certificate, key) = ours.sign(dir.path(), "server");
    let files = TlsFiles { certificate, key, client_ca: Some(ours.file.clone()) };
    let door = start(Wish { tls: Some(Tls::load(files).unwrap()), ..Wish::default() }).await;
    let (known, stranger) = (ours.sign(dir.path(), "client"), theirs.sign(dir.path(), "stranger"));
    assert_eq!(ask(&door, &connector(&ours.file, Some(&known))).await.unwrap().status, 200);
    assert!(ask(&door, &connector(&ours.file, None)).await.is_err());
    assert!(ask(&door, &connector(&ours.file, Some(&stranger))).await.is_err());
    assert!(door.queries.contexts.lock().len() == 1);
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(dir.path(), "old"), Authority::new(dir.path(), "new"));
    let (certificate, key) = old.sign(dir.path(), "server");
    let files = TlsFiles { certificate: certificate.clone(), key: key.clone(), client_ca: None };
    let tls = Tls::load(files).unwrap();
    assert!(!tls.refresh().unwrap());
    std::fs::write(&certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert_eq!(tls.refresh().unwrap_err().code, ErrorCode::InvalidConfigParameter);
    assert!(!tls.refresh().unwrap());
    new.sign(dir.path(), "server");
    assert!(tls.refresh().unwrap());
    let door = start(Wish { tls: Some(tls), ..Wish::default() }).await;
    assert!(ask(&door, &connector(&old.file, None)).await.is_err());
    assert_eq!(ask(&door, &connector(&new.file, None)).await.unwrap().status, 200);
}

#[test]
fn files_that_are_no_certificates_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca");
    let (certificate, key) = authority.sign(dir.path(), "server");
    let empty = dir.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let missing = dir.path().join("missing");
    let (_, other_key) = authority.sign(dir.path(), "other");
    let files = |certificate: &PathBuf, key: &PathBuf, client_ca: Option<&PathBuf>| TlsFiles {
        certificate: certificate.clone(),
        key: key.clone(),
        client_ca: client_ca.cloned(),
    };
    for (files, name) in [
        (files(&empty, &key, None), "empty"),
        (files(&missing, &key, None), "missing"),
        (files(&certificate, &empty, None), "empty"),
        (files(&certificate, &other_key, None), "server.crt"),
        (files(&certificate, &key, Some(&empty)), "empty"),
    ] {
        let error = Tls::load(files).err().expect("refused");
        assert_eq!(error.code, ErrorCode::InvalidConfigParameter);
        assert!(error.message.contains(name), "{error}");
    }
}
