//! A small HTTP/1.1 client that shows every byte.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest time a test waits for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// An answer, its body without chunk marks.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body ended as HTTP says (length or last chunk).
    pub(crate) complete: bool,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The summary's value of this name.
    pub(crate) fn summary(&self, name: &str) -> String {
        let summary: serde_json::Value =
            serde_json::from_str(self.header("x-clickhouse-summary").unwrap()).unwrap();
        summary[name].as_str().unwrap_or_else(|| panic!("{name} in {summary}")).to_owned()
    }

    /// Parses what a connection gave until its end; None when there is no whole head.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let rest = &bytes[end + 4..];
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        if status == 100 {
            return Self::parse(rest);
        }
        let header =
            |line: &str| line.split_once(':').map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_owned()));
        let headers: Vec<_> = lines.filter_map(header).collect();
        let mut reply = Self { status, headers, body: Vec::new(), complete: false };
        if reply.header("transfer-encoding") == Some("chunked") {
            (reply.body, reply.complete) = dechunk(rest);
        } else {
            let length: usize = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
            reply.body = rest[..rest.len().min(length)].to_vec();
            reply.complete = reply.body.len() == length;
        }
        Some(reply)
    }
}

fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(&String::from_utf8_lossy(&rest[..line]), 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        let data = &rest[line + 2..];
        body.extend_from_slice(&data[..data.len().min(length)]);
        rest = data.get(length + 2..).unwrap_or_default();
    }
    (body, false)
}

/// Sends bytes as they are and gives what comes back until the server closes.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    over(&mut stream, request).await
}

pub(crate) async fn over<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, request: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        // The server may have answered and closed before all was sent.
        let _ = writer.write_all(request).await;
        let _ = writer.flush().await;
    };
    let read = async {
        // A reset after the answer leaves the answer.
        let _ = reader.read_to_end(&mut answer).await;
    };
    timeout(PATIENCE, async { tokio::join!(write, read) }).await.expect("the server answers and closes");
    answer
}

/// One request on a connection of its own.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let answer = raw(address, &request(method, target, headers, body)).await;
    Reply::parse(&answer).unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&answer)))
}

/// The bytes of a request that asks for the connection to be closed.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if method == "POST" {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    let mut bytes = (head + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub(crate) async fn post(address: SocketAddr, target: &str, body: impl AsRef<[u8]>) -> Reply {
    send(address, "POST", target, &[], body.as_ref()).await
}

pub(crate) async fn get(address: SocketAddr, target: &str) -> Reply {
    send(address, "GET", target, &[], b"").await
}

/// `text` with everything but letters and digits escaped.
pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
