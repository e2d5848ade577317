use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::*;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// All plain bytes when the body comes in pieces of `piece` bytes and leaves in steps of at most `most`.
fn inflate(encoding: &str, body: &[u8], piece: usize, most: usize) -> Result<Vec<u8>> {
    let mut inflate = Inflate::of(Some(encoding))?;
    let mut plain = Vec::new();
    for part in body.chunks(piece.max(1)) {
        inflate.push(Bytes::copy_from_slice(part));
        while let Some(bytes) = inflate.pull(most)? {
            assert!(bytes.len() <= most.max(4_096), "a step of {} bytes", bytes.len());
            plain.extend_from_slice(&bytes);
        }
    }
    inflate.finish()?;
    assert_eq!(inflate.given(), plain.len() as u64);
    Ok(plain)
}

fn sample() -> Vec<u8> {
    (0..200_000u32).flat_map(|i| format!("{}\t{}\n", i % 97, i * 7 % 1_000).into_bytes()).collect()
}

#[test]
fn every_cut_of_a_body_gives_the_same_bytes() {
    let data = sample();
    for (encoding, body) in
        [("gzip", gzip(&data)), ("deflate", zlib(&data)), ("zstd", zstd(&data)), ("identity", data.clone())]
    {
        for piece in [1_000_003, 65_536, 4_099, 17] {
            let plain = inflate(encoding, &body, piece, 10_000).unwrap();
            assert!(plain == data, "{encoding} in pieces of {piece}");
        }
    }
    for (encoding, body) in [("gzip", gzip(b"abc")), ("deflate", zlib(b"abc")), ("zstd", zstd(b"abc"))] {
        assert_eq!(inflate(encoding, &body, 1, 1).unwrap(), b"abc", "{encoding}");
    }
}

#[test]
fn streams_behind_each_other_are_one_body_where_the_format_says_so() {
    let two = [gzip(b"one,"), gzip(b"two")].concat();
    assert_eq!(inflate("gzip", &two, 5, 100).unwrap(), b"one,two");
    assert_eq!(inflate("gzip", &two, 1_000, 100).unwrap(), b"one,two");
    let two = [zstd(b"one,"), zstd(b"two")].concat();
    assert_eq!(inflate("zstd", &two, 1_000, 100).unwrap(), b"one,two");
    let garbage = [zlib(b"one,"), b"tail".to_vec()].concat();
    assert_eq!(inflate("deflate", &garbage, 1_000, 100).unwrap_err().code, ErrorCode::IncorrectData);
    let garbage = [gzip(b"one,"), b"tail".to_vec()].concat();
    assert_eq!(inflate("gzip", &garbage, 1_000, 100).unwrap_err().code, ErrorCode::IncorrectData);
}

#[test]
fn a_cut_or_broken_stream_is_an_error() {
    let data = sample();
    for (encoding, body) in [("gzip", gzip(&data)), ("deflate", zlib(&data)), ("zstd", zstd(&data))] {
        for length in [1, 3, 10, body.len() / 2, body.len() - 1] {
            let error = inflate(encoding, &body[..length], 4_096, 65_536).unwrap_err();
            assert_eq!(error.code, ErrorCode::IncorrectData, "{encoding} cut at {length}");
        }
        assert!(inflate(encoding, b"", 1, 100).unwrap().is_empty(), "{encoding} of nothing");
        assert!(inflate(encoding, b"this is not compressed at all", 100, 100).is_err(), "{encoding}");
        let mut broken = body.clone();
        let middle = broken.len() / 2;
        for byte in &mut broken[middle..middle + 16] {
            *byte = !*byte;
        }
        assert!(inflate(encoding, &broken, 4_096, 65_536).is_err(), "{encoding} with flipped bits");
    }
}

#[test]
fn a_bomb_is_refused_before_it_has_grown() {
    // zstd repeats a byte 128 KiB long with four bytes; gzip reaches about 1:1030.
    let zeros = vec![0u8; 256 << 20];
    for (encoding, body) in [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros))] {
        let mut inflate = Inflate::of(Some(encoding)).unwrap();
        inflate.push(Bytes::from(body.clone()));
        let error = loop {
            match inflate.pull(65_536) {
                Ok(Some(plain)) => assert!(plain.len() <= 65_536),
                Ok(None) => panic!("{encoding}: {} bytes became {}", body.len(), inflate.given()),
                Err(error) => break error,
            }
        };
        assert_eq!(error.code, ErrorCode::QueryIsTooLarge, "{encoding}");
        assert!(inflate.given() <= BODY_RATIO_FREE_BYTES.max(1_001 * body.len() as u64) + 65_536);
    }
}

#[test]
fn unknown_and_stacked_encodings_are_refused() {
    for name in ["br", "lz4", "gzip, gzip", "snappy", "\u{7}"] {
        let error = Inflate::of(Some(name)).err().expect(name);
        assert_eq!(error.code, ErrorCode::UnknownCompressionMethod, "{name}");
    }
    assert!(Inflate::of(None).unwrap().is_identity());
}

#[test]
fn a_zstd_window_beyond_the_bound_is_refused() {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&sample()).unwrap();
    let body = encoder.finish().unwrap();
    assert!(inflate("zstd", &body, 1 << 20, 65_536).is_err());
}
