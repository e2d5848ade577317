//! Compression on both sides of the door.

use std::io::Write;

use lz4_flex::frame::FrameEncoder;

use super::client::{post, send};
use super::doubles::{Wish, start};
use crate::inflate::Inflate;
use crate::native;

fn native_blocks(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    native::write_blocks(plain, &mut out);
    out
}

fn undo(mut inflate: Inflate, body: &[u8]) -> Vec<u8> {
    inflate.push(body.to_vec().into());
    let mut plain = Vec::new();
    while let Some(part) = inflate.pull(1 << 20).unwrap() {
        plain.extend_from_slice(&part);
    }
    plain
}

/// `body` in each compression that a request may have, with the header or the parameter that says so.
fn every_way(body: &[u8]) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut lz4 = FrameEncoder::new(Vec::new());
    lz4.write_all(body).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(body).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(body).unwrap();
    let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4_096, 4, 20);
    brotli.write_all(body).unwrap();
    vec![
        ("gzip", "", gzip.finish().unwrap()),
        ("deflate", "", zlib.finish().unwrap()),
        ("zstd", "", zstd::encode_all(body, 1).unwrap()),
        ("lz4", "", lz4.finish().unwrap()),
        ("br", "", brotli.into_inner()),
        ("identity", "decompress=1&", native_blocks(body)),
    ]
}

#[tokio::test]
async fn a_body_comes_in_every_compression_with_the_statement_inside_or_in_the_url() {
    let rows: String = (0..50_000).map(|i| format!("key{}\t{i}\n", i % 7)).collect();
    let whole = format!("INSERT INTO t FORMAT TSV\n{rows}");
    for (inside, outside) in every_way(whole.as_bytes()).into_iter().zip(every_way(rows.as_bytes())) {
        let door = start(Wish::default()).await;
        let (encoding, flag, body) = inside;
        let target = format!("/?{flag}");
        let reply = send(door.address, "POST", &target, &[("Content-Encoding", encoding)], &body).await;
        assert_eq!((reply.status, door.sink.rows()), (200, 50_000), "{encoding}: {}", reply.text());
        let target = format!("/?{flag}query=INSERT%20INTO%20t%20FORMAT%20TSV");
        let reply = send(door.address, "POST", &target, &[("Content-Encoding", encoding)], &outside.2).await;
        assert_eq!((reply.status, door.sink.rows()), (200, 100_000), "{encoding}: {}", reply.text());
        assert!(door.sink.values()[..50_000].iter().copied().eq(0..50_000));
    }
}

#[tokio::test]
async fn an_answer_comes_in_every_compression_that_the_client_names() {
    let door = start(Wish::default()).await;
    let plain = post(door.address, "/", "SELECT batches 30 ROWS 20000").await;
    for offer in ["gzip", "deflate", "br", "lz4", "zstd"] {
        let headers = [("Accept-Encoding", offer)];
        let reply = send(door.address, "POST", "/", &headers, b"SELECT batches 30 ROWS 20000").await;
        assert_eq!(reply.header("content-encoding"), Some(offer));
        assert!(reply.complete && reply.body.len() < plain.body.len());
        assert!(undo(Inflate::of(Some(offer)).unwrap(), &reply.body) == plain.body, "{offer}");
    }
    let reply = post(door.address, "/?compress=1", "SELECT batches 30 ROWS 20000").await;
    assert_eq!(reply.header("content-encoding"), None);
    assert!(undo(Inflate::native(), &reply.body) == plain.body);
}

#[tokio::test]
async fn with_compress_every_answer_is_in_blocks_the_small_and_the_errors_too() {
    let door = start(Wish::default()).await;
    // Accept-Encoding does not count beside it.
    let headers = [("Accept-Encoding", "gzip")];
    let reply = send(door.address, "POST", "/?compress=1", &headers, b"SELECT 1").await;
    assert_eq!(reply.header("content-encoding"), None);
    assert_eq!(undo(Inflate::native(), &reply.body), b"1\n");
    let text = |body: &[u8]| String::from_utf8(undo(Inflate::native(), body)).unwrap();
    for (target, sql, code) in [
        ("/?compress=1", "fail: no such table", "60"),
        ("/?compress=1&no_such_setting=1", "SELECT 1", "115"),
        ("/?compress=1", "INSERT INTO t FORMAT TSV\na\tb\n", "27"),
    ] {
        let reply = post(door.address, target, sql).await;
        let said = text(&reply.body);
        assert!(said.starts_with("Code: "), "{sql}: {said}");
        assert_eq!(reply.header("x-clickhouse-exception-code").is_some(), reply.status >= 400);
        assert!(code == "27" || said.starts_with(&format!("Code: {code}.")), "{said}");
    }
    let reply = post(door.address, "/?compress=1", "SELECT batches 40 ROWS 10000 THEN fail").await;
    assert_eq!((reply.status, reply.complete), (200, false));
    assert!(text(&reply.body).contains("planted fault. (MEMORY_LIMIT_EXCEEDED)"));
    let ddl = post(door.address, "/?compress=1", "CREATE TABLE x (a Int8) ENGINE = Memory").await;
    assert_eq!((ddl.status, ddl.body.len()), (200, 0));
}

#[tokio::test]
async fn a_late_error_is_readable_in_the_newer_encodings_too() {
    let door = start(Wish::default()).await;
    for encoding in ["deflate", "br", "lz4"] {
        let headers = [("Accept-Encoding", encoding)];
        let reply =
            send(door.address, "POST", "/", &headers, b"SELECT batches 90 ROWS 10000 THEN fail").await;
        assert_eq!((reply.status, reply.complete), (200, false));
        let body = undo(Inflate::of(Some(encoding)).unwrap(), &reply.body);
        let tag = reply.header("x-clickhouse-exception-tag").unwrap();
        let end = format!(" {tag}\r\n__exception__\r\n");
        assert!(String::from_utf8(body).unwrap().ends_with(&end), "{encoding}");
    }
}

#[tokio::test]
async fn a_body_whose_checksum_is_wrong_stores_nothing() {
    let door = start(Wish::default()).await;
    let body = native_blocks(b"INSERT INTO t VALUES ('a', 1)");
    for at in 0..body.len() {
        let mut broken = body.clone();
        broken[at] ^= 1;
        let reply = post(door.address, "/?decompress=1", &broken).await;
        assert!(reply.status >= 400, "byte {at}: {}", reply.text());
        if !(16..25).contains(&at) {
            assert_eq!(reply.header("x-clickhouse-exception-code"), Some("40"), "byte {at}");
        }
    }
    let cut = post(door.address, "/?decompress=1", &body[..body.len() - 1]).await;
    assert_eq!(cut.header("x-clickhouse-exception-code"), Some("33"));
    let both = [("Content-Encoding", "gzip")];
    let reply = send(door.address, "POST", "/?decompress=1", &both, &body).await;
    assert_eq!(reply.status, 501);
    assert_eq!(door.sink.rows(), 0);
}
