//! A coordinator whose calls go by TLS, and callers with other certificates or none; its HTTP port by TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use zepto_coordinator::server::Listeners;
use zepto_coordinator::{Coordinator, Options};
use zepto_process::TlsConfig;
use zepto_proto::client::{ClientError, CoordinatorClient, Deadlines, Identity};
use zepto_proto::coordinate as wire;
use zepto_proto::handshake::Secret;
use zepto_proto::wire::Wire;
use zepto_tls::{PeerFiles, PeerTls};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).expect("no names are good names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("makes a key");
        let pem = params.self_signed(&key).expect("signs").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn files(&self, dir: &Path, name: &str) -> PeerFiles {
        let path = |end: &str| dir.join(format!("{name}.{end}"));
        let key = KeyPair::generate().expect("makes a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("is an address");
        let certificate = params.signed_by(&key, &self.issuer).expect("signs");
        std::fs::write(path("crt"), certificate.pem()).expect("writes");
        std::fs::write(path("key"), key.serialize_pem()).expect("writes");
        std::fs::write(path("ca"), &self.pem).expect("writes");
        PeerFiles { certificate: path("crt"), key: path("key"), authority: path("ca") }
    }
}

fn over(files: PeerFiles) -> Wire {
    Wire::tls(Arc::new(PeerTls::load(files).expect("the files are good")))
}

async fn register(address: &str, wire: Wire, secret: &str) -> Result<(), ClientError> {
    let identity = Identity {
        cluster_id: "lab".to_owned(),
        node_id: 100_000,
        incarnation: 0,
        secret: Secret::new(secret).over(wire),
    };
    let deadlines = Deadlines { call: Duration::from_secs(4), attempt: Duration::from_secs(2) };
    let client = CoordinatorClient::new(&[address.to_owned()], identity, deadlines)?;
    let request = wire::RegisterRequest { role: wire::Role::Ingest.into(), ..Default::default() };
    client.register(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_without_a_certificate_of_the_cluster_or_its_secret_are_refused() {
    let dir = tempfile::tempdir().expect("makes a directory");
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let files = ours.files(dir.path(), "coordinator");
    let mut options = Options {
        cluster_id: "lab".to_owned(),
        secret: Secret::new("s").over(over(files.clone())),
        ..Options::alone(dir.path().join("data"))
    };
    options.door.tls = TlsConfig { cert: Some(files.certificate), key: Some(files.key), client_ca: None };
    let listeners = Listeners::bind(&options).await.expect("listens");
    let coordinator = Coordinator::start(options, listeners).await.expect("starts");
    let address = coordinator.rpc_address().to_string();

    let begun = std::time::Instant::now();
    while let Err(error) = register(&address, over(ours.files(dir.path(), "node")), "s").await {
        assert!(begun.elapsed() < crate::place::PATIENCE, "a friend is let in: {error}");
    }
    let foreign = register(&address, over(theirs.files(dir.path(), "foreign")), "s").await;
    let said = format!("{foreign:?}");
    assert!(said.contains("UnknownCA") || said.contains("UnknownIssuer"), "the reason is told: {said}");
    let plain = register(&address, Wire::default(), "s").await;
    assert!(matches!(plain, Err(ClientError::Unavailable { .. })), "{plain:?}");
    let guessed = register(&address, over(ours.files(dir.path(), "other")), "guessed").await;
    assert!(matches!(guessed, Err(ClientError::Refused(_))), "{guessed:?}");

    // A door that speaks TLS does not answer plain requests.
    let http = coordinator.http_address();
    let asked = tokio::task::spawn_blocking(move || {
        ureq::get(format!("http://{http}/ping")).call().map(|reply| reply.status())
    });
    assert!(asked.await.expect("is asked").is_err());
    let connector =
        PeerTls::load(ours.files(dir.path(), "client")).expect("the files are good").door_connector();
    let stream = tokio::net::TcpStream::connect(http).await.expect("connects");
    let name = tokio_rustls::rustls::pki_types::ServerName::try_from("127.0.0.1").expect("is a name");
    let mut stream = connector.connect(name, stream).await.expect("the door shows its certificate");
    let request = b"GET /ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.expect("asks");
    let mut answer = String::new();
    let _end_without_notice = tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    coordinator.stop().await;
}
