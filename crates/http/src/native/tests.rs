use super::*;

/// The files of a column `String` with the texts below, as ClickHouse 26.9 wrote them (engine Log, codecs LZ4,
/// ZSTD(1), NONE): two blocks each.
const LZ4_FILE: &str = "6812b0f9bb13ede3c69e345597b6d8f5822a0000003f000000ff073e68656c6c6f206e617469766520626c6f636b732c20150011506f636b7321e261ffa0b031aa50ec3da3a5f3bc27c982100000000600000060017801780178";
const ZSTD_FILE: &str = "38b9c47d5b0e3394b7404af8cb57b69d902f0000003f00000028b52ffd203fed0000b83e68656c6c6f206e617469766520626c6f636b732c2021010062399b6e5fcf7a48af27af5a06a3a735be240e90180000000600000028b52ffd2006310000017801780178";
const NONE_FILE: &str = "c28295dcc21f4cc364999a727438343102480000003f0000003e68656c6c6f206e617469766520626c6f636b732c2068656c6c6f206e617469766520626c6f636b732c2068656c6c6f206e617469766520626c6f636b7321e4c3219535367b694e2d5ddd3e324672020f00000006000000017801780178";
const PLAIN: &[u8] = b"\x3ehello native blocks, hello native blocks, hello native blocks!\x01x\x01x\x01x";

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// A block of this method that says it has `plain` bytes, its checksum right.
pub(crate) fn block(method: u8, plain: u32, data: &[u8]) -> Vec<u8> {
    let mut rest = vec![method];
    rest.extend_from_slice(&(data.len() as u32 + 9).to_le_bytes());
    rest.extend_from_slice(&plain.to_le_bytes());
    rest.extend_from_slice(data);
    [checksum(&rest).to_vec(), rest].concat()
}

fn read(body: &[u8], piece: usize, most: usize) -> Result<Vec<u8>> {
    let (mut blocks, mut plain) = (Blocks::default(), Vec::new());
    for part in body.chunks(piece) {
        let mut pending = Bytes::copy_from_slice(part);
        loop {
            let bytes = blocks.pull(&mut pending, most)?;
            assert!(bytes.len() <= most);
            if bytes.is_empty() {
                break;
            }
            plain.extend_from_slice(&bytes);
        }
    }
    if blocks.is_open() {
        return Err(Error::new(ErrorCode::CannotReadAllData, "cut"));
    }
    Ok(plain)
}

#[test]
fn blocks_that_clickhouse_wrote_are_read_at_every_cut() {
    for file in [LZ4_FILE, ZSTD_FILE, NONE_FILE] {
        for (piece, most) in [(1, 1), (7, 5), (25, 1_000), (10_000, 10_000)] {
            assert_eq!(read(&unhex(file), piece, most).unwrap(), PLAIN, "pieces of {piece}");
        }
    }
}

#[test]
fn what_is_written_is_what_clickhouse_writes_for_short_bytes() {
    let mut out = Vec::new();
    write_blocks(b"\x01x\x01x\x01x", &mut out);
    assert_eq!(out, unhex(LZ4_FILE)[58..], "the second block of the file");
    out.clear();
    write_blocks(b"", &mut out);
    assert!(out.is_empty());
    let large: Vec<u8> = (0..3_000_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
    write_blocks(&large, &mut out);
    assert!(out.len() < large.len() && read(&out, 65_536, 100_000).unwrap() == large);
}

#[test]
fn every_cut_and_every_flipped_byte_is_an_error() {
    for file in [LZ4_FILE, ZSTD_FILE, NONE_FILE] {
        let file = unhex(file);
        let first = 16 + u32::from_le_bytes(file[17..21].try_into().unwrap()) as usize;
        for length in (1..file.len()).filter(|length| *length != first) {
            assert!(read(&file[..length], 13, 1_000).is_err(), "cut at {length}");
        }
        for at in 0..file.len() {
            let mut broken = file.clone();
            broken[at] ^= 0x41;
            let code = read(&broken, 1_000, 1_000).unwrap_err().code;
            let known = [
                ErrorCode::ChecksumDoesntMatch,
                ErrorCode::TooLargeSizeCompressed,
                ErrorCode::UnknownCodec,
                ErrorCode::CannotReadAllData,
            ];
            assert!(known.contains(&code), "byte {at}: {code}");
        }
    }
}

#[test]
fn the_codes_are_clickhouses() {
    let flipped = |at: usize| {
        let mut file = unhex(LZ4_FILE);
        file[at] ^= 0xFF;
        read(&file, 1_000, 1_000).unwrap_err().code.number()
    };
    assert_eq!([flipped(0), flipped(30), flipped(20), flipped(16)], [40, 40, 39, 432]);
}

#[test]
fn sizes_that_cannot_be_are_refused_from_the_head_alone() {
    for (method, packed, plain) in [
        (LZ4, 9, 1),
        (LZ4, 0, 1),
        (LZ4, BLOCK_BYTES_MAX as u32 + 1, 1),
        (LZ4, u32::MAX, u32::MAX),
        (LZ4, 100, u32::MAX),
        (LZ4, 100, 60_000),
        (LZ4, 100, 0),
        (ZSTD, 100, BLOCK_BYTES_MAX as u32 + 1),
        (NONE, 100, 92),
    ] {
        let mut head = vec![0; 16];
        head.push(method);
        head.extend_from_slice(&packed.to_le_bytes());
        head.extend_from_slice(&plain.to_le_bytes());
        let code = read(&head, 25, 100).unwrap_err().code;
        assert_eq!(code, ErrorCode::TooLargeSizeCompressed, "{method:x} {packed} {plain}");
    }
}

#[test]
fn a_block_that_is_not_as_long_as_it_says_is_refused_whatever_its_checksum() {
    let zeros = vec![0u8; 1 << 20];
    let (lz4, zstd) = (lz4_flex::block::compress(&zeros), ::zstd::encode_all(&zeros[..], 1).unwrap());
    for said in [1, 1_000, (1 << 20) - 1, (1 << 20) + 1] {
        for (method, data) in [(LZ4, &lz4), (ZSTD, &zstd)] {
            let code = read(&block(method, said, data), 1_000, 1_000).unwrap_err().code;
            assert_eq!(code, ErrorCode::CannotDecompress, "{method:x} {said}");
        }
    }
    for method in [LZ4, ZSTD] {
        let code = read(&block(method, 100, b"this is neither of them"), 1_000, 1_000).unwrap_err().code;
        assert_eq!(code, ErrorCode::CannotDecompress, "{method:x}");
    }
}
