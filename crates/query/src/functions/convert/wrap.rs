//! Machine numbers out of machine numbers, as a machine makes them.

/// Conversion of machine numbers that wraps and cuts, as ClickHouse's casts do.
pub(crate) trait Wrap: Copy {
    /// From a signed integer.
    fn of_i64(value: i64) -> Self;
    /// From an unsigned integer.
    fn of_u64(value: u64) -> Self;
    /// From a float.
    fn of_f64(value: f64) -> Self;
    /// From a wide integer.
    fn of_i128(value: i128) -> Self;
}

/// A float as the machine makes an integer of it: what does not fit is the least one.
pub(crate) fn machine_i64(value: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

/// The same in 32 bits.
fn machine_i32(value: f64) -> i32 {
    let whole = value.trunc();
    if (-2_147_483_648.0..2_147_483_648.0).contains(&whole) { whole as i32 } else { i32::MIN }
}

fn machine_u64(value: f64) -> u64 {
    if (0.0..18_446_744_073_709_551_616.0).contains(&value) {
        value as u64
    } else {
        machine_i64(value) as u64
    }
}

macro_rules! wrap {
    ($($ty:ty: $of_float:expr;)*) => {$(
        impl Wrap for $ty {
            fn of_i64(value: i64) -> Self {
                value as Self
            }
            fn of_u64(value: u64) -> Self {
                value as Self
            }
            fn of_f64(value: f64) -> Self {
                $of_float(value) as Self
            }
            fn of_i128(value: i128) -> Self {
                value as Self
            }
        }
    )*};
}

wrap! {
    i8: machine_i32;
    i16: machine_i32;
    i32: machine_i32;
    i64: machine_i64;
    u8: machine_i32;
    u16: machine_i32;
    u32: machine_i64;
    u64: machine_u64;
    f32: std::convert::identity;
    f64: std::convert::identity;
}
