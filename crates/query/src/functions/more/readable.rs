//! Numbers for people. Pure.

fn two_digits(number: f64) -> String {
    if number.is_nan() { "nan".to_owned() } else { format!("{number:.2}") }
}

/// A number with its unit.
pub(super) fn readable_size(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];
    let mut unit = 0;
    let mut size = bytes;
    while size.abs() >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{} {}", two_digits(size), units[unit])
}

/// A number with its unit.
pub(super) fn readable_quantity(number: f64) -> String {
    let units = [
        "",
        " thousand",
        " million",
        " billion",
        " trillion",
        " quadrillion",
        " quintillion",
        " sextillion",
        " septillion",
        " octillion",
        " nonillion",
        " decillion",
        " undecillion",
        " duodecillion",
    ];
    let mut unit = 0;
    let mut size = number;
    while size.abs() >= 1000.0 && unit + 1 < units.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{}{}", two_digits(size), units[unit])
}
