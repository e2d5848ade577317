//! Hash functions of ClickHouse, byte for byte: its own vectors are in `tests/goldens`.
//!
//! A function of several values hashes each and puts the hashes together; a tuple is its values, an array its length
//! and then its items. Digests (`MD5`, `SHA256` …) are bytes and no text: they stand inside `hex(…)` or
//! `base64Encode(…)`, which [`of_digest`] makes one call.

mod city;
mod digests;
mod mixing;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::scalar::{Arguments, Call, MANY, Scalar, fault};
use super::timestamps::ticks;
use super::{Plan, Row, row};
use city::of_two;
pub(crate) use digests::of_digest;

/// How one function hashes.
struct Family {
    bytes: fn(&[u8]) -> Result<u64>,
    /// Numbers go through `intHash64`, not as their bytes.
    mixes_numbers: bool,
    combine: fn(u64, u64) -> u64,
    wide: bool,
}

/// Hashes of the rows so far; None before the first value.
type Hashes = Option<Vec<u64>>;

impl Family {
    fn length_hash(&self, length: usize) -> u64 {
        if self.wide { mixing::int64(length as u64) } else { u64::from(mixing::int32(length as u64)) }
    }

    fn add(&self, hashes: &mut Hashes, next: Vec<u64>) {
        match hashes {
            Some(hashes) => {
                hashes.iter_mut().zip(next).for_each(|(hash, next)| *hash = (self.combine)(*hash, next))
            }
            None => *hashes = Some(next),
        }
    }

    /// Of numbers of `width` bytes.
    fn numbers(&self, bits: impl Iterator<Item = u64>, width: usize) -> Result<Vec<u64>> {
        bits.map(|bits| match self.mixes_numbers {
            true => Ok(mixing::int64(bits)),
            false => (self.bytes)(&bits.to_le_bytes()[..width]),
        })
        .collect()
    }

    fn feed(&self, array: &ArrayRef, ty: &ColumnType, hashes: &mut Hashes) -> Result<()> {
        match ty.inner() {
            ColumnType::String | ColumnType::Symbol => {
                let texts = cast(array, &DataType::Utf8View)?;
                let texts = texts.as_string_view();
                let of_row =
                    |row| (self.bytes)(if texts.is_valid(row) { texts.value(row).as_bytes() } else { b"" });
                let next: Result<Vec<u64>> = (0..texts.len()).map(of_row).collect();
                self.add(hashes, next?);
            }
            ColumnType::Tuple(types) => {
                for (column, ty) in array.as_struct().columns().iter().zip(types) {
                    without_null(column)?;
                    self.feed(column, ty, hashes)?;
                }
            }
            ColumnType::Array(item) => {
                let list = array.as_list::<i32>();
                let mut items = None;
                without_null(list.values())?;
                self.feed(list.values(), item, &mut items)?;
                let items = items.unwrap_or_default();
                let lengths = list.offsets().lengths().map(|length| self.length_hash(length)).collect();
                self.add(hashes, lengths);
                let pairs = hashes.iter_mut().flatten().zip(list.value_offsets().windows(2));
                for (hash, ends) in pairs {
                    let items = &items[ends[0] as usize..ends[1] as usize];
                    *hash = items.iter().fold(*hash, |hash, item| (self.combine)(hash, *item));
                }
            }
            other => {
                let (bits, width) = bits_of(array, other)?;
                let next = self.numbers(bits.into_iter(), width)?;
                self.add(hashes, next);
            }
        }
        Ok(())
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let mut hashes = None;
        for i in 0..call.len() {
            self.feed(&call.array(i)?, &call.base(i), &mut hashes)?;
        }
        let hashes = hashes.unwrap_or_default();
        Ok(match self.wide {
            true => Arc::new(UInt64Array::from(hashes)),
            false => Arc::new(UInt32Array::from_iter_values(hashes.into_iter().map(|hash| hash as u32))),
        })
    }
}

/// A NULL within an array or a tuple has no hash of its own.
fn without_null(values: &ArrayRef) -> Result<()> {
    match values.null_count() {
        0 => Ok(()),
        _ => Err(fault(ErrorCode::NotImplemented, "NULL within an array or a tuple is not hashed")),
    }
}

