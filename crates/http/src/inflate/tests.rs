use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::native::tests::block;

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

fn lz4_as(info: FrameInfo, data: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn lz4(data: &[u8]) -> Vec<u8> {
    lz4_as(FrameInfo::new().block_mode(BlockMode::Linked).block_checksums(true).content_checksum(true), data)
}

fn brotli(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = ::brotli::CompressorWriter::new(&mut out, 4_096, 5, 22);
    encoder.write_all(data).unwrap();
    drop(encoder);
    out
}

fn native(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    crate::native::write_blocks(data, &mut out);
    out
}

/// Every compression that a body may have.
fn packed(data: &[u8]) -> [(&'static str, Vec<u8>); 6] {
    [
        ("gzip", gzip(data)),
        ("deflate", zlib(data)),
        ("zstd", zstd(data)),
        ("lz4", lz4(data)),
        ("br", brotli(data)),
        ("native", native(data)),
    ]
}

fn decoder(encoding: &str) -> Result<Inflate> {
    if encoding == "native" { Ok(Inflate::native()) } else { Inflate::of(Some(encoding)) }
}

/// All plain bytes when the body comes in pieces of `piece` bytes and leaves in steps of at most `most`.
fn inflate(encoding: &str, body: &[u8], piece: usize, most: usize) -> Result<Vec<u8>> {
    let mut inflate = decoder(encoding)?;
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
    for (encoding, body) in packed(&data).into_iter().chain([("identity", data.clone())]) {
        for piece in [1_000_003, 65_536, 4_099, 17] {
            let plain = inflate(encoding, &body, piece, 10_000).unwrap();
            assert!(plain == data, "{encoding} in pieces of {piece}");
        }
    }
    for (encoding, body) in packed(b"abc") {
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
    for (encoding, body) in packed(&data) {
        for length in [1, 3, 10, body.len() / 2, body.len() - 1] {
            let error = inflate(encoding, &body[..length], 4_096, 65_536).unwrap_err();
            let native = encoding == "native";
            let code = if native { ErrorCode::CannotReadAllData } else { ErrorCode::IncorrectData };
            assert_eq!(error.code, code, "{encoding} cut at {length}");
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
    for (encoding, body) in [
        ("gzip", gzip(&zeros)),
        ("zstd", zstd(&zeros)),
        ("br", brotli(&zeros)),
        ("native", zstd_blocks(&zeros)),
    ] {
        let mut inflate = decoder(encoding).unwrap();
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
    for name in ["brotli", "lz4, gzip", "gzip, gzip", "snappy", "\u{7}"] {
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

/// Native blocks of zstd: their ratio has no bound of its own.
fn zstd_blocks(data: &[u8]) -> Vec<u8> {
    data.chunks(32 << 20).flat_map(|part| block(0x90, part.len() as u32, &zstd(part))).collect()
}

#[test]
fn lz4_frames_of_every_shape_are_read() {
    let data = sample();
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            for sums in [false, true] {
                let info = FrameInfo::new().block_mode(mode).block_size(size);
                let info = info.block_checksums(sums).content_checksum(sums);
                let info = info.content_size(sums.then_some(data.len() as u64));
                let body = lz4_as(info, &data);
                assert!(inflate("lz4", &body, 10_007, 65_536).unwrap() == data, "{mode:?} {size:?} {sums}");
            }
        }
    }
    let noise: Vec<u8> =
        (0..200_000u64).flat_map(|i| (i * i).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).collect();
    assert!(
        inflate("lz4", &lz4(&noise), 4_096, 65_536).unwrap() == noise,
        "blocks that are stored as they are"
    );
    let skipped = [&0x184D_2A57u32.to_le_bytes()[..], &5u32.to_le_bytes()[..], b"notes"].concat();
    let body = [lz4(b"one,"), skipped, lz4(b"two")].concat();
    for piece in [1, 3, 1_000] {
        assert_eq!(inflate("lz4", &body, piece, 100).unwrap(), b"one,two");
    }
    assert_eq!(inflate("lz4", &lz4(b""), 1, 100).unwrap(), b"");
}

#[test]
fn a_short_body_cut_at_every_byte_is_an_error() {
    for (encoding, body) in packed(b"some rows, some more rows, and some more rows of data\n") {
        for length in 1..body.len() {
            assert!(inflate(encoding, &body[..length], 7, 11).is_err(), "{encoding} cut at {length}");
        }
    }
}

#[test]
fn a_brotli_window_beyond_rfc_7932_is_refused() {
    let mut params =
        ::brotli::enc::BrotliEncoderParams { lgwin: 26, large_window: true, ..Default::default() };
    params.quality = 5;
    let mut encoder = ::brotli::CompressorWriter::with_params(Vec::new(), 4_096, &params);
    encoder.write_all(&sample()).unwrap();
    let large = encoder.into_inner();
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut ::brotli::Decompressor::new(&large[..], 4_096), &mut read).unwrap();
    assert!(read == sample(), "the extension, which another decoder takes");
    assert!(inflate("br", &large, 1 << 20, 65_536).is_err());
    let garbage = [brotli(b"one,"), b"tail".to_vec()].concat();
    assert_eq!(inflate("br", &garbage, 1_000, 100).unwrap_err().code, ErrorCode::IncorrectData);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Bytes that anyone sends: an error or some bytes, no panic, and no more bytes than the ratio allows.
    #[test]
    fn no_body_breaks_a_decoder(noise in vec(any::<u8>(), 0..300), flips in vec((any::<u16>(), any::<u8>()), 0..4)) {
        for (encoding, body) in packed(&sample()[..20_000]) {
            let _ = inflate(encoding, &noise, 64, 1_000);
            let mut broken = body.clone();
            for (at, value) in &flips {
                let at = usize::from(*at) % broken.len();
                broken[at] = *value;
            }
            let _ = inflate(encoding, &broken, 1_000, 10_000);
            // The beginning is right and the rest is noise, so that it gets past the head.
            let begun = [&body[..body.len().min(40)], &noise[..]].concat();
            let _ = inflate(encoding, &begun, 50, 1_000);
        }
        // A right checksum lets noise get to the decompressors.
        for method in [0x82, 0x90, 0x02] {
            let _ = inflate("native", &block(method, 5_000, &noise), 50, 1_000);
        }
    }
}

#[test]
fn each_checksum_of_an_lz4_frame_is_verified() {
    let noise: Vec<u8> =
        (0..1_000u64).flat_map(|i| (i * i).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).collect();
    for (blocks, content) in [(true, false), (false, true)] {
        let info = FrameInfo::new().block_checksums(blocks).content_checksum(content);
        let mut body = lz4_as(info, &noise);
        assert!(inflate("lz4", &body, 1_000, 1_000).unwrap() == noise);
        // Stored as it is: the bytes still decode.
        let middle = body.len() / 2;
        body[middle] ^= 1;
        let error = inflate("lz4", &body, 1_000, 1_000).unwrap_err();
        assert!(error.message.contains("checksum"), "{blocks} {content}: {}", error.message);
    }
    let mut body = lz4(b"abc");
    body[6] ^= 1;
    assert!(inflate("lz4", &body, 1_000, 1_000).unwrap_err().message.contains("descriptor"));
}

#[test]
fn an_lz4_frame_that_is_not_as_long_as_it_says_is_refused() {
    // The size stands behind flags and block size; the checksum of the three is made right again.
    let frame = lz4_as(FrameInfo::new().content_size(Some(3)), b"abc");
    for size in [0u8, 2, 4, 255] {
        let mut body = frame.clone();
        body[6] = size;
        body[14] = (xxhash_rust::xxh32::xxh32(&body[4..14], 0) >> 8) as u8;
        let error = inflate("lz4", &body, 1_000, 1_000).unwrap_err();
        assert!(error.message.contains("than it says") || error.message.contains("as it says"), "{size}");
    }
    // A block that claims more than its frame allows takes no room.
    let mut body = lz4(b"abc");
    body[7..11].copy_from_slice(&0x7FFF_FFFFu32.to_le_bytes());
    assert!(inflate("lz4", &body, 1_000, 1_000).unwrap_err().message.contains("larger"));
}
