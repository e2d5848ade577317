//! One HTTP/1.1 connection, blocking, kept alive. No TLS, no redirects, no compression: what is sent is what the
//! caller prepared, byte for byte.

mod reply;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use reply::ReplyReader;

/// How long a connection waits for one read or write.
pub const WAIT: Duration = Duration::from_secs(120);

/// A request, ready to be sent any number of times.
#[derive(Debug, Clone)]
pub struct Request {
    head: Vec<u8>,
    body: Arc<[u8]>,
}

impl Request {
    /// A request with a body of known length. `target` is the path with its query; headers go out as they are.
    #[must_use]
    pub fn new(method: &str, target: &str, headers: &[(&str, &str)], body: impl Into<Arc<[u8]>>) -> Self {
        let body = body.into();
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: zeptodb\r\n");
        for (name, value) in headers {
            // Writing to a String cannot fail.
            let _infallible = write!(head, "{name}: {value}\r\n");
        }
        let _infallible = write!(head, "Content-Length: {}\r\n\r\n", body.len());
        Self { head: head.into_bytes(), body }
    }

    /// A statement as the body of `POST /`.
    #[must_use]
    pub fn statement(sql: &str) -> Self {
        Self::new("POST", "/", &[], sql.as_bytes())
    }

    /// The data of an INSERT: the statement in the URL, the rows in the body.
    #[must_use]
    pub fn insert(statement: &str, rows: impl Into<Arc<[u8]>>) -> Self {
        Self::new("POST", &format!("/?query={}", percent_encode(statement)), &[], rows)
    }

    /// All bytes of it, head and body.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        [&self.head[..], &self.body[..]].concat()
    }

    /// `GET target`.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target, &[], &[][..])
    }
}

/// An answer, read whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body without its transfer encoding.
    pub body: Vec<u8>,
}

impl Response {
    /// The answer that these bytes begin with; None while some of it is missing.
    ///
    /// # Errors
    /// When they are no answer.
    pub fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        match ReplyReader::default().read(&mut &*bytes) {
            Ok(response) => Ok(Some(response)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first header of this (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// ClickHouse's error number from the header, if the answer is an error.
    #[must_use]
    pub fn exception_code(&self) -> Option<u32> {
        self.header("x-clickhouse-exception-code")?.parse().ok()
    }
}

/// A connection to one node.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    reader: ReplyReader,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT))?;
        stream.set_write_timeout(Some(WAIT))?;
        Ok(Self { stream, reader: ReplyReader::default() })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks, the answer is cut short, or [`WAIT`] passes without a byte.
    pub fn send(&mut self, request: &Request) -> io::Result<Response> {
        self.send_only(request)?;
        self.reader.read(&mut self.stream)
    }

    /// Sends a request and gives its answer's body piece by piece to `take`, nothing of it is kept: for answers larger
    /// than memory. The response has no body, except that of an error.
    ///
    /// # Errors
    /// When the connection breaks, the answer is cut short, or [`WAIT`] passes without a byte.
    pub fn pass(&mut self, request: &Request, take: impl FnMut(&[u8])) -> io::Result<Response> {
        self.send_only(request)?;
        self.reader.pass(&mut self.stream, take)
    }

    /// Sends a request without reading the answer.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn send_only(&mut self, request: &Request) -> io::Result<()> {
        const JOINED_MAX: usize = 64 << 10;
        if request.body.len() <= JOINED_MAX {
            let mut joined = Vec::with_capacity(request.head.len() + request.body.len());
            joined.extend_from_slice(&request.head);
            joined.extend_from_slice(&request.body);
            return self.stream.write_all(&joined);
        }
        self.stream.write_all(&request.head)?;
        self.stream.write_all(&request.body)
    }

    /// Sends bytes that may be no request at all, and reads what comes back. The sending side stays open.
    ///
    /// # Errors
    /// When the connection breaks before a whole answer has come.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<Response> {
        // A server may answer and close before it has read everything: the answer counts, not the write.
        let written = self.stream.write_all(bytes);
        match self.reader.read(&mut self.stream) {
            Ok(response) => Ok(response),
            Err(error) => written.and(Err(error)),
        }
    }

    /// Sends bytes and says that nothing more will come.
    ///
    /// # Errors
    /// When the connection is already broken.
    pub fn send_half(&mut self, bytes: &[u8]) -> io::Result<()> {
        // As in `send_raw`: an answer may come although the rest was not read.
        let _answered_early = self.stream.write_all(bytes);
        self.stream.shutdown(std::net::Shutdown::Write)
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// When the connection breaks before a whole answer has come.
    pub fn receive(&mut self) -> io::Result<Response> {
        self.reader.read(&mut self.stream)
    }

    /// Changes how long a read waits.
    ///
    /// # Errors
    /// When the socket refuses.
    pub fn set_wait(&self, wait: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(wait))
    }

    /// Runs a statement and gives its answer's text; any status but 200 is an error with the server's words.
    ///
    /// # Errors
    /// When the connection breaks or the server says no.
    pub fn query(&mut self, sql: &str) -> io::Result<String> {
        let response = self.send(&Request::statement(sql))?;
        if response.status == 200 {
            return Ok(response.text());
        }
        Err(io::Error::other(format!("{} for `{sql}`: {}", response.status, response.text().trim_end())))
    }
}

/// Text for a URL's query: everything but letters, digits and `-_.~` as `%XX`.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}