/// The bits of fixed-width values as they lie in ClickHouse's memory, and their width in bytes.
fn bits_of(array: &ArrayRef, ty: &ColumnType) -> Result<(Vec<u64>, usize)> {
    let wide = |array: &ArrayRef| -> Result<Vec<u64>> {
        let numbers = cast(array, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<arrow::datatypes::Int64Type>();
        Ok(numbers.values().iter().map(|number| *number as u64).collect())
    };
    let masked = |width: usize| -> Result<(Vec<u64>, usize)> {
        let mask = u64::MAX >> (64 - 8 * width);
        Ok((wide(array)?.into_iter().map(|bits| bits & mask).collect(), width))
    };
    match ty {
        ColumnType::Bool | ColumnType::UInt8 | ColumnType::Int8 => masked(1),
        ColumnType::UInt16 | ColumnType::Int16 => masked(2),
        ColumnType::UInt32 | ColumnType::Int32 => masked(4),
        ColumnType::Int64 => masked(8),
        ColumnType::UInt64 => Ok((array.as_primitive::<arrow::datatypes::UInt64Type>().values().to_vec(), 8)),
        ColumnType::Float32 => {
            let numbers = array.as_primitive::<arrow::datatypes::Float32Type>();
            Ok((numbers.values().iter().map(|number| u64::from(number.to_bits())).collect(), 4))
        }
        ColumnType::Float64 => {
            let numbers = array.as_primitive::<arrow::datatypes::Float64Type>();
            Ok((numbers.values().iter().map(|number| number.to_bits()).collect(), 8))
        }
        ColumnType::Date => {
            let days = cast(array, &DataType::Int32)?;
            let days = days.as_primitive::<Int32Type>();
            Ok((days.values().iter().map(|day| u64::from(*day as u16)).collect(), 2))
        }
        ColumnType::DateTime(_) => {
            let (values, _) = ticks(array)?;
            Ok((values.values().iter().map(|tick| u64::from(*tick as u32)).collect(), 4))
        }
        other => {
            let message = format!("Values of type {other} are not hashed");
            Err(fault(ErrorCode::NotImplemented, message))
        }
    }
}

fn then_wide(first: u64, second: u64) -> u64 {
    mixing::int64(first) ^ second
}

fn then_narrow(first: u64, second: u64) -> u64 {
    u64::from(mixing::int32(first)) ^ second
}

fn sip_of_two(first: u64, second: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes());
    mixing::sip(&bytes)
}

/// `farmHash64` of long texts depends on the processor there.
fn farm(bytes: &[u8]) -> Result<u64> {
    const SAME_EVERYWHERE: usize = 511;
    match bytes.len() {
        0..=SAME_EVERYWHERE => Ok(farmhash::hash64(bytes)),
        _ => {
            Err(fault(ErrorCode::NotImplemented, "farmHash64 of more than 511 bytes; use farmFingerprint64"))
        }
    }
}

macro_rules! family {
    ($name:literal, $about:literal, $bytes:expr, $mixes:expr, $combine:expr, $ty:ident) => {
        row(
            $name,
            &[],
            concat!($name, "(x, …)"),
            $about,
            Plan::Scalar(Scalar::pure(
                (1, MANY),
                |_| Ok(ColumnType::$ty),
                |call| {
                    let wide = matches!(ColumnType::$ty, ColumnType::UInt64);
                    Family { bytes: $bytes, mixes_numbers: $mixes, combine: $combine, wide }.run(call)
                },
            )),
        )
    };
}

/// A function of one text.
macro_rules! of_bytes {
    ($name:literal, $about:literal, $ty:ident, $array:ty, $body:expr) => {
        row(
            $name,
            &[],
            concat!($name, "(s)"),
            $about,
            Plan::Scalar(Scalar::pure(
                (1, 1),
                |args| text_alone(args, ColumnType::$ty),
                |call| {
                    let texts = call.texts(0)?;
                    let hashes = texts.iter().map(|text| text.map(|text| ($body)(text.as_bytes())));
                    Ok(Arc::new(hashes.collect::<$array>()))
                },
            )),
        )
    };
}

const IEEE: u64 = 0xedb8_8320;

fn text_alone(args: &Arguments<'_>, ty: ColumnType) -> Result<ColumnType> {
    match args.base(0) {
        ColumnType::String | ColumnType::Symbol | ColumnType::Nothing => Ok(ty),
        other => {
            let message = format!("Illegal type {other} of argument: a text is hashed");
            Err(fault(ErrorCode::IllegalTypeOfArgument, message))
        }
    }
}

/// A whole number as 64 bits with its sign.
fn whole_bits(call: &Call<'_>) -> Result<Vec<u64>> {
    match call.base(0) {
        ColumnType::UInt64 => Ok(call.bits(0)?.values().to_vec()),
        _ => Ok(call.ints(0)?.values().iter().map(|number| *number as u64).collect()),
    }
}

fn whole(args: &Arguments<'_>, ty: ColumnType) -> Result<ColumnType> {
    match crate::semantics::numbers::is_whole(&args.base(0)) {
        true => Ok(ty),
        false => {
            let message = format!("Illegal type {} of argument", args.ty(0));
            Err(fault(ErrorCode::IllegalTypeOfArgument, message))
        }
    }
}

