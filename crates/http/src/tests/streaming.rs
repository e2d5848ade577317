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
