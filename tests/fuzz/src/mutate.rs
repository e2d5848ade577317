//! How an input is damaged: bytes changed, put in, taken out, doubled; numbers made extreme; parts of others put in.

/// A small generator, so that a failure repeats (xorshift64).
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`, 0 for no room.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.draw() >> 16) as usize % end }
    }
}

/// Longest input that is made.
pub const INPUT_BYTES_MAX: usize = 16 << 10;
/// Most changes of one input.
const CHANGES_MAX: usize = 6;
/// Numbers at which code turns.
const EXTREMES: [u64; 14] = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    0x8000_0000_0000_0000,
    u64::MAX - 1,
    u64::MAX,
];

/// Changes `data` in one or several ways. `other` is another input to take parts of, `words` what the target knows.
pub fn damage(data: &mut Vec<u8>, other: &[u8], words: &[&[u8]], noise: &mut Noise) {
    for _ in 0..=noise.below(CHANGES_MAX) {
        if data.is_empty() {
            data.push(noise.draw() as u8);
        }
        change(data, other, words, noise);
    }
    data.truncate(INPUT_BYTES_MAX);
}

fn change(data: &mut Vec<u8>, other: &[u8], words: &[&[u8]], noise: &mut Noise) {
    let at = noise.below(data.len());
    match noise.below(12) {
        0 => data[at] ^= 1 << noise.below(8),
        1 => data[at] = noise.draw() as u8,
        2 => data[at] = data[at].wrapping_add((noise.below(70) as u8).wrapping_sub(35)),
        3 => data.insert(at, noise.draw() as u8),
        4 => drop(data.drain(at..(at + 1 + small(noise)).min(data.len()))),
        5 => data.truncate(at.max(1)),
        6 => {
            let part = data[at..(at + 1 + small(noise)).min(data.len())].to_vec();
            let (times, to) = (1 + noise.below(16), noise.below(data.len()));
            put(data, to, &part.repeat(times));
        }
        7 => extreme(data, at, noise),
        8 if !words.is_empty() => put(data, at, words[noise.below(words.len())]),
        9 if !words.is_empty() => over(data, at, words[noise.below(words.len())]),
        10 if !other.is_empty() => {
            let from = noise.below(other.len());
            let part = &other[from..(from + 1 + small(noise)).min(other.len())];
            if noise.draw().is_multiple_of(2) { put(data, at, part) } else { over(data, at, part) }
        }
        _ if !other.is_empty() => {
            data.truncate(at);
            data.extend_from_slice(&other[noise.below(other.len())..]);
        }
        _ => data[at] = !data[at],
    }
}

/// A length that is mostly small.
fn small(noise: &mut Noise) -> usize {
    let most = 1 << noise.below(9);
    noise.below(most)
}

/// An extreme number, of 1, 2, 4 or 8 bytes in either order or as a varint.
fn extreme(data: &mut Vec<u8>, at: usize, noise: &mut Noise) {
    let number = EXTREMES[noise.below(EXTREMES.len())];
    match noise.below(9) {
        8 => {
            let (mut rest, mut bytes) = (number, Vec::new());
            while rest > 0x7F {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            over(data, at, &bytes);
        }
        kind if kind < 4 => over(data, at, &number.to_le_bytes()[..1 << kind]),
        kind => over(data, at, &number.to_be_bytes()[8 - (1 << (kind - 4))..]),
    }
}

fn put(data: &mut Vec<u8>, at: usize, part: &[u8]) {
    let room = INPUT_BYTES_MAX.saturating_sub(data.len()).min(part.len());
    data.splice(at..at, part[..room].iter().copied());
}

fn over(data: &mut Vec<u8>, at: usize, part: &[u8]) {
    let end = (at + part.len()).min(data.len());
    data.splice(at..end, part.iter().copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_repeats_with_its_seed_and_keeps_its_bound() {
        let run = |seed| {
            let (mut noise, mut data) = (Noise::new(seed), b"(1,'text')".to_vec());
            for _ in 0..2_000 {
                damage(&mut data, b"another", &[b"NULL", b"'"], &mut noise);
                assert!(data.len() <= INPUT_BYTES_MAX);
            }
            data
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }
}
