use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zepto_common::ErrorCode;

use crate::{Incoming, PeerFiles, PeerTls, Security};

const PATIENCE: Duration = Duration::from_secs(20);

/// An authority, whose file others are given.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// The files of a process on `localhost` that believes `trusted`.
    fn files(&self, dir: &Path, name: &str, trusted: &Self) -> PeerFiles {
        let path = |end: &str| -> PathBuf { dir.join(format!("{name}.{end}")) };
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(path("crt"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        std::fs::write(path("ca"), &trusted.pem).unwrap();
        PeerFiles { certificate: path("crt"), key: path("key"), authority: path("ca") }
    }
}

/// A port that repeats what it hears; its address.
async fn echo(tls: Arc<PeerTls>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut incoming = Incoming::new(listener, Security::Peer(tls));
        loop {
            let (mut stream, _) = incoming.next().await;
            let mut byte = [0];
            if stream.read_exact(&mut byte).await.is_ok() {
                let _gone = stream.write_all(&byte).await;
            }
        }
    });
    address
}

/// Whether a byte comes back: with TLS 1.3 a client learns only by reading that it was not believed.
async fn talks(tls: &PeerTls, to: std::net::SocketAddr) -> std::io::Result<()> {
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = tls.connector().connect(name, stream).await?;
    stream.write_all(b"x").await?;
    let mut byte = [0];
    stream.read_exact(&mut byte).await.map(drop)
}

#[tokio::test]
async fn only_certificates_of_the_same_authority_talk_and_each_side_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = Arc::new(PeerTls::load(ours.files(dir.path(), "server", &ours)).unwrap());
    let address = echo(server).await;
    let friend = PeerTls::load(ours.files(dir.path(), "friend", &ours)).unwrap();
    talks(&friend, address).await.unwrap();

    let foreign = PeerTls::load(theirs.files(dir.path(), "foreign", &ours)).unwrap();
    let error = talks(&foreign, address).await.unwrap_err().to_string();
    assert!(error.contains("UnknownCA") || error.contains("UnknownIssuer"), "{error}");
    let distrusting = PeerTls::load(ours.files(dir.path(), "distrusting", &theirs)).unwrap();
    let error = talks(&distrusting, address).await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");

    // No TLS at all: the port says an alert, so that a probe sees a living process, and is no echo.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _reset_or_end = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.is_empty() && !answer.starts_with(b"P"), "{answer:?}");
    talks(&friend, address).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_says_nothing_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let server = Arc::new(PeerTls::load(ours.files(dir.path(), "server", &ours)).unwrap());
    let address = echo(server).await;
    let _silent = TcpStream::connect(address).await.unwrap();
    let friend = PeerTls::load(ours.files(dir.path(), "friend", &ours)).unwrap();
    tokio::time::timeout(Duration::from_secs(4), talks(&friend, address)).await.unwrap().unwrap();
}

#[tokio::test]
async fn changed_files_are_in_force_for_the_next_connection_and_bad_ones_never() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new("ours"), Authority::new("theirs"));
    let files = old.files(dir.path(), "server", &old);
    let address = echo(Arc::new(PeerTls::load(files.clone()).unwrap())).await;
    let renewed = PeerTls::load(new.files(dir.path(), "renewed", &new)).unwrap();
    assert!(talks(&renewed, address).await.is_err());
    new.files(dir.path(), "server", &new);
    let begun = Instant::now();
    while let Err(error) = talks(&renewed, address).await {
        assert!(begun.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::write(&files.certificate, "no certificate").unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1_500) {
        talks(&renewed, address).await.unwrap();
    }
    let error = PeerTls::load(files).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidConfigParameter);
    assert!(error.to_string().contains("server.crt"), "{error}");
}
