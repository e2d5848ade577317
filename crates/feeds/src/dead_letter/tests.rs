//! What a dead-letter table must be, and how much of a payload it keeps.

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

#[test]
fn a_table_that_cannot_take_every_letter_is_refused() {
    let types = [
        ("feed", ColumnType::Symbol),
        ("topic", ColumnType::String),
        ("partition", ColumnType::UInt32),
        ("offset", ColumnType::UInt64),
        ("time", ColumnType::DateTime64(3, None)),
        ("error", ColumnType::String.nullable()),
        ("payload", ColumnType::String),
        ("arrived", ColumnType::DateTime64(3, None)),
    ];
    let column = |(at, (name, ty)): (u32, &(&str, ColumnType))| Column {
        id: zepto_common::ColumnId(at),
        name: (*name).to_owned(),
        ty: ty.clone(),
        default: if *name == "arrived" { ColumnDefault::Now } else { ColumnDefault::Zero },
        comment: String::new(),
    };
    let good = TableSchema {
        id: zepto_common::TableId(1),
        version: zepto_common::SchemaVersion(1),
        name: zepto_common::schema::TableName::new("default", "dead"),
        columns: (1..).zip(&types).map(column).collect(),
        key: Some(zepto_common::ColumnId(1)),
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: String::new(),
        comment: String::new(),
    };
    check(&good).expect("takes all");
    for (name, ty) in [
        ("partition", ColumnType::UInt8),
        ("payload", ColumnType::Int64),
        ("offset", ColumnType::UInt32),
        ("time", ColumnType::Date),
    ] {
        let mut bad = good.clone();
        bad.columns.iter_mut().filter(|column| column.name == name).for_each(|column| column.ty = ty.clone());
        assert_eq!(check(&bad).expect_err(name).code, ErrorCode::TypeMismatch, "{name} {ty}");
    }
    for key in [5, 6, 8] {
        let bad = TableSchema { key: Some(zepto_common::ColumnId(key)), ..good.clone() };
        assert_eq!(
            check(&bad).expect_err("another one each time").code,
            ErrorCode::BadArguments,
            "column {key}"
        );
    }
}
