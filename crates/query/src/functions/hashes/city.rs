//! CityHash64 1.0.2, the version that ClickHouse keeps. Bytes are read little-endian. Source: the published algorithm.

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;
const K3: u64 = 0xc949_d7c7_509e_6557;
const MULTIPLIER: u64 = 0x9ddf_ea08_eb38_2d69;

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn u32_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 4].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn shift_mix(value: u64) -> u64 {
    value ^ (value >> 47)
}

/// Two hashes as one.
pub(super) fn of_two(low: u64, high: u64) -> u64 {
    let a = shift_mix((low ^ high).wrapping_mul(MULTIPLIER));
    shift_mix((high ^ a).wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER)
}

/// Of up to three bytes.
fn of_few(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let [Some(first), Some(middle), Some(last)] =
        [bytes.first(), bytes.get(length / 2), bytes.last()].map(|byte| byte.map(|byte| u64::from(*byte)))
    else {
        return K2;
    };
    let (y, z) = (first + (middle << 8), length as u64 + (last << 2));
    shift_mix(y.wrapping_mul(K2) ^ z.wrapping_mul(K3)).wrapping_mul(K2)
}

fn city_short(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    match length {
        9.. => {
            let (a, b) = (u64_at(bytes, 0), u64_at(bytes, length - 8));
            of_two(a, b.wrapping_add(length as u64).rotate_right(length as u32)) ^ b
        }
        4..=8 => of_two((length as u64).wrapping_add(u32_at(bytes, 0) << 3), u32_at(bytes, length - 4)),
        _ => of_few(bytes),
    }
}

fn city_to_32(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let a = u64_at(bytes, 0).wrapping_mul(K1);
    let b = u64_at(bytes, 8);
    let c = u64_at(bytes, length - 8).wrapping_mul(K2);
    let d = u64_at(bytes, length - 16).wrapping_mul(K0);
    let left = a.wrapping_sub(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
    let right = a.wrapping_add((b ^ K3).rotate_right(20)).wrapping_sub(c).wrapping_add(length as u64);
    of_two(left, right)
}

/// The two sums over a half of a text of 33 to 64 bytes.
fn half(bytes: &[u8], start: u64, at: usize, add: u64) -> (u64, u64) {
    let mut a = start;
    let mut b = a.wrapping_add(add).rotate_right(52);
    let mut c = a.rotate_right(37);
    a = a.wrapping_add(u64_at(bytes, at + 8));
    c = c.wrapping_add(a.rotate_right(7));
    a = a.wrapping_add(u64_at(bytes, at + 16));
    b = b.wrapping_add(a.rotate_right(31)).wrapping_add(c);
    (a.wrapping_add(add), b)
}

fn city_to_64(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let z = u64_at(bytes, 24);
    let start = u64_at(bytes, 0)
        .wrapping_add((length as u64).wrapping_add(u64_at(bytes, length - 16)).wrapping_mul(K0));
    let (vf, vs) = half(bytes, start, 0, z);
    let z = u64_at(bytes, length - 8);
    let start = u64_at(bytes, 16).wrapping_add(u64_at(bytes, length - 32));
    let (wf, ws) = half(bytes, start, length - 32, z);
    let r =
        shift_mix(vf.wrapping_add(ws).wrapping_mul(K2).wrapping_add(wf.wrapping_add(vs).wrapping_mul(K0)));
    shift_mix(r.wrapping_mul(K0).wrapping_add(vs)).wrapping_mul(K2)
}

/// 32 bytes into two seeds.
fn weak(bytes: &[u8], at: usize, a: u64, b: u64) -> (u64, u64) {
    let [w, x, y, z] = [0, 8, 16, 24].map(|step| u64_at(bytes, at + step));
    let a = a.wrapping_add(w);
    let b = b.wrapping_add(a).wrapping_add(z).rotate_right(21);
    let sum = a.wrapping_add(x).wrapping_add(y);
    (sum.wrapping_add(z), b.wrapping_add(sum.rotate_right(44)).wrapping_add(a))
}

/// `cityHash64` of bytes.
pub(super) fn city(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    match length {
        0..=16 => return city_short(bytes),
        17..=32 => return city_to_32(bytes),
        33..=64 => return city_to_64(bytes),
        _ => {}
    }
    let mut x = u64_at(bytes, 0);
    let mut y = u64_at(bytes, length - 16) ^ K1;
    let mut z = u64_at(bytes, length - 56) ^ K0;
    let mut v = weak(bytes, length - 64, length as u64, y);
    let mut w = weak(bytes, length - 32, (length as u64).wrapping_mul(K1), K0);
    z = z.wrapping_add(shift_mix(v.1).wrapping_mul(K1));
    x = z.wrapping_add(x).rotate_right(39).wrapping_mul(K1);
    y = y.rotate_right(33).wrapping_mul(K1);
    for at in (0..(length - 1) & !63).step_by(64) {
        x = x.wrapping_add(y).wrapping_add(v.0).wrapping_add(u64_at(bytes, at + 16)).rotate_right(37);
        y = y.wrapping_add(v.1).wrapping_add(u64_at(bytes, at + 48)).rotate_right(42);
        x = x.wrapping_mul(K1) ^ w.1;
        y = y.wrapping_mul(K1) ^ v.0;
        z = (z ^ w.0).rotate_right(33);
        v = weak(bytes, at, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        w = weak(bytes, at + 32, z.wrapping_add(w.1), y);
        std::mem::swap(&mut z, &mut x);
    }
    of_two(
        of_two(v.0, w.0).wrapping_add(shift_mix(y).wrapping_mul(K1)).wrapping_add(z),
        of_two(v.1, w.1).wrapping_add(x),
    )
}
