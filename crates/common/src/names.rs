//! Names that are given by people and become names of files, as they are.

/// Whether a name is 1 to `max` letters, digits, `-`, `_` and `.`, and does not begin with `.`: a file of its own in any
/// folder, on any file system and in any bucket.
#[must_use]
pub fn is_file_name(name: &str, max: usize) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= max && !name.starts_with('.') && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::is_file_name;

    #[test]
    fn a_name_is_a_plain_file_name() {
        assert!(is_file_name("2026-11-30.daily_1", 80));
        for bad in ["", ".x", "..", "a/b", "a b", "ä", "abc"] {
            assert!(!is_file_name(bad, 2), "{bad}");
        }
    }
}
