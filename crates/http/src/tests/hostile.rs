//! Requests that no honest client sends: each gets a 4xx, ClickHouse's own code, or a closed connection; never a
//! 200, never a panic, and the door stays open.

use super::client::{Reply, get, raw};
use super::doubles::{Running, Wish, start};

/// What must come back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Want {
    /// This status.
    Status(u16),
    /// Any 4xx, or nothing at all.
    Refused,
    /// A fault of the data, by ClickHouse's code, which makes some of them 500.
    Fault,
}

use Want::{Fault, Refused, Status};

async fn check(door: &Running, name: &str, bytes: &[u8], want: Want) {
    let answer = raw(door.address, bytes).await;
    let reply = Reply::parse(&answer);
    let status = reply.as_ref().map(|reply| reply.status);
    let fits = match want {
        Status(expected) => status == Some(expected),
        Fault => reply
            .as_ref()
            .is_some_and(|r| r.status >= 400 && r.header("x-clickhouse-exception-code").is_some()),
        Refused => status.is_none_or(|status| (400..500).contains(&status)),
    };
    assert!(fits, "{name}: wanted {want:?}, got {status:?} {:?}", reply.map(|reply| reply.text()));
}

async fn check_all(cases: &[(&str, Vec<u8>, Want)]) {
    let door = start(Wish::default()).await;
    for (name, bytes, want) in cases {
        check(&door, name, bytes, *want).await;
    }
    assert_eq!(door.sink.rows(), 0, "nothing was stored");
    assert_eq!(get(door.address, "/ping").await.status, 200, "the door is still open");
}

/// A request with this line and these headers.
fn head(line: &str, headers: &str) -> Vec<u8> {
    format!("{line}\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let headers = format!("Content-Length: {}\r\n{headers}", body.len());
    [head("POST / HTTP/1.1", &headers), body.to_vec()].concat()
}

#[tokio::test]
async fn broken_request_lines() {
    check_all(&[
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), Refused),
        ("zeros", vec![0; 4_096], Refused),
        ("no version", b"GET /\r\n\r\n".to_vec(), Refused),
        ("old version", b"GET / HTTP/0.9\r\n\r\n".to_vec(), Refused),
        ("wrong version", b"GET / HTTP/3.7\r\n\r\n".to_vec(), Refused),
        ("no target", head("GET  HTTP/1.1", ""), Refused),
        ("space in the target", head("GET /a b HTTP/1.1", ""), Refused),
        ("control byte in the target", head("GET /\x01 HTTP/1.1", ""), Refused),
        ("method of symbols", head("G@T / HTTP/1.1", ""), Refused),
        ("unknown method", head("BREW / HTTP/1.1", ""), Status(405)),
        ("endless method", head(&format!("{} / HTTP/1.1", "A".repeat(100_000)), ""), Refused),
        ("CONNECT", head("CONNECT example.org:443 HTTP/1.1", ""), Refused),
        ("TRACE", head("TRACE / HTTP/1.1", ""), Status(405)),
        ("endless target", head(&format!("GET /{} HTTP/1.1", "a".repeat(70_000)), ""), Refused),
        ("endless query", head(&format!("GET /?query={} HTTP/1.1", "1".repeat(70_000)), ""), Refused),
        ("line feeds alone", b"\n\n\n\n".to_vec(), Refused),
        ("path up the tree", head("GET /../../etc/passwd HTTP/1.1", ""), Status(404)),
        ("path with a zero", head("GET /%00 HTTP/1.1", ""), Status(404)),
        ("HTTP/2 preface cut", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00".to_vec(), Refused),
        (
            "HTTP/2 preface and noise",
            [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0xFF; 64]].concat(),
            Refused,
        ),
    ])
    .await;
}

