use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::client::{PATIENCE, request};
use super::doubles::{Running, Wish, start};

async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what} never came true");
        sleep(Duration::from_millis(5)).await;
    }
}

fn cancelled(door: &Running) -> bool {
    door.queries.contexts.lock().last().is_some_and(|(_, context)| context.cancel.is_cancelled())
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_cancels_its_statement() {
    let door = start(Wish::default()).await;
    for (method, target, body) in [("POST", "/", "SELECT hang"), ("GET", "/?query=SELECT%20hang", "")] {
        door.queries.contexts.lock().clear();
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(&request(method, target, &[], body.as_bytes())).await.unwrap();
        until("the statement runs", || !door.queries.contexts.lock().is_empty()).await;
        assert!(!cancelled(&door));
        drop(stream);
        until("the cancellation", || cancelled(&door)).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_midst_of_the_answer_cancels_its_statement() {
    let door = start(Wish::default()).await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream.write_all(&request("POST", "/", &[], b"SELECT batches 60 ROWS 10000 THEN hang")).await.unwrap();
    let mut some = vec![0; 10_000];
    stream.read_exact(&mut some).await.unwrap();
    assert!(!cancelled(&door));
    drop(stream);
    until("the cancellation", || cancelled(&door)).await;
}

#[tokio::test]
async fn a_slow_reader_holds_the_query_back_instead_of_filling_memory() {
    let mut wish = Wish::default();
    wish.limits.stall = Duration::from_secs(30);
    let door = start(wish).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut stream = socket.connect(door.address).await.unwrap();
    // 2,000 batches are 130 MB of text.
    stream.write_all(&request("POST", "/", &[], b"SELECT batches 2000 ROWS 10000")).await.unwrap();
    until("the first batch", || door.queries.pulled.load(Ordering::SeqCst) > 0).await;
    let mut before = 0;
    let pulled = loop {
        sleep(Duration::from_millis(300)).await;
        let now = door.queries.pulled.load(Ordering::SeqCst);
        if now == before {
            break now;
        }
        before = now;
    };
    assert!(pulled < 200, "{pulled} of 2000 batches were read though nobody took them");
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(door.queries.pulled.load(Ordering::SeqCst), 2_000);
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_cut_off() {
    let mut wish = Wish::default();
    wish.limits.stall = Duration::from_millis(300);
    let door = start(wish).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut stream = socket.connect(door.address).await.unwrap();
    stream.write_all(&request("POST", "/", &[], b"SELECT batches 2000 ROWS 10000")).await.unwrap();
    until("the cut", || cancelled(&door)).await;
    assert!(door.queries.pulled.load(Ordering::SeqCst) < 2_000);
}

#[tokio::test]
async fn a_first_row_is_sent_while_the_query_goes_on() {
    let door = start(Wish::default()).await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream.write_all(&request("POST", "/", &[], b"SELECT batches 1 ROWS 3 THEN hang")).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"0\n1\n2\n\r\n") {
        let mut part = [0; 1_024];
        let length = timeout(PATIENCE, stream.read(&mut part)).await.unwrap().unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&part[..length]);
    }
}

#[tokio::test]
async fn max_execution_time_ends_a_statement_that_does_not_end_itself() {
    let door = start(Wish::default()).await;
    let begun = Instant::now();
    let reply = super::client::post(door.address, "/?max_execution_time=0.2", "SELECT hang").await;
    assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (408, Some("159")));
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(cancelled(&door));
    let endless = super::client::post(door.address, "/?max_execution_time=1e18", "SELECT 1").await;
    assert_eq!(endless.text(), "1\n");
    let endless =
        super::client::post(door.address, "/?max_execution_time=1e18", "INSERT INTO t VALUES ('a', 1)").await;
    assert_eq!(endless.status, 200);
}

#[tokio::test]
async fn many_requests_go_over_one_connection_pipelined_too() {
    let door = start(Wish::default()).await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    let one = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nSELECT 1";
    let last = "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all((one.repeat(20) + last).as_bytes()).await.unwrap();
    let mut answers = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answers)).await.unwrap().unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 21, "{answers}");
    assert!(answers.ends_with("Ok.\n"));
}

/// The payloads of all frames of this kind in what an HTTP/2 server sent.
fn frames(mut bytes: &[u8], kind: u8) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some(head) = bytes.first_chunk::<9>() {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let Some(payload) = bytes.get(9..9 + length) else { break };
        if head[3] == kind {
            found.push(payload);
        }
        bytes = &bytes[9 + length..];
    }
    found
}

#[tokio::test]
async fn http_2_is_spoken_without_asking() {
    let door = start(Wish::default()).await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    // Preface, empty SETTINGS, and HEADERS of the static table: GET, http, and a literal path and authority.
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let path = b"/?query=SELECT%201";
    let mut block = vec![0x82, 0x86, 0x04, path.len() as u8];
    block.extend_from_slice(path);
    block.extend_from_slice(b"\x01\x01x");
    sent.extend_from_slice(&[0, 0, block.len() as u8, 0x01, 0x05, 0, 0, 0, 1]);
    sent.extend_from_slice(&block);
    stream.write_all(&sent).await.unwrap();
    let mut seen = Vec::new();
    let (data, headers) = (0, 1);
    while frames(&seen, data).concat() != b"1\n" {
        let mut part = [0; 4_096];
        let length = timeout(PATIENCE, stream.read(&mut part)).await.unwrap().unwrap();
        assert!(length > 0, "closed after {seen:?}");
        seen.extend_from_slice(&part[..length]);
    }
    assert_eq!(frames(&seen, headers)[0][0], 0x88, "status 200 of the static table");
}