/// Hashes and digests.
pub(crate) const ROWS: &[Row] = &[
    family!("cityHash64", "CityHash, version 1.0.2.", |b| Ok(city::city(b)), true, of_two, UInt64),
    family!("farmHash64", "FarmHash; up to 511 bytes of text.", farm, true, of_two, UInt64),
    family!("sipHash64", "SipHash-2-4.", |b| Ok(mixing::sip(b)), false, sip_of_two, UInt64),
    family!("xxHash64", "xxHash of 64 bits.", |b| Ok(mixing::xx64(b)), false, of_two, UInt64),
    family!("xxHash32", "xxHash of 32 bits.", |b| Ok(u64::from(mixing::xx32(b))), false, then_narrow, UInt32),
    family!("xxh3", "XXH3 of 64 bits.", |b| Ok(xxhash_rust::xxh3::xxh3_64(b)), false, of_two, UInt64),
    family!(
        "murmurHash2_32",
        "MurmurHash2 of 32 bits.",
        |b| Ok(u64::from(mixing::murmur2_32(b))),
        false,
        then_narrow,
        UInt32
    ),
    family!(
        "murmurHash2_64",
        "MurmurHash2 of 64 bits.",
        |b| Ok(mixing::murmur2_64(b, 0)),
        false,
        then_wide,
        UInt64
    ),
    family!(
        "gccMurmurHash",
        "MurmurHash2 of 64 bits with the seed of libstdc++.",
        |b| Ok(mixing::murmur2_64(b, mixing::GCC_SEED)),
        false,
        then_wide,
        UInt64
    ),
    family!(
        "murmurHash3_32",
        "MurmurHash3 of 32 bits.",
        |b| Ok(u64::from(mixing::murmur3_32(b))),
        false,
        then_narrow,
        UInt32
    ),
    family!(
        "murmurHash3_64",
        "MurmurHash3 of 64 bits.",
        |b| {
            let (low, high) = mixing::murmur3_128(b);
            Ok(low ^ high)
        },
        false,
        then_wide,
        UInt64
    ),
    of_bytes!("halfMD5", "The first half of MD5.", UInt64, UInt64Array, digests::half_md5),
    of_bytes!(
        "farmFingerprint64",
        "FarmHash that is the same everywhere.",
        UInt64,
        UInt64Array,
        |b: &[u8]| { farmhash::fingerprint64(b) }
    ),
    of_bytes!("javaHash", "Java's hashCode.", Int32, arrow::array::Int32Array, mixing::java),
    of_bytes!(
        "hiveHash",
        "Java's hashCode without its sign.",
        Int32,
        arrow::array::Int32Array,
        |b: &[u8]| { mixing::java(b) & i32::MAX }
    ),
    of_bytes!("CRC32", "CRC-32 as in zlib.", UInt32, UInt32Array, |b: &[u8]| {
        mixing::crc(b, IEEE, u64::from(u32::MAX), true) as u32
    }),
    of_bytes!("CRC32IEEE", "CRC-32 without its inversions.", UInt32, UInt32Array, |b: &[u8]| {
        mixing::crc(b, IEEE, u64::from(u32::MAX), false) as u32
    }),
    row(
        "intHash64",
        &[],
        "intHash64(n)",
        "A whole number mixed to 64 bits.",
        Plan::Scalar(Scalar::pure(
            (1, 1),
            |args| whole(args, ColumnType::UInt64),
            |call| {
                let numbers = whole_bits(call)?;
                Ok(Arc::new(UInt64Array::from_iter_values(numbers.into_iter().map(mixing::int64))))
            },
        )),
    ),
    row(
        "intHash32",
        &[],
        "intHash32(n)",
        "A whole number mixed to 32 bits.",
        Plan::Scalar(Scalar::pure(
            (1, 1),
            |args| whole(args, ColumnType::UInt32),
            |call| {
                let numbers = whole_bits(call)?;
                Ok(Arc::new(UInt32Array::from_iter_values(numbers.into_iter().map(mixing::int32))))
            },
        )),
    ),
    digests::digest_row("MD5"),
    digests::digest_row("SHA1"),
    digests::digest_row("SHA224"),
    digests::digest_row("SHA256"),
    digests::digest_row("SHA384"),
    digests::digest_row("SHA512"),
    digests::digest_row("SHA512_256"),
    row("__hex_of_digest", &[], "", "", digests::plan(digests::hex)),
    row("__base64_of_digest", &[], "", "", digests::plan(digests::base64)),
];
