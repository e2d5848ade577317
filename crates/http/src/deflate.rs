//! Compresses an answer as it is written, in the encoding that the client likes best of those we have.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use zepto_common::{Error, Result};

/// zstd's level: the fastest of the regular ones.
const ZSTD_LEVEL: i32 = 1;

/// How an answer's bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// The choice for an `Accept-Encoding`: the highest `q` of gzip and zstd, zstd when they are equal.
    #[must_use]
    pub fn choose(accept: Option<&str>) -> Self {
        let mut best = (0.0, Self::Identity);
        for offer in accept.unwrap_or_default().split(',') {
            let mut parts = offer.split(';').map(str::trim);
            let encoding = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => Self::Gzip,
                "zstd" => Self::Zstd,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
            let quality = quality.unwrap_or(0.0);
            if quality > best.0 || (quality == best.0 && quality > 0.0 && encoding == Self::Zstd) {
                best = (quality, encoding);
            }
        }
        best.1
    }

    /// The value of `Content-Encoding`; None for no header.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// The compressor of one answer.
pub enum Deflate {
    /// Passes bytes on.
    Identity,
    /// gzip.
    Gzip(Box<GzEncoder<Vec<u8>>>),
    /// zstd.
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
}

impl Deflate {
    /// A fresh stream.
    ///
    /// # Errors
    /// zstd's, when it finds no memory.
    pub fn of(encoding: Encoding) -> Result<Self> {
        Ok(match encoding {
            Encoding::Identity => Self::Identity,
            Encoding::Gzip => Self::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::fast()))),
            Encoding::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).map_err(fault)?;
                Self::Zstd(Box::new(encoder))
            }
        })
    }

    /// Compresses `plain`; the bytes that come out decompress to all that was written so far.
    ///
    /// # Errors
    /// The compressor's.
    pub fn write(&mut self, plain: Vec<u8>) -> Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(plain),
            Self::Gzip(encoder) => {
                encoder.write_all(&plain).and_then(|()| encoder.flush()).map_err(fault)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(encoder) => {
                encoder.write_all(&plain).and_then(|()| encoder.flush()).map_err(fault)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    /// Ends the stream: the last bytes.
    ///
    /// # Errors
    /// The compressor's.
    pub fn finish(self) -> Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(Vec::new()),
            Self::Gzip(encoder) => encoder.finish().map_err(fault),
            Self::Zstd(encoder) => encoder.finish().map_err(fault),
        }
    }
}

fn fault(error: std::io::Error) -> Error {
    Error::internal(format!("compressing the answer: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
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
            (Some("lz4, *"), Encoding::Identity),
        ] {
            assert_eq!(Encoding::choose(accept), choice, "{accept:?}");
        }
    }

    #[test]
    fn each_part_can_be_read_as_soon_as_it_is_written() {
        let parts = [b"first ".to_vec(), vec![b'x'; 300_000], b"last".to_vec()];
        for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
            let mut deflate = Deflate::of(encoding).unwrap();
            let mut sent = deflate.write(parts[0].clone()).unwrap();
            assert!(!sent.is_empty());
            sent.extend(deflate.write(parts[1].clone()).unwrap());
            sent.extend(deflate.write(parts[2].clone()).unwrap());
            sent.extend(deflate.finish().unwrap());
            let mut plain = Vec::new();
            match encoding {
                Encoding::Identity => plain = sent,
                Encoding::Gzip => {
                    flate2::read::GzDecoder::new(&sent[..]).read_to_end(&mut plain).unwrap();
                }
                Encoding::Zstd => plain = zstd::decode_all(&sent[..]).unwrap(),
            }
            assert!(plain == parts.concat(), "{encoding:?}");
        }
    }
}