#[tokio::test]
async fn broken_headers() {
    let many: String = (0..500).map(|i| format!("X-{i}: 1\r\n")).collect();
    check_all(&[
        ("header without a colon", head("GET / HTTP/1.1", "nonsense\r\n"), Refused),
        ("space before the colon", head("GET / HTTP/1.1", "A : b\r\n"), Refused),
        ("folded header", head("GET / HTTP/1.1", "A: b\r\n c\r\n"), Refused),
        ("zero in a header", head("GET / HTTP/1.1", "A: b\0c\r\n"), Refused),
        ("return in a header", head("GET / HTTP/1.1", "A: b\rc\r\n"), Refused),
        ("500 headers", head("GET / HTTP/1.1", &many), Status(431)),
        ("a header of 1 MB", head("GET / HTTP/1.1", &format!("A: {}\r\n", "b".repeat(1 << 20))), Refused),
        ("a name of 70 KB", head("GET / HTTP/1.1", &format!("{}: b\r\n", "a".repeat(70_000))), Refused),
        ("two authorizations", post("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", b"SELECT 1"), Status(403)),
        ("broken Basic", post("Authorization: Basic %%%\r\n", b"SELECT 1"), Status(403)),
        ("Basic of bytes", post("Authorization: Basic /////w==\r\n", b"SELECT 1"), Status(403)),
        ("unknown scheme", post("Authorization: Negotiate x\r\n", b"SELECT 1"), Status(403)),
        ("header and URL credentials", {
            let body = "POST /?user=a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-ClickHouse-User: b\r\nContent-Length: 8\r\n\r\nSELECT 1";
            body.as_bytes().to_vec()
        }, Status(403)),
        ("unknown encoding", post("Content-Encoding: snappy\r\n", b"SELECT 1"), Status(400)),
        ("not brotli", post("Content-Encoding: br\r\n", b"SELECT 1"), Status(400)),
        ("not an LZ4 frame", post("Content-Encoding: lz4\r\n", b"SELECT 1"), Status(400)),
        ("two encodings", post("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", b"SELECT 1"), Status(400)),
        ("stacked encodings", post("Content-Encoding: gzip, zstd\r\n", b"SELECT 1"), Status(400)),
        ("encoding of bytes", {
            let mut bytes = post("Content-Encoding: qqq\r\n", b"SELECT 1");
            let at = bytes.windows(3).position(|w| w == b"qqq").unwrap();
            bytes[at..at + 3].copy_from_slice(&[0xFF, 0xFE, 0xFD]);
            bytes
        }, Status(400)),
        ("not the encoding it says", post("Content-Encoding: gzip\r\n", b"SELECT 1"), Status(400)),
        ("not zstd", post("Content-Encoding: zstd\r\n", b"SELECT 1"), Status(400)),
        ("form without fields", post("Content-Type: multipart/form-data; boundary=x\r\n", b"--x--"), Status(400)),
        ("form without a boundary", post("Content-Type: multipart/form-data\r\n", b"--x--"), Status(400)),
        ("form that is none", post("Content-Type: multipart/form-data; boundary=x\r\n", b"SELECT 1"), Status(400)),
        ("form that is cut", post("Content-Type: multipart/form-data; boundary=x\r\n", b"--x\r\nContent-"), Status(400)),
    ])
    .await;
}

#[tokio::test]
async fn broken_lengths_and_chunks() {
    let chunked =
        |body: &[u8]| [head("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n"), body.to_vec()].concat();
    check_all(&[
        ("negative length", head("POST / HTTP/1.1", "Content-Length: -1\r\n"), Refused),
        ("length of letters", head("POST / HTTP/1.1", "Content-Length: ten\r\n"), Refused),
        ("length with a plus", head("POST / HTTP/1.1", "Content-Length: +5\r\n"), Refused),
        (
            "length beyond 64 bits",
            head("POST / HTTP/1.1", "Content-Length: 99999999999999999999\r\n"),
            Refused,
        ),
        ("length of 2^64 - 1", head("POST / HTTP/1.1", "Content-Length: 18446744073709551615\r\n"), Refused),
        (
            "length of a petabyte",
            head("POST / HTTP/1.1", "Content-Length: 1125899906842624\r\n"),
            Status(413),
        ),
        ("two lengths", head("POST / HTTP/1.1", "Content-Length: 5\r\nContent-Length: 6\r\n"), Refused),
        ("list of lengths", head("POST / HTTP/1.1", "Content-Length: 5, 6\r\n"), Refused),
        ("unknown transfer encoding", head("POST / HTTP/1.1", "Transfer-Encoding: magic\r\n"), Refused),
        ("chunked not last", head("POST / HTTP/1.1", "Transfer-Encoding: chunked, gzip\r\n"), Refused),
        ("transfer encoding in 1.0", head("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n"), Refused),
        ("chunk size of letters", chunked(b"zz\r\nSELECT 1\r\n0\r\n\r\n"), Refused),
        ("negative chunk size", chunked(b"-8\r\nSELECT 1\r\n0\r\n\r\n"), Refused),
        ("chunk size beyond 64 bits", chunked(b"fffffffffffffffffff\r\nSELECT 1\r\n0\r\n\r\n"), Refused),
        ("chunk longer than it says", chunked(b"3\r\nSELECT 1\r\n0\r\n\r\n"), Refused),
        (
            "endless chunk extension",
            chunked(&[b"8;", &vec![b'x'; 100_000][..], b"\r\nSELECT 1\r\n0\r\n\r\n"].concat()),
            Refused,
        ),
    ])
    .await;
}

