use super::*;

#[test]
fn a_payload_over_the_bound_is_cut_between_characters_and_says_so() {
    let (text, cut) = text_of(b"short");
    assert_eq!((text.as_str(), cut), ("short", None));
    // A character of three bytes lies over the bound.
    for before in 0..3 {
        let long = "x".repeat(before) + &"\u{20ac}".repeat(DEAD_LETTER_BYTES_MAX);
        let (text, cut) = text_of(long.as_bytes());
        assert!(long.starts_with(&text), "no bytes are escaped");
        assert!(DEAD_LETTER_BYTES_MAX - text.len() < 3, "{}", text.len());
        assert_eq!(cut, Some(format!("{} bytes, the first {} are kept", long.len(), text.len())));
    }
    let binary = [b"\xff".to_vec(), vec![b'x'; DEAD_LETTER_BYTES_MAX]].concat();
    let (text, cut) = text_of(&binary);
    assert!(text.starts_with("\\xffxxx"));
    assert_eq!(cut, Some("1048577 bytes, the first 1048576 are kept".to_owned()));
    // What ends within a character by itself is no text.
    assert_eq!(text_of(b"a\xe2\x82"), ("a\\xe2\\x82".to_owned(), None));
}
