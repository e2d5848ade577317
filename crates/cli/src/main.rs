//! Crate.
fn main() {}
