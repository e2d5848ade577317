use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::client::{PATIENCE, Reply, get, post, request};
use super::doubles::{Wish, start};

#[tokio::test]
async fn shutdown_finishes_the_requests_in_flight() {
    let door = start(Wish::default()).await;
    let gate = Arc::new(Semaphore::new(0));
    *door.sink.gate.lock() = Some(gate.clone());
    let address = door.address;
    let inserting = tokio::spawn(async move { post(address, "/", "INSERT INTO t VALUES ('a', 1)").await });
    while door.sink.waiting.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    // An idle connection, kept alive, must not hold the door open.
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 16];
    idle.read_exact(&mut some).await.unwrap();
    door.shutdown.cancel();
    sleep(Duration::from_millis(200)).await;
    assert!(!door.served.is_finished(), "the INSERT is still in flight");
    assert!(TcpStream::connect(address).await.is_err(), "no new connections");
    gate.add_permits(1);
    assert_eq!(inserting.await.unwrap().status, 200);
    timeout(PATIENCE, door.served).await.unwrap().unwrap().unwrap();
    assert_eq!(door.sink.rows(), 1);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let mut wish = Wish::default();
    wish.limits.shutdown_time = Duration::from_millis(300);
    let door = start(wish).await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream.write_all(&request("POST", "/", &[], b"SELECT hang")).await.unwrap();
    while door.queries.contexts.lock().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    door.shutdown.cancel();
    timeout(PATIENCE, door.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_until_one_ends() {
    let mut wish = Wish::default();
    wish.limits.connections = 1;
    wish.limits.head_time = Duration::from_secs(30);
    let door = start(wish).await;
    let mut first = TcpStream::connect(door.address).await.unwrap();
    first.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 16];
    first.read_exact(&mut some).await.unwrap();
    let address = door.address;
    let second = tokio::spawn(async move { get(address, "/ping").await });
    sleep(Duration::from_millis(200)).await;
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.await.unwrap().status, 200);
}

#[tokio::test]
async fn silence_ends_a_connection_before_within_and_after_a_head() {
    let mut wish = Wish::default();
    wish.limits.head_time = Duration::from_millis(300);
    let door = start(wish).await;
    let ping = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
    for sent in ["", "P", "GET /ping HTTP/1.1\r\nHost", ping] {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let begun = Instant::now();
        let mut answer = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok() && begun.elapsed() < Duration::from_secs(5), "{sent:?} held the connection");
    }
}

#[tokio::test]
async fn a_body_that_stops_is_answered_408_and_nothing_is_stored() {
    let mut wish = Wish::default();
    wish.limits.stall = Duration::from_millis(300);
    let door = start(wish).await;
    for head in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        let text = format!("POST / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let part = "INSERT INTO t VALUES ('a', 1), ";
        let chunk =
            if head.starts_with('T') { format!("{:x}\r\n{part}\r\n", part.len()) } else { part.into() };
        stream.write_all(chunk.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer");
        let reply = Reply::parse(&answer).expect("an answer");
        assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (408, Some("159")), "{head}");
    }
    assert_eq!(door.sink.rows(), 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_stores_nothing_of_its_last_block() {
    let door = start(Wish::default()).await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nINSERT INTO t VALUES ('a', 1)";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    sleep(Duration::from_millis(100)).await;
    assert_eq!(door.sink.rows(), 0);
}

#[tokio::test]
async fn a_client_that_still_sends_sees_why_it_was_refused() {
    let door = start(Wish::default()).await;
    let body = vec![b'x'; 4 << 20];
    let reply = post(door.address, "/?query=INSERT%20INTO%20nowhere%20FORMAT%20TSV", &body).await;
    assert_eq!((reply.status, reply.header("x-clickhouse-exception-code")), (404, Some("60")));
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let door = start(Wish::default()).await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 25];
    timeout(PATIENCE, stream.read_exact(&mut first)).await.unwrap().unwrap();
    assert!(first.starts_with(b"HTTP/1.1 100 Continue"));
    stream.write_all(b"SELECT 1").await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert_eq!(Reply::parse(&answer).unwrap().text(), "1\n");
}