#[tokio::test]
async fn broken_urls_and_settings() {
    let url = |query: &str| head(&format!("GET /?query=SELECT%201&{query} HTTP/1.1"), "");
    check_all(&[
        ("cut escape", url("a=%4"), Status(400)),
        ("escape of letters", url("a=%zz"), Status(400)),
        ("not UTF-8", url("param_a=%ff%fe"), Status(400)),
        ("overlong UTF-8", url("param_a=%c0%af"), Status(400)),
        ("half a surrogate", url("param_a=%ed%a0%80"), Status(400)),
        ("unknown setting", url("no_such_setting=1"), Status(404)),
        ("setting with control bytes", url("%00%0d%0aX:=1"), Status(404)),
        ("letters for decompress", url("decompress=maybe"), Status(400)),
        ("letters for compress", url("compress=maybe"), Status(400)),
        ("letters for a number", url("max_threads=abc"), Status(400)),
        ("letters for a buffer", url("buffer_size=abc"), Status(400)),
        ("letters for a timeout", url("session_timeout=abc"), Fault),
        ("an endless session", url("session_id=a&session_timeout=99999"), Fault),
        ("header in the query id", url("query_id=a%0d%0aSet-Cookie:%20b"), Status(400)),
        ("long query id", url(&format!("query_id={}", "a".repeat(129))), Status(400)),
        ("query id of letters beyond ASCII", url("query_id=%c3%bc"), Status(400)),
        ("negative time", url("max_execution_time=-1"), Status(400)),
        ("endless time", url("max_execution_time=1e999"), Status(400)),
        ("flag of letters", url("wait_end_of_query=perhaps"), Status(400)),
        ("unknown format", url("default_format=Nonsense"), Status(404)),
        ("unknown zone", url("session_timezone=Mars/Olympus"), Status(400)),
        ("5000 parameters", url(&"a&".repeat(5_000)), Status(400)),
        ("password without a key file", url("password=guess"), Status(403)),
        ("unknown user", url("user=root"), Status(403)),
    ])
    .await;
}

#[tokio::test]
async fn broken_statements_and_data() {
    let blank = vec![b' '; 2 << 20];
    let comment = [b"/*".to_vec(), vec![b'x'; 2 << 20]].concat();
    let long = [b"SELECT ".to_vec(), vec![b'1'; 2 << 20]].concat();
    let columns = format!("INSERT INTO t ({}", "k,".repeat(1 << 20));
    check_all(&[
        ("nothing", post("", b""), Status(400)),
        ("2 MB of blanks", post("", &blank), Status(413)),
        ("2 MB of comment", post("", &comment), Status(413)),
        ("2 MB of SELECT", post("", &long), Status(413)),
        ("SELECT that is not UTF-8", post("", b"SELECT '\xFF'"), Status(400)),
        ("endless column list", post("", columns.as_bytes()), Status(413)),
        ("INSERT alone", post("", b"INSERT"), Status(400)),
        ("INSERT INTO alone", post("", b"INSERT INTO "), Status(400)),
        ("open quote", post("", b"INSERT INTO `t VALUES (1)"), Status(400)),
        ("cut row", post("", b"INSERT INTO t VALUES ('a', 1), ('b'"), Fault),
        ("row of letters", post("", b"INSERT INTO t FORMAT TSV\na\tb\n"), Status(400)),
        ("too few columns", post("", b"INSERT INTO t FORMAT TSV\na\n"), Fault),
        ("number too large", post("", b"INSERT INTO t FORMAT TSV\na\t99999999999999999999\n"), Status(400)),
        (
            "JSON of depth 10000",
            {
                let body = format!("INSERT INTO t FORMAT JSONEachRow\n{{\"x\": {}", "[".repeat(10_000));
                post("", body.as_bytes())
            },
            Fault,
        ),
        ("cut JSON", post("", b"INSERT INTO t FORMAT JSONEachRow\n{\"k\": \"a\", \"v\":"), Fault),
        ("text that is not UTF-8", post("", b"INSERT INTO t FORMAT TSV\n\xFF\xFE\t1\n"), Fault),
        (
            "binary string of 2^63 bytes",
            {
                let length = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
                post("", &[b"INSERT INTO t FORMAT RowBinary\n", &length[..], b"abc"].concat())
            },
            Fault,
        ),
    ])
    .await;
}
