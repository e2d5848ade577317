//! One connection to a broker: by TCP or TLS, packets in and out.

use std::path::Path;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use zepto_common::limits::FEED_MQTT_SEND_TIME;
use zepto_tls::ClientFiles;

use super::packets::{Level, Packet};
use super::session::Answer;
use crate::config::{Address, MqttConfig};
use crate::source::FeedFault;

/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection.
pub(super) struct Link {
    stream: Box<dyn Duplex>,
    level: Level,
    input: BytesMut,
    output: BytesMut,
}

impl Link {
    /// Connects; the caller has a deadline.
    ///
    /// # Errors
    /// The broker cannot be reached, or is not believed.
    pub(super) async fn open(config: &MqttConfig, url: &str) -> Result<Self, FeedFault> {
        let address = Address::parse(url).map_err(|what| FeedFault::Final(format!("mqtt: {what}")))?;
        let (host, port) = (address.host.as_str(), address.port);
        let fault = |what: std::io::Error| FeedFault::Passing(format!("mqtt: {host}:{port}: {what}"));
        let tcp = TcpStream::connect((host, port)).await.map_err(fault)?;
        tcp.set_nodelay(true).map_err(fault)?;
        let stream: Box<dyn Duplex> = match &config.tls {
            Some(tls) if address.tls => {
                let identity = tls.certificate.clone().zip(tls.key.clone());
                let files = ClientFiles { authority: tls.ca.clone(), identity };
                // A file may be on its way: it is read again at the next try.
                let connector = files.connector().map_err(|error| FeedFault::Passing(error.message))?;
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|error| FeedFault::Final(format!("mqtt: {host}: {error}")))?;
                Box::new(connector.connect(name, tcp).await.map_err(fault)?)
            }
            _ => Box::new(tcp),
        };
        let level = Level::of(config);
        Ok(Self { stream, level, input: BytesMut::new(), output: BytesMut::new() })
    }

    /// The next packet of what was received; None: more has to be received.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, FeedFault> {
        self.level.read(&mut self.input)
    }

    /// Receives more. Dropped while it waits it loses nothing.
    pub(super) async fn receive(&mut self) -> Result<(), FeedFault> {
        self.input.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) => Err(FeedFault::Passing("mqtt: the broker closed the connection".to_owned())),
            Ok(_) => Ok(()),
            Err(error) => Err(FeedFault::Passing(format!("mqtt: {error}"))),
        }
    }

    /// Waits for a packet; the caller has a deadline.
    pub(super) async fn wait(&mut self) -> Result<Packet, FeedFault> {
        loop {
            if let Some(packet) = self.next()? {
                return Ok(packet);
            }
            self.receive().await?;
        }
    }

    pub(super) async fn connect(&mut self, config: &MqttConfig) -> Result<(), FeedFault> {
        self.level.connect(config, login(config)?, &mut self.output)?;
        self.flush().await
    }

    pub(super) async fn subscribe(&mut self, config: &MqttConfig) -> Result<(), FeedFault> {
        self.level.subscribe(config, &mut self.output)?;
        self.flush().await
    }

    pub(super) async fn answer(&mut self, answers: Vec<Answer>) -> Result<(), FeedFault> {
        for answer in answers {
            self.level.answer(answer, &mut self.output)?;
        }
        self.flush().await
    }

    pub(super) async fn ping(&mut self) -> Result<(), FeedFault> {
        self.level.ping(&mut self.output)?;
        self.flush().await
    }

    pub(super) async fn goodbye(&mut self) -> Result<(), FeedFault> {
        self.level.goodbye(&mut self.output)?;
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), FeedFault> {
        let sent = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        let sent = timeout(FEED_MQTT_SEND_TIME, sent).await;
        // It may hold a password.
        self.output = BytesMut::new();
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(FeedFault::Passing(format!("mqtt: {error}"))),
            Err(_) => Err(FeedFault::Passing("mqtt: the broker takes nothing".to_owned())),
        }
    }
}

/// User and password; read for each connection, so that both may change.
fn login(config: &MqttConfig) -> Result<Option<(String, String)>, FeedFault> {
    let Some(user) = &config.user else { return Ok(None) };
    let password = match (&config.password_env, &config.password_file) {
        (Some(name), _) => {
            // Its name is in the configuration: the file tells where the password is, and nothing shows it.
            let value = std::env::var_os(name).and_then(|value| value.into_string().ok());
            value.ok_or_else(|| {
                FeedFault::Passing(format!("mqtt: no text in the environment variable {name}"))
            })?
        }
        (None, Some(path)) => password_of(path)?,
        (None, None) => String::new(),
    };
    Ok(Some((user.clone(), password)))
}

fn password_of(path: &Path) -> Result<String, FeedFault> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| FeedFault::Passing(format!("mqtt: {}: {error}", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
