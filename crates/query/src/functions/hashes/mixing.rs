//! Hashes of bytes and of whole numbers, as ClickHouse computes them. Pure. Sources: the published algorithms.

fn le32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn le64(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// MurmurHash3's last step.
fn finished(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// `intHash64`.
pub(super) fn int64(x: u64) -> u64 {
    finished(x ^ 0x4cf2_d2ba_ae6d_a887)
}

/// `intHash32`: Thomas Wang's mix of 64 bits to 32.
pub(super) fn int32(key: u64) -> u32 {
    let mut key = key ^ 0x75d9_543d_e018_bf45;
    key = (!key).wrapping_add(key << 18);
    key ^= key.rotate_right(31);
    key = key.wrapping_mul(21);
    key ^= key.rotate_right(11);
    key = key.wrapping_add(key << 6);
    key ^= key.rotate_right(22);
    key as u32
}

/// SipHash-2-4 with the key 0.
pub(super) fn sip(bytes: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = siphasher::sip::SipHasher24::new_with_keys(0, 0);
    hasher.write(bytes);
    hasher.finish()
}

const P32: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];
const P64: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];

fn xx32_round(lane: u32, word: u32) -> u32 {
    lane.wrapping_add(word.wrapping_mul(P32[1])).rotate_left(13).wrapping_mul(P32[0])
}

/// `xxHash32`.
pub(super) fn xx32(bytes: &[u8]) -> u32 {
    let stripes = bytes.chunks_exact(16);
    let mut rest = stripes.remainder();
    let mut hash = P32[4];
    if bytes.len() >= 16 {
        let mut lanes = [P32[0].wrapping_add(P32[1]), P32[1], 0, 0_u32.wrapping_sub(P32[0])];
        for stripe in stripes {
            for (lane, word) in lanes.iter_mut().zip(stripe.chunks_exact(4)) {
                *lane = xx32_round(*lane, le32(word));
            }
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
        hash = turned.fold(0, u32::wrapping_add);
    }
    hash = hash.wrapping_add(bytes.len() as u32);
    while rest.len() >= 4 {
        hash = hash.wrapping_add(le32(rest).wrapping_mul(P32[2])).rotate_left(17).wrapping_mul(P32[3]);
        rest = &rest[4..];
    }
    for byte in rest {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(P32[4])).rotate_left(11).wrapping_mul(P32[0]);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(P32[1]);
    hash = (hash ^ (hash >> 13)).wrapping_mul(P32[2]);
    hash ^ (hash >> 16)
}

fn xx64_round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(P64[1])).rotate_left(31).wrapping_mul(P64[0])
}

/// `xxHash64`.
pub(super) fn xx64(bytes: &[u8]) -> u64 {
    let stripes = bytes.chunks_exact(32);
    let mut rest = stripes.remainder();
    let mut hash = P64[4];
    if bytes.len() >= 32 {
        let mut lanes = [P64[0].wrapping_add(P64[1]), P64[1], 0, 0_u64.wrapping_sub(P64[0])];
        for stripe in stripes {
            for (lane, word) in lanes.iter_mut().zip(stripe.chunks_exact(8)) {
                *lane = xx64_round(*lane, le64(word));
            }
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
        hash = turned.fold(0, u64::wrapping_add);
        for lane in lanes {
            hash = (hash ^ xx64_round(0, lane)).wrapping_mul(P64[0]).wrapping_add(P64[3]);
        }
    }
    hash = hash.wrapping_add(bytes.len() as u64);
    while rest.len() >= 8 {
        hash = (hash ^ xx64_round(0, le64(rest))).rotate_left(27).wrapping_mul(P64[0]).wrapping_add(P64[3]);
        rest = &rest[8..];
    }
    if rest.len() >= 4 {
        hash ^= u64::from(le32(rest)).wrapping_mul(P64[0]);
        hash = hash.rotate_left(23).wrapping_mul(P64[1]).wrapping_add(P64[2]);
        rest = &rest[4..];
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(P64[4])).rotate_left(11).wrapping_mul(P64[0]);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P64[1]);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P64[2]);
    hash ^ (hash >> 32)
}

/// MurmurHash2 of 32 bits.
pub(super) fn murmur2_32(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = bytes.len() as u32;
    let words = bytes.chunks_exact(4);
    let tail = words.remainder();
    for word in words {
        let mut k = le32(word).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !tail.is_empty() {
        hash = (hash ^ le32(tail)).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// MurmurHash64A with a seed; `gccMurmurHash` is the same with another.
pub(super) fn murmur2_64(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    let words = bytes.chunks_exact(8);
    let tail = words.remainder();
    for word in words {
        let mut k = le64(word).wrapping_mul(M);
        k = (k ^ (k >> 47)).wrapping_mul(M);
        hash = (hash ^ k).wrapping_mul(M);
    }
    if !tail.is_empty() {
        hash = (hash ^ le64(tail)).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 47)).wrapping_mul(M);
    hash ^ (hash >> 47)
}

/// The seed of libstdc++.
pub(super) const GCC_SEED: u64 = 0xc70f_6907;

/// MurmurHash3 of 32 bits.
pub(super) fn murmur3_32(bytes: &[u8]) -> u32 {
    let scrambled = |k: u32| k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = 0_u32;
    let words = bytes.chunks_exact(4);
    let tail = words.remainder();
    for word in words {
        hash = (hash ^ scrambled(le32(word))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        hash ^= scrambled(le32(tail));
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// MurmurHash3 of 128 bits for 64-bit machines: the two halves.
pub(super) fn murmur3_128(bytes: &[u8]) -> (u64, u64) {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let first = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let second = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let (mut a, mut b) = (0_u64, 0_u64);
    let blocks = bytes.chunks_exact(16);
    let tail = blocks.remainder();
    for block in blocks {
        a = (a ^ first(le64(block)))
            .rotate_left(27)
            .wrapping_add(b)
            .wrapping_mul(5)
            .wrapping_add(0x52dc_e729);
        b = (b ^ second(le64(&block[8..])))
            .rotate_left(31)
            .wrapping_add(a)
            .wrapping_mul(5)
            .wrapping_add(0x3849_5ab5);
    }
    if tail.len() > 8 {
        b ^= second(le64(&tail[8..]));
    }
    if !tail.is_empty() {
        a ^= first(le64(tail));
    }
    a ^= bytes.len() as u64;
    b ^= bytes.len() as u64;
    a = a.wrapping_add(b);
    b = b.wrapping_add(a);
    (a, b) = (finished(a), finished(b));
    a = a.wrapping_add(b);
    (a, b.wrapping_add(a))
}

/// Java's `String.hashCode` over bytes.
pub(super) fn java(bytes: &[u8]) -> i32 {
    bytes.iter().fold(0_i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(*byte as i8)))
}

/// A CRC whose lowest bit comes first.
pub(super) fn crc(bytes: &[u8], polynomial: u64, all: u64, inverted: bool) -> u64 {
    let start = if inverted { all } else { 0 };
    let sum = bytes.iter().fold(start, |sum, byte| {
        (0..8).fold(
            sum ^ u64::from(*byte),
            |sum, _| if sum & 1 == 1 { sum >> 1 ^ polynomial } else { sum >> 1 },
        )
    });
    if inverted { sum ^ all } else { sum }
}
