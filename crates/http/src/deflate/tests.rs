use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::Read;

#[test]
fn the_choice_follows_the_clients_weights() {
    for (accept, choice) in [
        (None, Encoding::Identity),
        (Some(""), Encoding::Identity),
        (Some("gzip"), Encoding::Gzip),
        (Some("lz4,zstd,br,gzip,deflate"), Encoding::Zstd),
        (Some("gzip, deflate, br, zstd"), Encoding::Zstd),
        (Some("GZIP;q=1.0, zstd;q=0.5"), Encoding::Gzip),
        (Some("gzip;q=0, zstd;q=0"), Encoding::Identity),
        (Some("zstd;q=nonsense, gzip;q=0.1"), Encoding::Gzip),
        (Some("snappy, *"), Encoding::Identity),
        (Some("lz4, *"), Encoding::Lz4),
        (Some("gzip, lz4, br"), Encoding::Brotli),
        (Some("deflate, gzip, lz4"), Encoding::Lz4),
        (Some("deflate"), Encoding::Deflate),
        (Some("deflate, x-gzip"), Encoding::Gzip),
        (Some("deflate;q=0.9, zstd;q=0.8"), Encoding::Deflate),
        (Some("br;q=0, zstd;q=0"), Encoding::Identity),
    ] {
        assert_eq!(Encoding::choose(accept), choice, "{accept:?}");
    }
}

const ALL: [Encoding; 7] = [
    Encoding::Identity,
    Encoding::Gzip,
    Encoding::Deflate,
    Encoding::Brotli,
    Encoding::Lz4,
    Encoding::Zstd,
    Encoding::Native,
];

/// Undone by our own decoder.
fn undo(encoding: Encoding, sent: &[u8]) -> Result<Vec<u8>> {
    let mut inflate = match encoding {
        Encoding::Native => crate::inflate::Inflate::native(),
        other => crate::inflate::Inflate::of(other.name())?,
    };
    inflate.push(sent.to_vec().into());
    let mut plain = Vec::new();
    while let Some(part) = inflate.pull(100_000)? {
        plain.extend_from_slice(&part);
    }
    inflate.finish().map(|()| plain)
}

#[test]
fn each_part_can_be_read_as_soon_as_it_is_written() {
    let parts = [b"first ".to_vec(), vec![b'x'; 300_000], b"last".to_vec()];
    for encoding in ALL {
        let mut deflate = Deflate::of(encoding).unwrap();
        let mut sent = deflate.write(parts[0].clone()).unwrap();
        assert!(!sent.is_empty());
        if let Some(name) = encoding.name() {
            let mut inflate = crate::inflate::Inflate::of(Some(name)).unwrap();
            inflate.push(sent.clone().into());
            assert_eq!(inflate.pull(100).unwrap().as_deref(), Some(&parts[0][..]), "{encoding:?} begins");
        }
        sent.extend(deflate.write(parts[1].clone()).unwrap());
        sent.extend(deflate.write(parts[2].clone()).unwrap());
        sent.extend(deflate.finish().unwrap());
        assert!(undo(encoding, &sent).unwrap() == parts.concat(), "{encoding:?}");
        let plain = match encoding {
            Encoding::Identity | Encoding::Native => continue,
            Encoding::Gzip => read(flate2::read::GzDecoder::new(&sent[..])),
            Encoding::Deflate => read(flate2::read::ZlibDecoder::new(&sent[..])),
            Encoding::Brotli => read(brotli::Decompressor::new(&sent[..], 4_096)),
            Encoding::Lz4 => read(lz4_flex::frame::FrameDecoder::new(&sent[..])),
            Encoding::Zstd => zstd::decode_all(&sent[..]).unwrap(),
        };
        assert!(plain == parts.concat(), "{encoding:?} by another decoder");
    }
}

fn read(mut decoder: impl Read) -> Vec<u8> {
    let mut plain = Vec::new();
    decoder.read_to_end(&mut plain).unwrap();
    plain
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_survive_every_codec(parts in vec(vec(any::<u8>(), 0..2_000), 0..6), fill in 0usize..200_000) {
        let parts: Vec<Vec<u8>> = parts.into_iter().chain([vec![7; fill]]).collect();
        for encoding in ALL {
            let mut deflate = Deflate::of(encoding).unwrap();
            let mut sent = Vec::new();
            for part in parts.iter().filter(|part| !part.is_empty()) {
                sent.extend(deflate.write(part.clone()).unwrap());
            }
            sent.extend(deflate.finish().unwrap());
            prop_assert!(undo(encoding, &sent).unwrap() == parts.concat(), "{:?}", encoding);
        }
    }
}
