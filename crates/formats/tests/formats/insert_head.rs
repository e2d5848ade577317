//! The head of an INSERT.

use zepto_formats::insert::InsertHead;

fn head(text: &str) -> InsertHead {
    InsertHead::parse(text.as_bytes())
        .unwrap_or_else(|e| panic!("{text}: {e}"))
        .unwrap_or_else(|| panic!("{text}: no head"))
}

fn data(text: &str) -> &str {
    &text[head(text).data_offset..]
}

#[test]
fn names_are_read_in_every_spelling() {
    for (text, database, table) in [
        ("INSERT INTO t VALUES (1)", None, "t"),
        ("insert into TABLE t values(1)", None, "t"),
        ("INSERT INTO db.t (a) VALUES (1)", Some("db"), "t"),
        ("INSERT INTO `my db`.`my``t` VALUES (1)", Some("my db"), "my`t"),
        ("INSERT INTO \"d\".\"t\\\"x\" VALUES (1)", Some("d"), "t\"x"),
        ("/* c */ INSERT -- x\n INTO # y\n db . t(a) VALUES (1)", Some("db"), "t"),
        ("INSERT INTO table VALUES (1)", None, "VALUES"),
    ] {
        if text.contains("INTO table VALUES") {
            // `table` alone is the word of the syntax, as in ClickHouse.
            assert!(InsertHead::parse(text.as_bytes()).is_err());
            continue;
        }
        let head = head(text);
        assert_eq!(head.table, (database.map(str::to_owned), table.to_owned()), "{text}");
        assert_eq!(head.format.as_deref(), Some("Values"), "{text}");
    }
}

#[test]
fn columns_are_all_or_those_named() {
    assert_eq!(head("INSERT INTO t VALUES (1)").columns, None);
    assert_eq!(head("INSERT INTO t (*) VALUES (1)").columns, None);
    assert_eq!(head("INSERT INTO t () VALUES (1)").columns, None);
    let named = head("INSERT INTO `t`(`a`,`b c`, \"d\") FORMAT RowBinary").columns;
    assert_eq!(named, Some(vec!["a".to_owned(), "b c".to_owned(), "d".to_owned()]));
}

#[test]
fn columns_may_be_all_but_some() {
    let left_out = |text: &str| (head(text).columns.unwrap(), head(text).except);
    assert_eq!(
        left_out("INSERT INTO t (* EXCEPT(a, `b c`)) VALUES (1)"),
        (vec!["a".to_owned(), "b c".to_owned()], true)
    );
    assert_eq!(left_out("INSERT INTO t (* except a) VALUES (1)"), (vec!["a".to_owned()], true));
    assert!(!head("INSERT INTO t (a) VALUES (1)").except);
    let table = super::support::table("a Int8, b Int8, c Int8");
    let rest = head("INSERT INTO t (* EXCEPT(b)) VALUES (1, 2)").columns_of(&table).unwrap();
    assert_eq!(rest, Some(vec!["a".to_owned(), "c".to_owned()]));
}

#[test]
fn data_starts_behind_the_format_and_one_line_end() {
    assert_eq!(data("INSERT INTO t VALUES (1)"), " (1)");
    assert_eq!(data("INSERT INTO t FORMAT TSV\n1\t2\n"), "1\t2\n");
    assert_eq!(data("INSERT INTO t FORMAT TSV\n\n1"), "\n1");
    assert_eq!(data("INSERT INTO t FORMAT TSV\r\n1"), "1");
    assert_eq!(data("INSERT INTO t FORMAT JSONEachRow {\"a\":1}"), "{\"a\":1}");
    assert_eq!(data("INSERT INTO t FORMAT Values (1)"), "(1)");
    assert_eq!(data("INSERT INTO t FORMAT Native\n\u{1}x"), "\u{1}x");
    assert_eq!(data("INSERT INTO t FORMAT TSV"), "");
    assert_eq!(head("INSERT INTO t FORMAT Values (1)").format.as_deref(), Some("Values"));
}

#[test]
fn settings_stand_before_or_behind_the_format() {
    for text in [
        "INSERT INTO t SETTINGS async_insert=1, x = 'a b' VALUES (1)",
        "INSERT INTO t SETTINGS async_insert=1, x='a b' FORMAT TSV\n1",
        "INSERT INTO t (a) FORMAT TSV SETTINGS async_insert=1, x='a b'\n1",
    ] {
        let head = head(text);
        assert_eq!(head.settings.get("async_insert").map(String::as_str), Some("1"), "{text}");
        assert_eq!(head.settings.get("x").map(String::as_str), Some("a b"), "{text}");
    }
}

#[test]
fn a_query_is_no_insert_with_data() {
    for text in [
        "SELECT 1",
        "",
        "INSERTED",
        "INSERT INTO t SELECT * FROM u",
        "INSERT INTO t (a, b) SELECT 1, 2",
        "INSERT INTO t (SELECT 1)",
        "INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x",
        "INSERT INTO t (a) /* c */ (WITH x AS (SELECT 1) SELECT * FROM x)",
        "INSERT INTO t SETTINGS a = 1 SELECT 1",
    ] {
        assert_eq!(InsertHead::parse(text.as_bytes()).unwrap(), None, "{text}");
    }
}

#[test]
fn a_head_without_format_has_no_data() {
    let bare = head("INSERT INTO t");
    assert_eq!((bare.format, bare.data_offset), (None, 13));
    assert_eq!(head("INSERT INTO t (a);").format, None);
}

#[test]
fn a_broken_head_is_a_syntax_error() {
    for text in [
        "INSERT INTO",
        "INSERT INTO t (",
        "INSERT INTO t (a",
        "INSERT INTO t (a,",
        "INSERT INTO t (a b) VALUES (1)",
        "INSERT INTO `t",
        "INSERT INTO t VALUE (1)",
        "INSERT INTO t SETTINGS",
        "INSERT INTO t SETTINGS a",
        "INSERT INTO t SETTINGS a=",
        "INSERT INTO t FORMAT",
        "INSERT INTO db.(a) VALUES (1)",
        "INSERT INTO t /* open",
        "INSERT INTO 't' VALUES (1)",
    ] {
        let error = InsertHead::parse(text.as_bytes()).expect_err(text);
        assert_eq!(error.code.number(), 62, "{text}: {error}");
    }
    for junk in [&b"INSERT INTO \xff\xfe VALUES (1)"[..], b"INSERT INTO t (`\xff`) VALUES"] {
        assert_eq!(InsertHead::parse(junk).unwrap_err().code.number(), 62);
    }
}
